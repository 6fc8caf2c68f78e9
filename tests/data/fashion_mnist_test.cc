// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <numeric>
#include <utility>

#include "data/dataset.h"
#include "tests/base/temporary_folder.h"
#include "tests/data/idx_files.h"

namespace monsoon {
namespace {

using Catch::Matchers::Contains;

constexpr char kImages[] = "t10k-images-idx3-ubyte.gz";
constexpr char kLabels[] = "t10k-labels-idx1-ubyte.gz";

// A folder with a small test split, to be spoilt.
class SmallSet {
 public:
  SmallSet() {
    Put(kImages, Gzip(IdxFile({20, 28, 28}, 251)));
    Put(kLabels, Gzip(IdxFile({20}, 10)));
  }

  void Put(const std::string& name, const std::string& bytes) {
    REQUIRE(RealFileSystem().Write(folder_.At(name), bytes).ok());
  }
  void Remove(const std::string& name) {
    REQUIRE(std::filesystem::remove(folder_.At(name)));
  }
  void MakeFolder(const std::string& name) {
    REQUIRE(RealFileSystem().MakeFolder(folder_.At(name)).ok());
  }
  absl::StatusOr<Dataset> Load(Part part = {}) const {
    return LoadDataset("fashion-mnist:" + folder_.path(), Split::kTest,
                       RealFileSystem(), part);
  }
  // The message of a refusal with `code`, which tells the cure.
  std::string Refusal(absl::StatusCode code) const {
    const absl::Status status = Load().status();
    CHECK(status.code() == code);
    CHECK_THAT(std::string(status.message()),
               Contains("apt-get install") && Contains(folder_.path()) &&
                   Contains("dataset-fashion-mnist"));
    return std::string(status.message());
  }
  std::string DataLoss() const { return Refusal(absl::StatusCode::kDataLoss); }

 private:
  TemporaryFolder folder_;
};

TEST_CASE("The real training set is what was published") {
  const absl::StatusOr<Dataset> set =
      LoadDataset("fashion-mnist", Split::kTrain, RealFileSystem());
  REQUIRE(set.ok());
  CHECK(set->name == "fashion-mnist");
  CHECK(set->total == 60000);
  CHECK(set->size() == 60000);
  CHECK(set->example_size() == 784);
  CHECK(set->classes == 10);
  CHECK(set->images.size() == 47040000);
  CHECK(set->hash == "b4f29f28741a4657");
  const std::vector<uint8_t> first(set->labels.begin(),
                                   set->labels.begin() + 10);
  CHECK(first == std::vector<uint8_t>{9, 0, 0, 3, 0, 2, 7, 2, 5, 5});
  std::vector<int> of_class(10);
  for (uint8_t label : set->labels) ++of_class[label];
  CHECK(of_class == std::vector<int>(10, 6000));
  const auto pixels = set->images.begin();
  CHECK(std::accumulate(pixels, pixels + 784, 0) == 76247);
  CHECK(std::accumulate(pixels, set->images.end(), int64_t{0}) == 3431114169);
}

TEST_CASE("A part of the real set has the hash and total of the whole") {
  const absl::StatusOr<Dataset> whole =
      LoadDataset("fashion-mnist", Split::kTest, RealFileSystem());
  REQUIRE(whole.ok());
  CHECK(whole->hash == "678fe0b180142c1f");
  CHECK(whole->size() == 10000);
  const std::vector<uint8_t> first(whole->labels.begin(),
                                   whole->labels.begin() + 10);
  CHECK(first == std::vector<uint8_t>{9, 2, 1, 1, 6, 1, 4, 6, 5, 7});
  const absl::StatusOr<Dataset> part =
      LoadDataset("fashion-mnist", Split::kTest, RealFileSystem(), {2, 3});
  REQUIRE(part.ok());
  CHECK(part->hash == whole->hash);
  CHECK(part->total == 10000);
  CHECK(part->part == Part{2, 3});
  REQUIRE(part->size() == 3333);
  for (size_t row = 0; row < 3333; ++row) {
    REQUIRE(part->labels[row] == whole->labels[3 * row + 2]);
  }
  CHECK(std::equal(part->images.end() - 784, part->images.end(),
                   whole->images.begin() + 784 * (3 * 3332 + 2)));
}

TEST_CASE("An unknown set is refused with the names of the known ones") {
  CHECK(DatasetNames() == std::vector<std::string>{"fashion-mnist"});
  for (const char* spec : {"fashion-mnst", "", ":", "fashion-mnist2:/x"}) {
    CAPTURE(spec);
    const absl::Status status =
        LoadDataset(spec, Split::kTrain, RealFileSystem()).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()),
               Contains("unknown data set") && Contains("fashion-mnist"));
  }
  const absl::Status status =
      LoadDataset("fashion-mnist:", Split::kTrain, RealFileSystem()).status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK_THAT(std::string(status.message()), Contains("fashion-mnist:DIR"));
}

TEST_CASE("A missing folder is named, with the package to install") {
  const absl::Status status = LoadDataset("fashion-mnist:/no/such/folder",
                                          Split::kTest, RealFileSystem())
                                  .status();
  CHECK(absl::IsNotFound(status));
  CHECK_THAT(std::string(status.message()),
             Contains("folder \"/no/such/folder\" does not exist") &&
                 Contains("`apt-get install dataset-fashion-mnist`") &&
                 Contains("--data fashion-mnist:DIR"));
}

TEST_CASE("A missing file is named, with the package to install") {
  for (const char* name : {kImages, kLabels}) {
    SmallSet set;
    REQUIRE(set.Load().ok());
    set.Remove(name);
    CHECK_THAT(set.Refusal(absl::StatusCode::kNotFound),
               Contains(std::string(name) + "\" does not exist"));
  }
}

TEST_CASE("Files are found plain and with a dot before idx") {
  SmallSet set;
  const std::string hash = set.Load()->hash;
  for (const char* name :
       {"t10k-images.idx3-ubyte.gz", "t10k-images-idx3-ubyte",
        "t10k-images.idx3-ubyte"}) {
    CAPTURE(name);
    SmallSet other;
    other.Remove(kImages);
    const std::string plain = IdxFile({20, 28, 28}, 251);
    const bool gzip = std::string(name).find(".gz") != std::string::npos;
    other.Put(name, gzip ? Gzip(plain) : plain);
    const absl::StatusOr<Dataset> loaded = other.Load();
    REQUIRE(loaded.ok());
    CHECK(loaded->hash == hash);
  }
}

TEST_CASE("The gzip file is preferred to the plain one") {
  SmallSet set;
  set.Put("t10k-images-idx3-ubyte", "spoilt");
  CHECK(set.Load().ok());
}

TEST_CASE("The hash depends on every byte and on the counts") {
  SmallSet set;
  const std::string hash = set.Load()->hash;
  CHECK(hash.size() == 16);
  std::string images = IdxFile({20, 28, 28}, 251);
  images.back() = static_cast<char>(images.back() ^ 1);
  set.Put(kImages, Gzip(images));
  CHECK(set.Load()->hash != hash);
  SmallSet other_label;
  std::string labels = IdxFile({20}, 10);
  labels[8] = 1;
  other_label.Put(kLabels, Gzip(labels));
  CHECK(other_label.Load()->hash != hash);
  CHECK(other_label.Load()->hash.substr(0, 8) == hash.substr(0, 8));
}

TEST_CASE("A file that cannot be read is data loss") {
  SmallSet set;
  set.Remove(kImages);
  set.MakeFolder(kImages);
  CHECK_THAT(set.DataLoss(), Contains("Is a directory"));
}

TEST_CASE("Images and labels of different counts are refused") {
  SmallSet set;
  set.Put(kLabels, Gzip(IdxFile({19}, 10)));
  CHECK_THAT(set.DataLoss(), Contains("has 19 labels, expected 20"));
}

TEST_CASE("A label outside the classes is refused, whatever the part") {
  SmallSet set;
  std::string labels = IdxFile({20}, 10);
  labels[8 + 13] = 10;
  set.Put(kLabels, Gzip(labels));
  CHECK_THAT(set.DataLoss(),
             Contains("label of example 13 is 10, expected 0 to 9"));
  CHECK(absl::IsDataLoss(set.Load({0, 2}).status()));
}

TEST_CASE("Images of another shape are refused") {
  SmallSet set;
  set.Put(kImages, Gzip(IdxFile({20, 14, 56}, 251)));
  CHECK_THAT(set.DataLoss(), Contains("images are 14 x 56, expected 28 x 28"));
}

TEST_CASE("Labels in the place of images are refused") {
  SmallSet set;
  set.Put(kImages, Gzip(IdxFile({20}, 10)));
  CHECK_THAT(set.DataLoss(), Contains("0x00000801, expected 0x00000803"));
}

TEST_CASE("A set without examples is refused") {
  SmallSet set;
  set.Put(kImages, Gzip(IdxFile({0, 28, 28}, 251)));
  set.Put(kLabels, Gzip(IdxFile({0}, 10)));
  CHECK_THAT(set.DataLoss(), Contains("shape is 0 x 28 x 28"));
}

TEST_CASE("A truncated file is refused by name") {
  SmallSet set;
  set.Put(kImages, Gzip(IdxFile({20, 28, 28}, 251)).substr(0, 100));
  CHECK_THAT(set.DataLoss(), Contains(kImages) && Contains("is truncated"));
}

}  // namespace
}  // namespace monsoon
