// SPDX-License-Identifier: Apache-2.0
// Dense over oneDNN's sgemm (row-major), which reads and writes the plain
// weights in place: scale and beta of a sink are its alpha and beta. It packs
// its operands into memory of its own during the call.
#include "models/kernels/dense.h"

#include <algorithm>
#include <dnnl.hpp>

#include "base/check.h"
#include "base/flat.h"

namespace monsoon {
namespace {

class CpuDense final : public DenseKernel {
 public:
  explicit CpuDense(const Spec& spec) : s_(spec), db_(spec.outputs) {}

  void Forward(const float* x, const float* w, const float* b,
               float* y) override {
    Check(dnnl::sgemm('N', 'T', s_.batch, s_.outputs, s_.inputs, 1, x,
                      s_.inputs, w, s_.inputs, 0, y, s_.outputs));
    for (int64_t n = 0; n < s_.batch; ++n) {
      float* row = y + n * s_.outputs;
      for (int64_t o = 0; o < s_.outputs; ++o) row[o] += b[o];
    }
  }

  void BackwardData(const float* dy, const float* w, float* dx) override {
    Check(dnnl::sgemm('N', 'N', s_.batch, s_.inputs, s_.outputs, 1, dy,
                      s_.outputs, w, s_.inputs, 0, dx, s_.inputs));
  }

  void BackwardWeights(const float* x, const float* dy, const TensorSink& dw,
                       const TensorSink& db) override {
    Check(dnnl::sgemm('T', 'N', s_.outputs, s_.inputs, s_.batch, dw.scale, dy,
                      s_.outputs, x, s_.inputs, dw.beta, dw.into, s_.inputs));
    std::fill_n(db_.data(), s_.outputs, 0.0f);
    for (int64_t n = 0; n < s_.batch; ++n) {
      const Flat row = Flat::View(dy + n * s_.outputs, s_.outputs);
      ForEach([](float& sum, float g) { sum += g; }, db_, row);
    }
    db.Take(db_.data(), s_.outputs);
  }

 private:
  static void Check(dnnl::status status) {
    MONSOON_CHECK(status == dnnl::status::success, "sgemm takes its sizes");
  }

  Spec s_;
  Flat db_;
};

const RegisterKernel<DenseKernel, CpuDense> kRegistered("cpu");

}  // namespace
}  // namespace monsoon
