// SPDX-License-Identifier: Apache-2.0
#include "data/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

// Large beside zlib's window of 32 KiB, small beside a level 2 cache.
constexpr size_t kPiece = size_t{256} << 10;
constexpr int kGzipOnly = 16 + MAX_WBITS;

absl::Status Damaged(absl::string_view path, const z_stream& stream,
                     int result) {
  if (result == Z_MEM_ERROR) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory to inflate \"", path, "\""));
  }
  const char* what = stream.msg != nullptr ? stream.msg : zError(result);
  return absl::DataLossError(absl::StrCat(
      "\"", path, "\" is damaged: zlib says \"", what, "\" at byte ",
      stream.total_in, ", expected intact gzip data"));
}

// Inflates until the member ends or damage is found.
absl::Status Inflate(z_stream& stream, absl::string_view compressed,
                     absl::string_view path, ByteSink sink) {
  std::string piece(kPiece, '\0');
  int result = Z_OK;
  while (result != Z_STREAM_END) {
    if (stream.avail_in == 0) {  // avail_in is narrower than a file may be
      const size_t size =
          std::min<size_t>(compressed.size(), std::numeric_limits<int>::max());
      stream.next_in =
          reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
      stream.avail_in = static_cast<uInt>(size);
      compressed.remove_prefix(size);
    }
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(kPiece);
    result = inflate(&stream, Z_NO_FLUSH);
    if (result == Z_BUF_ERROR) {
      return absl::DataLossError(absl::StrCat(
          "\"", path, "\" is truncated: its gzip data ends after ",
          stream.total_in, " bytes, before the end of the stream"));
    }
    if (result != Z_OK && result != Z_STREAM_END) {
      return Damaged(path, stream, result);
    }
    RETURN_IF_ERROR(sink({piece.data(), kPiece - stream.avail_out}));
  }
  const size_t extra = stream.avail_in + compressed.size();
  if (extra == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("\"", path, "\" has ", extra,
                                          " bytes behind the end of its gzip "
                                          "data, expected none"));
}

}  // namespace

absl::StatusOr<uint32_t> Gunzip(absl::string_view compressed,
                                absl::string_view path, ByteSink sink) {
  z_stream stream = {};
  const int result = inflateInit2(&stream, kGzipOnly);
  if (result != Z_OK) return Damaged(path, stream, result);
  const auto end = absl::MakeCleanup([&stream] { inflateEnd(&stream); });
  RETURN_IF_ERROR(Inflate(stream, compressed, path, sink));
  // The gzip decoder leaves the checksum of all it gave out here.
  return static_cast<uint32_t>(stream.adler);
}

}  // namespace monsoon
