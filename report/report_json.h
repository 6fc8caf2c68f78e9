// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "report/report.h"

namespace monsoon {

// {"id", "title", "claim", "note", "kind", "x", "y", "series", "table"}: what
// the script of the page draws.
nlohmann::ordered_json FigureJson(const Figure& figure);

// dump(), with texts that are no UTF-8 mended.
std::string DumpJson(const nlohmann::ordered_json& json, int indent);

}  // namespace monsoon
