// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dnnl.hpp>
#include <initializer_list>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/shape.h"

// The only door to oneDNN's primitives: failures at Build become Status here,
// failures at run time are programming errors.
namespace monsoon::onednn {

// The status for an exception that a constructor of oneDNN threw.
absl::Status ToStatus(absl::string_view kernel, const dnnl::error& error);

// Constructs Implementation(spec), whose constructor may throw dnnl::error.
template <typename Kernel, typename Implementation>
absl::StatusOr<std::unique_ptr<Kernel>> Make(const typename Kernel::Spec& s) {
  try {
    return std::make_unique<Implementation>(s);
  } catch (const dnnl::error& error) {
    return ToStatus(Kernel::kName, error);
  }
}

// Runs a primitive; unlike the C++ interface it builds no map of arguments.
void Execute(const dnnl::primitive& primitive, const dnnl::stream& stream,
             std::initializer_list<dnnl_exec_arg_t> arguments);

// Whether oneDNN uses these instructions, and all that they imply, here.
bool Has(dnnl::cpu_isa isa);

// Lets `memory`, made without any of its own, be what begins at `data`.
void Point(const dnnl::memory& memory, const void* data);

// Attributes by which scratch is ours: oneDNN's default is one per thread, made
// on first use. Copies share what they are told later.
dnnl::primitive_attr UserScratch();

// A tensor whose order a primitive chooses: what is fastest on this machine.
dnnl::memory::desc AnyOrder(
    const dnnl::memory::dims& dims,
    dnnl::memory::data_type type = dnnl::memory::data_type::f32);
// [N, C / block, H, W, block] in oneDNN's terms.
dnnl::memory::desc ActivationDesc(int64_t batch, const Shape& shape,
                                  int64_t block);
// The block of `desc` where we have a name for it, else 1: then a bridge brings
// the tensor into plain order.
int64_t BlockOf(const dnnl::memory::desc& desc, int64_t batch,
                const Shape& shape);

// A tensor that callers keep in one format and a primitive wants in another
// (order, or bfloat16 for float32): the same memory where formats agree, else a
// copy in memory of our own.
class Bridge {
 public:
  Bridge() = default;
  Bridge(const dnnl::memory::desc& outside, const dnnl::memory::desc& inside,
         const dnnl::engine& engine);

  // `data` as the primitive wants to read it.
  dnnl_memory_t Read(const float* data, const dnnl::stream& stream);
  // Where the primitive shall write; Finish brings it to `data`.
  dnnl_memory_t Write(float* data);
  void Finish(const dnnl::stream& stream);

 private:
  dnnl::memory outside_, inside_;
  dnnl::reorder to_inside_, to_outside_;
  bool same_ = true;
};

// Room for `size` numbers in bfloat16, rounded to nearest, ties to even.
class Rounded {
 public:
  Rounded(int64_t size, const dnnl::engine& engine);

  const uint16_t* data() const {
    return static_cast<const uint16_t*>(inside_.get_data_handle());
  }
  // data(), which becomes `size` numbers from `from` on.
  const uint16_t* Round(const float* from, const dnnl::stream& stream);

 private:
  dnnl::memory outside_, inside_;
  dnnl::reorder round_;
};

}  // namespace monsoon::onednn
