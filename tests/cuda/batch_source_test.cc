// SPDX-License-Identifier: Apache-2.0
// A data set that a GPU has no room for gives the batches that it would give
// there.
#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "cuda/cuda.h"
#include "cuda/cuda_queue.h"
#include "tests/cuda/emulator/emulator.h"
#include "tests/worker/local_job.h"
#include "worker/device_batch_source.h"

namespace monsoon {
namespace {

constexpr int kExamples = 90, kBatch = 40, kEpochs = 2;

struct Trained {
  bool is_resident;
  double loss;
  std::vector<float> x;
};

Trained Train(const Dataset& data, Precision precision, size_t memory) {
  emulator::Reset();
  emulator::SetMemory(memory);
  const auto queue = *MakeCudaQueue(0);
  Loader loader(data, 0, 1, kBatch, kEpochs, /*seed=*/1);
  auto model = Model::Build("mlp:16", {data.channels, data.height, data.width},
                            data.classes, {kBatch, kExamples % kBatch},
                            {.precision = precision, .queue = queue.get()});
  INFO(model.status());
  REQUIRE(model.ok());
  const auto source =
      *DeviceBatchSource::Make(data, loader, **model, *queue, 1);
  Flat x((*model)->layout().size(), *queue);
  (*model)->Initialize(1, x);
  Trained trained{.is_resident = source->is_resident()};
  while (source->Next() > 0) {
    trained.loss += source->Gradient(x, {x, -0.1f, 1}).sum;
  }
  trained.loss += source->Rest().sum;
  REQUIRE(queue->Wait().ok());
  const Flat here = x.ToHost();
  trained.x.assign(here.span().begin(), here.span().end());
  return trained;
}

TEST_CASE("A batch is the same whoever gathers it", "[cuda]") {
  const Dataset data = SmallFashionMnist(kExamples);
  const Precision precision =
      GENERATE(Precision::kFp32, Precision::kTf32, Precision::kBf16);
  const Trained resident = Train(data, precision, 1 << 30);
  // Beside the workspace so much that the model fits, but half of the rest is
  // less than the set.
  const auto images = static_cast<size_t>(kExamples) * 28 * 28;
  const Trained sent = Train(
      data, precision,
      CudaQueue::kWorkspaceBytes + (size_t{kBatch} * 784 * 4 + images * 3 / 2));
  emulator::Reset();
  CHECK(resident.is_resident);
  CHECK(!sent.is_resident);
  CHECK(resident.loss > 0);
  CHECK(sent.loss == resident.loss);
  CHECK(sent.x == resident.x);
}

}  // namespace
}  // namespace monsoon
