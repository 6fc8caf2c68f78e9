// SPDX-License-Identifier: Apache-2.0
// Picks the algorithm of a convolution: the only one that is fast, or the
// fastest by measurement.
#include "models/kernels/conv2d.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "models/kernels/cpu/conv2d_ways.h"
#include "models/kernels/max_pool.h"

namespace monsoon {
namespace {

// Images that a trial computes, and how often.
constexpr int64_t kTrialBatch = 4;
constexpr int kTrials = 5;
// The direct way is taken only where it is this much faster, so that noise
// does not decide: a run repeated must give the same bits. In bfloat16 it may
// really be the faster one.
double ClearlyFaster(Precision precision) {
  return precision == Precision::kBf16 ? 1.25 : 3;
}

// A kernel with the story of its choice.
class Chosen final : public Conv2dKernel {
 public:
  Chosen(std::unique_ptr<Conv2dKernel> kernel, std::string story)
      : kernel_(std::move(kernel)), story_(std::move(story)) {}
  int64_t output_block() const override { return kernel_->output_block(); }
  std::string way() const override { return story_; }
  void Forward(const float* x, const float* w, const float* b,
               float* y) override {
    kernel_->Forward(x, w, b, y);
  }
  void Backward(const float* x, const float* y, const float* w, float* dy,
                float* dx, const TensorSink& dw,
                const TensorSink& db) override {
    kernel_->Backward(x, y, w, dy, dx, dw, db);
  }

 private:
  std::unique_ptr<Conv2dKernel> kernel_;
  std::string story_;
};

// The least of some times that forward and backward of an image take.
absl::StatusOr<absl::Duration> Time(
    MadeConv2d (*make)(const Conv2dKernel::Spec&),
    const Conv2dKernel::Spec& spec) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Conv2dKernel> kernel, make(spec));
  const int64_t window = spec.kernel * spec.kernel;
  Flat x(spec.batch * spec.in.size()), y(spec.batch * spec.pooled().size());
  Flat w(spec.out.channels * spec.in.channels / spec.groups * window);
  Flat b(spec.out.channels), dx(x.size()), dy(y.size()), dw(w.size()),
      db(b.size());
  absl::Duration least = absl::InfiniteDuration();
  for (int i = 0; i < kTrials; ++i) {
    const absl::Time begin = absl::Now();
    kernel->Forward(x.data(), w.data(), b.data(), y.data());
    kernel->Backward(x.data(), y.data(), w.data(), dy.data(),
                     spec.input_gradient ? dx.data() : nullptr, {{dw}, 0},
                     {{db}, 0});
    least = std::min(least, absl::Now() - begin);
  }
  return least / spec.batch;
}

// A way that does not pool, and a pooling kernel behind it.
class ThenPooled final : public Conv2dKernel {
 public:
  ThenPooled(const Spec& spec, std::unique_ptr<Conv2dKernel> kernel,
             std::unique_ptr<MaxPoolKernel> pool)
      : kernel_(std::move(kernel)),
        pool_(std::move(pool)),
        y_(spec.batch * spec.out.size()),
        dy_(y_.size()) {}
  int64_t output_block() const override { return kernel_->output_block(); }
  std::string way() const override { return kernel_->way(); }
  void Forward(const float* x, const float* w, const float* b,
               float* y) override {
    kernel_->Forward(x, w, b, y_.data());
    pool_->Forward(y_.data(), y);
  }
  void Backward(const float* x, const float*, const float* w, float* dy,
                float* dx, const TensorSink& dw,
                const TensorSink& db) override {
    pool_->Backward(dy, dy_.data());
    kernel_->Backward(x, y_.data(), w, dy_.data(), dx, dw, db);
  }

 private:
  std::unique_ptr<Conv2dKernel> kernel_;
  std::unique_ptr<MaxPoolKernel> pool_;
  Flat y_, dy_;  // before pooling
};

MadeConv2d MakeWithoutWinograd(const Conv2dKernel::Spec& spec) {
  if (spec.pool == 1) return MakeDirectConv2d(spec);
  Conv2dKernel::Spec alone = spec;
  alone.pool = 1;
  ASSIGN_OR_RETURN(auto kernel, FitsNarrow(alone) ? MakeNarrowConv2d(alone)
                                                  : MakeDirectConv2d(alone));
  ASSIGN_OR_RETURN(auto pool, MakeKernel<MaxPoolKernel>(
                                  Device(), {.batch = spec.batch,
                                             .in = spec.out,
                                             .block = kernel->output_block(),
                                             .size = spec.pool}));
  return std::make_unique<ThenPooled>(spec, std::move(kernel), std::move(pool));
}

// Which way a convolution takes, and the times that say so.
struct Choice {
  Conv2dKernel::Spec spec;  // of the trial
  bool direct;
  absl::Duration winograd_time, direct_time;
};

// Each shape is tried once in a process, whatever the size of the batch: all
// its models compute the same bits, and no trial runs beside another.
absl::StatusOr<Choice> Choose(Conv2dKernel::Spec spec) {
  static absl::Mutex mutex;
  static std::vector<Choice> choices;
  spec.batch = kTrialBatch;
  absl::MutexLock lock(&mutex);
  for (const Choice& choice : choices) {
    if (choice.spec == spec) return choice;
  }
  ASSIGN_OR_RETURN(const absl::Duration winograd,
                   Time(&MakeWinogradConv2d, spec));
  ASSIGN_OR_RETURN(const absl::Duration direct,
                   Time(&MakeWithoutWinograd, spec));
  choices.push_back({spec, winograd > ClearlyFaster(spec.precision) * direct,
                     winograd, direct});
  return choices.back();
}

struct CpuConv2d {
  static MadeConv2d Make(const Conv2dKernel::Spec& spec) {
    if (FitsNarrow(spec)) return MakeNarrowConv2d(spec);
    if (!FitsWinograd(spec)) return MakeWithoutWinograd(spec);
    ASSIGN_OR_RETURN(const Choice choice, Choose(spec));
    ASSIGN_OR_RETURN(auto kernel, choice.direct ? MakeWithoutWinograd(spec)
                                                : MakeWinogradConv2d(spec));
    std::string story = absl::StrFormat(
        "%s (an image takes winograd %.0f us, direct %.0f us)", kernel->way(),
        absl::ToDoubleMicroseconds(choice.winograd_time),
        absl::ToDoubleMicroseconds(choice.direct_time));
    return std::make_unique<Chosen>(std::move(kernel), std::move(story));
  }
};

const RegisterKernel<Conv2dKernel, CpuConv2d> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
