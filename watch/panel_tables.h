// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "watch/job_view.h"
#include "watch/text_table.h"

namespace monsoon {

// How much of many things there is room for.
enum class Detail { kRows, kSummary, kNone };

using Block = std::vector<InkedLine>;

// The servers of a job: a row for each, up to eight; else one for all of them.
Block ServersTable(const JobView& view, Detail detail, bool utf8, int width);

// The workers: a row for each, up to eight; else how many are in which state,
// the least, the median and the most of every number, and the slowest.
Block WorkersTable(const JobView& view, Detail detail, bool utf8, int width);

}  // namespace monsoon
