// SPDX-License-Identifier: Apache-2.0
// The real libraries have every function that stands for one of theirs.
#include <catch2/catch.hpp>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include "cuda/cuda.h"
#include "cuda/lazy_library.h"

namespace monsoon {
namespace {

void Check(const char* library, const char* file, const char* prefix,
           size_t least) {
  const LazyLibrary loaded(library);
  INFO(loaded.error());
  std::ifstream in(std::string(MONSOON_SOURCE_DIR) + "/cuda/" + file);
  std::stringstream text;
  text << in.rdbuf();
  const std::string source = text.str();
  const std::regex name(std::string("\\b") + prefix + "[A-Z]\\w*(?=,)");
  size_t count = 0;
  for (auto it = std::sregex_iterator(source.begin(), source.end(), name);
       it != std::sregex_iterator(); ++it, ++count) {
    INFO(it->str());
    CHECK(loaded.Find(it->str().c_str()) != nullptr);
  }
  CHECK(count >= least);
  CHECK(loaded.Find("surelyNoFunction") == nullptr);
}

TEST_CASE("cuBLASLt and cuDNN have every function that we call", "[cuda]") {
  Check("libcublasLt.so.13", "cublaslt_functions.cc", "cublasLt", 10);
  Check("libcudnn.so.9", "cudnn_functions.cc", "cudnn", 10);
}

TEST_CASE("A library that is not there has no functions, and says so",
          "[cuda]") {
  const LazyLibrary missing("libsurely_not_there.so.1");
  CHECK(missing.Find("f") == nullptr);
  CHECK(missing.error().find("libsurely_not_there.so.1") != std::string::npos);
}

TEST_CASE("The versions are those of the headers", "[cuda]") {
  CHECK(std::regex_match(
      CudaVersions(),
      std::regex(R"(\d+\.\d+ \(cuBLAS [\d.]+, cuDNN [\d.]+\))")));
}

}  // namespace
}  // namespace monsoon
