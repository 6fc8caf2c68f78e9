// SPDX-License-Identifier: Apache-2.0
#include "base/layout.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace monsoon {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGranule = 64 / sizeof(float);  // floats to a cache line

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

int64_t TensorSpec::size() const {
  int64_t product = 1;
  for (int64_t extent : shape) product *= extent;
  return product;
}

void ParameterLayout::Add(std::string name, std::vector<int64_t> shape,
                          TensorKind kind) {
  MONSOON_CHECK(kind == TensorKind::kStatistic || tensors_.empty() ||
                    tensors_.back().kind != TensorKind::kStatistic,
                "statistics lie at the end of the layout");
  tensors_.push_back({std::move(name), std::move(shape), kind, size_});
  size_ += tensors_.back().size();
}

int64_t ParameterLayout::parameters() const {
  for (const TensorSpec& tensor : tensors_) {
    if (tensor.kind == TensorKind::kStatistic) return tensor.offset;
  }
  return size_;
}

int64_t StatisticsIn(const ShardRange& range, int64_t parameters) {
  return std::clamp<int64_t>(range.offset + range.size - parameters, 0,
                             range.size);
}

std::vector<ShardRange> CutShards(int64_t parameters, int servers) {
  MONSOON_CHECK(parameters >= 1 && servers >= 1, "there is something to cut");
  const int64_t bytes = parameters * static_cast<int64_t>(sizeof(float));
  const int64_t target = std::clamp(bytes / 32, kMiB, 4 * kMiB);
  const int64_t granules = DivideUp(parameters, kGranule);
  const int64_t used = std::min<int64_t>(servers, granules);
  const int64_t count =
      std::min(granules, used * DivideUp(DivideUp(bytes, used), target));
  std::vector<ShardRange> shards;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = granules * i / count * kGranule;
    const int64_t end =
        std::min(granules * (i + 1) / count * kGranule, parameters);
    shards.push_back({begin, end - begin, static_cast<int>(i * used / count)});
  }
  return shards;
}

}  // namespace monsoon
