// SPDX-License-Identifier: Apache-2.0
#include "cuda/cuda_queue.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "cuda/cuda.h"

namespace monsoon {
namespace {

class CudaRecording final : public DeviceQueue::Recording {
 public:
  explicit CudaRecording(cudaGraphExec_t graph) : graph_(graph) {}
  ~CudaRecording() override { cudaGraphExecDestroy(graph_); }
  cudaGraphExec_t graph() const { return graph_; }

 private:
  const cudaGraphExec_t graph_;
};

// Page-locked host memory, which every GPU reaches by itself.
class PinnedMemory final : public MemoryResource {
 public:
  void* Allocate(size_t bytes) override {
    void* memory = nullptr;
    const cudaError_t result =
        cudaHostAlloc(&memory, bytes, cudaHostAllocPortable);
    MONSOON_CHECK(result == cudaSuccess, "there is page-locked memory");
    return std::memset(memory, 0, bytes);
  }
  void Deallocate(void* memory, size_t) override { cudaFreeHost(memory); }
};

std::string Gigabytes(size_t bytes) {
  return absl::StrCat(static_cast<double>(bytes / 1000000) / 1000, " GB");
}

// A result after which the GPU answers no more in this process.
bool IsLost(cudaError_t result) {
  switch (result) {
    case cudaErrorMemoryAllocation:
    case cudaErrorInvalidValue:
    case cudaErrorInvalidConfiguration:
    case cudaErrorNotSupported:
      return false;
    default:
      return true;
  }
}

}  // namespace

absl::Status CheckCudaDevice(int device) {
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted != cudaSuccess || count == 0) {
    const bool no_driver = counted == cudaErrorInsufficientDriver;
    return absl::UnavailableError(absl::StrCat(
        "no GPU is found: ",
        no_driver ? absl::StrCat("there is no driver, or an older one than ",
                                 "CUDA ", CudaVersions().substr(0, 4), " needs")
                  : std::string(cudaGetErrorString(counted)),
        "; look at `nvidia-smi`, or use --device cpu"));
  }
  if (device >= 0 && device < count) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "this machine has ", count, " GPUs, expected 0 to ", count - 1));
}

absl::StatusOr<std::unique_ptr<CudaQueue>> CudaQueue::Make(int device) {
  RETURN_IF_ERROR(CheckCudaDevice(device));
  cudaDeviceProp properties;
  const cudaError_t read = cudaGetDeviceProperties(&properties, device);
  const std::string model = read == cudaSuccess ? properties.name : "unknown";
  auto queue = std::unique_ptr<CudaQueue>(
      new CudaQueue(device, absl::StrCat("cuda:", device, " (", model, ")")));
  if (queue->Enter()) {
    queue->Check(
        cudaStreamCreateWithFlags(&queue->stream_, cudaStreamNonBlocking),
        "making a stream");
  }
  for (cudaEvent_t& event : queue->events_) {
    if (!queue->ok()) break;
    queue->Check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming),
                 "making an event");
  }
  if (!queue->ok()) return queue->status();
  return queue;
}

CudaQueue& CudaQueue::Of(DeviceQueue& queue) {
  MONSOON_CHECK(queue.kind() == "cuda", "the queue is a GPU's");
  return static_cast<CudaQueue&>(queue);
}

CudaQueue::~CudaQueue() {
  cudaSetDevice(device_);
  if (stream_ != nullptr) cudaStreamSynchronize(stream_);
  if (cublaslt_ != nullptr) cublasLtDestroy(cublaslt_);
  if (cudnn_ != nullptr) cudnnDestroy(cudnn_);
  cudaFree(workspace_);
  for (cudaEvent_t event : events_) {
    if (event != nullptr) cudaEventDestroy(event);
  }
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

bool CudaQueue::Enter() {
  return status_.ok() && Check(cudaSetDevice(device_), "choosing the GPU");
}

void CudaQueue::Fail(absl::Status status) {
  if (!status_.ok()) return;
  status_ =
      absl::Status(status.code(), absl::StrCat(name_, ": ", status.message()));
}

bool CudaQueue::Check(cudaError_t result, absl::string_view what) {
  if (result == cudaSuccess) return true;
  cudaGetLastError();  // else the next launch would be blamed
  const std::string why = absl::StrCat(what, ": ", cudaGetErrorString(result));
  Fail(IsLost(result)
           ? absl::UnavailableError(absl::StrCat(
                 why, "; the GPU is lost to this process, start it anew"))
           : absl::InternalError(why));
  return false;
}

bool CudaQueue::Check(cublasStatus_t result, absl::string_view what) {
  if (result == CUBLAS_STATUS_SUCCESS) return true;
  Fail(absl::InternalError(absl::StrCat(what, ": cuBLASLt answers ",
                                        cublasLtGetStatusString(result))));
  return false;
}

bool CudaQueue::Check(cudnnStatus_t result, absl::string_view what) {
  if (result == CUDNN_STATUS_SUCCESS) return true;
  Fail(absl::InternalError(
      absl::StrCat(what, ": cuDNN answers ", cudnnGetErrorString(result))));
  return false;
}

absl::Status CudaQueue::Wait() {
  if (Enter()) Check(cudaStreamSynchronize(stream_), "computing");
  return status_;
}

uint64_t CudaQueue::Mark() {
  ++marks_;
  if (Enter()) {
    Check(cudaEventRecord(events_[marks_ % kMarks], stream_), "marking");
  }
  return marks_;
}

bool CudaQueue::Passed(uint64_t mark) {
  if (!Enter()) return true;
  const cudaError_t result = cudaEventQuery(events_[mark % kMarks]);
  if (result == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  Check(result, "computing");
  return true;
}

absl::Status CudaQueue::WaitFor(uint64_t mark) {
  if (Enter()) {
    Check(cudaEventSynchronize(events_[mark % kMarks]), "computing");
  }
  return status_;
}

void* CudaQueue::Allocate(size_t bytes) {
  if (!Enter()) return nullptr;
  void* memory = nullptr;
  const cudaError_t result = cudaMalloc(&memory, bytes);
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    Fail(absl::ResourceExhaustedError(absl::StrCat(
        "out of memory: asked for ", Gigabytes(bytes), ", ",
        Gigabytes(static_cast<size_t>(FreeBytes())),
        " are free; use a smaller batch or model, or another GPU")));
    return nullptr;
  }
  if (!Check(result, "taking memory")) return nullptr;
  Zero(memory, bytes);
  return memory;
}

void CudaQueue::Deallocate(void* memory, size_t) {
  cudaSetDevice(device_);
  cudaFree(memory);  // waits for works that use it
}

void CudaQueue::Copy(void* to, const void* from, size_t bytes) {
  if (bytes == 0 || !Enter()) return;
  Check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_),
        "copying");
}

void CudaQueue::Zero(void* to, size_t bytes) {
  if (bytes == 0 || !Enter()) return;
  Check(cudaMemsetAsync(to, 0, bytes, stream_), "zeroing");
}

MemoryResource& CudaQueue::pinned() {
  static PinnedMemory memory;
  return memory;
}

int64_t CudaQueue::FreeBytes() const {
  size_t free = 0, total = 0;
  cudaSetDevice(device_);
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  return static_cast<int64_t>(free);
}

std::unique_ptr<DeviceQueue::Recording> CudaQueue::Record(
    absl::FunctionRef<void()> enqueue) {
  if (!Enter()) return nullptr;
  // Handles and scratch memory cannot be made while works are recorded.
  if (cublaslt() == nullptr || cudnn() == nullptr || workspace() == nullptr) {
    return nullptr;
  }
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  if (!Check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
             "beginning to record")) {
    return nullptr;
  }
  is_recording_ = true;
  enqueue();
  is_recording_ = false;
  // Even where an enqueued work failed, the stream has to leave that state.
  const cudaError_t ended = cudaStreamEndCapture(stream_, &graph);
  if (Check(ended, "recording")) {
    Check(cudaGraphInstantiate(&executable, graph, 0), "preparing a recording");
  }
  if (graph != nullptr) cudaGraphDestroy(graph);
  if (executable == nullptr) return nullptr;
  return std::make_unique<CudaRecording>(executable);
}

void CudaQueue::Replay(const Recording& recording) {
  if (!Enter()) return;
  Check(cudaGraphLaunch(static_cast<const CudaRecording&>(recording).graph(),
                        stream_),
        "replaying");
}

cublasLtHandle_t CudaQueue::cublaslt() {
  if (cublaslt_ == nullptr && Enter()) {
    Check(cublasLtCreate(&cublaslt_), "preparing cuBLASLt");
  }
  return cublaslt_;
}

cudnnHandle_t CudaQueue::cudnn() {
  if (cudnn_ == nullptr && Enter() &&
      Check(cudnnCreate(&cudnn_), "preparing cuDNN")) {
    Check(cudnnSetStream(cudnn_, stream_), "preparing cuDNN");
  }
  return cudnn_;
}

void* CudaQueue::workspace() {
  if (workspace_ == nullptr) workspace_ = Allocate(kWorkspaceBytes);
  return workspace_;
}

}  // namespace monsoon
