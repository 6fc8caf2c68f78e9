// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "models/device.h"
#include "tests/models/layer_bench.h"

namespace monsoon {

// Values that kernels of a device compute on; they come back to be looked at.
template <typename T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& values,
                    const Device& device = TestDevice())
      : size_(values.size()),
        device_(device),
        data_(static_cast<T*>(device.memory().Allocate(bytes()))) {
    Set(values);
  }
  // Zeros.
  explicit OnDevice(size_t size, const Device& device = TestDevice())
      : OnDevice(std::vector<T>(size), device) {}
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { device_.memory().Deallocate(data_, bytes()); }

  T* data() { return data_; }
  // REQUIRES: `values` are as many as before.
  void Set(const std::vector<T>& values) {
    if (device_.queue == nullptr) {
      std::copy(values.begin(), values.end(), data_);
    } else {
      device_.queue->Copy(data_, values.data(), bytes());
    }
  }
  // What is there when all works before are done.
  std::vector<T> Get() const {
    std::vector<T> values(size_);
    if (device_.queue == nullptr) {
      std::copy_n(data_, size_, values.begin());
    } else {
      device_.queue->Copy(values.data(), data_, bytes());
      device_.queue->Wait().IgnoreError();
    }
    return values;
  }

 private:
  size_t bytes() const { return size_ * sizeof(T); }

  const size_t size_;
  const Device device_;
  T* const data_;
};

}  // namespace monsoon
