// SPDX-License-Identifier: Apache-2.0
// A trainer that no other file knows: written here, registered here, and
// trained, served, saved and checked by everything that goes through the
// registry. docs/adding_a_trainer.md explains it line by line.
#include <catch2/catch.hpp>

#include "absl/strings/str_split.h"
#include "base/filesystem.h"
#include "base/status_macros.h"
#include "tests/trainers/scripted_cluster.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

// [example]
class Discounted final : public Trainer {
 public:
  explicit Discounted(Hyperparameters& hyper)
      : window_(hyper.Count("window", 5, 1, "local steps between exchanges")) {}

  Traits traits() const override {
    return {.pushes = Payload::kDelta, .replies = Payload::kCenter};
  }

  bool Due(const Replica& r) const override { return r.pending >= window_; }

  absl::Status Exchange(Replica& r, Link& link) const override {
    Flat& center = r.TakeWay();  // the update, in the center's memory
    RETURN_IF_ERROR(link.PushPull(center, center));
    r.x.CopyFrom(center);
    return absl::OkStatus();
  }

  float Discount(const Update& update) const override {
    return 2.0f / static_cast<float>(update.staleness + 2);
  }

 private:
  const int64_t window_;
};

REGISTER_TRAINER("discounted", Discounted,
                 {.title = "updates that fade slowly with their staleness",
                  .equation = "every window: c <- c + 2*(x - c')/(tau + 2), "
                              "x <- c",
                  .source = "an example",
                  .optimizer = "sgd",
                  .lr = 0.1f});
// [example]

using Values = std::vector<float>;

TEST_CASE("A trainer from a file of its own is listed and made", "[trainers]") {
  CHECK_THAT(TrainerNames(), Catch::VectorContains(std::string("discounted")));
  const TrainerEntry& entry = **FindTrainer("discounted");
  CHECK(entry.title == "updates that fade slowly with their staleness");
  const MadeTrainer made = *MakeTrainer("discounted", {{"window", "2"}}, {});
  CHECK(made.resolved.at("window") == "2");
}

TEST_CASE("A trainer from a file of its own trains by its own rule",
          "[trainers]") {
  ScriptedCluster cluster({.trainer = "discounted",
                           .set = {{"window", "1"}},
                           .workers = 3,
                           .lr = 1,
                           .start = {0},
                           .gradient = Constant({-6, -6, -6})});
  cluster.Run({0});  // staleness 0: 6
  CHECK(cluster.Center() == Values{6});
  cluster.Run({1});  // staleness 1: 6 * 2 / 3
  CHECK(cluster.Center()[0] == Approx(10));
  cluster.Run({2});  // staleness 2: 6 / 2
  CHECK(cluster.Center()[0] == Approx(13));
  cluster.Run({2});  // staleness 0 again: 6
  CHECK(cluster.Center()[0] == Approx(19));
}

TEST_CASE("docs/adding_a_trainer.md shows this trainer", "[trainers]") {
  const std::string here = *RealFileSystem().Read(
      MONSOON_SOURCE_DIR "/tests/trainers/discounted_trainer_test.cc");
  const std::string page =
      *RealFileSystem().Read(MONSOON_SOURCE_DIR "/docs/adding_a_trainer.md");
  const std::vector<std::string> parts =
      absl::StrSplit(here, absl::StrCat("// [", "example]\n"));
  REQUIRE(parts.size() == 3);
  CHECK_THAT(page, Catch::Contains(parts[1]));
}

TEST_CASE("An unknown trainer is reported with the nearest spelling",
          "[trainers]") {
  const absl::Status status = MakeTrainer("adga", {}, {}).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()),
             Catch::Contains("trainer \"adga\"") &&
                 Catch::Contains("aeasgd, averaging, dcasgd, ") &&
                 Catch::Contains("did you mean \"adag\""));
}

TEST_CASE("An unknown key is reported with the trainer's own", "[trainers]") {
  CHECK_THAT(std::string(
                 MakeTrainer("adag", {{"windwo", "3"}}, {}).status().message()),
             Catch::Contains("trainer adag") &&
                 Catch::Contains("did you mean \"window\""));
  CHECK_THAT(
      std::string(
          MakeTrainer("single", {{"window", "3"}}, {}).status().message()),
      Catch::Contains("trainer single has no keys"));
}

}  // namespace
}  // namespace monsoon
