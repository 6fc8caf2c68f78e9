// SPDX-License-Identifier: Apache-2.0
#include "cli/kernel_rates.h"

#include <omp.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/filesystem.h"
#include "base/random.h"
#include "base/random_id.h"
#include "base/status_macros.h"
#include "cli/in_process.h"
#include "cli/median.h"
#include "data/loader.h"
#include "models/cuda/gemm_limit.h"
#include "models/gemm_limit.h"
#include "models/model.h"
#include "worker/batch_source.h"
#include "worker/compute_device.h"
#include "worker/device_batch_source.h"
#include "worker/training_loop.h"

namespace monsoon {
namespace {

constexpr int64_t kExamples = 60000;
constexpr absl::Duration kSlice = absl::Milliseconds(150);
constexpr int kScalingRounds = 3;
constexpr int kManyEpochs = 1 << 20;

// Images of noise; whole batches alone, so that every step is of full size.
Dataset MakeData(const KernelJob& job) {
  const int64_t batch = job.options.batch_size;
  Dataset data;
  data.name = data.hash = "noise";
  data.classes = job.classes;
  data.channels = static_cast<int>(job.example.channels);
  data.height = static_cast<int>(job.example.height);
  data.width = static_cast<int>(job.example.width);
  data.total = std::max<int64_t>(1, kExamples / batch) * batch;
  data.images.resize(static_cast<size_t>(data.total * job.example.size()));
  data.labels.resize(static_cast<size_t>(data.total));
  Random random({job.options.seed});
  for (uint8_t& pixel : data.images) {
    pixel = static_cast<uint8_t>(random.Next());
  }
  for (uint8_t& label : data.labels) {
    label = static_cast<uint8_t>(random.Next() %
                                 static_cast<uint64_t>(job.classes));
  }
  return data;
}

// A worker alone has nobody to talk to.
class NoLink final : public Link {
 public:
  explicit NoLink(const Flat& initial) : initial_(initial) {}
  absl::Status Pull(Flat& center, Freshness) override {
    center.CopyFrom(initial_);
    return absl::OkStatus();
  }
  absl::Status Push(const Flat&, float) override { return absl::OkStatus(); }
  absl::Status PushPull(const Flat&, Flat&, float, Freshness) override {
    return absl::OkStatus();
  }

 private:
  const Flat& initial_;
};

// One worker under `single`, step by step.
class Stepper {
 public:
  static absl::StatusOr<std::unique_ptr<Stepper>> Make(const KernelJob& job,
                                                       const Dataset& data) {
    auto stepper = std::unique_ptr<Stepper>(new Stepper(job, data));
    RETURN_IF_ERROR(stepper->Build());
    return stepper;
  }

  const Model& model() const { return *model_; }
  // Null: the processor computes.
  DeviceQueue* queue() const { return queue_.get(); }
  // One batch; the number of its samples.
  absl::StatusOr<int64_t> Step() {
    if (job_.evaluates) {
      // A device evaluates whatever lies there.
      const int count = queue_ == nullptr
                            ? loader_.Next(model_->input(), model_->labels())
                            : static_cast<int>(loader_.NextRows().size());
      model_->Evaluate(count, replica_->x);
      return count;
    }
    ASSIGN_OR_RETURN(const TrainingLoop::Step step, loop_->Next());
    return step.samples;
  }
  // Steps for that long; samples a second.
  absl::StatusOr<double> Rate(absl::Duration duration) {
    const absl::Time begin = RealClock().Now();
    int64_t samples = 0;
    absl::Duration passed;
    do {
      ASSIGN_OR_RETURN(const int64_t count, Step());
      samples += count;
      passed = RealClock().Now() - begin;
    } while (passed < duration);
    if (queue_ != nullptr) {  // it is a few steps behind
      RETURN_IF_ERROR(queue_->Wait());
      passed = RealClock().Now() - begin;
    }
    return static_cast<double>(samples) / absl::ToDoubleSeconds(passed);
  }

 private:
  Stepper(const KernelJob& job, const Dataset& data)
      : job_(job),
        data_(data),
        loader_(data, 0, 1, job.options.batch_size, kManyEpochs,
                job.options.seed) {}

  absl::Status Build() {
    const Options& options = job_.options;
    omp_set_num_threads(options.threads);
    ASSIGN_OR_RETURN(trainer_, TrainerOf(options));
    ASSIGN_OR_RETURN(optimizer_, MakeOptimizer(options.optimizer,
                                               static_cast<float>(options.lr)));
    ASSIGN_OR_RETURN(queue_, OpenDevice(options.device, 0));
    ASSIGN_OR_RETURN(model_,
                     Model::Build(options.model, job_.example, job_.classes,
                                  {options.batch_size},
                                  {.precision = PrecisionOf(options.precision),
                                   .queue = queue_.get()}));
    initial_ = Flat(model_->layout().size());
    model_->Initialize(options.seed, initial_);
    replica_ = std::make_unique<Replica>(
        0, model_->layout(), *optimizer_,
        LocalRulesOf(options, loader_.partition_size()),
        Device{queue_.get()}.memory());
    link_ = std::make_unique<NoLink>(initial_);
    const uint64_t draw = FirstDraw(options.seed, 0);
    if (queue_ == nullptr) {
      source_ = std::make_unique<BatchSource>(loader_, *model_, draw);
    } else {
      ASSIGN_OR_RETURN(source_, DeviceBatchSource::Make(data_, loader_, *model_,
                                                        *queue_, draw));
    }
    loop_ = std::make_unique<TrainingLoop>(*trainer_.trainer, *replica_, *link_,
                                           *source_, RealClock());
    return loop_->Start();
  }

  const KernelJob& job_;
  const Dataset& data_;
  std::unique_ptr<DeviceQueue> queue_;
  Loader loader_;
  MadeTrainer trainer_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Model> model_;
  Flat initial_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<NoLink> link_;
  std::unique_ptr<GradientSource> source_;
  std::unique_ptr<TrainingLoop> loop_;
};

// What a GPU's library reaches at the moment, GFLOP/s: for the products of the
// model's layers in sequence where all of them are dense, else for one large
// product.
absl::StatusOr<double> GpuLimit(const KernelJob& job, const Model& model,
                                DeviceQueue& queue) {
  const Precision precision = PrecisionOf(job.options.precision);
  std::vector<DenseShape> layers;
  for (const TensorSpec& tensor : model.layout().tensors()) {
    if (tensor.shape.size() < 2) continue;
    if (tensor.shape.size() > 2 || job.evaluates) {
      ASSIGN_OR_RETURN(const GemmTime time, MeasureCudaGemm(queue, precision));
      return time.gflops();
    }
    layers.push_back({.batch = job.options.batch_size,
                      .inputs = tensor.shape[1],
                      .outputs = tensor.shape[0],
                      .input_gradient = !layers.empty()});
  }
  ASSIGN_OR_RETURN(const GemmTime time,
                   MeasureCudaDense(queue, precision, layers));
  return time.gflops();
}

// A process of its own that steps on one core when told to.
class PinnedProcess {
 public:
  PinnedProcess(const KernelJob& job, const Dataset& data, int core) {
    if (::pipe(orders_) != 0 || ::pipe(answers_) != 0) return;
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::close(orders_[1]);
    Serve(job, data, core);
    ::_exit(0);
  }
  ~PinnedProcess() {
    // It holds nothing; its siblings hold copies of its pipes.
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    for (const int end : {orders_[0], orders_[1], answers_[0], answers_[1]}) {
      if (end >= 0) ::close(end);
    }
  }
  PinnedProcess(const PinnedProcess&) = delete;
  PinnedProcess& operator=(const PinnedProcess&) = delete;

  bool Order(double seconds) const {
    return pid_ > 0 &&
           ::write(orders_[1], &seconds, sizeof seconds) == sizeof seconds;
  }
  // Samples a second; 0: it could not.
  double Answer() const {
    double rate = 0;
    if (::read(answers_[0], &rate, sizeof rate) != sizeof rate) return 0;
    return rate;
  }

 private:
  void Serve(const KernelJob& job, const Dataset& data, int core) const {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    ::sched_setaffinity(0, sizeof cores, &cores);
    auto stepper = Stepper::Make(job, data);
    double seconds = 0;
    while (::read(orders_[0], &seconds, sizeof seconds) == sizeof seconds) {
      const double rate =
          stepper.ok() ? (*stepper)->Rate(absl::Seconds(seconds)).value_or(0)
                       : 0;
      if (::write(answers_[1], &rate, sizeof rate) != sizeof rate) return;
    }
  }

  int orders_[2] = {-1, -1};
  int answers_[2] = {-1, -1};
  pid_t pid_ = -1;
};

absl::StatusOr<double> IndependentRate(
    const std::vector<std::unique_ptr<PinnedProcess>>& processes,
    double seconds) {
  for (const auto& process : processes) {
    if (!process->Order(seconds)) {
      return absl::InternalError("a pinned process could not be started");
    }
  }
  double sum = 0;
  for (const auto& process : processes) {
    const double rate = process->Answer();
    if (rate == 0) return absl::InternalError("a pinned process has ended");
    sum += rate;
  }
  return sum;
}

// All workers as threads, with a server between them.
absl::StatusOr<double> SharedRate(const Options& options, const Dataset& data,
                                  absl::Duration duration) {
  Clock& clock = RealClock();
  ASSIGN_OR_RETURN(const auto hosted, StartServers(options, clock));
  std::atomic<int> stop = 0;
  const WorkerEnvironment environment{.clock = clock,
                                      .files = RealFileSystem(),
                                      .stop = stop,
                                      .started = clock.Now(),
                                      .job_id = RandomId(),
                                      .train = &data};
  const std::unique_ptr<Event> never = clock.NewEvent();
  std::thread timer([&] {
    never->Wait(clock.Now() + duration);
    stop = SIGTERM;
  });
  const auto outcome =
      RunWorkers(options, hosted, environment, [](const std::string& line) {
        std::fprintf(stderr, "monsoon bench kernels: %s\n", line.c_str());
      });
  timer.join();
  RETURN_IF_ERROR(outcome.status());
  int64_t samples = 0;
  for (const pb::Member& member : outcome->status.members()) {
    samples += member.report().samples();
  }
  return static_cast<double>(samples) / outcome->status.elapsed_s();
}

}  // namespace

absl::StatusOr<KernelRates> MeasureKernels(const KernelJob& job,
                                           absl::Duration duration) {
  const Dataset data = MakeData(job);
  ASSIGN_OR_RETURN(const std::unique_ptr<Stepper> stepper,
                   Stepper::Make(job, data));
  GemmLimit processor(RealClock());
  const auto measure_limit = [&]() -> absl::StatusOr<double> {
    if (stepper->queue() == nullptr) return processor.Measure();
    return GpuLimit(job, stepper->model(), *stepper->queue());
  };
  RETURN_IF_ERROR(measure_limit().status());
  RETURN_IF_ERROR(stepper->Rate(kSlice).status());
  std::vector<double> samples, gemm;
  const absl::Time end = RealClock().Now() + duration;
  do {
    ASSIGN_OR_RETURN(const double limit, measure_limit());
    gemm.push_back(limit);
    ASSIGN_OR_RETURN(const double rate, stepper->Rate(kSlice));
    samples.push_back(rate);
  } while (RealClock().Now() < end);
  const int64_t multiply_adds = job.evaluates
                                    ? stepper->model().forward_multiply_adds()
                                    : stepper->model().training_multiply_adds();
  KernelRates rates;
  rates.samples_per_s = Median(samples);
  rates.gflops =
      2e-9 * static_cast<double>(multiply_adds) * rates.samples_per_s;
  rates.gemm_gflops = Median(gemm);
  rates.ways = stepper->model().ways();
  return rates;
}

absl::StatusOr<ScalingRates> MeasureScaling(const KernelJob& job,
                                            absl::Duration duration) {
  const Dataset data = MakeData(job);
  std::vector<std::unique_ptr<PinnedProcess>> processes;
  for (int core = 0; core < job.options.workers; ++core) {
    processes.push_back(std::make_unique<PinnedProcess>(job, data, core));
  }
  Options together = job.options;
  together.trainer = "downpour";
  // Of its two forms the one that leaves local steps to backward.
  together.set = {{"window", "5"}, {"form", "delta"}};
  together.epochs = kManyEpochs;
  together.transport = "inproc";
  RETURN_IF_ERROR(ResolveOptions(together));
  const absl::Duration slice = duration / kScalingRounds;
  std::vector<double> alone, shared;
  for (int round = 0; round <= kScalingRounds; ++round) {
    ASSIGN_OR_RETURN(const double independent,
                     IndependentRate(processes, absl::ToDoubleSeconds(slice)));
    ASSIGN_OR_RETURN(const double rate, SharedRate(together, data, slice));
    if (round == 0) continue;  // warm-up
    alone.push_back(independent);
    shared.push_back(rate);
  }
  return ScalingRates{Median(shared), Median(alone)};
}

}  // namespace monsoon
