// SPDX-License-Identifier: Apache-2.0
#include "tests/trainers/conformance.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace monsoon {
namespace {

std::vector<const Property*>& Properties() {
  static std::vector<const Property*> all;
  return all;
}

// Keys with which a trainer's rule fits the toy problem: its numbers are in the
// tens, where those of a network are below one.
std::map<std::string, std::string> ToyKeys(const std::string& trainer) {
  if (trainer == "dcasgd") return {{"lambda", "1e-6"}};
  if (trainer == "adag_distance") return {{"gamma", "100"}};
  if (trainer == "fedadam") return {{"server_lr", "0.3"}, {"tau", "1"}};
  if (trainer == "diloco" || trainer == "diloco_async") {
    return {{"server_lr", "0.1"}};
  }
  return {};
}

Subject SubjectOf(const std::string& name) {
  const MadeTrainer made = *MakeTrainer(name, {}, {});
  return {name, made.trainer->traits(), made.resolved.contains("window")};
}

std::vector<Subject> Subjects() {
  std::vector<Subject> subjects;
  for (const std::string& name : TrainerNames()) {
    subjects.push_back(SubjectOf(name));
  }
  return subjects;
}

std::string ExcuseOf(const Property& property, const Subject& subject) {
  return property.excuse == nullptr ? "" : property.excuse(subject);
}

}  // namespace

Property::Property(std::string n, std::string m, Excuse e)
    : name(std::move(n)), meaning(std::move(m)), excuse(e) {
  Properties().push_back(this);
}

std::vector<Subject> Owing(const Property& property) {
  std::vector<Subject> owing = Subjects();
  std::erase_if(owing, [&](const Subject& subject) {
    // Whose center is the replica refuses one on a device.
    return (AreOnDevice() && subject.traits.maps_center) ||
           !ExcuseOf(property, subject).empty();
  });
  return owing;
}

std::string ConformanceMatrix() {
  std::vector<const Property*> columns = Properties();
  std::sort(
      columns.begin(), columns.end(),
      [](const Property* a, const Property* b) { return a->name < b->name; });
  std::string text;
  for (const Property* column : columns) {
    absl::StrAppend(&text, "- *", column->name, "*: ", column->meaning, "\n");
  }
  absl::StrAppend(&text, "\n| trainer |");
  for (const Property* column : columns) {
    absl::StrAppend(&text, " ", column->name, " |");
  }
  absl::StrAppend(&text, "\n|---|");
  for (size_t i = 0; i < columns.size(); ++i) absl::StrAppend(&text, "---|");
  std::vector<std::string> reasons;
  for (const Subject& subject : Subjects()) {
    if (subject.name == "discounted") continue;  // this folder's example
    absl::StrAppend(&text, "\n| `", subject.name, "` |");
    for (const Property* column : columns) {
      const std::string excuse = ExcuseOf(*column, subject);
      if (excuse.empty()) {
        absl::StrAppend(&text, " yes |");
        continue;
      }
      auto at = std::find(reasons.begin(), reasons.end(), excuse);
      if (at == reasons.end()) at = reasons.insert(at, excuse);
      absl::StrAppend(&text, " (", at - reasons.begin() + 1, ") |");
    }
  }
  absl::StrAppend(&text, "\n\n");
  for (size_t i = 0; i < reasons.size(); ++i) {
    absl::StrAppend(&text, i + 1, ". ", reasons[i], "\n");
  }
  return text;
}

bool AreOnDevice() { return TestMemory(0).queue() != nullptr; }

std::string ExchangesNothing(const Subject& s) {
  return s.exchanges() ? ""
                       : "nothing is exchanged while it trains: replicas, or "
                         "one memory, are all there is";
}

Outcome::Outcome(ScriptedCluster& cluster, int workers)
    : center(cluster.Center()) {
  for (int worker = 0; worker < workers; ++worker) {
    const std::vector<float> x = cluster.x(worker);
    replicas.insert(replicas.end(), x.begin(), x.end());
  }
}

bool Outcome::operator==(const Outcome& other) const {
  return SameBits(center, other.center) && SameBits(replicas, other.replicas);
}

Outcome Train(const ToyJob& job) {
  ScriptedCluster cluster(job);
  cluster.RunReady(UnevenSchedule(60, job.workers));
  cluster.EndAll();
  Outcome outcome(cluster, job.workers);
  REQUIRE_FALSE(std::equal(job.start.begin(), job.start.begin() + 6,
                           outcome.replicas.begin()));
  return outcome;
}

ToyJob SmallJob(const std::string& trainer) {
  const Subject subject = SubjectOf(trainer);
  ToyJob job{.trainer = trainer,
             .set = ToyKeys(trainer),
             .workers = std::min(3, subject.traits.max_workers),
             .lr = 0.005f,
             .start = {90, 90, -3.7f, 11.1f, 0.3f, 0},
             .gradient = Booth};
  if (subject.has_window) job.set["window"] = "3";
  return job;
}

ToyJob FullJob(const std::string& trainer) {
  ToyJob job = SmallJob(trainer);
  if (!SubjectOf(trainer).traits.maps_center) {
    job.start.insert(job.start.end(), {3, 1, 0.5f});
    job.statistics = 3;
    job.motion = [](int worker, int64_t step, Flat& statistics) {
      const auto seen = static_cast<float>(2 * worker - step % 3);
      ForEach([seen](float& s) { s += 0.1f * (seen - s); }, statistics);
    };
  }
  job.biases = 2;
  job.rules.weight_decay = 0.01f;
  job.rules.clip_norm = 40;
  job.rules.schedule = {.shape = Schedule::Shape::kCosine,
                        .epochs = 5,
                        .warmup = 0.5,
                        .first = 0.25};
  job.rules.epoch_samples = 8;
  return job;
}

std::vector<int> UnevenSchedule(int steps, int workers) {
  std::vector<int> schedule;
  for (int i = 0; i < steps; ++i) {
    schedule.push_back((i * i + i / 3) % workers);
  }
  return schedule;
}

}  // namespace monsoon
