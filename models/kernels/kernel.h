// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/registry.h"

// A kernel is a contract (models/kernels/X.h: a Spec of named sizes, and a
// class of pure functions) plus one file per device
// (models/kernels/DEVICE/X.cc) that registers itself. A kernel object holds
// what its sizes need (primitives, scratch), so that calls allocate nothing;
// one thread uses it at a time. All pointers are to float32 arrays of the
// stated shapes on that device, distinct unless said otherwise.
namespace monsoon {

template <typename Kernel>
using KernelFactory =
    absl::StatusOr<std::unique_ptr<Kernel>> (*)(const typename Kernel::Spec&);

// const RegisterKernel<ReluKernel, CpuRelu> kRegistered("cpu");
// Implementation has a constructor, or a static Make that may fail.
template <typename Kernel, typename Implementation>
struct RegisterKernel {
  explicit RegisterKernel(const char* device) {
    Registry<KernelFactory<Kernel>>::Get().Add(device, &Make);
  }
  static absl::StatusOr<std::unique_ptr<Kernel>> Make(
      const typename Kernel::Spec& spec) {
    if constexpr (requires { Implementation::Make(spec); }) {
      return Implementation::Make(spec);
    } else {
      return std::make_unique<Implementation>(spec);
    }
  }
};

// UNIMPLEMENTED when the device has no such kernel.
template <typename Kernel>
absl::StatusOr<std::unique_ptr<Kernel>> MakeKernel(
    absl::string_view device, const typename Kernel::Spec& spec) {
  const auto& registry = Registry<KernelFactory<Kernel>>::Get();
  const KernelFactory<Kernel>* make = registry.Find(device);
  if (make != nullptr) return (*make)(spec);
  return absl::UnimplementedError(absl::StrCat(
      "no kernel ", Kernel::kName, " for device \"", device,
      "\"; it exists for: ", absl::StrJoin(registry.names(), ", ")));
}

}  // namespace monsoon
