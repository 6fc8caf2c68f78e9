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

// Progress as lines of text: one every ten seconds, at the end of each epoch,
// and at the end.
class ProgressLines final : public Observer {
 public:
  // Lines go to `out`. Both outlive it.
  ProgressLines(std::FILE* out, Clock& clock);

  void See(const JobView& view, bool is_last) override;

 private:
  std::FILE* const out_;
  Clock& clock_;
  absl::Time next_line_;
  int64_t shown_epoch_ = 1;
};

}  // namespace monsoon
