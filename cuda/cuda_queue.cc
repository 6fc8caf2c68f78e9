// SPDX-License-Identifier: Apache-2.0
#include "cuda/cuda_queue.h"

#include <cstring>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/size_text.h"
#include "base/status_macros.h"
#include "cuda/cuda.h"
#include "cuda/lazy_library.h"

namespace monsoon {
namespace {

// What MONSOON_CUDA_ARCHITECTURES begins with unless it is changed.
constexpr int kLeastCapability = 8;

class CudaRecording final : public DeviceQueue::Recording {
 public:
  explicit CudaRecording(cudaGraphExec_t graph) : graph_(graph) {}
  ~CudaRecording() override { cudaGraphExecDestroy(graph_); }
  cudaGraphExec_t graph() const { return graph_; }

 private:
  const cudaGraphExec_t graph_;
};

// Page-locked host memory, which every GPU reaches by itself; where there is no
// more of it, the heap's, which only is slower.
class PinnedMemory final : public MemoryResource {
 public:
  void* Allocate(size_t bytes) override {
    void* memory = nullptr;
    if (cudaHostAlloc(&memory, bytes, cudaHostAllocPortable) == cudaSuccess) {
      return std::memset(memory, 0, bytes);
    }
    cudaGetLastError();
    memory = HeapMemory().Allocate(bytes);
    const absl::MutexLock lock(&mu_);
    of_heap_.insert(memory);
    return memory;
  }
  void Deallocate(void* memory, size_t bytes) override {
    {
      const absl::MutexLock lock(&mu_);
      if (of_heap_.erase(memory) == 0) {
        cudaFreeHost(memory);
        return;
      }
    }
    HeapMemory().Deallocate(memory, bytes);
  }

 private:
  absl::Mutex mu_;
  std::set<void*> of_heap_ ABSL_GUARDED_BY(mu_);
};

// A result after which the GPU answers no more in this process: those of which
// CUDA says so, faults of the hardware, and the one that nobody explains.
bool IsLost(cudaError_t result) {
  switch (result) {
    case cudaErrorAssert:
    case cudaErrorContained:
    case cudaErrorECCUncorrectable:
    case cudaErrorExternalDevice:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorMisalignedAddress:
    case cudaErrorMpsClientTerminated:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

// That there is code for this GPU, and the libraries that it calls.
absl::Status CheckUsable(int device) {
  int major = 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor,
                             device) == cudaSuccess &&
      major < kLeastCapability) {
    return absl::UnavailableError(absl::StrCat(
        "the GPU has compute capability ", major,
        ".x, expected 8.0 or more (Ampere or newer); use --device cpu"));
  }
  for (const std::string& missing : {MissingCublasLt(), MissingCudnn()}) {
    if (missing.empty()) continue;
    return absl::UnavailableError(absl::StrCat(
        missing,
        "; install it or put its folder on LD_LIBRARY_PATH, or use "
        "--device cpu"));
  }
  return absl::OkStatus();
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
  if (device >= 0 && device < count) return CheckUsable(device);
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
  for (void* old : old_workspaces_) cudaFree(old);
  cudaFree(parts_);
  for (cudaEvent_t event : events_) {
    if (event != nullptr) cudaEventDestroy(event);
  }
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

bool CudaQueue::Enter() {
  return status_.ok() && Check(cudaSetDevice(device_), "choosing the GPU");
}

void CudaQueue::Fail(const absl::Status& status) {
  if (!status_.ok()) return;
  if (is_recording_) {  // nothing was done: it may be, without a recording
    recorded_.Update(status);
    return;
  }
  status_ =
      absl::Status(status.code(), absl::StrCat(name_, ": ", status.message()));
}

bool CudaQueue::Check(cudaError_t result, absl::string_view what) {
  if (result == cudaSuccess) return true;
  cudaGetLastError();  // else the next launch would be blamed
  const std::string why = absl::StrCat(what, ": ", cudaGetErrorString(result));
  if (result == cudaErrorMemoryAllocation) {
    Fail(absl::ResourceExhaustedError(why));
    return false;
  }
  Fail(IsLost(result)
           ? absl::UnavailableError(absl::StrCat(
                 why, "; the GPU is lost to this process, start it anew"))
           : absl::InternalError(why));
  return false;
}

bool CudaQueue::Check(cublasStatus_t result, absl::string_view what) {
  if (result == CUBLAS_STATUS_SUCCESS) return true;
  FailIn(what,
         absl::StrCat("cuBLASLt answers ", cublasLtGetStatusString(result)));
  return false;
}

bool CudaQueue::Check(cudnnStatus_t result, absl::string_view what) {
  if (result == CUDNN_STATUS_SUCCESS) return true;
  FailIn(what, absl::StrCat("cuDNN answers ", cudnnGetErrorString(result)));
  return false;
}

void CudaQueue::FailIn(absl::string_view what, absl::string_view answer) {
  // What the library met may be a GPU that was lost before.
  if (!is_recording_) {
    const cudaError_t state = cudaStreamQuery(stream_);
    if (IsLost(state)) {
      Check(state, what);
      return;
    }
  }
  Fail(absl::InternalError(absl::StrCat(what, ": ", answer)));
}

absl::Status CudaQueue::Wait() {
  // After a failure too: what was enqueued before it still uses its memory.
  cudaSetDevice(device_);
  const cudaError_t waited = cudaStreamSynchronize(stream_);
  if (ok()) Check(waited, "computing");
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
  if (!Enter()) return Wait();
  Check(cudaEventSynchronize(events_[mark % kMarks]), "computing");
  return status_;
}

absl::StatusOr<std::unique_ptr<DeviceQueue>> CudaQueue::Fork() {
  RETURN_IF_ERROR(status_);
  return Make(device_);
}

void CudaQueue::Follow(DeviceQueue& before) {
  CudaQueue& other = Of(before);
  const uint64_t mark = other.Mark();
  if (!other.ok()) {
    if (ok()) status_ = other.status();  // which says whose it is
    return;
  }
  if (!Enter()) return;
  Check(cudaStreamWaitEvent(stream_, other.events_[mark % kMarks], 0),
        "waiting for another stream");
}

void* CudaQueue::Allocate(size_t bytes) {
  if (!Enter()) return nullptr;
  void* memory = nullptr;
  const cudaError_t result = cudaMalloc(&memory, bytes);
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    Fail(absl::ResourceExhaustedError(absl::StrCat(
        "out of memory: asked for ", SizeText(static_cast<double>(bytes)), ", ",
        SizeText(static_cast<double>(FreeBytes())),
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
  // CUDA may read memory that it does not know later on.
  cudaPointerAttributes attributes;
  if (!is_recording_ &&
      cudaPointerGetAttributes(&attributes, from) == cudaSuccess &&
      attributes.type == cudaMemoryTypeUnregistered) {
    Check(cudaStreamSynchronize(stream_), "copying");
  }
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

absl::StatusOr<std::unique_ptr<DeviceQueue::Recording>> CudaQueue::Record(
    absl::FunctionRef<void()> enqueue) {
  // No memory can be taken while works are recorded.
  if (!Enter() || workspace() == nullptr) return status_;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  if (!Check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
             "beginning to record")) {
    return status_;
  }
  is_recording_ = has_recorded_ = true;
  recorded_ = absl::OkStatus();
  enqueue();
  // Even where an enqueued work failed, the stream has to leave that state.
  if (Check(cudaStreamEndCapture(stream_, &graph), "recording")) {
    Check(cudaGraphInstantiate(&executable, graph, 0), "preparing a recording");
  }
  is_recording_ = false;
  if (graph != nullptr) cudaGraphDestroy(graph);
  std::unique_ptr<CudaRecording> recording;
  if (executable != nullptr) {
    recording = std::make_unique<CudaRecording>(executable);
  }
  RETURN_IF_ERROR(recorded_);
  return recording;
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
  if (workspace_ == nullptr) {
    workspace_ = Allocate(kWorkspaceBytes);
    workspace_bytes_ = kWorkspaceBytes;
  }
  return workspace_;
}

bool CudaQueue::GrowWorkspace(size_t bytes) {
  if (workspace() == nullptr) return false;
  if (bytes <= workspace_bytes_) return true;
  if (bytes > kMostWorkspaceBytes || is_recording_ ||
      bytes > static_cast<size_t>(FreeBytes()) / 4) {
    return false;
  }
  void* grown = nullptr;
  if (cudaMalloc(&grown, bytes) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  if (has_recorded_) {
    old_workspaces_.push_back(workspace_);
  } else {
    cudaFree(workspace_);  // waits for works that use it
  }
  workspace_ = grown;
  workspace_bytes_ = bytes;
  return true;
}

void* CudaQueue::parts() {
  if (parts_ == nullptr) parts_ = Allocate(kPartsBytes);
  return parts_;
}

}  // namespace monsoon
