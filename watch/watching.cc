// SPDX-License-Identifier: Apache-2.0
#include "watch/watching.h"

#include <utility>

#include "watch/progress_lines.h"

namespace monsoon {

void AddWatchFlags(CLI::App& app, WatchFlags& flags) {
  app.add_option("--progress", flags.progress,
                 "on stderr: auto (live on a terminal), lines or none")
      ->type_name("STYLE")
      ->check(CLI::IsMember({"auto", "lines", "none"}))
      ->capture_default_str()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

absl::StatusOr<std::unique_ptr<Watching>> Watching::Open(
    const WatchFlags& flags, const WatchPlace& place,
    std::vector<Observer*> others) {
  std::unique_ptr<Watching> watching(
      new Watching(place.clock, std::move(others)));
  if (flags.progress != "none") {
    ProgressStyle style = StderrStyle();
    style.live = style.live && flags.progress == "auto";
    watching->Add(std::make_unique<ProgressLines>(style, place.clock));
  }
  return watching;
}

void Watching::Add(std::unique_ptr<Observer> observer) {
  observers_.push_back(observer.get());
  own_.push_back(std::move(observer));
}

void Watching::Start(std::vector<ServerCalls*> servers, uint64_t job_id) {
  watcher_ =
      std::make_unique<Watcher>(std::move(servers), job_id, clock_, observers_);
}

void Watching::Stop() {
  if (watcher_ != nullptr) watcher_->Stop();
}

void Watching::End(const RunEnd& end) {
  Stop();
  for (Observer* observer : observers_) observer->End(end);
}

}  // namespace monsoon
