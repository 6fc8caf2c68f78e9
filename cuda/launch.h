// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/element.h"
#include "cuda/cuda_queue.h"

// The forms that kernels of our own have: a function of an index, and a sum
// over each row. What is handed in is copied to the GPU: functions capture
// numbers and device pointers by value, never `this`.
//
//   ForIndex(queue, n, [x, y] MONSOON_ELEMENT_LAMBDA(int64_t i) {
//     y[i] = x[i] > 0 ? x[i] : 0;
//   });
//
// Read by another compiler than CUDA's, the same functions run on the processor
// as works of the host in the same stream: so tests run them without a GPU
// (tests/cuda).
namespace monsoon {

#ifdef __CUDACC__

#define MONSOON_ELEMENT_LAMBDA __device__

namespace cuda_launch {

inline constexpr int kThreads = 256;
// Enough blocks to fill any GPU a few times over.
inline constexpr int64_t kMostBlocks = 4096;

template <typename Fn>
__global__ void __launch_bounds__(kThreads) IndexKernel(int64_t n, Fn fn) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n;
       i += stride) {
    fn(i);
  }
}

// kPerRow threads work on each row. A block's threads are dealt out row by row,
// or column by column, so that neighbours have the same column of neighbouring
// rows.
template <typename Sum, int kPerRow, bool kByColumn, typename Term,
          typename Done>
__global__ void __launch_bounds__(kThreads)
    RowKernel(int64_t rows, int64_t columns, Term term, Done done) {
  constexpr int kRows = kThreads / kPerRow;
  constexpr int kStep = kByColumn ? kRows : 1;  // to the row's next thread
  // Raw, as shared memory runs no constructors.
  __shared__ alignas(16) unsigned char memory[kThreads * sizeof(Sum)];
  Sum* const sums = reinterpret_cast<Sum*>(memory);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = kByColumn ? thread / kRows : thread % kPerRow;
  const int among = kByColumn ? thread % kRows : thread / kPerRow;
  for (int64_t first = int64_t{blockIdx.x} * kRows; first < rows;
       first += int64_t{gridDim.x} * kRows) {
    const int64_t row = first + among;
    Sum own;
    if (row < rows) {
      for (int64_t c = lane; c < columns; c += kPerRow) own.Add(term(row, c));
    }
    sums[thread] = own;
    for (int span = kPerRow / 2; span > 0; span /= 2) {
      __syncthreads();
      if (lane < span) sums[thread].Add(sums[thread + span * kStep]);
    }
    if (lane == 0 && row < rows) done(row, sums[thread]);
    __syncthreads();
  }
}

template <typename Sum, int kPerRow, bool kByColumn, typename Term,
          typename Done>
void LaunchRows(CudaQueue& queue, int64_t rows, int64_t columns, Term term,
                Done done) {
  if (rows == 0 || !queue.Enter()) return;
  constexpr int64_t kRows = kThreads / kPerRow;
  const int64_t blocks = std::min((rows + kRows - 1) / kRows, kMostBlocks);
  RowKernel<Sum, kPerRow, kByColumn>
      <<<static_cast<unsigned>(blocks), kThreads, 0, queue.stream()>>>(
          rows, columns, term, done);
  queue.Check(cudaGetLastError(), "launching a kernel");
}

}  // namespace cuda_launch

template <typename Fn>
void ForIndex(CudaQueue& queue, int64_t n, Fn fn) {
  using namespace cuda_launch;
  if (n == 0 || !queue.Enter()) return;
  const int64_t blocks = std::min((n + kThreads - 1) / kThreads, kMostBlocks);
  IndexKernel<<<static_cast<unsigned>(blocks), kThreads, 0, queue.stream()>>>(
      n, fn);
  queue.Check(cudaGetLastError(), "launching a kernel");
}

#else

#define MONSOON_ELEMENT_LAMBDA

// A work of the host. What is recorded is kept for good, as nobody says when
// the last replay was, and so is what a failed queue never comes to; the rest
// until it is done. Works of any threads.
class HostWork {
 public:
  static HostWork* Keep(std::function<void()> work, bool for_good) {
    auto made = std::make_unique<HostWork>();
    made->work_ = std::move(work);
    made->for_good_ = for_good;
    const std::lock_guard lock(All().mu);
    return All().works.emplace(made.get(), std::move(made)).first->first;
  }
  static void Run(void* kept) {
    auto* const work = static_cast<HostWork*>(kept);
    work->work_();
    if (work->for_good_) return;
    const std::lock_guard lock(All().mu);
    All().works.erase(work);
  }

 private:
  struct Works {
    std::mutex mu;
    std::unordered_map<HostWork*, std::unique_ptr<HostWork>> works;
  };
  // Never destroyed: queues may outlive it.
  static Works& All() {
    static Works& works = *std::make_unique<Works>().release();
    return works;
  }

  std::function<void()> work_;
  bool for_good_ = false;
};

// Runs `work` in the order of the stream, as often as a recording is replayed.
inline void EnqueueOnHost(CudaQueue& queue, std::function<void()> work) {
  if (!queue.Enter()) return;
  HostWork* const kept = HostWork::Keep(std::move(work), queue.is_recording());
  queue.Check(cudaLaunchHostFunc(queue.stream(), &HostWork::Run, kept),
              "launching a kernel");
}

template <typename Fn>
void ForIndex(CudaQueue& queue, int64_t n, Fn fn) {
  EnqueueOnHost(queue, [n, fn] {
    for (int64_t i = 0; i < n; ++i) fn(i);
  });
}

namespace cuda_launch {

template <typename Sum, int kPerRow, bool kByColumn, typename Term,
          typename Done>
void LaunchRows(CudaQueue& queue, int64_t rows, int64_t columns, Term term,
                Done done) {
  // In the order of the GPU's threads, so that what depends on it shows.
  EnqueueOnHost(queue, [rows, columns, term, done] {
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<Sum> sums(kPerRow);
      for (int64_t c = 0; c < columns; ++c) {
        sums[static_cast<size_t>(c % kPerRow)].Add(term(row, c));
      }
      for (size_t span = kPerRow / 2; span > 0; span /= 2) {
        for (size_t i = 0; i < span; ++i) sums[i].Add(sums[i + span]);
      }
      done(row, sums[0]);
    }
  });
}

}  // namespace cuda_launch

#endif

// done(row, sum of term(row, column) over all columns) for each row. Sum is a
// value that begins as nothing and has Add(const Sum&), which may be any
// associative and commutative operation, and Add of what term gives, where that
// is another type; the order of additions depends on `columns` alone.
template <typename Sum, typename Term, typename Done>
void ForRows(CudaQueue& queue, int64_t rows, int64_t columns, Term term,
             Done done) {
  // Most threads of a block would have nothing to do in a short row.
  if (columns <= 256) {
    cuda_launch::LaunchRows<Sum, 32, false>(queue, rows, columns, term, done);
  } else {
    cuda_launch::LaunchRows<Sum, 256, false>(queue, rows, columns, term, done);
  }
}

// The same with a block of threads for each row however short it is: for few
// rows, of terms that cost more than to read a number.
template <typename Sum, typename Term, typename Done>
void ForFewRows(CudaQueue& queue, int64_t rows, int64_t columns, Term term,
                Done done) {
  cuda_launch::LaunchRows<Sum, 256, false>(queue, rows, columns, term, done);
}

// The same where neighbours in memory are not a row's columns but equal columns
// of neighbouring rows.
template <typename Sum, typename Term, typename Done>
void ForNeighbouringRows(CudaQueue& queue, int64_t rows, int64_t columns,
                         Term term, Done done) {
  cuda_launch::LaunchRows<Sum, 8, true>(queue, rows, columns, term, done);
}

}  // namespace monsoon
