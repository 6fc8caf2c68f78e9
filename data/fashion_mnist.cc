// SPDX-License-Identifier: Apache-2.0
// Fashion-MNIST: 60,000 + 10,000 images of clothes, 28 x 28 bytes, 10 classes
// (T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag,
// Ankle boot).
//
// Source:   Xiao, Rasul, Vollgraf 2017 (arXiv:1708.07747); Debian package
//           dataset-fashion-mnist. Licence MIT.
// Argument: the folder of its four files, gzip or plain.
// Hash:     CRC-32 of the uncompressed image file, then of the label file;
//           counts are in their headers.
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "data/dataset.h"
#include "data/idx.h"

namespace monsoon {
namespace {

constexpr int kSide = 28;
constexpr int kClasses = 10;

absl::Status CheckLabels(const IdxArray& labels, const IdxArray& images) {
  if (labels.extents[0] != images.extents[0]) {
    return absl::DataLossError(absl::StrCat(
        "\"", labels.path, "\" has ", labels.extents[0], " labels, expected ",
        images.extents[0], " as there are images in \"", images.path, "\""));
  }
  const auto bad = absl::c_find_if(
      labels.bytes, [](uint8_t label) { return label >= kClasses; });
  if (bad == labels.bytes.end()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "\"", labels.path, "\": label of example ", bad - labels.bytes.begin(),
      " is ", static_cast<int>(*bad), ", expected 0 to ", kClasses - 1));
}

absl::StatusOr<Dataset> Read(const std::string& folder, Split split,
                             FileSystem& files, Part part) {
  const absl::string_view prefix = split == Split::kTrain ? "train" : "t10k";
  ASSIGN_OR_RETURN(
      IdxArray images,
      ReadIdx(files, folder, absl::StrCat(prefix, "-images"), 3, part));
  if (images.extents[1] != kSide || images.extents[2] != kSide) {
    return absl::DataLossError(
        absl::StrCat("\"", images.path, "\": images are ", images.extents[1],
                     " x ", images.extents[2], ", expected 28 x 28"));
  }
  // All labels, whatever the part: the error must not depend on the worker.
  ASSIGN_OR_RETURN(const IdxArray labels,
                   ReadIdx(files, folder, absl::StrCat(prefix, "-labels"), 1));
  RETURN_IF_ERROR(CheckLabels(labels, images));
  Dataset dataset{
      .name = "fashion-mnist",
      .hash = absl::StrCat(absl::Hex(images.crc, absl::kZeroPad8),
                           absl::Hex(labels.crc, absl::kZeroPad8)),
      .classes = kClasses,
      .channels = 1,
      .height = kSide,
      .width = kSide,
      .total = images.extents[0],
      .part = part,
      .images = std::move(images.bytes),
      .labels = {},
  };
  for (int64_t e : Partition(dataset.total, part.worker, part.workers)) {
    dataset.labels.push_back(labels.bytes[static_cast<size_t>(e)]);
  }
  return dataset;
}

absl::StatusOr<Dataset> Load(absl::string_view argument, Split split,
                             FileSystem& files, Part part) {
  const std::string folder = argument.empty()
                                 ? "/usr/share/datasets/fashion-mnist"
                                 : std::string(argument);
  absl::StatusOr<Dataset> dataset = Read(folder, split, files, part);
  if (dataset.ok()) return dataset;
  const absl::string_view cure =
      absl::IsNotFound(dataset.status())
          ? "; install it with `apt-get install dataset-fashion-mnist`, or "
            "name the folder of its files: --data fashion-mnist:DIR"
          : "; fetch the file again, or install it with `apt-get install "
            "--reinstall dataset-fashion-mnist` and use --data fashion-mnist";
  return absl::Status(dataset.status().code(),
                      absl::StrCat(dataset.status().message(), cure));
}

const RegisterDataset kFashionMnist("fashion-mnist", {Load});

}  // namespace
}  // namespace monsoon
