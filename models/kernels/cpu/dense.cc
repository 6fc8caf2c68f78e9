// SPDX-License-Identifier: Apache-2.0
// Picks the way of a dense layer: by size, precision and processor alone, since
// the ways round differently and a run repeated must give the same bits.
#include "models/kernels/dense.h"

#include <memory>

#include "models/kernels/cpu/dense_ways.h"
#include "models/kernels/cpu/onednn.h"

namespace monsoon {
namespace {

// Above this many examples sgemm's larger blocks win: at 128 by 5 % or so.
constexpr int64_t kFewExamples = 80;

struct CpuDense {
  static absl::StatusOr<std::unique_ptr<DenseKernel>> Make(
      const DenseKernel::Spec& spec) {
    if (spec.precision == Precision::kBf16) return MakeBf16Dense(spec);
    // sgemm uses vectors of 16 then, of which our own products know nothing.
    const bool has_wide_sgemm = onednn::Has(dnnl::cpu_isa::avx512_core);
    return has_wide_sgemm || spec.batch > kFewExamples ? MakeSgemmDense(spec)
                                                       : MakeTiledDense(spec);
  }
};

const RegisterKernel<DenseKernel, CpuDense> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
