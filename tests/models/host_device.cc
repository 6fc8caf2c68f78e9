// SPDX-License-Identifier: Apache-2.0
#include "tests/models/layer_bench.h"

namespace monsoon {

Device TestDevice() { return {}; }

}  // namespace monsoon
