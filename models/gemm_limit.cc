// SPDX-License-Identifier: Apache-2.0
#include "models/gemm_limit.h"

#include <dnnl.hpp>

#include "absl/time/time.h"
#include "base/random.h"

namespace monsoon {
namespace {

constexpr int64_t kSize = 2048;

}  // namespace

GemmLimit::GemmLimit(Clock& clock)
    : clock_(clock), a_(kSize * kSize), b_(kSize * kSize), c_(kSize * kSize) {
  Random random({1});
  for (Flat* matrix : {&a_, &b_}) {
    for (float& value : matrix->span()) value = random.Uniform(-1, 1);
  }
}

double GemmLimit::Measure() {
  const absl::Time begin = clock_.Now();
  dnnl::sgemm('N', 'N', kSize, kSize, kSize, 1, a_.data(), kSize, b_.data(),
              kSize, 0, c_.data(), kSize);
  const absl::Duration taken = clock_.Now() - begin;
  constexpr auto kOperations = static_cast<double>(2 * kSize * kSize * kSize);
  return 1e-9 * kOperations / absl::ToDoubleSeconds(taken);
}

}  // namespace monsoon
