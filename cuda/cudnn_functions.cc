// SPDX-License-Identifier: Apache-2.0
// Every function of cuDNN that we call; see LazyLibrary.
#include <cudnn.h>

#include "cuda/lazy_library.h"

namespace {

const monsoon::LazyLibrary& Library() {
  static const monsoon::LazyLibrary kLibrary("libcudnn.so.9");
  return kLibrary;
}

}  // namespace

std::string monsoon::MissingCudnn() { return Library().error(); }

#define FORWARD(name, parameters, arguments)                           \
  MONSOON_FORWARD(Library, cudnnStatus_t, name, parameters, arguments, \
                  CUDNN_STATUS_NOT_INITIALIZED)

MONSOON_FORWARD(Library, const char*, cudnnGetErrorString,
                (cudnnStatus_t status), (status), Library().error().c_str())
FORWARD(cudnnCreate, (cudnnHandle_t * handle), (handle))
FORWARD(cudnnDestroy, (cudnnHandle_t handle), (handle))
FORWARD(cudnnSetStream, (cudnnHandle_t handle, cudaStream_t stream),
        (handle, stream))
FORWARD(cudnnCreateTensorDescriptor, (cudnnTensorDescriptor_t * made), (made))
FORWARD(cudnnDestroyTensorDescriptor, (cudnnTensorDescriptor_t made), (made))
FORWARD(cudnnCreateFilterDescriptor, (cudnnFilterDescriptor_t * made), (made))
FORWARD(cudnnDestroyFilterDescriptor, (cudnnFilterDescriptor_t made), (made))
FORWARD(cudnnCreateConvolutionDescriptor, (cudnnConvolutionDescriptor_t * made),
        (made))
FORWARD(cudnnDestroyConvolutionDescriptor, (cudnnConvolutionDescriptor_t made),
        (made))
FORWARD(cudnnSetTensor4dDescriptor,
        (cudnnTensorDescriptor_t tensor, cudnnTensorFormat_t format,
         cudnnDataType_t type, int n, int c, int h, int w),
        (tensor, format, type, n, c, h, w))
FORWARD(cudnnSetFilter4dDescriptor,
        (cudnnFilterDescriptor_t filter, cudnnDataType_t type,
         cudnnTensorFormat_t format, int k, int c, int h, int w),
        (filter, type, format, k, c, h, w))
FORWARD(cudnnSetConvolution2dDescriptor,
        (cudnnConvolutionDescriptor_t convolution, int pad_h, int pad_w, int u,
         int v, int dilation_h, int dilation_w, cudnnConvolutionMode_t mode,
         cudnnDataType_t compute),
        (convolution, pad_h, pad_w, u, v, dilation_h, dilation_w, mode,
         compute))
FORWARD(cudnnSetConvolutionGroupCount,
        (cudnnConvolutionDescriptor_t convolution, int groups),
        (convolution, groups))
FORWARD(cudnnSetConvolutionMathType,
        (cudnnConvolutionDescriptor_t convolution, cudnnMathType_t math),
        (convolution, math))
FORWARD(cudnnGetConvolutionForwardAlgorithm_v7,
        (cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
         const cudnnFilterDescriptor_t w,
         const cudnnConvolutionDescriptor_t convolution,
         const cudnnTensorDescriptor_t y, int wanted, int* found,
         cudnnConvolutionFwdAlgoPerf_t* results),
        (handle, x, w, convolution, y, wanted, found, results))
FORWARD(cudnnGetConvolutionForwardWorkspaceSize,
        (cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
         const cudnnFilterDescriptor_t w,
         const cudnnConvolutionDescriptor_t convolution,
         const cudnnTensorDescriptor_t y, cudnnConvolutionFwdAlgo_t algorithm,
         size_t* bytes),
        (handle, x, w, convolution, y, algorithm, bytes))
FORWARD(cudnnConvolutionForward,
        (cudnnHandle_t handle, const void* alpha,
         const cudnnTensorDescriptor_t x, const void* x_data,
         const cudnnFilterDescriptor_t w, const void* w_data,
         const cudnnConvolutionDescriptor_t convolution,
         cudnnConvolutionFwdAlgo_t algorithm, void* workspace, size_t bytes,
         const void* beta, const cudnnTensorDescriptor_t y, void* y_data),
        (handle, alpha, x, x_data, w, w_data, convolution, algorithm, workspace,
         bytes, beta, y, y_data))
FORWARD(cudnnGetConvolutionBackwardDataAlgorithm_v7,
        (cudnnHandle_t handle, const cudnnFilterDescriptor_t w,
         const cudnnTensorDescriptor_t dy,
         const cudnnConvolutionDescriptor_t convolution,
         const cudnnTensorDescriptor_t dx, int wanted, int* found,
         cudnnConvolutionBwdDataAlgoPerf_t* results),
        (handle, w, dy, convolution, dx, wanted, found, results))
FORWARD(cudnnGetConvolutionBackwardDataWorkspaceSize,
        (cudnnHandle_t handle, const cudnnFilterDescriptor_t w,
         const cudnnTensorDescriptor_t dy,
         const cudnnConvolutionDescriptor_t convolution,
         const cudnnTensorDescriptor_t dx,
         cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes),
        (handle, w, dy, convolution, dx, algorithm, bytes))
FORWARD(cudnnConvolutionBackwardData,
        (cudnnHandle_t handle, const void* alpha,
         const cudnnFilterDescriptor_t w, const void* w_data,
         const cudnnTensorDescriptor_t dy, const void* dy_data,
         const cudnnConvolutionDescriptor_t convolution,
         cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace, size_t bytes,
         const void* beta, const cudnnTensorDescriptor_t dx, void* dx_data),
        (handle, alpha, w, w_data, dy, dy_data, convolution, algorithm,
         workspace, bytes, beta, dx, dx_data))
FORWARD(cudnnGetConvolutionBackwardFilterAlgorithm_v7,
        (cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
         const cudnnTensorDescriptor_t dy,
         const cudnnConvolutionDescriptor_t convolution,
         const cudnnFilterDescriptor_t dw, int wanted, int* found,
         cudnnConvolutionBwdFilterAlgoPerf_t* results),
        (handle, x, dy, convolution, dw, wanted, found, results))
FORWARD(cudnnGetConvolutionBackwardFilterWorkspaceSize,
        (cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
         const cudnnTensorDescriptor_t dy,
         const cudnnConvolutionDescriptor_t convolution,
         const cudnnFilterDescriptor_t dw,
         cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes),
        (handle, x, dy, convolution, dw, algorithm, bytes))
FORWARD(cudnnConvolutionBackwardFilter,
        (cudnnHandle_t handle, const void* alpha,
         const cudnnTensorDescriptor_t x, const void* x_data,
         const cudnnTensorDescriptor_t dy, const void* dy_data,
         const cudnnConvolutionDescriptor_t convolution,
         cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace,
         size_t bytes, const void* beta, const cudnnFilterDescriptor_t dw,
         void* dw_data),
        (handle, alpha, x, x_data, dy, dy_data, convolution, algorithm,
         workspace, bytes, beta, dw, dw_data))
