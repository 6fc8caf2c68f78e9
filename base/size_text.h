// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace monsoon {

// Bytes as people read them: "312 KiB", "2.9 MiB", "182 MiB", "1.2 GiB"; "-"
// where that is no number of bytes.
std::string SizeText(double bytes);

}  // namespace monsoon
