// SPDX-License-Identifier: Apache-2.0
#include "worker/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace monsoon {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(100);
constexpr absl::Duration kReport = absl::Seconds(1);
constexpr absl::Duration kPlainLine = absl::Seconds(10);

int64_t EpochsOf(const pb::JobSpec& spec) {
  const auto it = spec.settings().find("epochs");
  int64_t epochs = 0;
  const bool known =
      it != spec.settings().end() && absl::SimpleAtoi(it->second, &epochs);
  return known && epochs >= 1 ? epochs : 1;
}

}  // namespace

ProgressSample SampleOf(const pb::JobStatus& status) {
  ProgressSample sample;
  sample.trainer = status.spec().trainer();
  sample.epochs = EpochsOf(status.spec());
  sample.total = status.spec().samples() * sample.epochs;
  sample.elapsed_s = status.elapsed_s();
  double loss_sum = 0;
  int64_t loss_samples = 0;
  for (const pb::Member& member : status.members()) {
    sample.samples += member.report().samples();
    loss_sum += member.report().loss_sum();
    loss_samples += member.report().loss_samples();
  }
  const int64_t per_epoch = std::max<int64_t>(1, status.spec().samples());
  sample.epoch = std::min(sample.epochs, 1 + sample.samples / per_epoch);
  sample.loss = loss_samples > 0 ? loss_sum / static_cast<double>(loss_samples)
                                 : std::numeric_limits<double>::quiet_NaN();
  if (sample.elapsed_s > 0 && sample.samples > 0) {
    sample.samples_per_s =
        static_cast<double>(sample.samples) / sample.elapsed_s;
    sample.eta_s = static_cast<double>(sample.total - sample.samples) /
                   sample.samples_per_s;
  }
  return sample;
}

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

Progress::Progress(ServerCalls& server, uint64_t job_id, Clock& clock,
                   ProgressStyle style, Observer observer)
    : server_(server),
      job_id_(job_id),
      clock_(clock),
      style_(style),
      observer_(std::move(observer)),
      stop_(clock.NewEvent()),
      thread_([this] { Run(); }) {}

void Progress::Stop() {
  stop_->Set();
  if (thread_.joinable()) thread_.join();
}

void Progress::Run() {
  next_line_ = clock_.Now() + kPlainLine;
  while (!stop_->Wait(clock_.Now() + kLook)) Look(false);
  Look(true);
  // The server has gone before the last look: what follows is a new line.
  if (line_is_open_) std::fputc('\n', style_.out);
}

void Progress::Look(bool last) {
  pb::JobStatus status;
  const absl::Status asked = server_.GetJob(pb::GetJobRequest(), status);
  if (!asked.ok() || (job_id_ != 0 && status.job_id() != job_id_)) return;
  ProgressSample sample = SampleOf(status);
  if (sample.samples == 0) return;
  // At an epoch's first steps nobody has a loss yet: the last one stays.
  if (std::isfinite(sample.loss)) last_loss_ = sample.loss;
  if (!std::isfinite(sample.loss)) sample.loss = last_loss_;
  if (style_.out != nullptr) Show(sample, last);
  const absl::Time now = clock_.Now();
  if (observer_ != nullptr && (last || now >= next_report_)) {
    observer_(sample);
    next_report_ = now + kReport;
  }
}

void Progress::Show(const ProgressSample& sample, bool last) {
  if (style_.live) {
    // Back to the first column, the line, and the rest of the row erased.
    std::fprintf(style_.out, "\r%s\x1b[K%s",
                 LiveLine(sample, style_.columns).c_str(), last ? "\n" : "");
    std::fflush(style_.out);
    line_is_open_ = !last;
    return;
  }
  const absl::Time now = clock_.Now();
  const bool epoch_ended = sample.epoch != shown_epoch_;
  if (!last && !epoch_ended && now < next_line_) return;
  std::fprintf(style_.out, "%s\n", PlainLine(sample).c_str());
  std::fflush(style_.out);
  shown_epoch_ = sample.epoch;
  next_line_ = now + kPlainLine;
}

}  // namespace monsoon
