// SPDX-License-Identifier: Apache-2.0
#include "base/layout.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace monsoon {
namespace {

constexpr int64_t kGranule = 16;  // floats to a cache line

TEST_CASE("Tensors lie one behind the other") {
  ParameterLayout layout;
  layout.Add("w", {3, 4}, TensorKind::kWeight);
  layout.Add("scale", {}, TensorKind::kNoDecay);
  layout.Add("mean", {5}, TensorKind::kStatistic);
  CHECK(layout.size() == 18);
  CHECK(layout.tensors()[1].offset == 12);
  CHECK(layout.tensors()[1].size() == 1);
  CHECK(layout.tensors()[2].offset == 13);
  CHECK(layout.parameters() == 13);
  ParameterLayout plain;
  plain.Add("w", {3, 4}, TensorKind::kWeight);
  CHECK(plain.parameters() == 12);
}

TEST_CASE("Layouts are equal by names, shapes and kinds") {
  const auto make = [](const char* name, int64_t extent, TensorKind kind) {
    ParameterLayout layout;
    layout.Add(name, {extent}, kind);
    return layout;
  };
  const ParameterLayout layout = make("w", 3, TensorKind::kWeight);
  CHECK(layout == make("w", 3, TensorKind::kWeight));
  CHECK(layout != make("v", 3, TensorKind::kWeight));
  CHECK(layout != make("w", 4, TensorKind::kWeight));
  CHECK(layout != make("w", 3, TensorKind::kNoDecay));
}

TEST_CASE("Shards cover all parameters and load the servers evenly") {
  for (int64_t parameters :
       {1LL, 15LL, 16LL, 17LL, 33LL, 1000LL, 262144LL, 262145LL, 1037760LL,
        1048853LL, 25557032LL, 200000003LL}) {
    for (int servers : {1, 2, 3, 4, 7, 16}) {
      CAPTURE(parameters, servers);
      const std::vector<ShardRange> shards = CutShards(parameters, servers);
      const int64_t granules = (parameters + kGranule - 1) / kGranule;
      const auto used =
          static_cast<size_t>(std::min<int64_t>(servers, granules));
      std::vector<int64_t> load(used);
      int64_t at = 0;
      int server = 0;
      for (const ShardRange& shard : shards) {
        REQUIRE(shard.offset == at);
        REQUIRE(shard.offset % kGranule == 0);
        REQUIRE(shard.size >= 1);
        REQUIRE(shard.size * 4 <= 4 << 20);
        REQUIRE(shard.server >= server);
        server = shard.server;
        REQUIRE(server < static_cast<int>(used));
        load[static_cast<size_t>(server)] += shard.size;
        at += shard.size;
      }
      REQUIRE(at == parameters);
      const auto [least, most] = std::minmax_element(load.begin(), load.end());
      REQUIRE(*least >= 1);
      // One granule, and the incomplete one at the end.
      REQUIRE(*most - *least < 2 * kGranule);
    }
  }
}

TEST_CASE("Shards are about 1 MiB for small models and 4 MiB for large ones") {
  const std::vector<ShardRange> small = CutShards(1037760, 2);
  CHECK(small.size() == 4);
  const std::vector<ShardRange> large = CutShards(int64_t{1} << 28, 2);
  CHECK(large.size() == 256);
  CHECK(large[0].size == 1 << 20);
}

TEST_CASE("The same model is cut in the same way every time") {
  CHECK(CutShards(1048853, 3) == CutShards(1048853, 3));
  CHECK(CutShards(1, 8) == std::vector<ShardRange>{{0, 1, 0}});
}

}  // namespace
}  // namespace monsoon
