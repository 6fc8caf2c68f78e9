// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "base/device_queue.h"

namespace monsoon {

// `size` values of a device's memory, zeros at first: scratch and tables of
// kernels. Null data where there was no memory: the queue has failed then, and
// nothing runs.
template <typename T>
class DeviceArray {
 public:
  static_assert(std::is_trivially_copyable_v<T>, "bytes are what is copied");

  DeviceArray(int64_t size, DeviceQueue& queue)
      : queue_(queue),
        bytes_(static_cast<size_t>(size) * sizeof(T)),
        data_(bytes_ == 0 ? nullptr : static_cast<T*>(queue.Allocate(bytes_))) {
  }
  DeviceArray(const std::vector<T>& values, DeviceQueue& queue)
      : DeviceArray(static_cast<int64_t>(values.size()), queue) {
    queue.Copy(data_, values.data(), bytes_);
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() {
    if (data_ != nullptr) queue_.Deallocate(data_, bytes_);
  }

  T* data() { return data_; }

 private:
  DeviceQueue& queue_;
  const size_t bytes_;
  T* const data_;
};

}  // namespace monsoon
