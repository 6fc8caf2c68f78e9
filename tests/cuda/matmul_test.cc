// SPDX-License-Identifier: Apache-2.0
#include "cuda/matmul.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/flat.h"
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
  CudaMatmul matmul(s, queue);
  matmul.Run(da.data(), db.data(), d.data(), alpha, beta, dbias.data());
  INFO(s.rows << " x " << s.depth << " x " << s.columns << ", transposed "
              << s.a_transposed << s.b_transposed << ", " << queue.status());
  REQUIRE(queue.status().ok());
  // Float32 sums of a few dozen products that are up to 1.
  CHECK(Error(d.ToHost(), expected, /*least=*/1) < 4e-6);
}

TEST_CASE("A product is that of plain loops", "[cuda]") {
  auto queue = *CudaQueue::Make(0);
  for (const int64_t rows : {1, 3, 17}) {
    for (const int64_t depth : {1, 7, 33}) {
      for (const int64_t columns : {1, 5, 31}) {
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
  REQUIRE(recording != nullptr);
  queue->Replay(*recording);
  queue->Replay(*recording);
  CHECK(d.ToHost()[0] == 12);
}

}  // namespace
}  // namespace monsoon
