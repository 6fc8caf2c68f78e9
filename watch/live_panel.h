// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "absl/strings/string_view.h"
#include "watch/observer.h"
#include "watch/terminal.h"

namespace monsoon {

// The panel on a terminal, redrawn in place each time that it is told of the
// job. In the end it stays as it was last, unless it had somebody else's
// footer, who goes on below: then it vanishes.
class LivePanel final : public Observer {
 public:
  LivePanel(TerminalWish wish, Terminal terminal)
      : wish_(std::move(wish)), block_(std::move(terminal)) {}

  void See(const JobView& view, bool is_last) override;
  // Prints a line above it. On any thread.
  void Print(absl::string_view line) { block_.Print(line); }

 private:
  const TerminalWish wish_;
  LiveBlock block_;
};

}  // namespace monsoon
