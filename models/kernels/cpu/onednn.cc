// SPDX-License-Identifier: Apache-2.0
#include "models/kernels/cpu/onednn.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace monsoon::onednn {

absl::Status ToStatus(absl::string_view kernel, const dnnl::error& error) {
  return absl::InternalError(absl::StrCat(
      "oneDNN cannot make the kernel ", kernel, ": ", error.what(), " (status ",
      static_cast<int>(error.status), "); ONEDNN_VERBOSE=1 says more"));
}

void Execute(const dnnl::primitive& primitive, const dnnl::stream& stream,
             std::initializer_list<dnnl_exec_arg_t> arguments) {
  const dnnl_status_t status = dnnl_primitive_execute(
      primitive.get(), stream.get(), static_cast<int>(arguments.size()),
      arguments.begin());
  MONSOON_CHECK(status == dnnl_success, "a built oneDNN primitive runs");
}

bool Has(dnnl::cpu_isa isa) {
  const auto wanted = static_cast<unsigned>(isa);
  const auto here = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  return (here & wanted) == wanted;
}

void Point(const dnnl::memory& memory, const void* data) {
  const dnnl_status_t status =
      dnnl_memory_set_data_handle(memory.get(), const_cast<void*>(data));
  MONSOON_CHECK(status == dnnl_success, "oneDNN memory takes an address");
}

dnnl::primitive_attr UserScratch() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

dnnl::memory::desc AnyOrder(const dnnl::memory::dims& dims,
                            dnnl::memory::data_type type) {
  return {dims, type, dnnl::memory::format_tag::any};
}

dnnl::memory::desc ActivationDesc(int64_t batch, const Shape& shape,
                                  int64_t block) {
  const auto tag = block == 16  ? dnnl::memory::format_tag::nChw16c
                   : block == 8 ? dnnl::memory::format_tag::nChw8c
                                : dnnl::memory::format_tag::nchw;
  return {{batch, shape.channels, shape.height, shape.width},
          dnnl::memory::data_type::f32,
          tag};
}

int64_t BlockOf(const dnnl::memory::desc& desc, int64_t batch,
                const Shape& shape) {
  for (int64_t block : {16, 8}) {
    if (shape.channels % block == 0 &&
        desc == ActivationDesc(batch, shape, block)) {
      return block;
    }
  }
  return 1;
}

Bridge::Bridge(const dnnl::memory::desc& outside,
               const dnnl::memory::desc& inside, const dnnl::engine& engine)
    : outside_(outside, engine, nullptr), same_(outside == inside) {
  if (same_) return;
  inside_ = dnnl::memory(inside, engine);
  to_inside_ = dnnl::reorder(outside_, inside_);
  to_outside_ = dnnl::reorder(inside_, outside_);
}

dnnl_memory_t Bridge::Read(const float* data, const dnnl::stream& stream) {
  Point(outside_, data);
  if (same_) return outside_.get();
  Execute(to_inside_, stream,
          {{DNNL_ARG_FROM, outside_.get()}, {DNNL_ARG_TO, inside_.get()}});
  return inside_.get();
}

dnnl_memory_t Bridge::Write(float* data) {
  Point(outside_, data);
  return same_ ? outside_.get() : inside_.get();
}

void Bridge::Finish(const dnnl::stream& stream) {
  if (same_) return;
  Execute(to_outside_, stream,
          {{DNNL_ARG_FROM, inside_.get()}, {DNNL_ARG_TO, outside_.get()}});
}

Rounded::Rounded(int64_t size, const dnnl::engine& engine)
    : outside_({{size}, dnnl::memory::data_type::f32, dnnl::memory::dims{1}},
               engine, nullptr),
      inside_({{size}, dnnl::memory::data_type::bf16, dnnl::memory::dims{1}},
              engine),
      round_(outside_, inside_) {}

const uint16_t* Rounded::Round(const float* from, const dnnl::stream& stream) {
  Point(outside_, from);
  Execute(round_, stream,
          {{DNNL_ARG_FROM, outside_.get()}, {DNNL_ARG_TO, inside_.get()}});
  return data();
}

}  // namespace monsoon::onednn
