// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace monsoon {

// A shared library that is loaded when its first function is called: cuBLASLt
// alone takes a tenth of a second, which no run on the processor should pay,
// and a machine without the library should run all else. A file of forwarding
// functions (cublaslt_functions.cc) stands for it when the program is linked.
// Safe from any thread.
class LazyLibrary {
 public:
  // `name` is looked for where the system looks, then in the folder that the
  // toolkit was in when the program was built.
  explicit LazyLibrary(const char* name);

  // Null where the library or the function is missing: error().
  void* Find(const char* function) const;
  template <typename Function>
  Function Find(const char* function) const {
    return reinterpret_cast<Function>(Find(function));
  }
  // Why it was not loaded; "" where it was.
  const std::string& error() const { return error_; }

 private:
  void* handle_ = nullptr;
  std::string error_;
};

// Why this library cannot be loaded; "" where it was.
std::string MissingCublasLt();
std::string MissingCudnn();

// Defines the function `name`, which calls the library's; without that it
// returns `otherwise`.
#define MONSOON_FORWARD(library, result, name, parameters, arguments,         \
                        otherwise)                                            \
  extern "C" result name parameters {                                         \
    static const auto function = library().Find<result(*) parameters>(#name); \
    return function == nullptr ? otherwise : function arguments;              \
  }

}  // namespace monsoon
