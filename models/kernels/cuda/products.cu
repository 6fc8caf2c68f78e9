// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <vector>

#include "base/flat.h"
#include "cuda/matmul.h"
#include "models/kernels/cuda/operands.h"
#include "models/kernels/products.h"

namespace monsoon {
namespace {

class CudaProducts final : public ProductsKernel {
 public:
  CudaProducts(const Spec& s, DeviceQueue& queue) {
    for (const Product& p : s.products) {
      // Operands of bfloat16 take half of it.
      works_.push_back(
          {Flat(p.rows * p.depth, queue), Flat(p.columns * p.depth, queue),
           Flat(p.rows * p.columns, queue),
           std::make_unique<CudaMatmul>(
               CudaMatmul::Spec{.rows = p.rows,
                                .columns = p.columns,
                                .depth = p.depth,
                                .a_transposed = p.a_transposed,
                                .b_transposed = p.b_transposed,
                                .operands = OperandsOf(s.precision)},
               CudaQueue::Of(queue))});
    }
  }

  void Run() override {
    for (Work& work : works_) {
      work.matmul->Run(work.a.data(), work.b.data(), work.d.data());
    }
  }

 private:
  struct Work {
    Flat a, b, d;
    std::unique_ptr<CudaMatmul> matmul;
  };
  std::vector<Work> works_;
};

const RegisterKernel<ProductsKernel, CudaProducts> kRegistered("cuda");

}  // namespace
}  // namespace monsoon
