// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cudnn.h>

#include <cstdint>

// Opaque to callers: ours to define.
struct cudnnContext {
  cudaStream_t stream = nullptr;
};
// Also a filter, whose n are output channels.
struct cudnnTensorStruct {
  cudnnTensorFormat_t format;
  cudnnDataType_t type;
  int n = 0, c = 0, h = 0, w = 0;

  int64_t size() const { return int64_t{n} * c * h * w; }
  int64_t At(int64_t i, int64_t channel, int64_t row, int64_t column) const {
    return format == CUDNN_TENSOR_NHWC
               ? ((i * h + row) * w + column) * c + channel
               : ((i * c + channel) * h + row) * w + column;
  }
};
struct cudnnFilterStruct : cudnnTensorStruct {};
struct cudnnConvolutionStruct {
  int padding = 0, stride = 0, dilation = 0, groups = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};
