// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace monsoon {

// Text as a terminal shows it: in UTF-8, where most characters take one column,
// those of East Asia and pictures two, and marks that join one before none.

// Without what would move the cursor, change colours or turn the direction of
// writing: control characters go. What is no UTF-8 becomes '?'; so does, unless
// `utf8`, all that is not ASCII.
std::string Printable(absl::string_view text, bool utf8);

// Columns that printable text takes.
int ColumnsOf(absl::string_view printable);

// The start of printable text that takes at most `columns`.
std::string Cut(absl::string_view printable, int columns);

// "12,345"; "-" where it is not finite.
std::string Grouped(double number);
// With so many decimals; "-" where it is not finite.
std::string Decimal(double number, int decimals);
// "9.5 s", "3:05", "2:03:05"; "-" where it is not finite.
std::string Duration(double seconds);

}  // namespace monsoon
