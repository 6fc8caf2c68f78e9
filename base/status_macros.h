// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function when `expression` is not OK. The packaged
// Abseil does not have these two yet.
#define RETURN_IF_ERROR(expression)                  \
  do {                                               \
    absl::Status monsoon_status = (expression);      \
    if (!monsoon_status.ok()) return monsoon_status; \
  } while (false)

#define MONSOON_CONCAT_(a, b) a##b
#define MONSOON_CONCAT(a, b) MONSOON_CONCAT_(a, b)

// ASSIGN_OR_RETURN(auto x, F()): x = *F(), or returns F's status.
#define ASSIGN_OR_RETURN(lhs, expression)                               \
  MONSOON_ASSIGN_OR_RETURN_(MONSOON_CONCAT(monsoon_or_, __LINE__), lhs, \
                            expression)
#define MONSOON_ASSIGN_OR_RETURN_(temporary, lhs, expression) \
  auto temporary = (expression);                              \
  if (!temporary.ok()) return std::move(temporary).status();  \
  lhs = *std::move(temporary)
