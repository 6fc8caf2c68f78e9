// SPDX-License-Identifier: Apache-2.0
#include "watch/progress_lines.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "watch/display_text.h"

namespace monsoon {
namespace {

constexpr absl::Duration kPlainLine = absl::Seconds(10);

}  // namespace

std::string LiveLine(const ProgressSample& sample, int columns) {
  // What matters least stands last: that is where a narrow terminal cuts.
  std::string line = absl::StrFormat(
      "%s  epoch %d/%d  %.0f%%", Printable(sample.trainer, false), sample.epoch,
      sample.epochs,
      100.0 * static_cast<double>(sample.samples) /
          static_cast<double>(std::max<int64_t>(1, sample.total)));
  absl::StrAppend(&line,
                  absl::StrFormat("  %.0f samples/s  loss %s  eta %.0f s"
                                  "  elapsed %.1f s",
                                  sample.samples_per_s,
                                  std::isfinite(sample.loss)
                                      ? absl::StrFormat("%.4f", sample.loss)
                                      : "-",
                                  sample.eta_s, sample.elapsed_s));
  // The last column stays free: writing there makes some terminals wrap.
  const size_t width = static_cast<size_t>(std::max(1, columns - 1));
  return line.substr(0, width);
}

std::string PlainLine(const ProgressSample& sample) {
  return absl::StrFormat(
      "trainer=%s epoch=%d/%d samples=%d/%d elapsed_s=%.1f "
      "samples_per_s=%.0f loss=%s eta_s=%.1f",
      Printable(sample.trainer, false), sample.epoch, sample.epochs,
      sample.samples, sample.total, sample.elapsed_s, sample.samples_per_s,
      std::isfinite(sample.loss) ? absl::StrFormat("%.4f", sample.loss) : "-",
      sample.eta_s);
}

ProgressLines::ProgressLines(std::FILE* out, Clock& clock)
    : out_(out), clock_(clock), next_line_(clock.Now() + kPlainLine) {}

void ProgressLines::See(const JobView& view, bool is_last) {
  const ProgressSample& sample = view.progress;
  const absl::Time now = clock_.Now();
  const bool epoch_ended = sample.epoch != shown_epoch_;
  if (!is_last && !epoch_ended && now < next_line_) return;
  std::fprintf(out_, "%s\n", PlainLine(sample).c_str());
  std::fflush(out_);
  shown_epoch_ = sample.epoch;
  next_line_ = now + kPlainLine;
}

}  // namespace monsoon
