// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

// The CUDA runtime on the processor, for tests of everything of ours that
// drives a GPU: the same sources are compiled by the C++ compiler, and linked
// to these functions in place of CUDA's (cuBLASLt's and cuDNN's likewise).
//
// It is strict where a GPU is: works are done no sooner than somebody waits;
// device memory is out of reach for the host, which dies of touching it (but
// for allocations above 16 MiB), and so does a work that reads more than 255
// bytes past its end; fresh device memory holds NaNs; while works are recorded,
// calls that CUDA refuses then are refused. It says nothing about speed, nor
// about kernels as a GPU runs them. Whole programs take from their environment
// how many GPUs there are (MONSOON_EMULATED_GPUS) and after how many replays of
// recordings they are lost (MONSOON_EMULATED_REPLAYS).
namespace monsoon::emulator {

// GPUs that there are; 1 at first. Each has so much memory; 1 GiB at first.
void SetDevices(int count);
void SetMemory(size_t bytes);
// The major number of their compute capability; 9 at first.
void SetCapability(int major);
// From now on every call for this GPU fails, as after a hardware error.
void Lose(int device);
// All of the above as at first. REQUIRES: nobody uses a GPU.
void Reset();

// Calls of each kind so far: launches are works of the host.
struct Counters {
  int launches = 0;
  int replays = 0;
  int allocations = 0;
  int waits = 0;
};
Counters counters();

// For the emulation of libraries: `work` runs in the stream's order, or is
// recorded there. Device memory can be touched while it runs.
cudaError_t Enqueue(cudaStream_t stream, std::function<void()> work);

}  // namespace monsoon::emulator
