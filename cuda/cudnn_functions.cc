// SPDX-License-Identifier: Apache-2.0
// Every function of cuDNN that we call; see LazyLibrary.
#include <cudnn.h>

#include "cuda/lazy_library.h"

namespace {

const monsoon::LazyLibrary& Library() {
  static const monsoon::LazyLibrary library("libcudnn.so.9");
  return library;
}

}  // namespace

#define FORWARD(name, parameters, arguments)                           \
  MONSOON_FORWARD(Library, cudnnStatus_t, name, parameters, arguments, \
                  CUDNN_STATUS_NOT_INITIALIZED)

MONSOON_FORWARD(Library, const char*, cudnnGetErrorString,
                (cudnnStatus_t status), (status), Library().error().c_str())
FORWARD(cudnnCreate, (cudnnHandle_t * handle), (handle))
FORWARD(cudnnDestroy, (cudnnHandle_t handle), (handle))
FORWARD(cudnnSetStream, (cudnnHandle_t handle, cudaStream_t stream),
        (handle, stream))
