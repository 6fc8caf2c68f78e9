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

// The two forms that kernels of our own have: a function of an index, and a sum
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

template <typename Sum, typename Term, typename Done>
__global__ void __launch_bounds__(kThreads)
    RowKernel(int64_t rows, int64_t columns, Term term, Done done) {
  // Raw, as shared memory runs no constructors.
  __shared__ alignas(16) unsigned char memory[kThreads * sizeof(Sum)];
  Sum* const sums = reinterpret_cast<Sum*>(memory);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    Sum own;
    for (int64_t c = threadIdx.x; c < columns; c += kThreads) {
      own.Add(term(row, c));
    }
    sums[threadIdx.x] = own;
    for (int span = kThreads / 2; span > 0; span /= 2) {
      __syncthreads();
      if (static_cast<int>(threadIdx.x) < span) {
        sums[threadIdx.x].Add(sums[threadIdx.x + span]);
      }
    }
    if (threadIdx.x == 0) done(row, sums[0]);
    __syncthreads();
  }
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

// done(row, sum of term(row, column) over all columns) for each row. Sum is a
// value that begins as nothing and has Add(const Sum&), which may be any
// associative operation; its order depends on `columns` alone.
template <typename Sum, typename Term, typename Done>
void ForRows(CudaQueue& queue, int64_t rows, int64_t columns, Term term,
             Done done) {
  using namespace cuda_launch;
  if (rows == 0 || !queue.Enter()) return;
  const int64_t blocks = std::min(rows, kMostBlocks);
  RowKernel<Sum>
      <<<static_cast<unsigned>(blocks), kThreads, 0, queue.stream()>>>(
          rows, columns, term, done);
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

template <typename Sum, typename Term, typename Done>
void ForRows(CudaQueue& queue, int64_t rows, int64_t columns, Term term,
             Done done) {
  // In the order of the GPU's threads, so that what depends on it shows.
  constexpr int64_t kThreads = 256;
  EnqueueOnHost(queue, [rows, columns, term, done] {
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<Sum> sums(kThreads);
      for (int64_t c = 0; c < columns; ++c) {
        sums[static_cast<size_t>(c % kThreads)].Add(term(row, c));
      }
      for (size_t span = kThreads / 2; span > 0; span /= 2) {
        for (size_t i = 0; i < span; ++i) sums[i].Add(sums[i + span]);
      }
      done(row, sums[0]);
    }
  });
}

#endif

}  // namespace monsoon
