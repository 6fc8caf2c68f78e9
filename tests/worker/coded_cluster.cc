// SPDX-License-Identifier: Apache-2.0
#include "tests/worker/coded_cluster.h"

#include <catch2/catch.hpp>

namespace monsoon {

pb::JobSpec CodedJob(const std::string& trainer, const std::string& wire,
                     int workers) {
  pb::JobSpec spec;
  spec.set_trainer(trainer);
  if (trainer == "downpour") (*spec.mutable_hyper())["form"] = "delta";
  ParameterLayout layout;
  layout.Add("w", {kFloats - kStatistics}, TensorKind::kWeight);
  layout.Add("s", {kStatistics}, TensorKind::kStatistic);
  LayoutToProto(layout, spec);
  ShardsToProto({{0, 700, 0}, {700, kFloats - 700, 0}}, spec);
  spec.set_servers(1);
  spec.set_workers(workers);
  spec.set_samples(1000);
  const WireNames names = *ParseWire(wire);
  spec.set_push_code(names.push);
  spec.set_reply_code(names.reply);
  return spec;
}

CodedCluster::CodedCluster(const std::string& trainer, const std::string& wire,
                           int workers, Faults faults, DeviceQueue* copies)
    : server(RealClock()), network(server, Random({11}), faults) {
  const pb::JobSpec spec = CodedJob(trainer, wire, workers);
  const auto made =
      MakeTrainer(trainer, {spec.hyper().begin(), spec.hyper().end()}, {});
  config.servers = {&network};
  config.shards = *ShardsFromProto(spec, kFloats);
  config.job_id = kJob;
  config.wire = *MakeWire(*ParseWire(wire), trainer, made->trainer->traits());
  config.parameters = kFloats - kStatistics;
  config.copies = copies;
  for (int worker = 0; worker < workers; ++worker) {
    pb::JoinRequest request;
    request.set_job_id(kJob);
    request.set_worker(worker);
    request.set_incarnation(static_cast<uint64_t>(worker) + 100);
    *request.mutable_spec() = spec;
    pb::JoinReply reply;
    REQUIRE(server.Join(request, reply) == absl::OkStatus());
    CHECK(reply.push_code() == spec.push_code());
    CHECK(reply.reply_code() == spec.reply_code());
    config.worker = worker;
    config.incarnation = request.incarnation();
    links.push_back(std::make_unique<ShardLink>(config, RealClock()));
  }
  Flat start(kFloats);
  for (int64_t i = 0; i < kFloats; ++i) {
    start[i] = static_cast<float>(i % 37) / 8;
  }
  REQUIRE(links[0]->Initialize(start) == absl::OkStatus());
}

Flat CodedCluster::Center() {
  config.worker = -1;
  ShardLink observer(config, RealClock());
  Flat center(kFloats);
  REQUIRE(observer.Pull(center) == absl::OkStatus());
  return center;
}

void Fill(Random& random, Flat& values) {
  for (float& value : values.span()) {
    value = static_cast<float>(random.Below(1 << 16)) / (1 << 14) - 2;
  }
}

}  // namespace monsoon
