// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

// What the whole process has taken from `operator new` since it began: a test
// program that compiles counted_allocations.cc has operators that count.
namespace monsoon {

extern std::atomic<int64_t> allocations;
extern std::atomic<int64_t> largest_allocation;  // in bytes

}  // namespace monsoon
