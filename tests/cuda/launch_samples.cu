// SPDX-License-Identifier: Apache-2.0
#include "cuda/launch.h"
#include "tests/cuda/launch_samples.h"

namespace monsoon {
namespace {

struct IntSum {
  int64_t value = 0;
  MONSOON_ELEMENT void Add(const IntSum& other) { value += other.value; }
  MONSOON_ELEMENT void Add(int64_t other) { value += other; }
};

}  // namespace

void CountIndices(DeviceQueue& queue, int64_t n, int64_t* counts) {
  ForIndex(CudaQueue::Of(queue), n,
           [counts] MONSOON_ELEMENT_LAMBDA(int64_t i) { counts[i] += i + 1; });
}

void SumRows(DeviceQueue& queue, int64_t rows, int64_t columns,
             const int64_t* values, int64_t* sums) {
  ForRows<IntSum>(
      CudaQueue::Of(queue), rows, columns,
      [values, columns] MONSOON_ELEMENT_LAMBDA(int64_t row, int64_t column) {
        return values[row * columns + column];
      },
      [sums] MONSOON_ELEMENT_LAMBDA(int64_t row, const IntSum& sum) {
        sums[row] += sum.value;
      });
}

void SumNeighbouringRows(DeviceQueue& queue, int64_t rows, int64_t columns,
                         const int64_t* values, int64_t* sums) {
  ForNeighbouringRows<IntSum>(
      CudaQueue::Of(queue), rows, columns,
      [values, rows] MONSOON_ELEMENT_LAMBDA(int64_t row, int64_t column) {
        return values[column * rows + row];
      },
      [sums] MONSOON_ELEMENT_LAMBDA(int64_t row, const IntSum& sum) {
        sums[row] += sum.value;
      });
}

}  // namespace monsoon
