// SPDX-License-Identifier: Apache-2.0
// What a queue says of a whole vector: its norm, its largest magnitude, where
// it is not finite. Two steps: of parts, then of the parts' results.
#include <cmath>
#include <cstring>
#include <limits>

#include "cuda/cuda_queue.h"
#include "cuda/launch.h"

namespace monsoon {
namespace {

constexpr int64_t kParts = 1024;

struct SumOfSquares {
  double value = 0;
  MONSOON_ELEMENT void Add(const SumOfSquares& other) { value += other.value; }
};

// Of magnitudes as the bits that floats have: NaN is above infinity.
struct LargestBits {
  uint32_t value = 0;
  MONSOON_ELEMENT void Add(const LargestBits& other) {
    if (other.value > value) value = other.value;
  }
};

struct FirstIndex {
  int64_t value = std::numeric_limits<int64_t>::max();
  MONSOON_ELEMENT void Add(const FirstIndex& other) {
    if (other.value < value) value = other.value;
  }
};

MONSOON_ELEMENT inline uint32_t MagnitudeBits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits & 0x7fffffffu;
}

// Term(i) gives the Sum of element i.
template <typename Sum, typename Term>
decltype(Sum::value) Reduce(CudaQueue& queue, int64_t size, Term term) {
  Sum result;
  static_assert(kParts * sizeof(Sum) <= CudaQueue::kPartsBytes);
  auto* const parts = static_cast<Sum*>(queue.parts());
  if (parts == nullptr) return result.value;
  const int64_t width = (size + kParts - 1) / kParts;
  ForRows<Sum>(
      queue, kParts, width,
      [=] MONSOON_ELEMENT_LAMBDA(int64_t row, int64_t column) {
        const int64_t i = row * width + column;
        return i < size ? term(i) : Sum();
      },
      [=] MONSOON_ELEMENT_LAMBDA(int64_t row, const Sum& sum) {
        parts[row] = sum;
      });
  ForRows<Sum>(
      queue, 1, kParts,
      [=] MONSOON_ELEMENT_LAMBDA(int64_t, int64_t i) { return parts[i]; },
      [=] MONSOON_ELEMENT_LAMBDA(int64_t, const Sum& sum) { parts[0] = sum; });
  queue.Copy(&result, parts, sizeof result);
  if (!queue.Wait().ok()) return Sum().value;
  return result.value;
}

}  // namespace

float CudaQueue::Largest(const float* values, int64_t size) {
  const uint32_t bits = Reduce<LargestBits>(
      *this, size, [values] MONSOON_ELEMENT_LAMBDA(int64_t i) {
        return LargestBits{MagnitudeBits(values[i])};
      });
  if (!ok()) return std::numeric_limits<float>::quiet_NaN();
  float largest;
  std::memcpy(&largest, &bits, sizeof largest);
  return largest;
}

double CudaQueue::Norm(const float* values, int64_t size) {
  const double sum = Reduce<SumOfSquares>(
      *this, size, [values] MONSOON_ELEMENT_LAMBDA(int64_t i) {
        return SumOfSquares{double{values[i]} * values[i]};
      });
  return std::sqrt(sum);
}

int64_t CudaQueue::FirstNotFinite(const float* values, int64_t size) {
  const int64_t first = Reduce<FirstIndex>(
      *this, size, [values] MONSOON_ELEMENT_LAMBDA(int64_t i) {
        constexpr uint32_t kInfinity = 0x7f800000u;
        return MagnitudeBits(values[i]) < kInfinity ? FirstIndex()
                                                    : FirstIndex{i};
      });
  return first == FirstIndex().value ? -1 : first;
}

}  // namespace monsoon
