// SPDX-License-Identifier: Apache-2.0
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "watch/live_state.h"

namespace monsoon {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr int64_t kStalenessBounds[] = {0, 1, 2, 4, 8, 16, 32, 64};

// Collects families; one without a sample is left out.
class Families {
 public:
  class Family {
   public:
    Family(Families& all, MetricType type, std::string name, std::string help)
        : all_(all) {
      family_.name = std::move(name);
      family_.help = std::move(help);
      family_.type = type;
    }
    ~Family() {
      if (!family_.metric.empty()) all_.all_.push_back(std::move(family_));
    }
    void Add(double value, Labels labels = {}) {
      if (!std::isfinite(value)) return;
      ClientMetric metric;
      metric.label = std::move(labels);
      (family_.type == MetricType::Counter ? metric.counter.value
                                           : metric.gauge.value) = value;
      family_.metric.push_back(std::move(metric));
    }
    void Add(int64_t value, Labels labels = {}) {
      Add(static_cast<double>(value), std::move(labels));
    }
    void Add(ClientMetric::Histogram histogram, Labels labels) {
      ClientMetric metric;
      metric.label = std::move(labels);
      metric.histogram = std::move(histogram);
      family_.metric.push_back(std::move(metric));
    }

   private:
    Families& all_;
    MetricFamily family_;
  };

  Family Counter(std::string name, std::string help) {
    return {*this, MetricType::Counter, std::move(name), std::move(help)};
  }
  Family Gauge(std::string name, std::string help) {
    return {*this, MetricType::Gauge, std::move(name), std::move(help)};
  }
  Family Histogram(std::string name, std::string help) {
    return {*this, MetricType::Histogram, std::move(name), std::move(help)};
  }

  std::string Text() const {
    return prometheus::TextSerializer().Serialize(all_);
  }

 private:
  std::vector<MetricFamily> all_;
};

ClientMetric::Label Rank(const WorkerView& worker) {
  return {"rank", absl::StrCat(worker.member.worker())};
}

// The index that the job gives it; it may be the only one that is watched.
ClientMetric::Label ServerOf(const ServerView& server) {
  const bool known = server.status.job_id() != 0;
  return {"server",
          absl::StrCat(known ? server.status.server_index() : server.index)};
}

void AddTraining(const JobView& view, Families& all) {
  const auto labels = [&view](const WorkerView& worker) -> Labels {
    return {Rank(worker), {"trainer", view.spec.trainer()}};
  };
  auto samples = all.Counter("monsoon_train_samples_total",
                             "Samples that a worker has processed.");
  auto steps = all.Counter("monsoon_train_steps_total",
                           "Training steps that a worker has done.");
  auto rate = all.Gauge("monsoon_train_samples_per_second",
                        "How fast a worker was over the last seconds.");
  auto loss = all.Gauge("monsoon_train_loss",
                        "Mean loss of a worker over its epoch so far.");
  for (const WorkerView& worker : view.workers) {
    const pb::WorkerReport& report = worker.member.report();
    samples.Add(report.samples(), labels(worker));
    steps.Add(report.steps(), labels(worker));
    rate.Add(worker.samples_per_s, labels(worker));
    loss.Add(worker.loss, labels(worker));
  }
  all.Gauge("monsoon_train_epoch", "The epoch that is being worked on, from 1.")
      .Add(view.progress.epoch, {{"trainer", view.spec.trainer()}});
}

void AddWorkers(const JobView& view, Families& all) {
  auto up = all.Gauge("monsoon_worker_up",
                      "1 while a worker trains and is heard of, else 0.");
  auto phases = all.Counter("monsoon_worker_phase_seconds_total",
                            "What the time of a worker's steps went into.");
  auto sent = all.Counter("monsoon_worker_sent_bytes_total",
                          "Bytes that a worker has sent to the servers.");
  auto received = all.Counter("monsoon_worker_received_bytes_total",
                              "Bytes that a worker has had from the servers.");
  for (const WorkerView& worker : view.workers) {
    const pb::WorkerReport& report = worker.member.report();
    const bool is_up = report.state() == pb::RUNNING && !worker.is_silent;
    up.Add(int64_t{is_up}, {Rank(worker)});
    phases.Add(report.compute_s(), {Rank(worker), {"phase", "compute"}});
    phases.Add(report.exchange_s(), {Rank(worker), {"phase", "exchange"}});
    phases.Add(report.data_s(), {Rank(worker), {"phase", "data"}});
    sent.Add(report.bytes_up(), {Rank(worker)});
    received.Add(report.bytes_down(), {Rank(worker)});
  }
}

ClientMetric::Histogram StalenessOf(const pb::JobStatus& status) {
  ClientMetric::Histogram histogram;
  for (const int64_t bound : kStalenessBounds) {
    histogram.bucket.push_back({0, static_cast<double>(bound)});
  }
  for (const auto& [shard, counts] : status.shard_staleness()) {
    for (const auto& [value, count] : counts.counts()) {
      histogram.sample_count += static_cast<uint64_t>(count);
      histogram.sample_sum +=
          static_cast<double>(value) * static_cast<double>(count);
      for (ClientMetric::Bucket& bucket : histogram.bucket) {
        if (static_cast<double>(value) <= bucket.upper_bound) {
          bucket.cumulative_count += static_cast<uint64_t>(count);
        }
      }
    }
  }
  return histogram;
}

void AddServers(const JobView& view, Families& all) {
  auto up = all.Gauge("monsoon_server_up",
                      "1 while a server answers with this job, else 0.");
  auto updates = all.Counter("monsoon_server_updates_total",
                             "Pushes of shards that a server has applied.");
  auto bytes = all.Gauge("monsoon_server_parameters_bytes",
                         "Parameters that a server holds.");
  auto staleness = all.Histogram(
      "monsoon_server_staleness_updates",
      "Of each push of a shard: rounds applied since its worker's last pull.");
  for (const ServerView& server : view.servers) {
    up.Add(int64_t{server.answers}, {ServerOf(server)});
    if (server.status.job_id() == 0) continue;  // never heard
    updates.Add(server.updates, {ServerOf(server)});
    bytes.Add(ParameterBytes(server), {ServerOf(server)});
    staleness.Add(StalenessOf(server.status), {ServerOf(server)});
  }
}

void AddProcess(const ProcessInfo& process, const ProcessUse& use,
                Families& all) {
  all.Counter("process_cpu_seconds_total",
              "Processor time of this process, in user and kernel.")
      .Add(process.cpu_s);
  all.Gauge("process_resident_memory_bytes", "Memory of this process.")
      .Add(use.rss_bytes);
  all.Gauge("process_open_fds", "Open file descriptors of this process.")
      .Add(use.open_files);
  all.Gauge("process_start_time_seconds",
            "Start of this process, in seconds since 1970.")
      .Add(absl::ToDoubleSeconds(use.started - absl::UnixEpoch()));
}

}  // namespace

std::string MetricsText(const LiveState& state, const ProcessInfo& process,
                        const ProcessUse& use) {
  Families all;
  all.Gauge("monsoon_build_info", "1; the labels say which build this is.")
      .Add(int64_t{1}, {{"version", MONSOON_VERSION}});
  if (state.view != nullptr) {
    // The other servers learn how the workers are when those end: a sum over
    // all servers would count them several times.
    if (state.view->servers.empty() ||
        state.view->servers[0].status.server_index() == 0) {
      AddTraining(*state.view, all);
      AddWorkers(*state.view, all);
    }
    AddServers(*state.view, all);
  }
  if (state.summary != nullptr) {
    const auto accuracy = state.summary->find("test_acc");
    if (accuracy != state.summary->end() && accuracy->is_number()) {
      all.Gauge("monsoon_eval_accuracy_ratio",
                "Part of the examples that the result has right.")
          .Add(accuracy->get<double>(), {{"split", "test"}});
    }
  }
  AddProcess(process, use, all);
  return all.Text();
}

}  // namespace monsoon
