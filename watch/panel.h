// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "watch/job_view.h"

namespace monsoon {

// What a panel is drawn for. A value.
struct PanelLook {
  int columns = 80;  // of the terminal
  int rows = 24;
  bool utf8 = false;    // may use characters beyond ASCII
  bool colour = false;  // may use escape sequences for colours
  // A last line from somebody else; empty: none.
  std::string footer;
};

// One row of a terminal.
struct PanelLine {
  std::string text;  // with escape sequences for colours, where they are asked
  int columns = 0;   // that it takes: fewer than the terminal has
};

// A running job as a block of text: how far it is, its loss over time, a row
// for every server and worker (from nine on: least, median, most, and the three
// slowest workers), a bar. Fewer lines and columns where they do not fit; the
// one live line (watch/progress_lines.h) where not even the smallest block
// does. One row of the terminal stays free, for the cursor. What came over the
// network is shown without control characters.
std::vector<PanelLine> PanelOf(const JobView& view, const PanelLook& look);

}  // namespace monsoon
