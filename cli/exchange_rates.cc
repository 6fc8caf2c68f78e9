// SPDX-License-Identifier: Apache-2.0
#include "cli/exchange_rates.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "base/layout.h"
#include "base/random_id.h"
#include "base/status_macros.h"
#include "base/stop_signal.h"
#include "cli/cluster.h"
#include "cli/exchange_limits.h"
#include "cli/in_process.h"
#include "cli/median.h"
#include "cli/process.h"
#include "models/device.h"
#include "proto/convert.h"
#include "trainers/elements.h"
#include "trainers/trainer.h"
#include "transport/grpc_client.h"
#include "transport/shm_client.h"
#include "worker/compute_device.h"
#include "worker/membership.h"
#include "worker/shard_link.h"

namespace monsoon {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
// Of the time that is measured; a limit's slice is a third as long.
constexpr absl::Duration kSlice = absl::Milliseconds(300);

constexpr char kTrainer[] = "downpour";

absl::StatusOr<MadeTrainer> MakeDownpour(const ExchangeJob& job) {
  return MakeTrainer(kTrainer, {{"form", "delta"}}, {.workers = job.workers});
}

absl::StatusOr<pb::JobSpec> MakeSpec(const ExchangeJob& job) {
  pb::JobSpec spec;
  ASSIGN_OR_RETURN(const MadeTrainer trainer, MakeDownpour(job));
  spec.set_trainer(kTrainer);
  spec.mutable_hyper()->insert(trainer.resolved.begin(),
                               trainer.resolved.end());
  spec.set_workers(job.workers);
  spec.set_servers(job.servers);
  spec.set_samples(1);
  ParameterLayout layout;
  layout.Add("parameters", {job.bytes / static_cast<int64_t>(sizeof(float))},
             TensorKind::kWeight);
  LayoutToProto(layout, spec);
  ShardsToProto(CutShards(layout.size(), job.servers), spec);
  spec.set_push_code(job.wire.push);
  spec.set_reply_code(job.wire.reply);
  return spec;
}

// A worker that does nothing but exchange.
class Exchanger {
 public:
  Exchanger(int rank, const ExchangeJob& job, const pb::JobSpec& spec,
            const Wire& wire, const std::vector<ServerCalls*>& servers,
            uint64_t job_id, const std::atomic<int>& stop)
      : rank_(rank),
        env_{.clock = RealClock(),
             .files = RealFileSystem(),
             .servers = servers,
             .stop = stop,
             .started = RealClock().Now(),
             .job_id = job_id,
             .incarnation = RandomId()},
        membership_(rank, kConnectTimeout, env_),
        device_(job.device),
        floats_(job.bytes / static_cast<int64_t>(sizeof(float))),
        spec_(spec),
        wire_(wire) {}

  // Rank 0 first, as it brings the job.
  absl::Status Join() {
    ASSIGN_OR_RETURN(queue_, OpenDevice(device_, rank_));
    if (queue_ != nullptr) {
      ASSIGN_OR_RETURN(copies_, queue_->Fork());
    }
    MemoryResource& memory = Device{queue_.get()}.memory();
    update_ = Flat(floats_, memory);
    center_ = Flat(floats_, memory);
    ForEach(SetTo{1}, update_);
    RETURN_IF_ERROR(membership_.Join(spec_));
    link_ = std::make_unique<ShardLink>(LinkConfig(rank_), RealClock());
    return rank_ == 0 ? link_->Initialize(center_) : absl::OkStatus();
  }
  absl::Status Exchange(absl::Duration duration) {
    const absl::Time end = RealClock().Now() + duration;
    absl::Time begin = RealClock().Now();
    do {
      RETURN_IF_ERROR(link_->PushPull(update_, center_));
      if (queue_ != nullptr) RETURN_IF_ERROR(queue_->Wait());
      const absl::Time now = RealClock().Now();
      times_.push_back(now - begin);
      begin = now;
    } while (begin < end);
    return absl::OkStatus();
  }

  // The center as it is, without a code.
  absl::StatusOr<Flat> Observe() {
    ShardLink observer(LinkConfig(-1), RealClock());
    Flat center(center_.size());
    RETURN_IF_ERROR(observer.Pull(center));
    return center;
  }

  absl::Status End() {
    RETURN_IF_ERROR(membership_.End(pb::DONE, ""));
    if (rank_ == 0) membership_.Leave();
    return absl::OkStatus();
  }

  ShardLink& link() { return *link_; }
  std::vector<absl::Duration>& times() { return times_; }

 private:
  ShardLink::Config LinkConfig(int worker) const {
    return {.servers = env_.servers,
            .shards = *ShardsFromProto(spec_, center_.size()),
            .job_id = membership_.job_id(),
            .worker = worker,
            .incarnation = env_.incarnation,
            .wire = wire_,
            .copies = worker < 0 ? nullptr : copies_.get()};
  }

  const int rank_;
  WorkerEnvironment env_;
  Membership membership_;
  const std::string device_;
  const int64_t floats_;
  const pb::JobSpec& spec_;
  const Wire& wire_;
  std::unique_ptr<DeviceQueue> queue_, copies_;  // null: of the processor
  Flat update_, center_;
  std::unique_ptr<ShardLink> link_;
  std::vector<absl::Duration> times_;  // of each exchange
};

// Servers, workers and the ways between them.
class Bench {
 public:
  Bench(const ExchangeJob& job, const std::string& folder)
      : job_(job),
        plan_{.servers = job.servers,
              .workers = 0,
              .binaries = BinaryFolder(),
              .folder = folder},
        stop_(CatchStopSignals()),
        cluster_(plan_, RealClock(), RealFileSystem(), stop_) {}

  absl::Status Start() {
    ASSIGN_OR_RETURN(spec_, MakeSpec(job_));
    ASSIGN_OR_RETURN(const MadeTrainer downpour, MakeDownpour(job_));
    ASSIGN_OR_RETURN(wire_,
                     MakeWire(job_.wire, kTrainer, downpour.trainer->traits()));
    RETURN_IF_ERROR(job_.transport == "inproc" ? StartHere()
                                               : StartProcesses());
    const uint64_t id = RandomId();
    for (int rank = 0; rank < job_.workers; ++rank) {
      ASSIGN_OR_RETURN(std::vector<ServerCalls*> servers, Connect());
      workers_.push_back(std::make_unique<Exchanger>(
          rank, job_, spec_, wire_, std::move(servers), id, stop_));
      RETURN_IF_ERROR(workers_.back()->Join());
    }
    return absl::OkStatus();
  }

  // All workers exchange for that long.
  absl::Status Exchange(absl::Duration duration) {
    RETURN_IF_ERROR(stop_.load() == 0
                        ? absl::OkStatus()
                        : absl::CancelledError("interrupted by a signal"));
    std::vector<absl::Status> statuses(workers_.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < workers_.size(); ++i) {
      threads.emplace_back(
          [&, i] { statuses[i] = workers_[i]->Exchange(duration); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& status : statuses) RETURN_IF_ERROR(status);
    return absl::OkStatus();
  }

  // Every update is in the center, once.
  absl::Status Finish() {
    ASSIGN_OR_RETURN(const Flat center, workers_.front()->Observe());
    // From 2^24 on, a float does not change by adding 1.
    const auto expected = static_cast<double>(
        std::min<int64_t>(TakeTimes(nullptr), int64_t{1} << 24));
    // Ones are exact in every code but int8.
    const double rounding = job_.wire.push == "int8" ? 1e-6 * expected : 0;
    std::vector<Flat> residuals;
    for (const auto& worker : workers_) {
      if (worker->link().residual().empty()) continue;
      residuals.push_back(worker->link().residual().ToHost());
    }
    for (int64_t i = 0; i < center.size(); ++i) {
      double found = center[i];
      for (const Flat& residual : residuals) found += residual[i];
      if (std::abs(found - expected) <= rounding) continue;
      return absl::InternalError(absl::StrCat(
          "the center is the sum of ", found, " updates, expected ", expected));
    }
    for (auto worker = workers_.rbegin(); worker != workers_.rend(); ++worker) {
      RETURN_IF_ERROR((*worker)->End());
    }
    workers_.clear();
    shared_.clear();
    clients_.clear();
    if (job_.transport == "inproc") return absl::OkStatus();
    const ClusterEnd end = cluster_.Finish();
    return end.cause.empty() ? absl::OkStatus()
                             : absl::InternalError(end.cause);
  }

  // How many exchanges there were since the start, with their times.
  int64_t TakeTimes(std::vector<double>* times_ms) {
    for (auto& worker : workers_) {
      count_ += static_cast<int64_t>(worker->times().size());
      for (const absl::Duration time : worker->times()) {
        if (times_ms == nullptr) break;
        times_ms->push_back(absl::ToDoubleMilliseconds(time));
      }
      worker->times().clear();
    }
    return count_;
  }

  // Of this process and the servers'.
  double CpuSeconds() const {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) +
             1e-6 * static_cast<double>(time.tv_usec);
    };
    double sum = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    for (const int64_t pid : server_pids_) sum += CpuSecondsOf(pid);
    return sum;
  }

  // Of the updates as they travel.
  std::vector<int64_t> MessageBytes() const {
    std::vector<int64_t> sizes;
    for (const pb::Shard& shard : spec_.shards()) {
      sizes.push_back(
          static_cast<int64_t>(CodedBytes(wire_.push.get(), shard.size())));
    }
    return sizes;
  }
  // Of one exchange, both ways.
  int64_t ExchangeBytes() const {
    size_t bytes = 0;
    for (const pb::Shard& shard : spec_.shards()) {
      bytes += CodedBytes(wire_.push.get(), shard.size()) +
               CodedBytes(wire_.reply.get(), shard.size());
    }
    return static_cast<int64_t>(bytes);
  }

 private:
  static size_t CodedBytes(const Codec* codec, int64_t floats) {
    return ShardCode(codec, floats, /*statistics=*/0).bytes();
  }

  absl::Status StartHere() {
    const Options options{.workers = job_.workers,
                          .servers = job_.servers,
                          .device = job_.device,
                          .server_device = job_.server_device,
                          .transport = job_.transport};
    ASSIGN_OR_RETURN(here_, StartServers(options, RealClock()));
    return absl::OkStatus();
  }

  absl::Status StartProcesses() {
    ASSIGN_OR_RETURN(const bool running, cluster_.Start());
    if (!running) return absl::UnavailableError(cluster_.Finish().cause);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<ServerCalls*>> Connect() {
    std::vector<ServerCalls*> servers;
    for (const HostedServer& one : here_) {
      servers.push_back(one.calls_of_workers());
    }
    if (!here_.empty()) return servers;
    for (const std::string& address : cluster_.addresses()) {
      ASSIGN_OR_RETURN(auto client, GrpcClient::Create(address, RealClock()));
      RETURN_IF_ERROR(
          client->WaitConnected(RealClock().Now() + kConnectTimeout));
      servers.push_back(client.get());
      clients_.push_back(std::move(client));
      if (job_.transport != "shm") continue;
      shared_.push_back(
          std::make_unique<ShmClient>(*clients_.back(), /*is_required=*/true));
      servers.back() = shared_.back().get();
    }
    if (server_pids_.empty()) server_pids_ = cluster_.server_pids();
    return servers;
  }

  // User and system time, fields 14 and 15 of its stat.
  static double CpuSecondsOf(int64_t pid) {
    const std::string stat = RealFileSystem()
                                 .Read(absl::StrCat("/proc/", pid, "/stat"))
                                 .value_or("");
    const std::vector<std::string> fields =
        absl::StrSplit(stat.substr(stat.rfind(')') + 1), ' ');
    int64_t user = 0, system = 0;
    if (fields.size() < 14 || !absl::SimpleAtoi(fields[12], &user) ||
        !absl::SimpleAtoi(fields[13], &system)) {
      return 0;
    }
    return static_cast<double>(user + system) /
           static_cast<double>(::sysconf(_SC_CLK_TCK));
  }

  const ExchangeJob& job_;
  const ClusterPlan plan_;
  const std::atomic<int>& stop_;
  Cluster cluster_;
  std::vector<HostedServer> here_;
  std::vector<std::unique_ptr<GrpcClient>> clients_;
  std::vector<std::unique_ptr<ShmClient>> shared_;  // over clients_
  std::vector<int64_t> server_pids_;
  pb::JobSpec spec_;
  Wire wire_;
  std::vector<std::unique_ptr<Exchanger>> workers_;
  int64_t count_ = 0;
};

// The limits that go over sockets.
struct SocketLimits {
  std::unique_ptr<EchoProcess> process;
  std::unique_ptr<TcpEcho> tcp;
  std::unique_ptr<GrpcEcho> grpc;
  std::vector<double> tcp_rates, grpc_rates, empty_ms;

  absl::Status Measure(absl::Duration slice) {
    ASSIGN_OR_RETURN(const double tcp_rate, tcp->Rate(slice));
    tcp_rates.push_back(tcp_rate);
    ASSIGN_OR_RETURN(const double grpc_rate, grpc->Rate(slice));
    grpc_rates.push_back(grpc_rate);
    ASSIGN_OR_RETURN(const auto times, grpc->EmptyCalls(slice / 4));
    for (const absl::Duration time : times) {
      empty_ms.push_back(absl::ToDoubleMilliseconds(time));
    }
    return absl::OkStatus();
  }
  // The same, of which nothing is kept.
  absl::Status WarmUp(absl::Duration slice) {
    RETURN_IF_ERROR(Measure(slice));
    tcp_rates.clear();
    grpc_rates.clear();
    empty_ms.clear();
    return absl::OkStatus();
  }
};

}  // namespace

absl::StatusOr<ExchangeRates> MeasureExchange(const ExchangeJob& job,
                                              absl::Duration duration,
                                              const std::string& folder) {
  const bool over_sockets = job.transport != "inproc";
  SocketLimits limits;
  if (over_sockets) {
    ASSIGN_OR_RETURN(limits.process, EchoProcess::Start(job.bytes));
    ASSIGN_OR_RETURN(limits.tcp,
                     TcpEcho::Connect(limits.process->tcp_port(), job.bytes));
  }
  Bench bench(job, folder);
  RETURN_IF_ERROR(bench.Start());
  if (over_sockets) {
    ASSIGN_OR_RETURN(limits.grpc, GrpcEcho::Connect(limits.process->grpc_port(),
                                                    bench.MessageBytes()));
  }
  RETURN_IF_ERROR(bench.Exchange(kSlice));  // warm-up
  const int64_t before = bench.TakeTimes(nullptr);
  if (over_sockets) RETURN_IF_ERROR(limits.WarmUp(kSlice / 3));
  const bool is_on_host = job.device == "cpu";
  ASSIGN_OR_RETURN(const auto queue,
                   OpenDevice(is_on_host ? job.server_device : job.device, 0));
  std::vector<double> axpy, copy, pcie, times_ms;
  double elapsed = 0, cpu = 0;
  while (elapsed < absl::ToDoubleSeconds(duration)) {
    const absl::Time begin = RealClock().Now();
    const double cpu_before = bench.CpuSeconds();
    RETURN_IF_ERROR(bench.Exchange(kSlice));
    cpu += bench.CpuSeconds() - cpu_before;
    elapsed += absl::ToDoubleSeconds(RealClock().Now() - begin);
    if (over_sockets) RETURN_IF_ERROR(limits.Measure(kSlice / 3));
    axpy.push_back(AxpyRate(job.bytes, kSlice / 6));
    copy.push_back(CopyRate(job.bytes, kSlice / 6));
    if (queue == nullptr) continue;
    ASSIGN_OR_RETURN(const double rate,
                     DeviceCopyRate(*queue, job.bytes, kSlice / 3));
    pcie.push_back(rate);
  }
  ExchangeRates rates;
  rates.exchanges = bench.TakeTimes(&times_ms) - before;
  const int64_t exchange_bytes = bench.ExchangeBytes();
  RETURN_IF_ERROR(bench.Finish());
  std::sort(times_ms.begin(), times_ms.end());
  const auto exchanges = static_cast<double>(rates.exchanges);
  const double moved = static_cast<double>(exchange_bytes) * exchanges;
  rates.elapsed_s = elapsed;
  rates.bytes_per_s = moved / elapsed;
  rates.params_per_s =
      static_cast<double>(job.bytes) / sizeof(float) * exchanges / elapsed;
  rates.p50_ms = times_ms[times_ms.size() / 2];
  rates.p99_ms = times_ms[times_ms.size() * 99 / 100];
  rates.cpu_s_per_gb = cpu / (1e-9 * moved);
  rates.tcp_bytes_per_s = Median(limits.tcp_rates);
  rates.echo_bytes_per_s = Median(limits.grpc_rates);
  rates.empty_call_ms = Median(limits.empty_ms);
  rates.axpy_bytes_per_s = Median(axpy);
  rates.copy_bytes_per_s = Median(copy);
  rates.pcie_bytes_per_s = Median(pcie);
  return rates;
}

}  // namespace monsoon
