// SPDX-License-Identifier: Apache-2.0
#include "cuda/lazy_library.h"

#include <dlfcn.h>

#include "absl/strings/str_cat.h"

namespace monsoon {

LazyLibrary::LazyLibrary(const char* name) {
  handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (handle_ != nullptr) return;
  error_ = dlerror();
  const std::string beside = absl::StrCat(MONSOON_CUDA_LIBRARIES, "/", name);
  handle_ = dlopen(beside.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ != nullptr) {
    error_.clear();
  } else {
    error_ += std::string("; ") + dlerror();
  }
}

void* LazyLibrary::Find(const char* function) const {
  return handle_ == nullptr ? nullptr : dlsym(handle_, function);
}

}  // namespace monsoon
