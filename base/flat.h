// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "absl/types/span.h"
#include "base/check.h"
#include "base/memory_resource.h"

namespace monsoon {

// A contiguous float32 vector: all parameters of a model, all its gradients, or
// one shard's range of them. Owns its memory, or borrows it (View, Slice); a
// borrowing Flat must not outlive its lender. Move-only; not thread-safe.
// Where it lies in a device's memory, the processor cannot read it: functions
// here that take Flats work on both, spans and operator[] are of host memory.
class Flat {
 public:
  Flat() = default;
  // `size` zeros on 64-byte aligned memory of `memory`.
  explicit Flat(int64_t size, MemoryResource& memory = HeapMemory());
  // Borrows `size` floats at `data`, in memory of that device; null: the
  // host's.
  static Flat View(float* data, int64_t size, DeviceQueue* queue = nullptr);
  // A read-only borrow: the const keeps callers from writing through it.
  static const Flat View(const float* data, int64_t size,
                         DeviceQueue* queue = nullptr) {
    return View(const_cast<float*>(data), size, queue);
  }

  Flat(Flat&& other) noexcept { *this = std::move(other); }
  Flat& operator=(Flat&& other) noexcept;
  Flat(const Flat&) = delete;
  Flat& operator=(const Flat&) = delete;
  ~Flat() { Release(); }

  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool owns() const { return memory_ != nullptr; }
  float* data() { return data_; }
  const float* data() const { return data_; }
  float& operator[](int64_t i) { return data_[i]; }
  float operator[](int64_t i) const { return data_[i]; }
  // The device whose memory this is; null: the host.
  DeviceQueue* queue() const { return queue_; }
  absl::Span<float> span() {
    MONSOON_CHECK(queue_ == nullptr, "the processor can read this memory");
    return {data_, static_cast<size_t>(size_)};
  }
  absl::Span<const float> span() const {
    return const_cast<Flat*>(this)->span();
  }

  // Borrows [offset, offset + size).
  Flat Slice(int64_t offset, int64_t size) {
    MONSOON_CHECK(offset >= 0 && size >= 0 && offset + size <= size_,
                  "Slice lies inside the Flat");
    return View(data_ + offset, size, queue_);
  }
  const Flat Slice(int64_t offset, int64_t size) const {
    return const_cast<Flat*>(this)->Slice(offset, size);
  }

  // Copies `from`, which has the same size. To the host it waits, and what a
  // failed device gives is unknown. Between two queues, works of either that
  // come before are done before, and those that come after, after.
  void CopyFrom(const Flat& from);
  // The same while others write to `from` through std::atomic_ref: each element
  // is one of the values that it had.
  void CopyFromShared(const Flat& from);
  // The contents are needed no more, and give their room back until something
  // is written again: meanwhile nothing may be read. REQUIRES: owns().
  void Discard();
  // An owning copy: of the heap, or of the same device.
  Flat Clone() const;
  // An owning copy in host memory.
  Flat ToHost() const;

 private:
  void Release();

  float* data_ = nullptr;
  int64_t size_ = 0;
  MemoryResource* memory_ = nullptr;  // null: borrowed
  DeviceQueue* queue_ = nullptr;
};

// How devices run the element function Fn over `size` elements of as many
// operands as it has; null: none does. Set before main (cuda/for_each.h).
template <typename Fn>
struct DeviceForEach {
  inline static void (*run)(DeviceQueue& queue, const Fn& fn, int64_t size,
                            float* const* operands) = nullptr;
};

// The one verb of Flat arithmetic: fn(a[i], b[i], ...) for every i, in one pass
// over memory. fn takes `float&` for what it writes and `float` for what it
// reads. All operands have the same size; two may be the same memory, but must
// not overlap in part.
//
//   ForEach([lr](float& x, float g) { x -= lr * g; }, replica.x, gradient);
// Vectors on a device, all on the same, want an fn that the device knows: a
// struct of its own (base/element.h).
template <typename Fn, typename First, typename... Rest>
void ForEach(Fn fn, First& first, Rest&... rest) {
  const int64_t size = first.size();
  MONSOON_CHECK(((rest.size() == size) && ...), "operands have one size");
  DeviceQueue* const queue = first.queue();
  MONSOON_CHECK(((rest.queue() == queue) && ...), "operands lie in one memory");
  if (queue != nullptr) {
    float* const operands[] = {const_cast<float*>(first.data()),
                               const_cast<float*>(rest.data())...};
    MONSOON_CHECK(DeviceForEach<Fn>::run != nullptr,
                  "the device knows the element function");
    DeviceForEach<Fn>::run(*queue, fn, size, operands);
    return;
  }
  [size, fn](auto* a, auto*... b) {
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) fn(a[i], b[i]...);
  }(first.data(), rest.data()...);
}

// The memory of floats as bytes, as they travel and are saved, and back.
inline absl::Span<const char> AsBytes(absl::Span<const float> floats) {
  return {reinterpret_cast<const char*>(floats.data()),
          floats.size() * sizeof(float)};
}
inline absl::Span<char> AsBytes(absl::Span<float> floats) {
  return {reinterpret_cast<char*>(floats.data()),
          floats.size() * sizeof(float)};
}
// REQUIRES: `bytes` are whole floats, aligned as such.
inline absl::Span<const float> AsFloats(absl::Span<const char> bytes) {
  return {reinterpret_cast<const float*>(bytes.data()),
          bytes.size() / sizeof(float)};
}
inline absl::Span<float> AsFloats(absl::Span<char> bytes) {
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

// True when no element is NaN or infinite.
bool AllFinite(absl::Span<const float> values);
bool AllFinite(const Flat& values);
// The largest magnitude, 0 of nothing; not finite when some element is not.
float Largest(absl::Span<const float> values);
float Largest(const Flat& values);
// The index of the first NaN or infinity; -1 when there is none.
int64_t FirstNotFinite(absl::Span<const float> values);
int64_t FirstNotFinite(const Flat& values);
// The Euclidean norm, accumulated in double precision.
double Norm(const Flat& values);

// Gets gradients as they come.
class GradientListener {
 public:
  virtual ~GradientListener() = default;
  // `gradient` is that of the parameters from `offset` on, which backward needs
  // no more. It lies anywhere, while it is still in cache, until this returns.
  virtual void Take(int64_t offset, const Flat& gradient) = 0;
  // The vectors that Take reads and writes, in the order of the parameters: who
  // computes a gradient may ask for them beforehand.
  virtual absl::Span<float* const> touches() const { return {}; }
};

// Where backward writes a gradient: into = beta * into + scale * gradient.
// `into` may be the very weights that the gradient belongs to (plain SGD folded
// into the weight-gradient product: {x, -lr, 1}).
// Who writes hands every range to `listener`, if there is one, once and in any
// order; then it may leave `into` as it is where beta is 0.
struct GradientSink {
  Flat& into;
  float scale = 1;
  float beta = 0;
  GradientListener* listener = nullptr;
};

}  // namespace monsoon
