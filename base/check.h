// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <cstdlib>

// Aborts when a programming error is found: a broken invariant inside this
// process. Never reachable from network input, files or flags; those get an
// absl::Status that names the thing, the value found and the value expected.
#define MONSOON_CHECK(condition, what)                                \
  do {                                                                \
    if (!(condition)) {                                               \
      std::fprintf(stderr, "%s:%d: check failed: %s: %s\n", __FILE__, \
                   __LINE__, #condition, what);                       \
      std::abort();                                                   \
    }                                                                 \
  } while (false)
