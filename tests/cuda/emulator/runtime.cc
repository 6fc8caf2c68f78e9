// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "cuda/lazy_library.h"
#include "tests/cuda/emulator/emulator.h"

using monsoon::emulator::Enqueue;
using Clock = std::chrono::steady_clock;

// Opaque to callers: ours to define.
struct CUevent_st {
  CUstream_st* stream = nullptr;  // where it was recorded last
  uint64_t number = 0;            // of that work in the stream
  bool has_time = false;
  std::shared_ptr<Clock::time_point> time{};  // of that work
};
struct CUgraph_st {
  std::vector<std::function<void()>> works;
};
struct CUgraphExec_st {
  std::vector<std::function<void()>> works;
};
struct CUstream_st {
  int device = 0;
  std::deque<std::function<void()>> works;
  uint64_t enqueued = 0, done = 0;
  std::unique_ptr<CUgraph_st> recording;
};

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kAlignment = 256;
constexpr size_t kMemory = size_t{1} << 30;
// Larger allocations stay in the host's reach: to protect their many pages
// around every work would take milliseconds each time.
constexpr size_t kMostProtected = size_t{16} << 20;

struct Allocation {
  char* mapping;
  size_t mapped;  // without the guard page behind
  size_t bytes;
  int device;
};

// For whole programs, which nobody else can tell.
int FromEnvironment(const char* name, int otherwise) {
  const char* const value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

struct World {
  std::recursive_mutex mu;
  int devices = FromEnvironment("MONSOON_EMULATED_GPUS", 1);
  // After so many replays all GPUs are lost; -1: never.
  int last_replay = FromEnvironment("MONSOON_EMULATED_REPLAYS", -1);
  int capability = 9;  // its major number
  size_t memory = kMemory;
  std::set<int> lost;
  std::map<char*, Allocation> allocations;
  std::map<char*, size_t> pinned;
  std::set<CUstream_st*> streams;
  int open = 0;               // works that run now
  bool is_reachable = false;  // device memory, for the host
  int64_t closed = 0;         // times that no work ran any more
  monsoon::emulator::Counters counters;
};

World& TheWorld() {
  static World world;
  return world;
}

thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;
// As cudaStreamCaptureModeThreadLocal has it: of other threads all is allowed.
thread_local int recordings = 0;

cudaError_t Error(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t Lost(int device) {
  const World& world = TheWorld();
  const bool is_over =
      world.last_replay >= 0 && world.counters.replays > world.last_replay;
  return is_over || world.lost.contains(device) ? cudaErrorECCUncorrectable
                                                : cudaSuccess;
}

// While one lives, device memory can be touched. Closing it takes a system call
// for each allocation, so that later on only every so many ends do.
class Access {
 public:
  Access() {
    World& world = TheWorld();
    if (world.open++ == 0 && !std::exchange(world.is_reachable, true)) {
      Protect(PROT_READ | PROT_WRITE);
    }
  }
  ~Access() {
    constexpr int64_t kAll = 256, kEvery = 61;
    World& world = TheWorld();
    if (--world.open > 0) return;
    ++world.closed;
    if (world.closed > kAll && world.closed % kEvery != 0) return;
    world.is_reachable = false;
    Protect(PROT_NONE);
  }

 private:
  static void Protect(int protection) {
    for (const auto& [at, allocation] : TheWorld().allocations) {
      if (allocation.mapped > kMostProtected) continue;
      mprotect(allocation.mapping, allocation.mapped, protection);
    }
  }
};

// Does the stream's works until `number` of them are done.
void RunUntil(CUstream_st& stream, uint64_t number) {
  if (stream.done >= number) return;
  if (Lost(stream.device)) stream.works.clear();  // what they use may be gone
  const Access access;
  while (stream.done < number && !stream.works.empty()) {
    const std::function<void()> work = std::move(stream.works.front());
    stream.works.pop_front();
    work();
    ++stream.done;
  }
}

bool IsIn(const std::map<char*, size_t>& ranges, const void* at) {
  auto* const p = static_cast<char*>(const_cast<void*>(at));
  auto after = ranges.upper_bound(p);
  if (after == ranges.begin()) return false;
  --after;
  return p < after->first + after->second;
}

bool IsDevice(const void* at) {
  std::map<char*, size_t> ranges;
  for (const auto& [p, allocation] : TheWorld().allocations) {
    ranges[p] = allocation.bytes;
  }
  return IsIn(ranges, at);
}

}  // namespace

namespace monsoon {

std::string MissingCublasLt() { return ""; }
std::string MissingCudnn() { return ""; }

}  // namespace monsoon

namespace monsoon::emulator {

void SetDevices(int count) { TheWorld().devices = count; }
void SetCapability(int major) { TheWorld().capability = major; }
void SetMemory(size_t bytes) { TheWorld().memory = bytes; }
void Lose(int device) {
  const std::lock_guard lock(TheWorld().mu);
  TheWorld().lost.insert(device);
}
void Reset() {
  TheWorld().devices = 1;
  TheWorld().capability = 9;
  TheWorld().memory = kMemory;
  TheWorld().lost.clear();
  TheWorld().counters = {};
}
Counters counters() { return TheWorld().counters; }

cudaError_t Enqueue(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard lock(TheWorld().mu);
  if (const cudaError_t lost = Lost(stream->device)) return Error(lost);
  if (stream->recording != nullptr) {
    stream->recording->works.push_back(std::move(work));
    return cudaSuccess;
  }
  stream->works.push_back(std::move(work));
  ++stream->enqueued;
  return cudaSuccess;
}

}  // namespace monsoon::emulator

cudaError_t cudaGetDeviceCount(int* count) {
  *count = TheWorld().devices;
  return *count > 0 ? cudaSuccess : Error(cudaErrorNoDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated");
  properties->major = 9;
  properties->multiProcessorCount = 4;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = TheWorld().capability;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  const std::lock_guard lock(TheWorld().mu);
  if (device < 0 || device >= TheWorld().devices) {
    return Error(cudaErrorInvalidDevice);
  }
  current_device = device;
  return Error(Lost(device));
}

cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  return std::exchange(last_error, cudaSuccess);
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorECCUncorrectable:
      return "uncorrectable ECC error encountered";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    default:
      return "an emulated error";
  }
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(TheWorld().mu);
  *stream = new CUstream_st{.device = current_device};
  TheWorld().streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(TheWorld().mu);
  TheWorld().streams.erase(stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(TheWorld().mu);
  if (const cudaError_t lost = Lost(stream->device)) return Error(lost);
  if (stream->recording != nullptr) {
    return Error(cudaErrorStreamCaptureUnsupported);
  }
  ++TheWorld().counters.waits;
  RunUntil(*stream, stream->enqueued);
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(TheWorld().mu);
  if (const cudaError_t lost = Lost(stream->device)) return Error(lost);
  if (stream->recording != nullptr) {
    return Error(cudaErrorStreamCaptureUnsupported);
  }
  if (stream->done == stream->enqueued) return cudaSuccess;
  return Error(cudaErrorNotReady);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st{.has_time = !(flags & cudaEventDisableTiming)};
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(TheWorld().mu);
  if (const cudaError_t lost = Lost(stream->device)) return Error(lost);
  if (event->has_time) {
    event->time = std::make_shared<Clock::time_point>();
    Enqueue(stream, [time = event->time] { *time = Clock::now(); });
  }
  event->stream = stream;
  event->number = stream->enqueued;
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(TheWorld().mu);
  if (event->stream == nullptr) return cudaSuccess;
  if (const cudaError_t lost = Lost(event->stream->device)) return Error(lost);
  if (event->stream->done >= event->number) return cudaSuccess;
  // Time passes: one work more.
  RunUntil(*event->stream, event->stream->done + 1);
  return Error(cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(TheWorld().mu);
  if (event->stream == nullptr) return cudaSuccess;
  if (const cudaError_t lost = Lost(event->stream->device)) return Error(lost);
  ++TheWorld().counters.waits;
  RunUntil(*event->stream, event->number);
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin,
                                 cudaEvent_t end) {
  const std::lock_guard lock(TheWorld().mu);
  for (const CUevent_st* event : {begin, end}) {
    if (event->time == nullptr) return Error(cudaErrorInvalidResourceHandle);
    if (event->stream->done < event->number) return Error(cudaErrorNotReady);
  }
  using Milliseconds = std::chrono::duration<float, std::milli>;
  *milliseconds = Milliseconds(*end->time - *begin->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event,
                                unsigned) {
  const CUevent_st at = *event;
  return Enqueue(stream, [at] {
    if (at.stream != nullptr) RunUntil(*at.stream, at.number);
  });
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  World& world = TheWorld();
  const std::lock_guard lock(world.mu);
  if (const cudaError_t lost = Lost(current_device)) return Error(lost);
  if (recordings > 0) return Error(cudaErrorStreamCaptureUnsupported);
  size_t taken = 0;
  for (const auto& [at, a] : world.allocations) {
    if (a.device == current_device) taken += a.bytes;
  }
  if (taken + bytes > world.memory) return Error(cudaErrorMemoryAllocation);
  ++world.counters.allocations;
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const size_t mapped = (rounded + kPage - 1) / kPage * kPage;
  // The page behind stays out of reach.
  char* const mapping = static_cast<char*>(
      mmap(nullptr, mapped + kPage, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  mprotect(mapping, mapped, PROT_READ | PROT_WRITE);
  std::memset(mapping, 0xff, mapped);  // floats: NaN
  if (!world.is_reachable && mapped <= kMostProtected) {
    mprotect(mapping, mapped, PROT_NONE);
  }
  char* const at = mapping + mapped - rounded;
  world.allocations[at] = {mapping, mapped, bytes, current_device};
  *memory = at;
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  World& world = TheWorld();
  const std::lock_guard lock(world.mu);
  const auto found = world.allocations.find(static_cast<char*>(memory));
  if (found == world.allocations.end()) {
    return memory == nullptr ? cudaSuccess : Error(cudaErrorInvalidValue);
  }
  for (CUstream_st* stream : world.streams) {
    if (stream->device != found->second.device) continue;
    RunUntil(*stream, stream->enqueued);
  }
  munmap(found->second.mapping, found->second.mapped + kPage);
  world.allocations.erase(found);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  World& world = TheWorld();
  const std::lock_guard lock(world.mu);
  *memory = ::operator new (bytes, std::align_val_t{kPage});
  world.pinned[static_cast<char*>(*memory)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  World& world = TheWorld();
  const std::lock_guard lock(world.mu);
  world.pinned.erase(static_cast<char*>(memory));
  ::operator delete (memory, std::align_val_t{kPage});
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  World& world = TheWorld();
  const std::lock_guard lock(world.mu);
  size_t taken = 0;
  for (const auto& [at, a] : world.allocations) {
    if (a.device == current_device) taken += a.bytes;
  }
  *total = world.memory;
  *free = world.memory - std::min(taken, world.memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes,
                            cudaMemcpyKind, cudaStream_t stream) {
  World& world = TheWorld();
  const std::lock_guard lock(world.mu);
  // Pageable memory, too, may be read as late as that.
  return Enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes,
                                     const void* at) {
  const std::lock_guard lock(TheWorld().mu);
  *attributes = {};
  attributes->type = cudaMemoryTypeUnregistered;
  if (IsDevice(at)) attributes->type = cudaMemoryTypeDevice;
  if (IsIn(TheWorld().pinned, at)) attributes->type = cudaMemoryTypeHost;
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes,
                            cudaStream_t stream) {
  return Enqueue(stream, [=] { std::memset(to, value, bytes); });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn,
                               void* data) {
  ++TheWorld().counters.launches;
  return Enqueue(stream, [=] { fn(data); });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard lock(TheWorld().mu);
  if (const cudaError_t lost = Lost(stream->device)) return Error(lost);
  stream->recording = std::make_unique<CUgraph_st>();
  ++recordings;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(TheWorld().mu);
  --recordings;
  *graph = stream->recording.release();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  *executable = new CUgraphExec_st{graph->works};
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  ++TheWorld().counters.replays;
  return Enqueue(stream, [works = executable->works] {
    for (const auto& work : works) work();
  });
}
