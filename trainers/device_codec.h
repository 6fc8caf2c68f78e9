// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/device_queue.h"

namespace monsoon {

// What a device writes of a message: values + residual into `to`, and what got
// lost of that into `residual`. All in its memory, `to` aligned as floats.
struct DeviceMessage {
  const float* values;
  float* residual;
  int64_t size;  // floats, at least 1
  char* to;
};

// How devices of one kind write the codes (trainers/codec.h): with the bytes of
// the processor for all that is finite. Each enqueues works and does not wait.
// An entry of the registry, by DeviceQueue::kind (trainers/cuda/codec.cu).
struct DeviceCodec {
  using Encode = void (*)(DeviceQueue& queue, const DeviceMessage& message);
  Encode bf16, fp16, int8, onebit;
  // `kept`: of the values, 1 to all.
  void (*topk)(DeviceQueue& queue, const DeviceMessage& message, int64_t kept);
};

}  // namespace monsoon
