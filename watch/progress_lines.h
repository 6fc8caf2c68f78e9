// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "watch/observer.h"

namespace monsoon {

// "NAME  epoch 3/5  12,345/60,000  17540 samples/s  loss 0.3127  eta 7 s", cut
// to `columns`.
std::string LiveLine(const ProgressSample& sample, int columns);
// "trainer=NAME epoch=3/5 samples=... samples_per_s=... loss=... eta_s=..."
std::string PlainLine(const ProgressSample& sample);

// Where progress goes. A value.
struct ProgressStyle {
  std::FILE* out = nullptr;  // null: nowhere
  bool live = false;         // one line, redrawn in place
  int columns = 80;
};

// stderr: live when it is a terminal that can (TERM is not "dumb"), as wide as
// COLUMNS or the terminal says. There are no colours, as NO_COLOR asks.
ProgressStyle StderrStyle();

// Progress as lines of text: a live one on a terminal; elsewhere one every ten
// seconds, at the end of each epoch, and at the end.
class ProgressLines final : public Observer {
 public:
  // `clock` outlives it.
  ProgressLines(ProgressStyle style, Clock& clock);
  // Ends a live line that is still open.
  ~ProgressLines() override;

  void See(const JobView& view, bool is_last) override;

 private:
  const ProgressStyle style_;
  Clock& clock_;
  absl::Time next_line_;
  int64_t shown_epoch_ = 1;
  bool line_is_open_ = false;  // a live line without its newline
};

}  // namespace monsoon
