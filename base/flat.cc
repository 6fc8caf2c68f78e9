// SPDX-License-Identifier: Apache-2.0
#include "base/flat.h"

#include <sys/mman.h>

#include <Eigen/Core>
#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <new>

#include "base/device_queue.h"

namespace monsoon {
namespace {

constexpr std::align_val_t kAlignment{64};

// From here on a Flat is a mapping of its own: the system makes its pages when
// they are written first, and takes them back on demand.
constexpr size_t kMapped = size_t{1} << 20;

class Heap final : public MemoryResource {
 public:
  void* Allocate(size_t bytes) override {
    if (bytes < kMapped) {
      return std::memset(::operator new(bytes, kAlignment), 0, bytes);
    }
    void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MONSOON_CHECK(memory != MAP_FAILED, "there is memory");
    return memory;
  }
  void Deallocate(void* memory, size_t bytes) override {
    if (bytes < kMapped) return ::operator delete(memory, kAlignment);
    munmap(memory, bytes);
  }
  void Discard(void* memory, size_t bytes) override {
    if (bytes >= kMapped) madvise(memory, bytes, MADV_DONTNEED);
  }
};

using ConstArray = Eigen::Map<const Eigen::ArrayXf>;

ConstArray AsArray(absl::Span<const float> values) {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}

}  // namespace

MemoryResource& HeapMemory() {
  static Heap heap;
  return heap;
}

Flat::Flat(int64_t size, MemoryResource& memory) : size_(size) {
  MONSOON_CHECK(size >= 0, "a Flat has a size");
  if (size == 0) return;
  const size_t bytes = static_cast<size_t>(size) * sizeof(float);
  data_ = static_cast<float*>(memory.Allocate(bytes));
  memory_ = &memory;
  queue_ = memory.queue();
}

Flat Flat::View(float* data, int64_t size, DeviceQueue* queue) {
  Flat view;
  view.data_ = data;
  view.size_ = size;
  view.queue_ = queue;
  return view;
}

Flat& Flat::operator=(Flat&& other) noexcept {
  if (this == &other) return *this;
  Release();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  memory_ = std::exchange(other.memory_, nullptr);
  queue_ = std::exchange(other.queue_, nullptr);
  return *this;
}

void Flat::Release() {
  if (memory_ == nullptr) return;
  memory_->Deallocate(data_, static_cast<size_t>(size_) * sizeof(float));
}

void Flat::CopyFrom(const Flat& from) {
  MONSOON_CHECK(from.size() == size_, "a copy has the size of its source");
  if (size_ == 0 || data_ == from.data_) return;
  const size_t bytes = static_cast<size_t>(size_) * sizeof(float);
  if (queue_ == nullptr && from.queue_ == nullptr) {
    std::memcpy(data_, from.data_, bytes);
  } else if (queue_ == nullptr) {
    from.queue_->Copy(data_, from.data_, bytes);
    from.queue_->Wait().IgnoreError();  // it keeps its status
  } else if (from.queue_ == nullptr || from.queue_ == queue_) {
    queue_->Copy(data_, from.data_, bytes);
  } else if (from.queue_->kind() == queue_->kind()) {
    queue_->Follow(*from.queue_);
    queue_->Copy(data_, from.data_, bytes);
    from.queue_->Follow(*queue_);
  } else {
    CopyFrom(from.ToHost());
  }
}

void Flat::CopyFromShared(const Flat& from) {
  MONSOON_CHECK(from.size() == size_, "a copy has the size of its source");
  for (int64_t i = 0; i < size_; ++i) {
    // An atomic_ref of a const type comes with C++26.
    const std::atomic_ref<float> shared(from.data_[i]);
    data_[i] = shared.load(std::memory_order_relaxed);
  }
}

void Flat::Discard() {
  MONSOON_CHECK(owns() || empty(), "the memory is this Flat's own");
  if (empty()) return;
  memory_->Discard(data_, static_cast<size_t>(size_) * sizeof(float));
}

Flat Flat::Clone() const {
  if (queue_ == nullptr) return ToHost();
  Flat copy(size_, *queue_);
  copy.CopyFrom(*this);
  return copy;
}

Flat Flat::ToHost() const {
  Flat copy(size_);
  copy.CopyFrom(*this);
  return copy;
}

bool AllFinite(absl::Span<const float> values) {
  // 0 * x is 0 for finite x and NaN otherwise, so one vectorised sum tells.
  return values.empty() || (AsArray(values) * 0.0f).sum() == 0.0f;
}

float Largest(absl::Span<const float> values) {
  // Without the sign bit, floats order as integers; infinity and NaN are above.
  uint32_t largest = 0;
  for (float value : values) {
    largest = std::max(largest, std::bit_cast<uint32_t>(value) & 0x7fffffffu);
  }
  return std::bit_cast<float>(largest);
}

int64_t FirstNotFinite(absl::Span<const float> values) {
  if (AllFinite(values)) return -1;
  int64_t i = 0;
  while (std::isfinite(values[static_cast<size_t>(i)])) ++i;
  return i;
}

bool AllFinite(const Flat& values) {
  if (values.queue() == nullptr) return AllFinite(values.span());
  return std::isfinite(Largest(values));
}

float Largest(const Flat& values) {
  if (values.queue() == nullptr) return Largest(values.span());
  return values.queue()->Largest(values.data(), values.size());
}

int64_t FirstNotFinite(const Flat& values) {
  if (values.queue() == nullptr) return FirstNotFinite(values.span());
  return values.queue()->FirstNotFinite(values.data(), values.size());
}

double Norm(const Flat& values) {
  if (values.empty()) return 0;
  if (values.queue() != nullptr) {
    return values.queue()->Norm(values.data(), values.size());
  }
  return AsArray(values.span()).cast<double>().matrix().norm();
}

}  // namespace monsoon
