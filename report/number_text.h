// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/spread.h"

namespace monsoon {

// Numbers as a report prints them. What is not finite is "-".

// Three digits that count: "0.0123", "2.69", "104"; without a unit.
std::string SecondsText(double seconds);
std::string AccuracyText(double accuracy);  // "0.8519"
// "0.4321"; of a training that went astray "1.10e+23".
std::string LossText(double loss);
std::string MegabytesText(double bytes);  // "984.0", in units of 10^6
std::string GroupedText(double value);    // "17,544"
// "2.69 (2.64 to 2.83)": from the smallest to the largest; "2.69" of one value.
// `text` prints each.
std::string RangeText(double median, double min, double max, int count,
                      std::string (*text)(double));
// "2.69 [2.64, 2.83]" with the interval of the median; the range where there is
// none.
std::string SpreadText(const Spread& spread, std::string (*text)(double));
// "1 run", "2 runs"
std::string CountedText(int64_t count, const std::string& what);
// "a, b and c"
std::string ListText(const std::vector<std::string>& items);

}  // namespace monsoon
