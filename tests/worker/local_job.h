// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "data/dataset.h"
#include "worker/run_worker.h"

namespace monsoon {

// The first `count` training images of the real Fashion-MNIST, where its
// package or MONSOON_TEST_DATA (as --data has it) puts them.
Dataset SmallFashionMnist(int64_t count);

// All workers of one job as threads of this process; the outcome of each rank.
std::vector<absl::StatusOr<JobOutcome>> RunLocalJob(
    const Options& options, const std::vector<ServerCalls*>& servers,
    const Dataset& train, const std::atomic<int>& stop,
    Tracer* tracer = nullptr);

}  // namespace monsoon
