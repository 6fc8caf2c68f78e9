// SPDX-License-Identifier: Apache-2.0
#include "cuda/cuda_queue.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "base/flat.h"
#include "cuda/cuda.h"
#include "models/elements.h"

namespace monsoon {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Flat Host(std::vector<float> values) {
  Flat flat(static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), flat.data());
  return flat;
}

TEST_CASE("Vectors go to a GPU and come back", "[cuda]") {
  auto queue = *MakeCudaQueue(0);
  Flat there(5, *queue);
  CHECK(there.queue() == queue.get());
  CHECK(Norm(there) == 0);  // zeros at first
  const Flat here = Host({1, 2, 3, 4, 5});
  there.CopyFrom(here);
  const Flat back = there.Slice(1, 3).ToHost();
  CHECK(back.queue() == nullptr);
  CHECK(back[0] == 2);
  CHECK(back[2] == 4);
  Flat clone = there.Clone();
  ForEach(BlendInto{1, 1}, clone, there);
  CHECK(clone.ToHost()[4] == 10);
  CHECK(there.ToHost()[4] == 5);
  CHECK(queue->status().ok());
}

TEST_CASE("A GPU says what the processor says of a vector", "[cuda]") {
  auto queue = *MakeCudaQueue(0);
  for (const int64_t size : {1, 7, 1023, 1024, 1025, 300007}) {
    Flat here(size);
    for (int64_t i = 0; i < size; ++i) {
      here[i] = std::sin(static_cast<float>(i));
    }
    Flat there(size, *queue);
    there.CopyFrom(here);
    INFO(size);
    // Both sum doubles; the order differs.
    CHECK(Norm(there) == Approx(Norm(here)).epsilon(1e-12));
    CHECK(Largest(there) == Largest(here));
    CHECK(FirstNotFinite(there) == -1);
    CHECK(AllFinite(there));
    for (const float bad : {kNaN, kInfinity, -kInfinity}) {
      here[size / 2] = bad;
      here[size - 1] = bad;
      there.CopyFrom(here);
      CHECK(FirstNotFinite(there) == size / 2);
      CHECK_FALSE(AllFinite(there));
      CHECK_FALSE(std::isfinite(Largest(there)));
    }
  }
}

TEST_CASE("What was recorded is done with every replay", "[cuda]") {
  auto queue = *MakeCudaQueue(0);
  Flat a(3, *queue), b(3, *queue);
  b.CopyFrom(Host({1, 2, 3}));
  queue->Mark();
  const auto recording = queue->Record([&] { ForEach(BlendInto{1, 1}, a, b); });
  REQUIRE(recording.ok());
  CHECK(a.ToHost()[2] == 0);  // not done yet
  for (int i = 0; i < 3; ++i) queue->Replay(**recording);
  CHECK(a.ToHost()[2] == 9);
}

TEST_CASE("A mark passes when the works before it are done", "[cuda]") {
  auto queue = *MakeCudaQueue(0);
  Flat a(1 << 24, *queue), b(1 << 24, *queue);
  // A millisecond of a large GPU's time; to ask takes microseconds.
  for (int i = 0; i < 20; ++i) ForEach(BlendInto{1, 1}, a, b);
  const uint64_t mark = queue->Mark();
  CHECK_FALSE(queue->Passed(mark));
  CHECK(queue->WaitFor(mark).ok());
  CHECK(queue->Passed(mark));
}

TEST_CASE("A queue follows another of its GPU", "[cuda]") {
  auto queue = *MakeCudaQueue(0);
  const auto copies = *queue->Fork();
  Flat a(3, *queue), b(3, *copies);
  a.CopyFrom(Host({1, 2, 3}));
  b.CopyFrom(a);
  ForEach(BlendInto{1, 1}, a, a);  // after b has what was there before
  CHECK(b.ToHost()[2] == 3);
  ForEach(BlendInto{1, 1}, b, b);
  a.CopyFrom(b);
  CHECK(a.ToHost()[1] == 4);
  CHECK(queue->status().ok());
  CHECK(copies->status().ok());
}

}  // namespace
}  // namespace monsoon
