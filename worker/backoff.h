// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "absl/time/time.h"
#include "base/mutant.h"
#include "base/random.h"

namespace monsoon {

// The pauses between the attempts of one call: twice as long each time, up to
// kMost, and a random part of the second half of each, so that workers that
// have lost a server together do not come back to it together. Not thread-safe.
class Backoff {
 public:
  static constexpr absl::Duration kFirst = absl::Milliseconds(50);
  static constexpr absl::Duration kMost = absl::Seconds(2);

  // `random` outlives this; two workers have streams of different keys.
  explicit Backoff(Random& random) : random_(random) {}

  absl::Duration Next() {
    const absl::Duration pause =
        pause_ * random_.Uniform(Mutant("no-jitter") ? 1 : 0.5f, 1);
    pause_ = std::min(2 * pause_, kMost);
    return pause;
  }

 private:
  Random& random_;
  absl::Duration pause_ = kFirst;
};

}  // namespace monsoon
