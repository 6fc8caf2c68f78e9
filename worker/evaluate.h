// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/flat.h"
#include "data/dataset.h"

namespace monsoon {

// How good parameters are on a data set.
struct Evaluation {
  double loss = 0;      // mean cross-entropy
  double accuracy = 0;  // share of the examples with the right class first
};

// Runs all of `dataset` through the model with the given parameters [P]; of
// several members the softmax outputs are averaged.
// Uses all processors, each for other batches: the same parameters give the
// same numbers to the bit, however many there are. REQUIRES: a member,
// examples.
absl::StatusOr<Evaluation> Evaluate(const std::string& model,
                                    const Dataset& dataset,
                                    absl::Span<const Flat> members);

}  // namespace monsoon
