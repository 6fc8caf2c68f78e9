// SPDX-License-Identifier: Apache-2.0
// The functions of cuDNN that make handles and descriptions, and check them.
#include "tests/cuda/emulator/cudnn_descriptors.h"

namespace {

cudnnStatus_t Set(cudnnTensorStruct* tensor, cudnnTensorFormat_t format,
                  cudnnDataType_t type, int n, int c, int h, int w) {
  const bool known =
      (type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_BFLOAT16) &&
      (format == CUDNN_TENSOR_NCHW || format == CUDNN_TENSOR_NHWC);
  if (tensor == nullptr || !known || n < 1 || c < 1 || h < 1 || w < 1) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  tensor->format = format;
  tensor->type = type;
  tensor->n = n;
  tensor->c = c;
  tensor->h = h;
  tensor->w = w;
  return CUDNN_STATUS_SUCCESS;
}

template <typename Struct>
cudnnStatus_t Create(Struct** made) {
  if (made == nullptr) return CUDNN_STATUS_BAD_PARAM;
  *made = new Struct{};
  return CUDNN_STATUS_SUCCESS;
}

template <typename Struct>
cudnnStatus_t Destroy(Struct* made) {
  delete made;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) { return Create(handle); }
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { return Destroy(handle); }
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  if (handle == nullptr) return CUDNN_STATUS_BAD_PARAM;
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* made) {
  return Create(made);
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t made) {
  return Destroy(made);
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t tensor,
                                         cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c,
                                         int h, int w) {
  return Set(tensor, format, type, n, c, h, w);
}

cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* made) {
  return Create(made);
}
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t made) {
  return Destroy(made);
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filter,
                                         cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k,
                                         int c, int h, int w) {
  return Set(filter, format, type, k, c, h, w);
}

cudnnStatus_t cudnnCreateConvolutionDescriptor(
    cudnnConvolutionDescriptor_t* made) {
  return Create(made);
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(
    cudnnConvolutionDescriptor_t made) {
  return Destroy(made);
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t k,
                                              int pad_h, int pad_w, int u,
                                              int v, int dilation_h,
                                              int dilation_w,
                                              cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute) {
  if (k == nullptr || pad_h < 0 || pad_h != pad_w || u < 1 || u != v ||
      dilation_h < 1 || dilation_h != dilation_w ||
      mode != CUDNN_CROSS_CORRELATION || compute != CUDNN_DATA_FLOAT) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  k->padding = pad_h;
  k->stride = u;
  k->dilation = dilation_h;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t k,
                                            int groups) {
  if (k == nullptr || groups < 1) return CUDNN_STATUS_BAD_PARAM;
  k->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t k,
                                          cudnnMathType_t math) {
  if (k == nullptr) return CUDNN_STATUS_BAD_PARAM;
  k->math = math;
  return CUDNN_STATUS_SUCCESS;
}
