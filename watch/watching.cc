// SPDX-License-Identifier: Apache-2.0
#include "watch/watching.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "watch/display_text.h"
#include "watch/live_page.h"
#include "watch/mlflow_run.h"
#include "watch/progress_lines.h"
#include "watch/tensorboard_log.h"
#include "watch/terminal.h"

namespace monsoon {

void AddWatchFlags(CLI::App& app, WatchFlags& flags) {
  app.add_option("--progress", flags.progress,
                 "on stderr: auto or panel (a live panel on a terminal, lines "
                 "elsewhere), lines or none")
      ->type_name("STYLE")
      ->check(CLI::IsMember({"auto", "panel", "lines", "none"}))
      ->capture_default_str()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--trace", flags.trace,
                 "write what the workers do, and when, in the Chrome trace "
                 "format (Perfetto opens it)")
      ->type_name("FILE.json")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--http", flags.http,
                 "serve a live page, /metrics, /api/status, /healthz and "
                 "/readyz there; port 0 takes any free one. Who can reach it "
                 "can read it")
      ->type_name("HOST:PORT")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--mlflow", flags.mlflow,
                 "track the run on this MLflow server, as "
                 "http://127.0.0.1:5000")
      ->type_name("URL")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

absl::StatusOr<std::unique_ptr<Watching>> Watching::Open(
    const WatchFlags& flags, const WatchPlace& place,
    std::vector<Observer*> others) {
  std::unique_ptr<Watching> watching(
      new Watching(place.clock, std::move(others)));
  const TerminalWish wish = StderrWish();
  if (wish.is_live && (flags.progress == "auto" || flags.progress == "panel")) {
    watching->panel_ = std::make_unique<LivePanel>(wish, StderrTerminal());
    watching->observers_.push_back(watching->panel_.get());
  } else if (flags.progress != "none") {
    watching->Add(std::make_unique<ProgressLines>(stderr, place.clock));
  }
  const Warn warn = [out = watching.get(),
                     program = place.program](const std::string& what) {
    out->Say(absl::StrCat(program, ": warning: ", what));
  };
  if (!flags.http.empty()) {
    ASSIGN_OR_RETURN(auto page,
                     LivePage::Open(flags.http, place.program, place.clock));
    watching->Say(absl::StrCat(place.program, ": live page ", page->url()));
    watching->Add(std::move(page));
  }
  if (!flags.mlflow.empty()) {
    ASSIGN_OR_RETURN(auto mlflow,
                     OpenMlflow(flags.mlflow, place.program, place.folder, warn,
                                place.clock, place.files));
    watching->Add(std::move(mlflow));
  }
  if (place.keeps_folder) {
    watching->Add(std::make_unique<TensorBoardLog>(warn, place.folder,
                                                   place.clock, place.files));
  }
  return watching;
}

void Watching::Say(const std::string& line) {
  // Some of it may come from another machine.
  const std::string text = Printable(line, /*utf8=*/true);
  if (panel_ != nullptr) {
    panel_->Print(text);
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
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
