// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/gather.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "base/random.h"
#include "data/dataset.h"
#include "tests/models/on_device.h"

namespace monsoon {
namespace {

TEST_CASE("A device gathers rows as the processor does, bit for bit",
          "[cuda]") {
  struct Size {
    int channels, height, width;
  };
  // Multiples of four, and others.
  for (const Size& size : {Size{1, 28, 28}, {3, 7, 17}, {1, 1, 1}, {2, 1, 2}}) {
    Dataset set{
        .channels = size.channels, .height = size.height, .width = size.width};
    Random random({5});
    for (int64_t i = 0; i < 300; ++i) {
      set.labels.push_back(static_cast<uint8_t>(i % 256));
      for (int64_t j = 0; j < set.example_size(); ++j) {
        set.images.push_back(
            static_cast<uint8_t>(j < 256 ? (i + j) % 256 : random.Below(256)));
      }
    }
    for (const int64_t batch : {1, 3, 257}) {
      std::vector<int64_t> rows = {299, 0, 255};
      while (int64_t(rows.size()) < batch) {
        rows.push_back(static_cast<int64_t>(random.Below(300)));
      }
      rows.resize(size_t(batch));
      std::vector<float> x(size_t(batch * set.example_size()));
      std::vector<int32_t> y(size_t(batch), -1);
      Gather(set, rows, x.data(), y.data());
      const auto kernel = MakeKernel<GatherKernel>(
          TestDevice(), {.batch = batch, .example_size = set.example_size()});
      REQUIRE(kernel.ok());
      const auto to_bf16 = MakeKernel<GatherKernel>(
          TestDevice(), {.batch = batch,
                         .example_size = set.example_size(),
                         .type = DataType::kBf16});
      REQUIRE(to_bf16.ok());
      OnDevice<uint8_t> images(set.images), labels(set.labels);
      OnDevice<int64_t> picked(rows);
      OnDevice<float> inputs(x.size());
      OnDevice<int32_t> targets(y.size());
      (*kernel)->Run(images.data(), labels.data(), picked.data(), inputs.data(),
                     targets.data());
      CHECK(inputs.Get() == x);
      CHECK(targets.Get() == y);
      OnDevice<Bf16> rounded(x.size());
      targets.Set(std::vector<int32_t>(y.size(), -1));
      (*to_bf16)->Run(images.data(), labels.data(), picked.data(),
                      rounded.data(), targets.data());
      const std::vector<Bf16> found = rounded.Get();
      CHECK(std::equal(found.begin(), found.end(), x.begin(),
                       [](Bf16 here, float value) {
                         return here.bits == Bf16(value).bits;
                       }));
      CHECK(targets.Get() == y);
    }
  }
}

TEST_CASE("The processor has no gather kernel", "[cuda]") {
  const auto kernel = MakeKernel<GatherKernel>(Device(), {});
  CHECK(kernel.status().message() ==
        "no kernel gather for device \"cpu\"; it exists for: cuda");
}

}  // namespace
}  // namespace monsoon
