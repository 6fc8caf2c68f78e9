// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace monsoon {

// What a piece of text on a terminal means.
enum class Ink { kPlain, kFaint, kGood, kWarning, kBad };

// Printable text (watch/display_text.h) of one ink.
struct InkedText {
  std::string text;
  Ink ink = Ink::kPlain;
};
using InkedLine = std::vector<InkedText>;

// A table of short texts that leaves columns out where it is too wide.
struct TextTable {
  struct Column {
    std::string name;
    // 0: always there; of the others the one with the most goes first.
    int dispensable = 0;
    bool is_left = false;  // aligned
  };

  std::vector<Column> columns;
  std::vector<InkedLine> rows;  // a text for every column

  // A line of names, and one for each row, within so many columns of the
  // terminal; what does not even fit without dispensable columns is cut.
  std::vector<InkedLine> Lines(int width) const;
};

}  // namespace monsoon
