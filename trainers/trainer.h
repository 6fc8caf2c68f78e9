// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/flat.h"
#include "base/registry.h"
#include "trainers/hyperparameters.h"
#include "trainers/replica.h"
#include "trainers/shard.h"

namespace monsoon {

inline constexpr int64_t kUnbounded = std::numeric_limits<int64_t>::max();

// What travels; decides which codecs, clipping and overlap are legal.
enum class Payload { kNone, kGradient, kDelta, kParameters, kCenter, kElastic };
// What is evaluated and saved.
enum class Result { kCenter, kReplicas };
// What a worker does with a gradient of its own accord: a step of whatever
// optimizer, x <- x - lr*g alone, or nothing, as the rule lies on the servers.
enum class LocalStep { kAny, kPlain, kNone };

// What a trainer is, as data; printed by `monsoon trainers`.
struct Traits {
  Payload pushes = Payload::kNone;
  Payload replies = Payload::kNone;
  Result result = Result::kCenter;
  bool synchronous = false;  // an exchange waits for other workers
  int min_workers = 1;
  int max_workers = std::numeric_limits<int>::max();
  // The servers keep Shard::seen(worker): workers x model bytes.
  bool keeps_seen = false;
  LocalStep local_step = LocalStep::kAny;
  // Workers work in the memory of the center itself (Link::Map): one process,
  // one server.
  bool maps_center = false;
  // Apply moves no element of the center by more than `reach` times the sum of
  // the largest |center| and the largest |value|, and times the lr_factor where
  // that is above 1; so a shard knows without looking that its center stays
  // finite. Infinity, not known, is always right: then the shard looks, and
  // keeps a copy of what Apply changes.
  float reach = std::numeric_limits<float>::infinity();
};

// When a pull may be answered: barriers are data. {} is at once, {.rounds = 1}
// is bulk-synchronous, {.max_lead = s} is stale-synchronous.
struct Freshness {
  // The center must be this many rounds past the worker's last pull; without a
  // push, past what the shard that was then the oldest had.
  int64_t rounds = 0;
  // The worker's pushes may be this many ahead of the slowest living worker's.
  int64_t max_lead = kUnbounded;
};

// What the shards said of an exchange, all of them together.
struct Answer {
  int64_t version = 0;    // rounds that each of them has applied, at least
  int64_t staleness = 0;  // of the push, the largest
  bool refused = false;   // the push, by any of them
};

// A worker's view of all shards. Every call is complete on all shards, or its
// status says why the replica must be discarded; it retries what may be retried
// until its deadline. One thread at a time. Vectors have P floats.
class Link {
 public:
  virtual ~Link() = default;
  // Sees the worker's own earlier pushes.
  virtual absl::Status Pull(Flat& center, Freshness need = {}) = 0;
  virtual absl::Status Push(const Flat& update, float weight = 1) = 0;
  // Atomic per shard: nothing is applied between the push and its reply (with
  // a Freshness that waits, it is a push followed by a pull). `reply` may be
  // `update` itself, and lie in other memory afterwards.
  virtual absl::Status PushPull(const Flat& update, Flat& reply,
                                float weight = 1, Freshness need = {}) = 0;
  // x becomes an alias of the center, which all workers read and write without
  // a lock, each element through a std::atomic_ref. Only where one server of
  // this process holds all of it; else UNIMPLEMENTED.
  virtual absl::Status Map(Flat& x);
  // How the last exchange went: staleness, as a trainer may want to see it.
  virtual Answer last() const { return {}; }
  // Exchanges run beside the steps to come: a PushPull returns before.
  virtual bool is_beside_steps() const { return false; }
};

// A push as the server half sees it; in a round of several, their mean.
struct Update {
  const Flat& value;  // [n], finite; for statistics a delta
  // As pushed: the update's in a mean. Of a round of several it is the sum.
  float weight = 1;
  int worker = 0;
  // Rounds of this shard between the center from which the update was computed
  // and the update.
  int64_t staleness = 0;
  int64_t local_steps = 0;
  int64_t samples = 0;
  // Passes over the data done by all workers together, before this update.
  double progress = 0;
  // What the worker's schedule made of its rate: a rule on the servers follows
  // it. Of a round of several, the mean.
  float lr_factor = 1;
};

// One training algorithm, both halves. Immutable: all state is in named slots
// of the replica (worker) or the shard (server). Built in every process from
// the same hyper-parameters. Safe from any thread.
class Trainer {
 public:
  virtual ~Trainer() = default;
  virtual Traits traits() const = 0;

  // Worker half, in the order in which the one training loop calls it.

  // Default: pulls x, and keeps it as the center.
  virtual absl::Status Start(Replica& r, Link& link) const;
  virtual void BeforeGradient(Replica&) const {}
  // Where backward writes. Default: a local step of the optimizer, begun while
  // the gradient comes, so that r.gradient may not have it.
  virtual GradientSink Sink(Replica& r) const { return r.BeginLocalStep(); }
  // Default: the end of that step.
  virtual void AfterGradient(Replica& r) const { r.EndLocalStep(); }
  // Is it time to exchange? r.pending counts the step just done.
  virtual bool Due(const Replica&) const { return true; }
  // Also called once at the end when steps are pending: no tail is lost.
  // On failure the update is in r.x, r.gradient or r.center(), where the loop
  // looks for numbers that are not finite.
  virtual absl::Status Exchange(Replica& r, Link& link) const = 0;

  // Server half, called by one shard under its lock: a pure function of shard
  // and update, without clock, random or I/O, so that a log of updates gives
  // the same bytes on a second copy.

  // Pushes that close a round, of the living workers `live` (ranks, sorted). 0:
  // there is nobody to push, and the round passes as soon as somebody waits for
  // the next. The pushes of a round of several are kept until it closes
  // (pushes x shard bytes), and their mean is taken in the order of ranks.
  virtual int Quorum(int64_t /*round*/, absl::Span<const int> /*live*/) const {
    return 1;
  }
  // What the update is worth: scales its value, before the mean of a round;
  // 0 refuses it.
  virtual float Discount(const Update&) const { return 1; }
  // Default: center += value, statistics included; a rule of another kind moves
  // the first shard.parameters floats and adds to the rest. A shard undoes what
  // makes its center, or a slot named here, infinite, and answers with an
  // error.
  virtual void Apply(const Update& update, Shard& shard) const;
  // What a PushPull answers, right after Apply and again when the same push is
  // repeated later: the center (default), or a slot of the worker's.
  virtual const Flat& Reply(const Update&, Shard& shard) const {
    return shard.center;
  }
  // What `worker` has come to, where the result is the replicas and there are
  // several; null: it has not handed that in.
  virtual const Flat* ReplicaOf(int /*worker*/, const Shard&) const {
    return nullptr;
  }
};

// What people read about a trainer before they choose it.
struct TrainerEntry {
  std::string title;     // "accumulated gradient normalization"
  std::string equation;  // in ASCII, one line
  std::string source;    // paper, year, arXiv number
  // Local optimizer and rate when the user names none; docs/trainers.md
  // shows the grid from which they were chosen.
  std::string optimizer = "sgd";
  float lr = 0.1f;
  std::unique_ptr<Trainer> (*make)(Hyperparameters&) = nullptr;
};

struct MadeTrainer {
  std::unique_ptr<Trainer> trainer;
  // What is allowed and will hardly end well: each with its bound and reason.
  std::vector<std::string> warnings;
  // Every hyper-parameter, as declared and with the value in force.
  std::vector<Hyperparameters::Declared> hyper;
  std::map<std::string, std::string> resolved;
};

// Builds the trainer `name` with the keys in `set`. INVALID_ARGUMENT names an
// unknown trainer or key or a bad value, with what is accepted.
absl::StatusOr<MadeTrainer> MakeTrainer(
    const std::string& name, const std::map<std::string, std::string>& set,
    const JobFacts& facts);
// The local optimizer is one that a trainer with these traits can have; else
// INVALID_ARGUMENT.
absl::Status CheckOptimizer(absl::string_view trainer, const Traits& traits,
                            const Optimizer& optimizer);
// The entry of a trainer, or INVALID_ARGUMENT with the accepted names.
absl::StatusOr<const TrainerEntry*> FindTrainer(const std::string& name);
// Sorted.
std::vector<std::string> TrainerNames();
// What `--trainer` is when nobody says it.
std::string DefaultTrainer();

std::string PayloadName(Payload payload);

// At namespace scope of the trainer's file:
//   REGISTER_TRAINER("adag", Adag, {.title = ..., .equation = ...});
#define REGISTER_TRAINER(name, Class, ...)                                \
  const bool k##Class##Registered = [] {                                  \
    ::monsoon::TrainerEntry entry __VA_ARGS__;                            \
    entry.make = [](::monsoon::Hyperparameters& hyper)                    \
        -> std::unique_ptr<::monsoon::Trainer> {                          \
      return std::make_unique<Class>(hyper);                              \
    };                                                                    \
    ::monsoon::Registry<::monsoon::TrainerEntry>::Get().Add(name, entry); \
    return true;                                                          \
  }()

}  // namespace monsoon
