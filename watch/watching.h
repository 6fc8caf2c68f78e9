// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "transport/server_calls.h"
#include "watch/live_panel.h"
#include "watch/observer.h"
#include "watch/watcher.h"

namespace monsoon {

// How a person wants to watch a run: flags beside those of the job. A value.
struct WatchFlags {
  std::string progress = "auto";  // auto, panel, lines or none
  std::string trace;              // a file; empty: none
  std::string http;               // HOST:PORT; empty: no live page
  std::string mlflow;             // URL of a server; empty: none
};

// Adds them, with help and checks, to a command that runs a job.
void AddWatchFlags(CLI::App& app, WatchFlags& flags);

// Where it is watched. Everything outlives the Watching.
struct WatchPlace {
  std::string program;  // "monsoon train", in front of errors and warnings
  std::string folder;   // of the run
  Clock& clock;
  FileSystem& files;
  bool keeps_folder = false;  // this process writes what is in it
};

// All who watch a run, as the flags ask for them, from before it begins to its
// end. For one thread.
class Watching {
 public:
  // Opens what has to be open before the run begins; INVALID_ARGUMENT or
  // UNAVAILABLE when that cannot be, naming the flag. The `others` outlive it
  // and are told first.
  static absl::StatusOr<std::unique_ptr<Watching>> Open(
      const WatchFlags& flags, const WatchPlace& place,
      std::vector<Observer*> others = {});

  // Begins to watch the job of that id on these servers (0: whatever job the
  // first has), which outlive it or its Stop. Once.
  void Start(std::vector<ServerCalls*> servers, uint64_t job_id);
  // The workers have ended: shows the last state. Idempotent.
  void Stop();
  // Prints a line on stderr, above the panel where there is one: for all that
  // has to be said between Start and Stop. On any thread.
  void Say(const std::string& line);
  // The result is there. Stops, and tells the observers.
  void End(const RunEnd& end);

 private:
  Watching(Clock& clock, std::vector<Observer*> others)
      : clock_(clock), observers_(std::move(others)) {}
  void Add(std::unique_ptr<Observer> observer);

  Clock& clock_;
  // Null: there is none. Outlives those of its own, which speak above it until
  // they are gone.
  std::unique_ptr<LivePanel> panel_;
  std::vector<std::unique_ptr<Observer>> own_;
  std::vector<Observer*> observers_;
  std::unique_ptr<Watcher> watcher_;  // goes before who it tells
};

}  // namespace monsoon
