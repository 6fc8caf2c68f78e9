// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "cuda/launch.h"
#include "models/kernels/cuda/blocks.h"
#include "models/kernels/cuda/device_array.h"
#include "models/kernels/upsample.h"
#include "models/kernels/upsample_taps.h"

namespace monsoon {
namespace {

// The taps of a side (rows or columns) as each line of X sees them: the lines
// of Y that are made from line i are uses [begin[i], begin[i + 1]), each with
// its weight.
struct Uses {
  std::vector<int32_t> begin = {0};
  std::vector<Tap> uses;

  Uses(const std::vector<Tap>& taps, int64_t size, int64_t scale) {
    std::vector<std::vector<Tap>> of(static_cast<size_t>(size));
    const size_t count = taps.size() / static_cast<size_t>(size * scale);
    for (size_t t = 0; t < taps.size(); ++t) {
      of[static_cast<size_t>(taps[t].index)].push_back(
          {static_cast<int32_t>(t / count), taps[t].weight});
    }
    for (const std::vector<Tap>& own : of) {
      uses.insert(uses.end(), own.begin(), own.end());
      begin.push_back(static_cast<int32_t>(uses.size()));
    }
  }
};

// Both directions of one side, on the device.
struct Side {
  DeviceArray<Tap> taps, uses;
  DeviceArray<int32_t> begin;

  Side(const std::vector<Tap>& values, const Uses& inverse, DeviceQueue& queue)
      : taps(values, queue),
        uses(inverse.uses, queue),
        begin(inverse.begin, queue) {}
  Side(const std::vector<Tap>& values, int64_t size, int64_t scale,
       DeviceQueue& queue)
      : Side(values, Uses(values, size, scale), queue) {}
};

template <typename Number>
class CudaUpsample final : public UpsampleKernelOf<Number> {
 public:
  CudaUpsample(const UpsampleSpec& s, DeviceQueue& queue)
      : s_(s),
        in_(s.in.height, s.in.width, s.block),
        out_(s.in.height * s.scale, s.in.width * s.scale, s.block),
        queue_(CudaQueue::Of(queue)),
        rows_(TapsOf(s.in.height, s.scale, s.bilinear), s.in.height, s.scale,
              queue),
        columns_(TapsOf(s.in.width, s.scale, s.bilinear), s.in.width, s.scale,
                 queue) {}

  void Forward(const Number* x, Number* y) override {
    ForIndex(
        queue_, s_.batch * s_.in.size() * s_.scale * s_.scale,
        [x, y, in = in_, out = out_, rows = rows_.taps.data(),
         columns = columns_.taps.data(),
         count = s_.bilinear ? 2 : 1] MONSOON_ELEMENT_LAMBDA(int64_t i) {
          const auto place = out.Of(i);
          float sum = 0;
          for (int h = 0; h < count; ++h) {
            const Tap row = rows[place.row * count + h];
            for (int w = 0; w < count; ++w) {
              const Tap column = columns[place.column * count + w];
              const int64_t at =
                  in.At({place.plane, row.index, column.index, place.lane});
              sum += row.weight * column.weight * static_cast<float>(x[at]);
            }
          }
          y[i] = static_cast<Number>(sum);
        });
  }

  void Backward(const Number* dy, Number* dx) override {
    ForIndex(
        queue_, s_.batch * s_.in.size(),
        [dy, dx, in = in_, out = out_, rows = rows_.uses.data(),
         row_begin = rows_.begin.data(), columns = columns_.uses.data(),
         column_begin =
             columns_.begin.data()] MONSOON_ELEMENT_LAMBDA(int64_t i) {
          const auto place = in.Of(i);
          const int32_t row_end = row_begin[place.row + 1];
          const int32_t column_end = column_begin[place.column + 1];
          float sum = 0;
          for (int32_t h = row_begin[place.row]; h < row_end; ++h) {
            const Tap row = rows[h];
            for (int32_t w = column_begin[place.column]; w < column_end; ++w) {
              const Tap column = columns[w];
              const int64_t at =
                  out.At({place.plane, row.index, column.index, place.lane});
              sum += row.weight * column.weight * static_cast<float>(dy[at]);
            }
          }
          dx[i] = static_cast<Number>(sum);
        });
  }

 private:
  const UpsampleSpec s_;
  const PlaneOrder in_, out_;
  CudaQueue& queue_;
  Side rows_, columns_;
};

const RegisterKernels<UpsampleKernelOf, CudaUpsample> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
