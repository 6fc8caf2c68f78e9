// SPDX-License-Identifier: Apache-2.0
#include "watch/progress_lines.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace monsoon {
namespace {

constexpr absl::Duration kPlainLine = absl::Seconds(10);

}  // namespace

std::string LiveLine(const ProgressSample& sample, int columns) {
  // What matters least stands last: that is where a narrow terminal cuts.
  std::string line = absl::StrFormat(
      "%s  epoch %d/%d  %.0f%%", sample.trainer, sample.epoch, sample.epochs,
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
      sample.trainer, sample.epoch, sample.epochs, sample.samples, sample.total,
      sample.elapsed_s, sample.samples_per_s,
      std::isfinite(sample.loss) ? absl::StrFormat("%.4f", sample.loss) : "-",
      sample.eta_s);
}

ProgressStyle StderrStyle() {
  ProgressStyle style{.out = stderr};
  const char* term = std::getenv("TERM");
  const bool dumb =
      term == nullptr || *term == '\0' || absl::string_view(term) == "dumb";
  style.live = !dumb && ::isatty(STDERR_FILENO) == 1;
  const char* columns = std::getenv("COLUMNS");
  winsize size = {};
  if (columns != nullptr && absl::SimpleAtoi(columns, &style.columns) &&
      style.columns > 0) {
    return style;
  }
  const bool known =
      ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  style.columns = known ? size.ws_col : 80;
  return style;
}

ProgressLines::ProgressLines(ProgressStyle style, Clock& clock)
    : style_(style), clock_(clock), next_line_(clock.Now() + kPlainLine) {}

ProgressLines::~ProgressLines() {
  if (line_is_open_) std::fputc('\n', style_.out);
}

void ProgressLines::See(const JobView& view, bool is_last) {
  if (style_.out == nullptr) return;
  const ProgressSample& sample = view.progress;
  if (style_.live) {
    // Back to the first column, the line, and the rest of the row erased.
    std::fprintf(style_.out, "\r%s\x1b[K%s",
                 LiveLine(sample, style_.columns).c_str(), is_last ? "\n" : "");
    std::fflush(style_.out);
    line_is_open_ = !is_last;
    return;
  }
  const absl::Time now = clock_.Now();
  const bool epoch_ended = sample.epoch != shown_epoch_;
  if (!is_last && !epoch_ended && now < next_line_) return;
  std::fprintf(style_.out, "%s\n", PlainLine(sample).c_str());
  std::fflush(style_.out);
  shown_epoch_ = sample.epoch;
  next_line_ = now + kPlainLine;
}

}  // namespace monsoon
