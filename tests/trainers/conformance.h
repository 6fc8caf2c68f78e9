// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/trainers/scripted_cluster.h"
#include "trainers/trainer.h"

namespace monsoon {

// A registered trainer, as the conformance tests see it.
struct Subject {
  std::string name;
  Traits traits;  // with its defaults
  bool has_window = false;

  bool exchanges() const {
    return traits.pushes != Payload::kNone && traits.replies != Payload::kNone;
  }
};

// What every trainer owes, and who is excused, with the reason: a column of the
// matrix in docs/trainers.md. Made once each, at namespace scope of the tests.
struct Property {
  using Excuse = std::string (*)(const Subject& subject);

  // `excuse`: empty for who owes it; null: everybody does.
  Property(std::string name, std::string meaning, Excuse excuse = nullptr);

  const std::string name;     // one or two words
  const std::string meaning;  // a sentence
  const Excuse excuse;
};

// Who owes the property.
std::vector<Subject> Owing(const Property& property);
// Markdown: what the columns mean, the matrix, and the excuses below it.
std::string ConformanceMatrix();

// Replicas lie on a device (TestMemory).
bool AreOnDevice();

// The excuse of trainers that push and pull nothing while they train.
std::string ExchangesNothing(const Subject& subject);

// Where a training has come to.
struct Outcome {
  Outcome(ScriptedCluster& cluster, int workers);
  bool operator==(const Outcome& other) const;
  std::vector<float> center, replicas;
};
// Of 60 uneven steps and the tails.
Outcome Train(const ToyJob& job);

// Booth with three workers, or as many as the trainer takes, and short windows.
ToyJob SmallJob(const std::string& trainer);
// The same with statistics, biases and every local rule.
ToyJob FullJob(const std::string& trainer);
// Uneven, the same every time: `steps` ranks below `workers`.
std::vector<int> UnevenSchedule(int steps, int workers);

}  // namespace monsoon
