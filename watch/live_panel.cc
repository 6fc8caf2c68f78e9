// SPDX-License-Identifier: Apache-2.0
#include "watch/live_panel.h"

#include <algorithm>

#include "watch/panel.h"

namespace monsoon {

void LivePanel::See(const JobView& view, bool is_last) {
  if (is_last && !wish_.footer.empty()) {
    block_.Erase();
    return;
  }
  const TerminalSize size = block_.size();
  const int columns =
      wish_.columns > 0 ? std::min(wish_.columns, size.columns) : size.columns;
  block_.Draw(PanelOf(view, {.columns = columns,
                             .rows = size.rows,
                             .utf8 = wish_.utf8,
                             .colour = wish_.colour,
                             .footer = wish_.footer}));
}

}  // namespace monsoon
