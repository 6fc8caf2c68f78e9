// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/registry.h"
#include "models/data_type.h"
#include "models/device.h"

// A kernel is a contract (models/kernels/X.h: a Spec of named sizes, and a
// class of pure functions) plus one file per device
// (models/kernels/DEVICE/X.cc) that registers itself. A kernel object holds
// what its sizes need (primitives, scratch), so that calls allocate nothing;
// one thread uses it at a time. All pointers are to arrays of the stated shapes
// on that device, distinct unless said otherwise: activations and their
// gradients of the types that the kernel is a template of, float or Bf16, all
// else float32. XKernel is that of float, the only one of the processor. Where
// the device has a queue, calls enqueue their work there, and may be recorded:
// what a call is told beside pointers is what every replay does.
namespace monsoon {

template <typename Kernel>
using KernelFactory = absl::StatusOr<std::unique_ptr<Kernel>> (*)(
    const typename Kernel::Spec&, const Device&);

// const RegisterKernel<ReluKernel, CpuRelu> kRegistered("cpu");
// Implementation has a constructor, or a static Make that may fail; of a device
// with a queue, both take that too.
template <typename Kernel, typename Implementation>
struct RegisterKernel {
  explicit RegisterKernel(const char* device) {
    Registry<KernelFactory<Kernel>>::Get().Add(device, &Make);
  }
  static absl::StatusOr<std::unique_ptr<Kernel>> Make(
      const typename Kernel::Spec& spec, const Device& device) {
    if constexpr (requires { Implementation::Make(spec, *device.queue); }) {
      return Implementation::Make(spec, *device.queue);
    } else if constexpr (std::is_constructible_v<Implementation,
                                                 const typename Kernel::Spec&,
                                                 DeviceQueue&>) {
      return std::make_unique<Implementation>(spec, *device.queue);
    } else if constexpr (requires { Implementation::Make(spec); }) {
      return Implementation::Make(spec);
    } else {
      return std::make_unique<Implementation>(spec);
    }
  }
};

// A kernel of one type of activations, for each of them:
// const RegisterKernels<ReluKernelOf, CudaRelu> kRegistered("cuda");
template <template <typename> class KernelOf,
          template <typename> class Implementation>
struct RegisterKernels {
  explicit RegisterKernels(const char* device)
      : of_float(device), of_bf16(device) {}
  RegisterKernel<KernelOf<float>, Implementation<float>> of_float;
  RegisterKernel<KernelOf<Bf16>, Implementation<Bf16>> of_bf16;
};

// A product, which may write float32 though it reads bfloat16.
template <template <typename, typename> class KernelOf,
          template <typename, typename> class Implementation>
struct RegisterProducts {
  explicit RegisterProducts(const char* device)
      : of_float(device), of_bf16(device), to_float(device) {}
  RegisterKernel<KernelOf<float, float>, Implementation<float, float>> of_float;
  RegisterKernel<KernelOf<Bf16, Bf16>, Implementation<Bf16, Bf16>> of_bf16;
  RegisterKernel<KernelOf<Bf16, float>, Implementation<Bf16, float>> to_float;
};

// UNIMPLEMENTED when the device has no such kernel.
template <typename Kernel>
absl::StatusOr<std::unique_ptr<Kernel>> MakeKernel(
    const Device& device, const typename Kernel::Spec& spec) {
  const auto& registry = Registry<KernelFactory<Kernel>>::Get();
  const KernelFactory<Kernel>* make = registry.Find(device.name());
  if (make != nullptr) return (*make)(spec, device);
  return absl::UnimplementedError(absl::StrCat(
      "no kernel ", Kernel::kName, " for device \"", device.name(),
      "\"; it exists for: ", absl::StrJoin(registry.names(), ", ")));
}

}  // namespace monsoon
