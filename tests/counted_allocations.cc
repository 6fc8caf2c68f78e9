// SPDX-License-Identifier: Apache-2.0
#include "tests/counted_allocations.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace monsoon {

std::atomic<int64_t> allocations{0};
std::atomic<int64_t> largest_allocation{0};

}  // namespace monsoon

namespace {

void* Count(size_t size, size_t alignment) {
  ++monsoon::allocations;
  if (static_cast<int64_t>(size) > monsoon::largest_allocation) {
    monsoon::largest_allocation = static_cast<int64_t>(size);
  }
  void* memory = std::aligned_alloc(
      alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(size_t size) { return Count(size, alignof(max_align_t)); }
void* operator new[](size_t size) { return Count(size, alignof(max_align_t)); }
void* operator new(size_t size, std::align_val_t alignment) {
  return Count(size, static_cast<size_t>(alignment));
}
void* operator new[](size_t size, std::align_val_t alignment) {
  return Count(size, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}
