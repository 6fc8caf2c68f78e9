// SPDX-License-Identifier: Apache-2.0
// Links and servers under the codes of a job: what is pushed reaches the
// center or stays in the residual, whatever is lost, repeated or corrupt.
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/server/recorded_call.h"
#include "tests/worker/coded_cluster.h"

namespace monsoon {
namespace {

using Catch::Contains;
using Request = pb::ExchangeRequest;

TEST_CASE("What workers push is in the center or in their residuals",
          "[codec]") {
  const std::string wire =
      GENERATE(as<std::string>(), "fp32", "bf16", "fp16", "int8", "onebit",
               "topk:0.1", "topk:0.02,int8", "fp32,bf16");
  const bool lossy_network = GENERATE(false, true);
  CAPTURE(wire, lossy_network);
  Faults faults;
  if (lossy_network) {
    faults = {.drop_before = 0.02, .drop_after = 0.02, .duplicate = 0.1};
  }
  CodedCluster cluster("downpour", wire, 2, faults);
  Random random({5});
  Flat sum = cluster.Center(), update(kFloats), reply(kFloats);
  for (int i = 0; i < 40; ++i) {
    ShardLink& link = *cluster.links[static_cast<size_t>(i) % 2];
    Fill(random, update);
    ForEach([](float& s, float u) { s += u; }, sum, update);
    REQUIRE(link.PushPull(update, reply) == absl::OkStatus());
  }
  const Flat center = cluster.Center();
  const bool is_exact = wire != "int8" && wire != "onebit";
  double lost = 0;
  for (int64_t i = 0; i < kFloats; ++i) {
    float found = center[i];
    for (const auto& link : cluster.links) {
      if (link->residual().empty()) continue;
      found += link->residual()[i];
      lost += std::abs(link->residual()[i]);
      if (i >= kFloats - kStatistics) REQUIRE(link->residual()[i] == 0);
    }
    if (is_exact) REQUIRE(found == sum[i]);
    REQUIRE(found == Approx(sum[i]).margin(1e-4));
  }
  CHECK((lost > 0) == (cluster.config.wire.push != nullptr));
}

TEST_CASE("Replies bring the center, and over time nothing of it is lost",
          "[codec]") {
  const std::string wire =
      GENERATE(as<std::string>(), "fp32,bf16", "fp32,fp16", "fp32,int8");
  CAPTURE(wire);
  CodedCluster cluster("downpour", wire);
  Flat update(kFloats);
  Random random({9});
  for (float& value : update.span()) value = random.Uniform(-1, 1);
  Flat pulled(kFloats);
  REQUIRE(cluster.links[0]->PushPull(update, pulled) == absl::OkStatus());
  const Flat center = cluster.Center();
  Flat mean(kFloats);
  constexpr int kPulls = 64;
  float worst = 0;
  for (int i = 0; i < kPulls; ++i) {
    ShardLink& link = *cluster.links[static_cast<size_t>(i) % 2];
    REQUIRE(link.Pull(pulled) == absl::OkStatus());
    ForEach([](float& m, float p) { m += p / kPulls; }, mean, pulled);
    for (int64_t j = 0; j < kFloats; ++j) {
      worst = std::max(worst, std::abs(pulled[j] - center[j]));
    }
  }
  CHECK(worst > 0);
  for (int64_t i = 0; i < kFloats; ++i) {
    // What one message loses, once for all of them.
    REQUIRE(mean[i] == Approx(center[i]).margin(2 * worst / kPulls + 1e-5));
    if (i >= kFloats - kStatistics) REQUIRE(pulled[i] == center[i]);
  }
}

TEST_CASE("An observer leaves no trace in what workers get", "[codec]") {
  CodedCluster watched("downpour", "fp32,bf16"), alone("downpour", "fp32,bf16");
  Flat update(kFloats);
  Random random({13});
  for (float& value : update.span()) value = random.Uniform(-1, 1);
  for (int i = 0; i < 4; ++i) {
    Flat a(kFloats), b(kFloats);
    REQUIRE(watched.links[0]->PushPull(update, a) == absl::OkStatus());
    REQUIRE(alone.links[0]->PushPull(update, b) == absl::OkStatus());
    for (int64_t j = 0; j < kFloats; ++j) REQUIRE(a[j] == b[j]);
    RecordedCall look(Request::PULL, kJob, -1);
    look.request.set_coded_reply(true);
    watched.server.Exchange(look);
    REQUIRE(look.status == absl::OkStatus());
  }
}

TEST_CASE("What a code cannot say does not add up", "[codec]") {
  CodedCluster cluster("downpour", "fp32,fp16", 1);
  Flat update(kFloats), pulled(kFloats);
  ForEach([](float& u) { u = 100'000; }, update);
  REQUIRE(cluster.links[0]->Push(update) == absl::OkStatus());
  for (int i = 0; i < 20; ++i) {
    REQUIRE(cluster.links[0]->Pull(pulled) == absl::OkStatus());
    CHECK(pulled[0] == 65504);
  }
  ForEach([](float& u) { u = -100'000; }, update);
  REQUIRE(cluster.links[0]->PushPull(update, pulled) == absl::OkStatus());
  CHECK(std::abs(pulled[0]) < 1);
}

TEST_CASE("An elastic difference is the same on both sides", "[codec]") {
  const std::string wire =
      GENERATE(as<std::string>(), "bf16", "fp16", "int8", "fp32,int8");
  CAPTURE(wire);
  CodedCluster cluster("aeasgd", wire, 2, {.drop_after = 0.2});
  Random random({3});
  Flat x(kFloats), difference(kFloats);
  for (int i = 0; i < 20; ++i) {
    ShardLink& link = *cluster.links[static_cast<size_t>(i) % 2];
    for (float& value : x.span()) value = random.Uniform(-3, 3);
    const Flat before = cluster.Center();
    REQUIRE(link.PushPull(x, difference) == absl::OkStatus());
    const Flat after = cluster.Center();
    for (int64_t j = 0; j < kFloats; ++j) {
      REQUIRE(after[j] == before[j] + difference[j]);
    }
  }
  CHECK(Norm(difference) > 0);
}

TEST_CASE("A link continues from what it saved, bit for bit", "[codec]") {
  const std::string wire =
      GENERATE(as<std::string>(), "bf16", "int8", "topk:0.05", "onebit");
  const auto run = [&](bool saves) {
    CodedCluster cluster("downpour", wire, 1);
    Random random({21});
    Flat update(kFloats), reply(kFloats);
    for (int i = 0; i < 10; ++i) {
      Fill(random, update);
      REQUIRE(cluster.links[0]->PushPull(update, reply) == absl::OkStatus());
      if (!saves || i != 4) continue;
      Writer writer;
      cluster.links[0]->Save(writer);
      cluster.config.worker = 0;
      cluster.links[0] =
          std::make_unique<ShardLink>(cluster.config, RealClock());
      Reader reader(writer.bytes());
      REQUIRE(cluster.links[0]->Load(reader) == absl::OkStatus());
    }
    return cluster.Center();
  };
  const Flat through = run(false), saved = run(true);
  for (int64_t i = 0; i < kFloats; ++i) REQUIRE(through[i] == saved[i]);
}

TEST_CASE("Bytes count as they travel", "[codec]") {
  CodedCluster cluster("downpour", "int8,bf16", 1);
  Flat update(kFloats), reply(kFloats);
  const int64_t initial = cluster.links[0]->counters().bytes_up;
  CHECK(initial == 4 * kFloats);
  REQUIRE(cluster.links[0]->PushPull(update, reply) == absl::OkStatus());
  const ShardLink::Counters counters = cluster.links[0]->counters();
  CHECK(counters.bytes_up - initial == 1300 + 4 * (3 + 3) + 4 * 100);
  CHECK(counters.bytes_down == 2 * 1300 + 4 * 100);
}

// A call for shard 0 as worker 0 would make it; `bytes` outlive it.
RecordedCall ShardCall(Request::Kind kind, const std::string& bytes) {
  RecordedCall call(kind, kJob, 0, {}, kind == Request::PUSH ? 1 : 0);
  call.update = bytes;
  return call;
}

TEST_CASE("What is not coded as the job says is refused, and nothing applied",
          "[codec]") {
  CodedCluster coded("downpour", "int8", 1), plain("downpour", "fp32", 1);
  const Flat before = coded.Center();
  const size_t size = 700 + 3 * 4;
  std::string infinite(size, '\0'), reserved(size, '\0');
  infinite.replace(0, 4, "\x00\x00\x80\x7f", 4);
  reserved[size - 1] = '\x80';
  const struct {
    CodedCluster& cluster;
    Request::Kind kind;
    bool coded, coded_reply;
    std::string bytes, why;
  } cases[] = {
      {coded, Request::PUSH, true, false, std::string(size - 1, '\0'),
       "711 bytes, expected 712 for 700 floats"},
      {coded, Request::PUSH, true, false, std::string(2800, '\0'),
       "2800 bytes, expected 712"},
      {coded, Request::PUSH, false, false, std::string(size, '\0'),
       "712 bytes, expected 2800"},
      {coded, Request::PUSH, true, false, infinite,
       "the coded update is corrupt: the scale of block 0 is inf"},
      {coded, Request::PUSH, true, false, reserved,
       "block 2 has the number -128"},
      {coded, Request::INITIALIZE, true, false, std::string(size, '\0'),
       "only the values of pushes may be coded"},
      {plain, Request::PUSH, true, false, std::string(size, '\0'),
       "no code for pushes"},
      {plain, Request::PULL, false, true, "", "no code for replies"},
  };
  for (const auto& c : cases) {
    RecordedCall call = ShardCall(c.kind, c.bytes);
    call.request.set_coded(c.coded);
    call.request.set_coded_reply(c.coded_reply);
    c.cluster.server.Exchange(call);
    INFO(c.why);
    REQUIRE(call.finished());
    CHECK(absl::IsInvalidArgument(*call.status));
    CHECK_THAT(std::string(call.status->message()),
               Contains("worker 0, shard 0") && Contains(c.why));
  }
  const Flat after = coded.Center();
  for (int64_t i = 0; i < kFloats; ++i) REQUIRE(after[i] == before[i]);
  // Float32 is understood in every job.
  const std::string zeros(2800, '\0');
  RecordedCall push = ShardCall(Request::PUSH, zeros);
  coded.server.Exchange(push);
  CHECK(*push.status == absl::OkStatus());
}

TEST_CASE("A job with a code that its trainer cannot have is refused",
          "[codec]") {
  const struct {
    std::string trainer, push, reply, why;
  } cases[] = {
      {"downpour", "bf17", "", "unknown wire code \"bf17\""},
      {"downpour", "", "topk:0.1", "topk:0.1 for replies (center)"},
      {"aeasgd", "onebit", "", "onebit for pushes (parameters)"},
      {"single", "bf16", "", "bf16 for pushes (nothing)"},
  };
  for (const auto& c : cases) {
    pb::JoinRequest request;
    request.set_job_id(kJob);
    request.set_incarnation(100);
    *request.mutable_spec() = CodedJob(c.trainer, "fp32", 1);
    request.mutable_spec()->set_push_code(c.push);
    request.mutable_spec()->set_reply_code(c.reply);
    Server server(RealClock());
    pb::JoinReply reply;
    const absl::Status joined = server.Join(request, reply);
    CHECK(absl::IsInvalidArgument(joined));
    CHECK_THAT(std::string(joined.message()), Contains(c.why));
  }
}

TEST_CASE("Workers of one job have one code", "[codec]") {
  CodedCluster cluster("downpour", "bf16", 2);
  pb::JoinRequest request;
  request.set_job_id(kJob);
  request.set_worker(1);
  request.set_incarnation(101);
  *request.mutable_spec() = CodedJob("downpour", "int8,bf16", 2);
  pb::JoinReply reply;
  const absl::Status joined = cluster.server.Join(request, reply);
  CHECK(absl::IsFailedPrecondition(joined));
  CHECK_THAT(std::string(joined.message()),
             Contains("wire = bf16,bf16, this worker has int8,bf16"));
}

}  // namespace
}  // namespace monsoon
