// SPDX-License-Identifier: Apache-2.0
#include "tests/trainers/scripted_cluster.h"

namespace monsoon {

MemoryResource& TestMemory(int) { return HeapMemory(); }

}  // namespace monsoon
