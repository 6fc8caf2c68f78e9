// SPDX-License-Identifier: Apache-2.0
#include "cli/disturbance.h"

#include <catch2/catch.hpp>
#include <string>

namespace monsoon {
namespace {

//                 user nice system idle iowait irq softirq steal guest nice
const char kStat[] =
    "cpu  1000 100 200 5000 60 7 8 90 500 50\n"
    "cpu0 600 100 150 2000 30 5 5 60 500 50\n"
    "cpu1 300 0 50 2500 30 2 3 20 0 0\n"
    "cpu11 100 0 0 500 0 0 0 10 0 0\n"
    "intr 9769739 0 0 0\n";

TEST_CASE("busy is what processes and the kernel used, on the cores named") {
  const auto two = ParseProcessorTimes(kStat, {0, 1}, 100);
  REQUIRE(two.has_value());
  CHECK(two->cores == 2);
  // (600 + 100 + 150 + 5 + 5) + (300 + 50 + 2 + 3) ticks
  CHECK(two->busy_s == Approx(12.15));
  CHECK(two->steal_s == Approx(0.8));
  const auto one = ParseProcessorTimes(kStat, {1, 7}, 100);
  REQUIRE(one.has_value());
  CHECK(one->cores == 1);
  CHECK(one->busy_s == Approx(3.55));
}

TEST_CASE("where the system says nothing, nothing is measured") {
  const std::string text =
      GENERATE("", "cpu  1 2 3 4 5 6 7 8\n", "cpu0 1 2 3\n", "intr 1\n",
               "cpu0 1 2 3 4 5 6 7 x 9 10\n");
  CHECK_FALSE(ParseProcessorTimes(text, {0}, 100).has_value());
  CHECK_FALSE(ParseProcessorTimes(kStat, {}, 100).has_value());
  const ProcessorTimes some = {.busy_s = 1, .cores = 2};
  CHECK_FALSE(MeasureDisturbance(some, std::nullopt, 0, 1).has_value());
  CHECK_FALSE(MeasureDisturbance(std::nullopt, some, 0, 1).has_value());
  CHECK_FALSE(MeasureDisturbance(some, some, 0, 0).has_value());
}

TEST_CASE("others used what the machine did and the run did not") {
  const ProcessorTimes before = {.busy_s = 100, .steal_s = 5, .cores = 2};
  ProcessorTimes after = {.busy_s = 115, .steal_s = 5.2, .cores = 2};
  auto found = MeasureDisturbance(before, after, /*own_s=*/11, /*wall_s=*/10);
  REQUIRE(found.has_value());
  CHECK(found->other_load == Approx(0.4));  // (15 - 11) / 10
  CHECK(found->steal == Approx(0.01));      // 0.2 / (2 x 10)
  CHECK(found->is_disturbed());
  // A tenth of two cores is 0.2 of one.
  found = MeasureDisturbance(before, after, 13.1, 10);
  CHECK(found->other_load == Approx(0.19));
  CHECK_FALSE(found->is_disturbed());
  // Ticks are coarse: never less than nothing.
  found = MeasureDisturbance(before, after, 15.2, 10);
  CHECK(found->other_load == 0);
  CHECK_FALSE(found->is_disturbed());
  after.steal_s = 5.6;
  found = MeasureDisturbance(before, after, 15, 10);
  CHECK(found->steal == Approx(0.03));
  CHECK(found->is_disturbed());
}

TEST_CASE("a disturbance is said in words") {
  CHECK(DisturbanceText(0.43, 0.02) == "other processes used 0.43 of a core");
  CHECK(DisturbanceText(0.01, 0.031) ==
        "other processes used 0.01 of a core, 3.1 % of the processors' time "
        "was stolen");
}

TEST_CASE("this machine says what its processors do") {
  const auto before = ReadProcessorTimes(RealFileSystem());
  REQUIRE(before.has_value());
  CHECK(before->cores == static_cast<int>(AllowedCores().size()));
  const auto after = ReadProcessorTimes(RealFileSystem());
  CHECK(after->busy_s >= before->busy_s);
}

}  // namespace
}  // namespace monsoon
