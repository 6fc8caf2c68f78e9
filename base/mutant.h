// SPDX-License-Identifier: Apache-2.0
#pragma once

#ifdef MONSOON_MUTANTS
#include <cstdlib>
#include <string_view>
#endif

namespace monsoon {

// A defect put back on purpose, to see that some test catches it:
//
//   if (repeated && !Mutant("dedupe-skipped")) ...
//
// False, and free, but in the build of the preset `mutants`, where the
// environment variable MONSOON_MUTANT chooses one by its name. ./dev mutants
// finds all of them in the sources, so `name` is a literal, and no two are the
// same.
#ifdef MONSOON_MUTANTS
inline bool Mutant(std::string_view name) {
  static const char* const chosen = std::getenv("MONSOON_MUTANT");
  return chosen != nullptr && name == chosen;
}
#else
constexpr bool Mutant(const char* /*name*/) { return false; }
#endif

}  // namespace monsoon
