// SPDX-License-Identifier: Apache-2.0
// What lets a thousand replicas fit in memory changes no number.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "trainers/replica.h"

namespace monsoon {
namespace {

constexpr int64_t kLarge = 16 << 20;  // floats: 64 MiB

// Of this process, as it is now.
int64_t ResidentBytes() {
  int64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

constexpr int64_t kBytes = kLarge * 4;

TEST_CASE("Zeros take no memory before they are written, nor when dropped") {
  const int64_t before = ResidentBytes();
  Flat flat(kLarge);
  CHECK(flat[kLarge - 1] == 0);
  CHECK(ResidentBytes() - before < kBytes / 10);
  ForEach([](float& x) { x = 1; }, flat);
  CHECK(ResidentBytes() - before > kBytes / 2);
  flat.Discard();
  CHECK(ResidentBytes() - before < kBytes / 10);
  ForEach([](float& x) { x = 2; }, flat);
  CHECK(flat[kLarge / 2] == 2);
}

TEST_CASE("A replica rests without x where that is the kept center") {
  const auto optimizer = *MakeOptimizer("sgd", 1);
  Replica replica(0, kLarge, *optimizer);
  ForEach([](float& x) { x = 3; }, replica.x);
  replica.KeepCenter(replica.x);
  const int64_t before = ResidentBytes();
  replica.Rest();  // it was not told to save memory
  CHECK(before - ResidentBytes() < kBytes / 10);
  replica.Wake();
  replica.SaveMemory();
  replica.Rest();
  CHECK(before - ResidentBytes() > kBytes / 2);
  replica.Wake();
  CHECK(replica.x[0] == 3);
  CHECK(replica.x[kLarge - 1] == 3);
  replica.x[7] = 4;  // now it is something else
  replica.Rest();
  CHECK(replica.x[7] == 4);
  replica.Wake();
  CHECK(replica.x[7] == 4);
  CHECK(replica.x[8] == 3);
  replica.DropX();
  CHECK(before - ResidentBytes() > kBytes / 2);
}

}  // namespace
}  // namespace monsoon
