// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/convert.h"
#include "proto/tensorboard.pb.h"
#include "watch/histogram.h"

namespace monsoon {

namespace tb = ::monsoon::tensorboard;

// Makes the values of TensorBoard's plugins. What a tag is comes with each of
// its values: TensorBoard looks at the first.

// Adds `value` under `tag`; what is no finite number is left out.
void AddScalar(const std::string& tag, double value, tb::Summary& to);

// Adds a histogram, of no values too.
void AddHistogram(const std::string& tag, const BucketedValues& values,
                  tb::Summary& to);

// Adds what the HParams plugin needs of a job that began at `start`: its
// settings, and which scalars are its results.
void AddHParams(const pb::JobSpec& spec, absl::Time start, tb::Summary& to);
// And of one that has ended.
void AddHParamsEnd(bool is_done, absl::Time end, tb::Summary& to);

}  // namespace monsoon
