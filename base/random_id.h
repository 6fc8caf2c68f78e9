// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace monsoon {

// A number that nobody else has, never 0, from the machine's entropy: for jobs
// and processes. For main() alone; whatever is to repeat is given its numbers.
uint64_t RandomId();

}  // namespace monsoon
