// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/types/span.h"
#include "base/check.h"

namespace monsoon {

// Where a Flat takes its memory from: heap, shared, pinned, device.
// Thread-safe. Outlives every Flat made from it.
class MemoryResource {
 public:
  virtual ~MemoryResource() = default;
  // `bytes` of zeros aligned to 64 bytes; aborts when there is no memory.
  virtual void* Allocate(size_t bytes) = 0;
  virtual void Deallocate(void* memory, size_t bytes) = 0;
  // The contents are needed no more: what is there afterwards is anybody's
  // guess.
  virtual void Discard(void* /*memory*/, size_t /*bytes*/) {}
};

// Of a large Flat, zeros that nobody has written and what was discarded take no
// room.
MemoryResource& HeapMemory();

// A contiguous float32 vector: all parameters of a model, all its gradients, or
// one shard's range of them. Owns its memory, or borrows it (View, Slice); a
// borrowing Flat must not outlive its lender. Move-only; not thread-safe.
class Flat {
 public:
  Flat() = default;
  // `size` zeros on 64-byte aligned memory of `memory`.
  explicit Flat(int64_t size, MemoryResource& memory = HeapMemory());
  // Borrows `size` floats at `data`.
  static Flat View(float* data, int64_t size);
  // A read-only borrow: the const keeps callers from writing through it.
  static const Flat View(const float* data, int64_t size) {
    return View(const_cast<float*>(data), size);
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
  absl::Span<float> span() { return {data_, static_cast<size_t>(size_)}; }
  absl::Span<const float> span() const {
    return {data_, static_cast<size_t>(size_)};
  }

  // Borrows [offset, offset + size).
  Flat Slice(int64_t offset, int64_t size) {
    MONSOON_CHECK(offset >= 0 && size >= 0 && offset + size <= size_,
                  "Slice lies inside the Flat");
    return View(data_ + offset, size);
  }
  const Flat Slice(int64_t offset, int64_t size) const {
    return const_cast<Flat*>(this)->Slice(offset, size);
  }

  // Copies `from`, which has the same size.
  void CopyFrom(const Flat& from);
  // The same while others write to `from` through std::atomic_ref: each element
  // is one of the values that it had.
  void CopyFromShared(const Flat& from);
  // The contents are needed no more, and give their room back until something
  // is written again: meanwhile nothing may be read. REQUIRES: owns().
  void Discard();
  // An owning copy.
  Flat Clone() const;

 private:
  void Release();

  float* data_ = nullptr;
  int64_t size_ = 0;
  MemoryResource* memory_ = nullptr;  // null: borrowed
};

// The one verb of Flat arithmetic: fn(a[i], b[i], ...) for every i, in one pass
// over memory. fn takes `float&` for what it writes and `float` for what it
// reads. All operands have the same size; two may be the same memory, but must
// not overlap in part.
//
//   ForEach([lr](float& x, float g) { x -= lr * g; }, replica.x, gradient);
template <typename Fn, typename First, typename... Rest>
void ForEach(Fn fn, First& first, Rest&... rest) {
  const int64_t size = first.size();
  MONSOON_CHECK(((rest.size() == size) && ...), "operands have one size");
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
// The largest magnitude, 0 of nothing; not finite when some element is not.
float Largest(absl::Span<const float> values);
// The index of the first NaN or infinity; -1 when there is none.
int64_t FirstNotFinite(absl::Span<const float> values);
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
