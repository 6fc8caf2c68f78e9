// SPDX-License-Identifier: Apache-2.0
#include "base/random_id.h"

#include <random>

namespace monsoon {

uint64_t RandomId() {
  std::random_device entropy;
  const uint64_t high = entropy();
  const uint64_t id = high << 32 | entropy();
  return id == 0 ? 1 : id;
}

}  // namespace monsoon
