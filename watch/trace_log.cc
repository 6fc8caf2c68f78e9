// SPDX-License-Identifier: Apache-2.0
#include "watch/trace_log.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

// A file is this line, a line for each event, and one of what else there is: so
// files are merged line by line.
constexpr char kFirstLine[] = R"({"displayTimeUnit":"ms","traceEvents":[)";
constexpr char kLastLine[] = "],";

// Threads of a worker's process.
constexpr int kSteps = 1;
constexpr int kBeside = 2;
constexpr int kFirstShard = 3;

const char* NameOf(TraceKind kind) {
  switch (kind) {
    case TraceKind::kData:
      return "data";
    case TraceKind::kCompute:
      return "compute";
    case TraceKind::kExchange:
      return "exchange";
    case TraceKind::kWait:
      return "wait";
    case TraceKind::kInitialize:
      return "initialize";
    case TraceKind::kPull:
      return "pull";
    case TraceKind::kPush:
      return "push";
    case TraceKind::kPushPull:
      return "push_pull";
  }
  return "";
}

int ThreadOf(const TraceSpan& span) {
  if (span.shard >= 0) return kFirstShard + span.shard;
  return span.is_beside ? kBeside : kSteps;
}

std::string NameOfThread(int thread) {
  if (thread == kSteps) return "steps";
  if (thread == kBeside) return "exchanges beside the steps";
  return absl::StrCat("shard ", thread - kFirstShard);
}

double Microseconds(absl::Duration duration) {
  return absl::ToDoubleMicroseconds(duration);
}

// One event, as a line that goes on.
std::string Line(const Json& event) { return event.dump() + ",\n"; }

std::string Metadata(int pid, int tid, const char* name, const Json& args) {
  return Line({{"ph", "M"},
               {"name", name},
               {"pid", pid},
               {"tid", tid},
               {"args", args}});
}

std::string Event(int pid, const TraceSpan& span) {
  Json event = {{"ph", "X"},
                {"name", NameOf(span.kind)},
                {"cat", span.shard >= 0 ? "request" : "worker"},
                {"pid", pid},
                {"tid", ThreadOf(span)},
                {"ts", Microseconds(span.begin - absl::UnixEpoch())},
                {"dur", Microseconds(span.end - span.begin)}};
  if (span.shard >= 0) {
    event["args"] = {{"bytes_up", span.bytes_up},
                     {"bytes_down", span.bytes_down},
                     {"staleness", span.staleness},
                     {"version", span.version},
                     {"server", span.server}};
  }
  return Line(event);
}

// The lines of the events in a file of this kind.
absl::StatusOr<std::string> EventsIn(const std::string& path,
                                     const std::string& text,
                                     std::map<std::string, size_t>& dropped) {
  const absl::Status bad = absl::DataLossError(absl::StrCat(
      path, ": is not a trace that a worker has written; it is left out"));
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, kFirstLine) ||
      !absl::ConsumePrefix(&rest, "\n")) {
    return bad;
  }
  const size_t end = rest.rfind(absl::StrCat("\n", kLastLine));
  // Of a file without events the last line follows at once.
  const size_t last = end == absl::string_view::npos ? 0 : end + 1;
  absl::string_view tail = rest.substr(last);
  if (!absl::ConsumePrefix(&tail, kLastLine)) return bad;
  const Json others =
      Json::parse(absl::StrCat("{", std::string(tail)), nullptr, false);
  if (!others.is_object()) return bad;
  const Json counts =
      others.value(Json::json_pointer("/otherData/dropped_spans"), Json());
  if (!counts.is_object()) return bad;
  for (const auto& [worker, count] : counts.items()) {
    if (count.is_number_unsigned()) dropped[worker] += count.get<size_t>();
  }
  std::string events(rest.substr(0, last));
  // The last event of a file is not followed by a comma.
  if (!events.empty()) events.insert(events.size() - 1, ",");
  return events;
}

}  // namespace

class TraceLog::Buffer final : public TraceSink {
 public:
  explicit Buffer(size_t spans) : most_(spans) { spans_.reserve(spans); }

  void Add(const TraceSpan& span) override {
    absl::MutexLock lock(&mu_);
    if (spans_.size() < most_) {
      spans_.push_back(span);
    } else {
      ++dropped_;
    }
  }

  // All events of the worker, as lines.
  std::string Events(int rank, size_t& dropped) {
    absl::MutexLock lock(&mu_);
    dropped = dropped_;
    const int pid = rank + 1;
    std::string events =
        Metadata(pid, kSteps, "process_name",
                 {{"name", absl::StrCat("worker ", rank)}}) +
        Metadata(pid, kSteps, "process_sort_index", {{"sort_index", rank}});
    std::set<int> threads;
    for (const TraceSpan& span : spans_) threads.insert(ThreadOf(span));
    for (const int thread : threads) {
      events += Metadata(pid, thread, "thread_name",
                         {{"name", NameOfThread(thread)}});
      events +=
          Metadata(pid, thread, "thread_sort_index", {{"sort_index", thread}});
    }
    for (const TraceSpan& span : spans_) events += Event(pid, span);
    return events;
  }

 private:
  const size_t most_;
  absl::Mutex mu_;
  std::vector<TraceSpan> spans_ ABSL_GUARDED_BY(mu_);
  size_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
};

TraceLog::TraceLog(std::string path, FileSystem& files, size_t spans)
    : path_(std::move(path)), files_(files), spans_(spans) {}

TraceLog::~TraceLog() = default;

absl::StatusOr<std::unique_ptr<TraceLog>> TraceLog::Open(std::string path,
                                                         FileSystem& files,
                                                         size_t spans) {
  std::unique_ptr<TraceLog> log(new TraceLog(std::move(path), files, spans));
  const absl::Status written = log->Write();
  if (written.ok()) return log;
  return absl::UnavailableError(absl::StrCat(
      "--trace ", log->path_, ": cannot be written: ", written.message(),
      "; expected a file in a folder that is there"));
}

TraceSink& TraceLog::OfWorker(int rank) {
  absl::MutexLock lock(&mu_);
  std::unique_ptr<Buffer>& buffer = buffers_[rank];
  if (buffer == nullptr) buffer = std::make_unique<Buffer>(spans_);
  return *buffer;
}

absl::Status TraceLog::WriteEvents(
    const std::string& events, const std::map<std::string, size_t>& dropped) {
  Json counts = Json::object();
  size_t lost = 0;
  for (const auto& [worker, count] : dropped) {
    counts[worker] = count;
    lost += count;
  }
  const Json others = {{"clock", "CLOCK_MONOTONIC"}, {"dropped_spans", counts}};
  absl::Status written = files_.Write(
      path_,
      absl::StrCat(kFirstLine, "\n",
                   events.substr(0, events.empty() ? 0 : events.size() - 2),
                   events.empty() ? "" : "\n", kLastLine,
                   "\"otherData\":", others.dump(), "}\n"));
  if (!written.ok() || lost == 0) return written;
  return absl::DataLossError(
      absl::StrCat(path_, ": ", lost, " spans beyond the first ", spans_,
                   " of a worker are missing; trace a shorter run"));
}

absl::Status TraceLog::Write() {
  absl::MutexLock lock(&mu_);
  std::string events;
  std::map<std::string, size_t> dropped;
  for (const auto& [rank, buffer] : buffers_) {
    size_t lost = 0;
    events += buffer->Events(rank, lost);
    if (lost > 0) dropped[absl::StrCat("worker ", rank)] = lost;
  }
  return WriteEvents(events, dropped);
}

absl::Status TraceLog::Merge(const std::vector<std::string>& parts) {
  absl::Status status;
  std::string events;
  std::map<std::string, size_t> dropped;
  for (const std::string& part : parts) {
    const auto text = files_.Read(part);
    if (!text.ok()) continue;  // of a worker that was killed
    const auto found = EventsIn(part, *text, dropped);
    status.Update(found.status());
    if (found.ok()) events += *found;
  }
  absl::Status written = WriteEvents(events, dropped);
  if (written.ok()) return status;
  return written;
}

absl::StatusOr<std::unique_ptr<TraceLog>> OpenTrace(const std::string& path,
                                                    FileSystem& files) {
  if (path.empty()) return std::unique_ptr<TraceLog>();
  return TraceLog::Open(path, files);
}

void WarnOfTrace(const std::string& program, const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: warning: --trace: %s\n", program.c_str(),
               std::string(status.message()).c_str());
}

}  // namespace monsoon
