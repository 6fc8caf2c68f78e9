// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace monsoon {

// What may be done to a tensor: weights decay, biases and scales do not, and
// statistics (batch norm) see no optimizer and travel as deltas.
enum class TensorKind { kWeight, kNoDecay, kStatistic };

struct TensorSpec {
  std::string name;            // "dense1.weight"
  std::vector<int64_t> shape;  // row-major; {} is a scalar
  TensorKind kind = TensorKind::kWeight;
  int64_t offset = 0;  // in floats, from the start of the Flat

  int64_t size() const;
  bool operator==(const TensorSpec&) const = default;
};

// Names, shapes and places of all tensors of a model in one Flat, without gaps.
// Statistics come last. A value.
class ParameterLayout {
 public:
  // Appends a tensor behind the present ones. REQUIRES: no statistic before a
  // tensor of another kind.
  void Add(std::string name, std::vector<int64_t> shape, TensorKind kind);

  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  // All floats.
  int64_t size() const { return size_; }
  // The floats in front of the statistics: what an optimizer moves.
  int64_t parameters() const;
  bool operator==(const ParameterLayout&) const = default;

 private:
  std::vector<TensorSpec> tensors_;
  int64_t size_ = 0;
};

// A contiguous range of the parameters, held by one server.
struct ShardRange {
  int64_t offset = 0;  // floats
  int64_t size = 0;    // floats
  int server = 0;
  bool operator==(const ShardRange&) const = default;
};

// How many of the range's floats, its last, are statistics: those of a layout
// from float `parameters` on.
int64_t StatisticsIn(const ShardRange& range, int64_t parameters);

// Cuts `parameters` floats into shards of about 1 MiB (small models) to 4 MiB
// (128 MiB and more), equal in bytes over `servers` servers, each starting on a
// 64-byte boundary. A model with fewer than 16 floats a server uses fewer
// servers. REQUIRES: parameters >= 1, servers >= 1.
std::vector<ShardRange> CutShards(int64_t parameters, int servers);

}  // namespace monsoon
