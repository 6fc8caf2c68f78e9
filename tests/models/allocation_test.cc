// SPDX-License-Identifier: Apache-2.0
// A binary of its own, because it replaces operator new, and oneDNN's function
// that makes a primitive, to count.
#include <dlfcn.h>
#include <omp.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <dnnl.hpp>
#include <new>

#include "models/model.h"
#include "tests/counted_allocations.h"

namespace {

std::atomic<int64_t> primitives{0};

}  // namespace

extern "C" dnnl_status_t dnnl_primitive_create(
    dnnl_primitive_t* primitive, const_dnnl_primitive_desc_t description) {
  ++primitives;
  static const auto kCreate =
      reinterpret_cast<decltype(&dnnl_primitive_create)>(
          dlsym(RTLD_NEXT, "dnnl_primitive_create"));
  return kCreate(primitive, description);
}

namespace monsoon {
namespace {

struct Counted {
  int64_t allocations, largest_allocation, primitives;
};

Counted Steps(absl::string_view name) {
  omp_set_num_threads(1);
  auto model = Model::Build(name, {1, 28, 28}, 10, {8, 3});
  REQUIRE(model.ok());
  Model& m = **model;
  Flat x(m.layout().size());
  m.Initialize(1, x);
  m.Step(8, x, {x, -0.1f, 1});
  m.Step(3, x, {x, -0.1f, 1});
  allocations = 0;
  largest_allocation = 0;
  primitives = 0;
  for (int step = 0; step < 100; ++step) {
    m.Step(8, x, {x, -0.1f, 1});
    m.Step(3, x, {x, -0.1f, 1});
    m.Evaluate(3, x);
  }
  return {allocations, largest_allocation, primitives};
}

TEST_CASE("The counters count", "[models]") {
  const int64_t before = allocations;
  Flat flat(1000);
  CHECK(allocations > before);
  primitives = 0;
  REQUIRE(Model::Build("resnet20", {1, 28, 28}, 10, {8}).ok());
  CHECK(primitives > 0);
}

TEST_CASE("A step of mlp allocates nothing", "[models]") {
  CHECK(Steps("mlp").allocations == 0);
}

TEST_CASE("A step makes no primitive", "[models]") {
  for (const char* name : {"mlp", "cnn", "resnet20", "unet"}) {
    INFO(name);
    CHECK(Steps(name).primitives == 0);
  }
}

// oneDNN 2.6 keeps the handful of arguments of a primitive in a map while it
// runs; nothing of a tensor's size may join them.
TEST_CASE("A step over images allocates nothing but oneDNN's argument lists",
          "[models]") {
  for (const char* name : {"cnn", "resnet20", "unet"}) {
    INFO(name);
    CHECK(Steps(name).largest_allocation < 1024);
  }
}

}  // namespace
}  // namespace monsoon
