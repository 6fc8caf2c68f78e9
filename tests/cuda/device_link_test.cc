// SPDX-License-Identifier: Apache-2.0
// A link for vectors in a GPU's memory, against one for the host's.
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "base/element.h"
#include "cuda/cuda.h"
#include "tests/worker/coded_cluster.h"
#include "trainers/elements.h"

namespace monsoon {
namespace {

void CheckSame(const Flat& found, const Flat& expected) {
  const Flat here = found.ToHost();
  REQUIRE(here.size() == expected.size());
  for (int64_t i = 0; i < here.size(); ++i) {
    INFO(i);
    REQUIRE(here[i] == expected[i]);
  }
}

// The codes of a GPU have the bytes of the processor's.
TEST_CASE("A GPU's link pushes and gets what the host's does", "[cuda]") {
  const std::string wire = GENERATE(as<std::string>(), "fp32", "bf16", "int8",
                                    "onebit", "topk:0.05", "fp32,fp16");
  const bool is_lossy = GENERATE(false, true);
  // The vectors' own works, and those of copies as OverlapLink has them.
  const bool is_beside = GENERATE(false, true);
  CAPTURE(wire, is_lossy, is_beside);
  Faults faults;
  if (is_lossy) {
    faults = {.drop_before = 0.1, .drop_after = 0.1, .duplicate = 0.1};
  }
  const auto queue = *MakeCudaQueue(0);
  const auto copies = *queue->Fork();
  DeviceQueue& own = is_beside ? *copies : *queue;
  CodedCluster host("downpour", wire, 1, faults);
  CodedCluster gpu("downpour", wire, 1, faults, copies.get());
  ShardLink& link = *gpu.links[0];
  Random random({5});
  Flat update(kFloats), reply(kFloats);
  Flat update_there(kFloats, own), reply_there(kFloats, own);
  for (int i = 0; i < 10; ++i) {
    Fill(random, update);
    update_there.CopyFrom(update);
    // Not done when the exchange begins.
    ForEach(AddUpdate{}, update_there, update_there);
    ForEach(AddUpdate{}, update, update);
    if (i % 3 == 2) {
      REQUIRE(host.links[0]->Push(update) == absl::OkStatus());
      REQUIRE(link.Push(update_there) == absl::OkStatus());
      REQUIRE(host.links[0]->Pull(reply) == absl::OkStatus());
      REQUIRE(link.Pull(reply_there) == absl::OkStatus());
    } else {
      REQUIRE(host.links[0]->PushPull(update, reply) == absl::OkStatus());
      REQUIRE(link.PushPull(update_there, reply_there) == absl::OkStatus());
    }
    // The next work needs no wait, neither does the update's memory.
    ForEach(AddUpdate{}, reply_there, update_there);
    ForEach(AddUpdate{}, reply, update);
    ForEach(AddUpdate{}, update_there, update_there);
    CheckSame(reply_there, reply);
  }
  CheckSame(gpu.Center(), host.Center());
  CHECK(link.residual().empty() == host.links[0]->residual().empty());
  CheckSame(link.residual(), host.links[0]->residual());
  CHECK(link.counters().bytes_up == host.links[0]->counters().bytes_up);
  CHECK(link.counters().bytes_down == host.links[0]->counters().bytes_down);
}

TEST_CASE("An update may be where its reply goes, on a GPU", "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  const auto copies = *queue->Fork();
  CodedCluster gpu("downpour", "bf16,fp32", 1, {}, copies.get());
  Flat update(kFloats);
  Random random({6});
  Fill(random, update);
  Flat both(kFloats, *queue);
  both.CopyFrom(update);
  REQUIRE(gpu.links[0]->PushPull(both, both) == absl::OkStatus());
  CheckSame(both, gpu.Center());
}

TEST_CASE("What a GPU has pulled is not what it pulls next", "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  const auto copies = *queue->Fork();
  CodedCluster gpu("downpour", "fp32", 2, {}, copies.get());
  gpu.config.copies = nullptr;
  ShardLink other(gpu.config, RealClock());  // of worker 1, on the host
  const Flat before = gpu.Center();
  Flat first(kFloats, *queue), second(kFloats, *queue), update(kFloats);
  Random random({7});
  Fill(random, update);
  REQUIRE(queue->Wait().ok());
  REQUIRE(gpu.links[0]->Pull(first) == absl::OkStatus());
  REQUIRE(other.Push(update) == absl::OkStatus());
  REQUIRE(gpu.links[0]->Pull(second) == absl::OkStatus());
  CheckSame(first, before);
  CheckSame(second, gpu.Center());
}

TEST_CASE("A GPU's link continues from what it saved", "[cuda]") {
  const auto queue = *MakeCudaQueue(0);
  const auto copies = *queue->Fork();
  const auto run = [&](bool saves) {
    CodedCluster gpu("downpour", "int8", 1, {}, copies.get());
    Random random({21});
    Flat update(kFloats), there(kFloats, *queue), reply(kFloats, *queue);
    for (int i = 0; i < 6; ++i) {
      Fill(random, update);
      there.CopyFrom(update);
      REQUIRE(gpu.links[0]->PushPull(there, reply) == absl::OkStatus());
      if (!saves || i != 2) continue;
      Writer writer;
      gpu.links[0]->Save(writer);
      gpu.config.worker = 0;
      gpu.links[0] = std::make_unique<ShardLink>(gpu.config, RealClock());
      Reader reader(writer.bytes());
      REQUIRE(gpu.links[0]->Load(reader) == absl::OkStatus());
    }
    return gpu.Center();
  };
  CheckSame(run(true), run(false));
}

}  // namespace
}  // namespace monsoon
