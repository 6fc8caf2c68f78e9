// SPDX-License-Identifier: Apache-2.0
// What goes wrong on a GPU, which the emulated one does when it is told to.
#include <atomic>
#include <catch2/catch.hpp>

#include "base/flat.h"
#include "cuda/cuda.h"
#include "cuda/cuda_queue.h"
#include "models/model.h"
#include "tests/cuda/emulator/emulator.h"

namespace monsoon {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("Where memory is out, a queue says what was asked and fails",
          "[cuda]") {
  emulator::SetMemory(size_t{100} << 20);
  {
    auto queue = *MakeCudaQueue(0);
    const Flat first(20 << 20, *queue);
    CHECK(queue->status().ok());
    const Flat second(10 << 20, *queue);
    CHECK(queue->status().code() == absl::StatusCode::kResourceExhausted);
    CHECK_THAT(
        std::string(queue->status().message()),
        Contains("cuda:0 (emulated): out of memory: asked for 40 MiB, 20 MiB"));
    // Nothing more is done with it.
    Flat copy(10 << 20);
    copy.CopyFrom(second);
    CHECK(queue->Wait().code() == absl::StatusCode::kResourceExhausted);
  }
  emulator::Reset();
}

TEST_CASE("A GPU that is lost fails its queue and no other", "[cuda]") {
  emulator::SetDevices(2);
  {
    auto lost = *MakeCudaQueue(0);
    auto other = *MakeCudaQueue(1);
    Flat a(3, *lost), b(3, *other);
    emulator::Lose(0);
    Flat numbers(3);
    numbers[1] = 2;
    b.CopyFrom(numbers);
    CHECK(b.ToHost()[1] == 2);
    CHECK(lost->Wait().code() == absl::StatusCode::kUnavailable);
    CHECK_THAT(std::string(lost->status().message()),
               Contains("cuda:0 (emulated): ") && Contains("uncorrectable"));
    CHECK(other->Wait().ok());
  }
  emulator::Reset();
}

TEST_CASE("A GPU that is not there is named with those that are", "[cuda]") {
  CHECK_THAT(std::string(MakeCudaQueue(3).status().message()),
             Contains("this machine has 1 GPUs, expected 0 to 0"));
  emulator::SetDevices(0);
  CHECK(CudaDevices() == 0);
  const absl::Status none = MakeCudaQueue(0).status();
  CHECK(none.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(none.message()),
             Contains("no GPU is found: no CUDA-capable device") &&
                 Contains("--device cpu"));
  emulator::Reset();
}

TEST_CASE("A batch that does not fit is refused with one that would",
          "[cuda]") {
  emulator::SetMemory(size_t{256} << 20);
  {
    auto queue = *MakeCudaQueue(0);
    const auto model =
        Model::Build("cnn", {1, 28, 28}, 10, {4096}, {.queue = queue.get()});
    CHECK(model.status().code() == absl::StatusCode::kResourceExhausted);
    const std::string why(model.status().message());
    CHECK_THAT(why, Contains("cuda:0 (emulated): a batch of 4096 takes ") &&
                        Contains(" MiB for its activations, 256 MiB are free, "
                                 "where about ") &&
                        Contains("use a smaller --batch-size"));
    const size_t at = why.find("about ") + 6;
    const int fits = std::stoi(why.substr(at));
    CHECK(fits > 100);
    CHECK(fits < 4096);
    CHECK(queue->status().ok());  // nothing was taken
  }
  emulator::Reset();
}

TEST_CASE("A GPU that is too old is named, and not chosen", "[cuda]") {
  emulator::SetCapability(7);
  const absl::Status old = CheckCudaDevice(0);
  CHECK(old.code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(old.message()),
             Contains("compute capability 7.x, expected 8.0 or more"));
  emulator::Reset();
  CHECK(CheckCudaDevice(0).ok());
}

TEST_CASE("A queue that has failed still waits for what it does", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  Flat there(1000, *queue);
  {
    Flat pinned(1000, queue->pinned());
    pinned[999] = 3;
    there.CopyFrom(pinned);
    queue->Fail(absl::InternalError("planted"));
    CHECK(queue->Wait().code() == absl::StatusCode::kInternal);
  }
  // The copy was done before its source went.
  float last = 0;
  emulator::Enqueue(queue->stream(), [&] { last = there.data()[999]; });
  queue->Wait().IgnoreError();
  CHECK(last == 3);
}

TEST_CASE("What cannot be recorded fails no queue", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  const auto recording = queue->Record(
      [&] { queue->Check(cudaErrorStreamCaptureUnsupported, "planted"); });
  CHECK_THAT(std::string(recording.status().message()),
             Contains("planted: ") && Contains("capturing"));
  CHECK(queue->status().ok());
  Flat there(1, *queue);
  CHECK(there.ToHost()[0] == 0);
}

}  // namespace
}  // namespace monsoon
