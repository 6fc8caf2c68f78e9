// SPDX-License-Identifier: Apache-2.0
#include "data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "data/gzip.h"

namespace monsoon {
namespace {

// Reserved at once; arrays beyond it grow as their bytes arrive.
constexpr int64_t kReserved = int64_t{256} << 20;

absl::Status Wrong(absl::string_view path, absl::string_view what,
                   absl::string_view found, absl::string_view expected) {
  return absl::DataLossError(absl::StrCat("\"", path, "\": ", what, " is ",
                                          found, ", expected ", expected));
}

uint32_t BigEndian32(absl::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

// Builds an IdxArray from the bytes of its file as they arrive.
class Decoder {
 public:
  // `limit`: no more bytes than this can arrive.
  Decoder(const std::string& path, int dimensions, Part part, int64_t limit)
      : dimensions_(dimensions),
        header_size_(4 + 4 * static_cast<size_t>(dimensions)),
        part_(part),
        limit_(limit) {
    array_.path = path;
  }

  absl::Status Feed(absl::string_view bytes) {
    if (header_.size() < header_size_) {
      const size_t size = std::min(header_size_ - header_.size(), bytes.size());
      header_.append(bytes.data(), size);
      bytes.remove_prefix(size);
      if (header_.size() < header_size_) return absl::OkStatus();
      if (array_.extents.empty()) RETURN_IF_ERROR(ParseHeader());
    }
    if (static_cast<int64_t>(bytes.size()) > size_ - fed_) {
      return WrongSize(absl::StrCat("more than ", size_));
    }
    Keep(bytes);
    return absl::OkStatus();
  }

  absl::StatusOr<IdxArray> Finish(uint32_t crc) && {
    if (header_.size() < header_size_) {
      return Wrong(array_.path, "size", absl::StrCat(header_.size(), " bytes"),
                   absl::StrCat("a header of ", header_size_));
    }
    if (fed_ != size_) return WrongSize(absl::StrCat(fed_));
    array_.crc = crc;
    return std::move(array_);
  }

 private:
  absl::Status ParseHeader() {
    const uint32_t magic = BigEndian32(header_);
    const uint32_t expected = 0x0800 + static_cast<uint32_t>(dimensions_);
    if (magic != expected) {
      return Wrong(
          array_.path, "IDX magic number",
          absl::StrCat("0x", absl::Hex(magic, absl::kZeroPad8)),
          absl::StrCat("0x", absl::Hex(expected, absl::kZeroPad8),
                       " (unsigned bytes, ", dimensions_, " dimensions)"));
    }
    int64_t size = 1;
    for (size_t at = 4; at < header_size_; at += 4) {
      const int64_t extent =
          BigEndian32(absl::string_view(header_).substr(at, 4));
      array_.extents.push_back(extent);
      if (extent != 0 && size > limit_ / extent) {
        size = limit_ + 1;  // too many, without overflow
      } else {
        size *= extent;
      }
    }
    return Expect(size);
  }

  absl::Status Expect(int64_t size) {
    const std::string shape = absl::StrJoin(array_.extents, " x ");
    if (size == 0) {
      return Wrong(array_.path, "shape", shape, "at least one example");
    }
    if (size > limit_) {
      return Wrong(
          array_.path, "shape", shape,
          absl::StrCat("at most ", limit_,
                       " bytes, all that a file of its size can hold"));
    }
    size_ = size;
    row_ = size / array_.extents[0];
    array_.bytes.reserve(static_cast<size_t>(
        std::min(kReserved, row_ * PartSize(array_.extents[0], part_))));
    return absl::OkStatus();
  }

  // Appends what belongs to the part.
  void Keep(absl::string_view bytes) {
    while (!bytes.empty()) {
      const int64_t example = fed_ / row_;
      int64_t run = row_ - fed_ % row_;  // to the end of the example
      if (part_.workers == 1) run = size_ - fed_;
      run = std::min(run, static_cast<int64_t>(bytes.size()));
      if (IsIn(part_, example)) {
        array_.bytes.insert(array_.bytes.end(), bytes.data(),
                            bytes.data() + run);
      }
      bytes.remove_prefix(static_cast<size_t>(run));
      fed_ += run;
    }
  }

  absl::Status WrongSize(absl::string_view found) const {
    return Wrong(
        array_.path, "size behind the header", absl::StrCat(found, " bytes"),
        absl::StrCat(size_, " (", absl::StrJoin(array_.extents, " x "), ")"));
  }

  const int dimensions_;
  const size_t header_size_;
  const Part part_;
  const int64_t limit_;
  std::string header_;
  IdxArray array_;
  int64_t size_ = 0;  // bytes behind the header, as it announces
  int64_t row_ = 1;   // bytes of an example
  int64_t fed_ = 0;   // bytes behind the header so far
};

// The first of the four spellings that exists.
absl::StatusOr<std::string> FindFile(FileSystem& files,
                                     const std::string& folder,
                                     absl::string_view stem, int dimensions) {
  if (!files.Exists(folder)) {
    return absl::NotFoundError(
        absl::StrCat("data folder \"", folder, "\" does not exist"));
  }
  const std::string base = JoinPath(folder, stem);
  const std::string ending = absl::StrCat("idx", dimensions, "-ubyte");
  for (absl::string_view gz : {".gz", ""}) {
    for (absl::string_view mark : {"-", "."}) {
      std::string path = absl::StrCat(base, mark, ending, gz);
      if (files.Exists(path)) return path;
    }
  }
  return absl::NotFoundError(absl::StrCat("data file \"", base, "-", ending,
                                          ".gz\" does not exist (nor without "
                                          ".gz, nor as \"",
                                          stem, ".", ending, "\")"));
}

}  // namespace

absl::StatusOr<IdxArray> DecodeIdx(absl::string_view contents,
                                   const std::string& path, int dimensions,
                                   Part part) {
  if (contents.size() < 2) {
    return Wrong(path, "size", absl::StrCat(contents.size(), " bytes"),
                 "gzip or IDX data");
  }
  const auto size = static_cast<int64_t>(contents.size());
  const absl::string_view start = contents.substr(0, 2);
  if (start == "\x1f\x8b") {
    Decoder decoder(path, dimensions, part, size * kMaxInflation);
    ASSIGN_OR_RETURN(const uint32_t crc,
                     Gunzip(contents, path, [&](absl::string_view piece) {
                       return decoder.Feed(piece);
                     }));
    return std::move(decoder).Finish(crc);
  }
  if (start != absl::string_view("\0\0", 2)) {
    const auto first = static_cast<uint8_t>(start[0]);
    const auto second = static_cast<uint8_t>(start[1]);
    return Wrong(path, "start",
                 absl::StrCat(absl::Hex(first, absl::kZeroPad2), " ",
                              absl::Hex(second, absl::kZeroPad2)),
                 "1f 8b (gzip) or 00 00 (IDX)");
  }
  Decoder decoder(path, dimensions, part, size);
  RETURN_IF_ERROR(decoder.Feed(contents));
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(contents.data()),
                            contents.size());
  return std::move(decoder).Finish(static_cast<uint32_t>(crc));
}

absl::StatusOr<IdxArray> ReadIdx(FileSystem& files, const std::string& folder,
                                 absl::string_view stem, int dimensions,
                                 Part part) {
  ASSIGN_OR_RETURN(const std::string path,
                   FindFile(files, folder, stem, dimensions));
  const absl::StatusOr<std::string> contents = files.Read(path);
  if (!contents.ok()) return absl::DataLossError(contents.status().message());
  return DecodeIdx(*contents, path, dimensions, part);
}

}  // namespace monsoon
