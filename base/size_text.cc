// SPDX-License-Identifier: Apache-2.0
#include "base/size_text.h"

#include <cmath>

#include "absl/strings/str_format.h"

namespace monsoon {

std::string SizeText(double bytes) {
  if (!std::isfinite(bytes) || bytes < 0) return "-";
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  double number = bytes / 1024;
  while (number >= 1000 && unit < 3) {
    number /= 1024;
    ++unit;
  }
  const bool is_fine = unit >= 2 || (unit == 1 && number < 10);
  return absl::StrFormat("%.*f %s", is_fine ? 1 : 0, number, kUnits[unit]);
}

}  // namespace monsoon
