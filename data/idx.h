// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/filesystem.h"
#include "data/partition.h"

namespace monsoon {

// An IDX file of unsigned bytes, the format of MNIST and its relatives:
//   u32 BE magic 0x0000080d, d = number of dimensions
//   u32 BE extents, d of them; the first counts the examples
//   bytes, row-major
struct IdxArray {
  std::string path;              // the file it came from
  std::vector<int64_t> extents;  // {60000, 28, 28}: of the whole file
  std::vector<uint8_t> bytes;    // the examples of the part asked for
  uint32_t crc = 0;              // CRC-32 of the whole file, uncompressed
};

// Decodes the contents of one file, gzip or plain as its first bytes say,
// keeping the examples of `part`. Wholly checked: DATA_LOSS, naming `path`,
// what was found and what was expected, for damaged gzip data, another magic or
// number of dimensions, an extent of zero, and a size that the header does not
// announce. Takes memory for what the file holds, not for what it announces.
absl::StatusOr<IdxArray> DecodeIdx(absl::string_view contents,
                                   const std::string& path, int dimensions,
                                   Part part = {});

// Reads and decodes FOLDER/STEM-idxN-ubyte.gz, N = `dimensions`; where there is
// none, the same without .gz or with . for - before idx. NOT_FOUND naming the
// folder or the file that is missing; DATA_LOSS as above, and for a file that
// cannot be read.
absl::StatusOr<IdxArray> ReadIdx(FileSystem& files, const std::string& folder,
                                 absl::string_view stem, int dimensions,
                                 Part part = {});

}  // namespace monsoon
