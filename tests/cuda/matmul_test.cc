// SPDX-License-Identifier: Apache-2.0
#include "cuda/matmul.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "base/bf16.h"
#include "base/flat.h"
#include "cuda/plain_product.h"
#include "tests/models/numbers.h"

namespace monsoon {
namespace {

using Spec = CudaMatmul::Spec;
using Epilogue = CudaMatmul::Epilogue;

// Element (row, column) of op(M), where M lies as it is told.
float At(const Flat& matrix, bool transposed, int64_t stride, int64_t row,
         int64_t column) {
  return matrix[transposed ? column * stride + row : row * stride + column];
}

void Check(CudaQueue& queue, Spec s, float alpha, float beta) {
  const int64_t a_width = s.a_transposed ? s.rows : s.depth;
  const int64_t b_width = s.b_transposed ? s.depth : s.columns;
  const int64_t a_stride = s.a_stride == 0 ? a_width : s.a_stride;
  const int64_t b_stride = s.b_stride == 0 ? b_width : s.b_stride;
  const Flat a = Draw(a_stride * (s.a_transposed ? s.depth : s.rows), 1);
  const Flat b = Draw(b_stride * (s.b_transposed ? s.columns : s.depth), 2);
  const Flat bias = Draw(s.columns, 3);
  const Flat before =
      beta == 0 ? NaNs(s.rows * s.columns) : Draw(s.rows * s.columns, 4);
  std::vector<double> expected;
  for (int64_t row = 0; row < s.rows; ++row) {
    for (int64_t column = 0; column < s.columns; ++column) {
      double sum = 0;
      for (int64_t k = 0; k < s.depth; ++k) {
        sum += double{At(a, s.a_transposed, a_stride, row, k)} *
               At(b, s.b_transposed, b_stride, k, column);
      }
      sum *= alpha;
      if (beta != 0) sum += double{beta} * before[row * s.columns + column];
      if (s.epilogue != Epilogue::kNone) sum += bias[column];
      if (s.epilogue == Epilogue::kBiasRelu) sum = std::max(sum, 0.0);
      expected.push_back(sum);
    }
  }
  const auto there = [&queue](const Flat& here) {
    Flat copy(here.size(), queue);
    copy.CopyFrom(here);
    return copy;
  };
  const Flat da = there(a), db = there(b), dbias = there(bias);
  Flat d = there(before);
  INFO(s.rows << " x " << s.depth << " x " << s.columns << ", transposed "
              << s.a_transposed << s.b_transposed << ", " << queue.status());
  // Float32 sums of a few dozen products that are up to 1.
  const auto check = [&] {
    REQUIRE(queue.status().ok());
    CHECK(Error(d.ToHost(), expected, /*least=*/1) < 4e-6);
  };
  CudaMatmul(s, queue).Run(da.data(), db.data(), d.data(), alpha, beta,
                           dbias.data());
  check();
  d.CopyFrom(before);
  EnqueuePlainProduct(queue, s, da.data(), db.data(), d.data(), alpha, beta,
                      dbias.data());
  check();
}

TEST_CASE("A product is that of plain loops", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  for (const int64_t rows : {1, 3, 17, 33}) {
    for (const int64_t depth : {1, 7, 33}) {
      for (const int64_t columns : {1, 5, 17, 31}) {
        for (const int transposed : {0, 1, 2, 3}) {
          Spec spec{.rows = rows, .columns = columns, .depth = depth};
          spec.a_transposed = transposed & 1;
          spec.b_transposed = transposed & 2;
          Check(*queue, spec, 1, 0);
          Check(*queue, spec, -0.25f, 0.5f);
          spec.epilogue = Epilogue::kBias;
          Check(*queue, spec, 1, 0);
          spec.epilogue = Epilogue::kBiasRelu;
          Check(*queue, spec, 1, 0);
        }
      }
    }
  }
}

TEST_CASE("Rows of operands may lie apart", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  for (const int transposed : {0, 1, 2, 3}) {
    Spec spec{.rows = 5, .columns = 3, .depth = 7};
    spec.a_transposed = transposed & 1;
    spec.b_transposed = transposed & 2;
    spec.a_stride = spec.b_stride = 16;
    Check(*queue, spec, 1, 0);
  }
}

// Numbers of eight bits, which all operands have exactly: so the sums are
// float32's, and rounded once where they are told to be.
void CheckRounded(CudaQueue& queue, Spec s, bool plain = false) {
  const bool is_bf16 = s.operands == CudaMatmul::Operands::kBf16;
  const Flat a = Draw(s.rows * s.depth, 1, Precision::kBf16);
  const Flat b = Draw(s.depth * s.columns, 2, Precision::kBf16);
  const auto there = [&](const Flat& here) {
    std::vector<Bf16> rounded;
    for (const float value : here.span()) rounded.emplace_back(value);
    Flat copy(here.size(), queue);
    queue.Copy(copy.data(),
               is_bf16 ? static_cast<const void*>(rounded.data()) : here.data(),
               rounded.size() * (is_bf16 ? sizeof(Bf16) : sizeof(float)));
    return copy;
  };
  const bool has_bias = s.epilogue != Epilogue::kNone;
  // Of D's type.
  const Flat bias = Draw(s.columns, 3, Precision::kBf16);
  const Flat da = there(a), db = there(b), dbias = there(bias);
  const int64_t size = s.rows * s.columns;
  Flat d(size, queue);
  const float* const added = s.rounds_d ? dbias.data() : nullptr;
  if (plain) {
    EnqueuePlainProduct(queue, s, da.data(), db.data(), d.data(), 1, 0, added);
  } else {
    CudaMatmul(s, queue).Run(da.data(), db.data(), d.data(), 1, 0, added);
    CheckRounded(queue, s, /*plain=*/true);
  }
  REQUIRE(queue.Wait().ok());
  std::vector<Bf16> rounded(static_cast<size_t>(size));
  Flat found = d.ToHost();
  if (s.rounds_d) {
    queue.Copy(rounded.data(), d.data(), rounded.size() * sizeof(Bf16));
    REQUIRE(queue.Wait().ok());
    std::transform(rounded.begin(), rounded.end(), found.span().begin(),
                   [](Bf16 value) { return static_cast<float>(value); });
  }
  for (int64_t i = 0; i < size; ++i) {
    double sum = 0;
    for (int64_t k = 0; k < s.depth; ++k) {
      sum += double{At(a, s.a_transposed, s.a_transposed ? s.rows : s.depth,
                       i / s.columns, k)} *
             double{At(b, s.b_transposed, s.b_transposed ? s.depth : s.columns,
                       k, i % s.columns)};
    }
    if (has_bias) sum += double{bias[i % s.columns]};
    if (s.epilogue == Epilogue::kBiasRelu) sum = std::max(sum, 0.0);
    // Half a step of the last of eight bits, and of the sums as above.
    const double bound = (s.rounds_d ? 0x1p-8 * std::abs(sum) : 0) + 4e-6;
    CHECK(std::abs(double{found[i]} - sum) <= bound);
  }
}

TEST_CASE("Operands of bfloat16 are multiplied as they are", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  for (const int transposed : {0, 1, 2, 3}) {
    for (const int64_t size : {1, 7, 17, 33}) {
      Spec spec{.rows = size, .columns = 3 * size % 31, .depth = 31};
      spec.a_transposed = transposed & 1;
      spec.b_transposed = transposed & 2;
      spec.operands = CudaMatmul::Operands::kTf32;
      CheckRounded(*queue, spec);
      spec.operands = CudaMatmul::Operands::kBf16;
      CheckRounded(*queue, spec);
      spec.rounds_d = true;
      for (const auto epilogue :
           {Epilogue::kNone, Epilogue::kBias, Epilogue::kBiasRelu}) {
        spec.epilogue = epilogue;
        CheckRounded(*queue, spec);
      }
    }
  }
}

TEST_CASE("A product may be recorded after it ran once", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  Flat a(1, *queue), b(1, *queue), d(1, *queue);
  Flat two(1);
  two[0] = 2;
  a.CopyFrom(two);
  b.CopyFrom(two);
  CudaMatmul matmul({.rows = 1, .columns = 1, .depth = 1}, *queue);
  const auto add = [&] { matmul.Run(a.data(), b.data(), d.data(), 1, 1); };
  add();
  const auto recording = queue->Record(add);
  REQUIRE(recording.ok());
  queue->Replay(**recording);
  queue->Replay(**recording);
  CHECK(d.ToHost()[0] == 12);
}

}  // namespace
}  // namespace monsoon
