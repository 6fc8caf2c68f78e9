// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/filesystem.h"
#include "base/registry.h"
#include "data/partition.h"

namespace monsoon {

// Images and labels as bytes in memory: all of a set, or one worker's part of
// it. A value; reading it is safe from any thread.
// Letters: n = size() examples held, [C, H, W] = [channels, height, width].
struct Dataset {
  std::string name;  // "fashion-mnist"
  // 16 hexadecimal digits, of the whole set whatever part is held. Made of
  // CRC-32s: it detects mistakes (another split, version or order of the
  // files), not attacks.
  std::string hash;
  int classes = 0;
  int channels = 1;
  int height = 0;
  int width = 0;
  int64_t total = 0;            // examples of the whole set
  Part part;                    // what is held
  std::vector<uint8_t> images;  // [n, C, H, W], 0 .. 255
  std::vector<uint8_t> labels;  // [n], 0 .. classes - 1

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
  // Bytes of one image, which are also the floats of one input.
  int64_t example_size() const { return int64_t{channels} * height * width; }
};

enum class Split { kTrain, kTest };

// Loads the set that `spec` names: NAME or NAME:ARGUMENT, where each set says
// what its argument is (for fashion-mnist a folder). Only the examples of
// `part` are kept in memory, but all are read and checked. INVALID_ARGUMENT for
// an unknown name or a malformed spec, NOT_FOUND for a missing folder or file,
// DATA_LOSS for one that cannot be read or is not what it should be; the last
// two name the file and say what to do.
absl::StatusOr<Dataset> LoadDataset(absl::string_view spec, Split split,
                                    FileSystem& files, Part part = {});
// All that can be loaded, sorted.
std::vector<std::string> DatasetNames();

// Gathers rows of a set in one pass: input[i] = bytes of rows[i] / 255 (the
// nearest float, nothing else), [rows.size(), C, H, W]; labels[i] likewise.
// REQUIRES: 0 <= rows[i] < size().
void Gather(const Dataset& dataset, absl::Span<const int64_t> rows,
            float* input, int32_t* labels);

// How a set is loaded, one entry per file of data/, registered under its name
// by a namespace-scope object. `argument` is what follows the colon, "" when
// there is none.
struct DatasetEntry {
  absl::StatusOr<Dataset> (*load)(absl::string_view argument, Split split,
                                  FileSystem& files, Part part);
};

// Registers a set before main.
struct RegisterDataset {
  RegisterDataset(std::string name, DatasetEntry entry) {
    Registry<DatasetEntry>::Get().Add(std::move(name), entry);
  }
};

}  // namespace monsoon
