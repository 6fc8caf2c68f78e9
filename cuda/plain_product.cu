// SPDX-License-Identifier: Apache-2.0
#include "base/bf16.h"
#include "base/check.h"
#include "cuda/launch.h"
#include "cuda/plain_product.h"

namespace monsoon {
namespace {

// Element (i, k) of an operand lies at i * outer + k * inner, where the product
// sums over k.
template <typename Number>
struct Operand {
  const Number* at;
  int64_t outer, inner;

  MONSOON_ELEMENT float operator()(int64_t i, int64_t k) const {
    return static_cast<float>(at[i * outer + k * inner]);
  }
};

template <typename Number>
Operand<Number> OperandOf(const void* matrix, bool depth_is_inside,
                          int64_t stride) {
  const auto* const at = static_cast<const Number*>(matrix);
  if (depth_is_inside) return {at, stride, 1};
  return {at, 1, stride};
}

struct ProductSum {
  float value = 0;
  MONSOON_ELEMENT void Add(const ProductSum& other) { value += other.value; }
  MONSOON_ELEMENT void Add(float other) { value += other; }
};

int64_t StrideOf(int64_t asked, int64_t width) {
  return asked == 0 ? width : asked;
}

template <typename From, typename To>
void Enqueue(CudaQueue& queue, const CudaMatmul::Spec& s, const void* from_a,
             const void* from_b, void* to, float alpha, float beta,
             const void* from_bias) {
  const auto a =
      OperandOf<From>(from_a, !s.a_transposed,
                      StrideOf(s.a_stride, s.a_transposed ? s.rows : s.depth));
  const auto b = OperandOf<From>(
      from_b, s.b_transposed,
      StrideOf(s.b_stride, s.b_transposed ? s.depth : s.columns));
  auto* const d = static_cast<To*>(to);
  const bool has_bias = s.epilogue != CudaMatmul::Epilogue::kNone;
  const auto* const bias =
      has_bias ? static_cast<const To*>(from_bias) : nullptr;
  const bool relu = s.epilogue == CudaMatmul::Epilogue::kBiasRelu;
  const int64_t columns = s.columns;
  ForRows<ProductSum>(
      queue, s.rows * columns, s.depth,
      [=] MONSOON_ELEMENT_LAMBDA(int64_t i, int64_t k) {
        const int64_t row = i / columns;
        return a(row, k) * b(i - row * columns, k);
      },
      [=] MONSOON_ELEMENT_LAMBDA(int64_t i, const ProductSum& sum) {
        float value = alpha * sum.value;
        // With beta 0 what is there is not read.
        if (beta != 0) value += beta * static_cast<float>(d[i]);
        if (bias != nullptr) value += static_cast<float>(bias[i % columns]);
        // NaN stays NaN.
        if (relu && value <= 0) value = 0;
        d[i] = static_cast<To>(value);
      });
}

}  // namespace

void EnqueuePlainProduct(CudaQueue& queue, const CudaMatmul::Spec& spec,
                         const void* a, const void* b, void* d, float alpha,
                         float beta, const void* bias) {
  const bool is_bf16 = spec.operands == CudaMatmul::Operands::kBf16;
  MONSOON_CHECK(is_bf16 || !spec.rounds_d, "bf16 results of bf16 operands");
  if (!is_bf16) {
    Enqueue<float, float>(queue, spec, a, b, d, alpha, beta, bias);
  } else if (spec.rounds_d) {
    Enqueue<Bf16, Bf16>(queue, spec, a, b, d, alpha, beta, bias);
  } else {
    Enqueue<Bf16, float>(queue, spec, a, b, d, alpha, beta, bias);
  }
}

}  // namespace monsoon
