// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "watch/live_state.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

std::string Lower(const std::string& name) {
  return absl::AsciiStrToLower(name);
}

// A map of protobuf has no order; JSON shall always be the same.
template <typename Map>
Json Sorted(const Map& map) {
  Json json = Json::object();
  for (const auto& [key, value] : std::map(map.begin(), map.end())) {
    json[absl::StrCat(key)] = value;
  }
  return json;
}

std::string Setting(const pb::JobSpec& spec, const std::string& key) {
  const auto it = spec.settings().find(key);
  return it == spec.settings().end() ? "" : it->second;
}

Json JobJson(const JobView& view) {
  const pb::JobSpec& spec = view.spec;
  return {
      // Of 64 bits, which a number of JavaScript has not.
      {"id", absl::StrCat(view.job_id)}, {"trainer", spec.trainer()},
      {"model", Setting(spec, "model")}, {"data", Setting(spec, "data")},
      {"workers", spec.workers()},       {"servers", spec.servers()},
      {"hyper", Sorted(spec.hyper())},   {"settings", Sorted(spec.settings())}};
}

Json ProgressJson(const ProgressSample& progress) {
  return {{"samples", progress.samples},
          {"total", progress.total},
          {"epoch", progress.epoch},
          {"epochs", progress.epochs},
          {"elapsed_s", progress.elapsed_s},
          {"eta_s", progress.eta_s},
          {"samples_per_s", progress.samples_per_s},
          {"loss", progress.loss}};
}

Json WorkerJson(const WorkerView& worker) {
  const pb::WorkerReport& report = worker.member.report();
  return {{"rank", worker.member.worker()},
          {"state", Lower(pb::WorkerState_Name(report.state()))},
          {"message", report.message()},
          {"silent", worker.is_silent},
          {"silent_s", worker.member.silent_s()},
          {"samples", report.samples()},
          {"steps", report.steps()},
          {"samples_per_s", worker.samples_per_s},
          {"loss", worker.loss},
          {"staleness_mean", worker.staleness_mean},
          {"compute_s", report.compute_s()},
          {"exchange_s", report.exchange_s()},
          {"data_s", report.data_s()},
          {"bytes_up", report.bytes_up()},
          {"bytes_down", report.bytes_down()},
          {"peak_rss_bytes", report.peak_rss_bytes()},
          {"host", report.host()},
          {"pid", report.pid()}};
}

Json ServerJson(const ServerView& server) {
  const pb::JobStatus& status = server.status;
  std::map<int64_t, int64_t> staleness;
  for (const auto& [shard, histogram] : status.shard_staleness()) {
    for (const auto& [value, count] : histogram.counts()) {
      staleness[value] += count;
    }
  }
  return {{"index", server.index},
          {"answers", server.answers},
          {"updates", server.updates},
          {"updates_per_s", server.updates_per_s},
          {"cores", server.cores},
          {"parameters_bytes", ParameterBytes(server)},
          {"peak_rss_bytes", status.peak_rss_bytes()},
          {"host", status.host()},
          {"pid", status.pid()},
          {"staleness", Sorted(staleness)}};
}

}  // namespace

std::string StateOf(const LiveState& state) {
  if (state.summary != nullptr) {
    return state.summary->value("status", std::string("failed"));
  }
  if (state.view == nullptr) return "waiting";
  const pb::JobStatus& first = state.view->servers[0].status;
  if (!first.over()) return "running";
  if (!state.is_server) return "evaluating";
  return first.stop_state() == pb::RUNNING
             ? "done"
             : Lower(pb::WorkerState_Name(first.stop_state()));
}

int64_t ParameterBytes(const ServerView& server) {
  int64_t floats = 0;
  for (const pb::Shard& shard : server.status.spec().shards()) {
    if (shard.server() == server.status.server_index()) floats += shard.size();
  }
  return floats * int64_t{sizeof(float)};
}

std::string StatusJson(const LiveState& state) {
  Json json = {{"program", state.program}, {"version", MONSOON_VERSION},
               {"state", StateOf(state)},  {"time", nullptr},
               {"job", nullptr},           {"progress", nullptr},
               {"workers", Json::array()}, {"servers", Json::array()},
               {"losses", Json::array()},  {"rates", state.rates},
               {"summary", nullptr}};
  if (state.view != nullptr) {
    json["time"] = absl::ToDoubleSeconds(state.view->wall - absl::UnixEpoch());
    json["job"] = JobJson(*state.view);
    json["progress"] = ProgressJson(state.view->progress);
    for (const WorkerView& worker : state.view->workers) {
      json["workers"].push_back(WorkerJson(worker));
    }
    for (const ServerView& server : state.view->servers) {
      json["servers"].push_back(ServerJson(server));
    }
    json["losses"] = state.view->losses;
  }
  if (state.summary != nullptr) json["summary"] = *state.summary;
  // Names of hosts and messages come from the network.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace monsoon
