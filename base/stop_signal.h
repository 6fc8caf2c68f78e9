// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace monsoon {

// From now on the first SIGINT or SIGTERM only leaves its number here (0 until
// then), and a second one ends the process at once. A thread of their own takes
// them: the caller's, and those that it starts from now on, have them blocked.
// For main() alone, before the first thread: signals belong to the process, so
// this is its one mutable global.
const std::atomic<int>& CatchStopSignals();

}  // namespace monsoon
