// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/device_queue.h"

namespace monsoon {

// A stream of one GPU, with the handles and the scratch memory of cuBLASLt and
// cuDNN, which works of one stream may share.
class CudaQueue final : public DeviceQueue {
 public:
  // What libraries may use as scratch memory, and what they may have if they
  // ask for it.
  static constexpr size_t kWorkspaceBytes = size_t{64} << 20;
  static constexpr size_t kMostWorkspaceBytes = size_t{1} << 30;
  static constexpr size_t kPartsBytes = size_t{8} << 10;

  // UNAVAILABLE where there is no such GPU, or no driver: says what there is.
  static absl::StatusOr<std::unique_ptr<CudaQueue>> Make(int device);
  // REQUIRES: it is one.
  static CudaQueue& Of(DeviceQueue& queue);
  ~CudaQueue() override;

  absl::string_view kind() const override { return "cuda"; }
  std::string name() const override { return name_; }
  absl::Status status() const override { return status_; }
  absl::Status Wait() override;
  uint64_t Mark() override;
  bool Passed(uint64_t mark) override;
  absl::Status WaitFor(uint64_t mark) override;
  absl::StatusOr<std::unique_ptr<DeviceQueue>> Fork() override;
  void Follow(DeviceQueue& before) override;
  void* Allocate(size_t bytes) override;
  void Deallocate(void* memory, size_t bytes) override;
  void Copy(void* to, const void* from, size_t bytes) override;
  void Zero(void* to, size_t bytes) override;
  MemoryResource& pinned() override;
  int64_t FreeBytes() const override;
  absl::StatusOr<std::unique_ptr<Recording>> Record(
      absl::FunctionRef<void()> enqueue) override;
  void Replay(const Recording& recording) override;
  float Largest(const float* values, int64_t size) override;
  double Norm(const float* values, int64_t size) override;
  int64_t FirstNotFinite(const float* values, int64_t size) override;

  // For who enqueues works of its own.

  int device() const { return device_; }
  cudaStream_t stream() const { return stream_; }
  // False once something failed: nothing may be enqueued then. Makes the GPU
  // the calling thread's.
  bool Enter();
  bool ok() const { return status_.ok(); }
  // Works are recorded now, not done.
  bool is_recording() const { return is_recording_; }
  // Each true where the call succeeded; else the queue has failed, and says
  // that it was at `what`.
  bool Check(cudaError_t result, absl::string_view what);
  bool Check(cublasStatus_t result, absl::string_view what);
  bool Check(cudnnStatus_t result, absl::string_view what);
  void Fail(const absl::Status& status);
  // A library answered so.
  void FailIn(absl::string_view what, absl::string_view answer);
  // Made when first asked for; null where that failed.
  cublasLtHandle_t cublaslt();
  cudnnHandle_t cudnn();
  // kWorkspaceBytes or more, shared by all works of this queue; at another
  // address after GrowWorkspace.
  void* workspace();
  // Makes it that large at least. False, and no failure, where that is more
  // than kMostWorkspaceBytes or a quarter of the free memory.
  bool GrowWorkspace(size_t bytes);
  // kPartsBytes, for what is known of the parts of a vector; likewise.
  void* parts();

 private:
  CudaQueue(int device, std::string name)
      : device_(device), name_(std::move(name)) {}

  const int device_;
  const std::string name_;
  absl::Status status_;
  cudaStream_t stream_ = nullptr;
  cublasLtHandle_t cublaslt_ = nullptr;
  cudnnHandle_t cudnn_ = nullptr;
  void* workspace_ = nullptr;
  size_t workspace_bytes_ = 0;
  // Smaller ones, which recordings read.
  std::vector<void*> old_workspaces_;
  void* parts_ = nullptr;
  bool is_recording_ = false;
  bool has_recorded_ = false;
  absl::Status recorded_;  // of what is recorded: so far
  uint64_t marks_ = 0;
  // Of mark m at m % kMarks: a later one says as much.
  std::array<cudaEvent_t, kMarks> events_ = {};
};

}  // namespace monsoon
