// SPDX-License-Identifier: Apache-2.0
#include "data/loader.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>

namespace monsoon {
namespace {

// Example e is the image {e, 255 - e} with label e % 10.
Dataset Numbered(int64_t total, Part part = {}) {
  Dataset dataset;
  dataset.classes = 10;
  dataset.height = 1;
  dataset.width = 2;
  dataset.total = total;
  dataset.part = part;
  for (int64_t e : Partition(total, part.worker, part.workers)) {
    dataset.images.push_back(static_cast<uint8_t>(e));
    dataset.images.push_back(static_cast<uint8_t>(255 - e));
    dataset.labels.push_back(static_cast<uint8_t>(e % 10));
  }
  return dataset;
}

// All batches that are left, as the examples they are made of.
std::vector<std::vector<int>> Batches(Loader& loader, int64_t batch_size) {
  std::vector<float> input(static_cast<size_t>(2 * batch_size));
  std::vector<int32_t> labels(static_cast<size_t>(batch_size));
  std::vector<std::vector<int>> batches;
  while (const int count = loader.Next(input.data(), labels.data())) {
    std::vector<int> batch;
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      batch.push_back(static_cast<int>(std::lround(input[2 * i] * 255.0f)));
      REQUIRE(labels[i] == batch.back() % 10);
      REQUIRE(input[2 * i + 1] ==
              static_cast<float>(255 - batch.back()) / 255.0f);
    }
    batches.push_back(batch);
  }
  return batches;
}

TEST_CASE("Over E epochs every example is seen exactly E times") {
  const Dataset dataset = Numbered(101);
  for (int workers : {1, 2, 3, 7}) {
    for (int64_t batch_size : {1, 4, 7, 33, 101, 200}) {
      CAPTURE(workers, batch_size);
      std::map<int, int> seen;
      for (int worker = 0; worker < workers; ++worker) {
        Loader loader(dataset, worker, workers, batch_size, 3, 1);
        for (const std::vector<int>& batch : Batches(loader, batch_size)) {
          for (int example : batch) ++seen[example];
        }
        REQUIRE(loader.samples() == loader.samples_total());
        REQUIRE(loader.samples_total() == 3 * loader.partition_size());
        REQUIRE(loader.epoch() == 3);
      }
      REQUIRE(seen.size() == 101);
      REQUIRE(std::all_of(seen.begin(), seen.end(),
                          [](const auto& entry) { return entry.second == 3; }));
    }
  }
}

TEST_CASE("The last batch of an epoch is short and no batch crosses epochs") {
  const Dataset dataset = Numbered(10);
  Loader loader(dataset, 0, 1, 4, 2, 1);
  CHECK(loader.tail() == 2);
  CHECK(loader.batches() == 3);
  const std::vector<std::vector<int>> batches = Batches(loader, 4);
  REQUIRE(batches.size() == 6);
  for (size_t i = 0; i < 6; ++i) {
    CHECK(batches[i].size() == (i % 3 == 2 ? 2u : 4u));
  }
}

TEST_CASE("The tail is a whole batch where batches divide the partition") {
  const Dataset dataset = Numbered(12);
  CHECK(Loader(dataset, 0, 1, 4, 1, 1).tail() == 4);
  CHECK(Loader(dataset, 0, 1, 12, 1, 1).tail() == 12);
  CHECK(Loader(dataset, 0, 1, 100, 1, 1).tail() == 12);
}

TEST_CASE("A worker without examples is done at once") {
  const Dataset dataset = Numbered(2);
  Loader loader(dataset, 2, 3, 4, 5, 1);
  CHECK(loader.Next(nullptr, nullptr) == 0);
  CHECK(loader.tail() == 0);
  CHECK(loader.batches() == 0);
  CHECK(loader.samples_total() == 0);
  CHECK(loader.epoch() == 5);
}

TEST_CASE("A loader over its own part gives what one over the whole gives") {
  const Dataset whole = Numbered(101);
  for (int worker = 0; worker < 3; ++worker) {
    const Dataset part = Numbered(101, {worker, 3});
    CHECK(part.size() < 35);
    Loader from_whole(whole, worker, 3, 8, 2, 9);
    Loader from_part(part, worker, 3, 8, 2, 9);
    CHECK(Batches(from_whole, 8) == Batches(from_part, 8));
  }
}

TEST_CASE("The order does not depend on the batch size") {
  const Dataset dataset = Numbered(50);
  auto all = [&dataset](int64_t batch_size) {
    Loader loader(dataset, 1, 2, batch_size, 2, 3);
    std::vector<int> examples;
    for (const std::vector<int>& batch : Batches(loader, batch_size)) {
      examples.insert(examples.end(), batch.begin(), batch.end());
    }
    return examples;
  };
  CHECK(all(4) == all(7));
}

TEST_CASE("A restored loader goes on where the saved one was") {
  const Dataset dataset = Numbered(23);
  float input[8];
  int32_t labels[4];
  for (int before = 0; before <= 18; ++before) {
    CAPTURE(before);
    Loader saved(dataset, 0, 1, 4, 3, 7);
    for (int i = 0; i < before; ++i) saved.Next(input, labels);
    Writer writer;
    saved.Save(writer);
    Loader restored(dataset, 0, 1, 4, 3, 7);
    Reader reader(writer.bytes());
    REQUIRE(restored.Load(reader).ok());
    REQUIRE(reader.End().ok());
    REQUIRE(restored.samples() == saved.samples());
    REQUIRE(Batches(restored, 4) == Batches(saved, 4));
  }
}

TEST_CASE("A loader may be set back to where it was") {
  const Dataset dataset = Numbered(23);
  Loader loader(dataset, 0, 1, 4, 3, 7);
  Writer writer;
  loader.Save(writer);
  const std::vector<std::vector<int>> first = Batches(loader, 4);
  Reader reader(writer.bytes());
  REQUIRE(loader.Load(reader).ok());
  CHECK(Batches(loader, 4) == first);
}

TEST_CASE("A position that a loader cannot have is refused") {
  const Dataset dataset = Numbered(23);
  const std::vector<std::pair<int64_t, int64_t>> positions = {
      {-1, 0}, {0, -1}, {0, 23}, {3, 1}, {4, 0}, {INT64_MIN, INT64_MAX}};
  for (const auto& [epoch, position] : positions) {
    CAPTURE(epoch, position);
    Writer writer;
    writer.Int(epoch);
    writer.Int(position);
    Loader loader(dataset, 0, 1, 4, 3, 7);
    Reader reader(writer.bytes());
    CHECK(absl::IsDataLoss(loader.Load(reader)));
    CHECK(loader.samples() == 0);
  }
  Loader loader(dataset, 0, 1, 4, 3, 7);
  Reader empty("");
  CHECK(absl::IsDataLoss(loader.Load(empty)));
}

TEST_CASE("Inputs are the nearest floats of byte / 255") {
  Dataset dataset;
  dataset.height = 1;
  dataset.width = 256;
  for (int i = 0; i < 256; ++i) {
    dataset.images.push_back(static_cast<uint8_t>(i));
  }
  dataset.labels = {3};
  float input[256];
  int32_t label = -1;
  Gather(dataset, {0}, input, &label);
  CHECK(label == 3);
  for (int i = 0; i < 256; ++i) {
    REQUIRE(input[i] == static_cast<float>(i / 255.0L));
  }
}

}  // namespace
}  // namespace monsoon
