// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/check.h"

namespace monsoon {

// The header of an IDX file of unsigned bytes.
inline std::string IdxHeader(const std::vector<uint32_t>& extents,
                             uint32_t magic) {
  std::string bytes;
  auto append = [&bytes](uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>(value >> shift & 0xff));
    }
  };
  append(magic);
  for (uint32_t extent : extents) append(extent);
  return bytes;
}

// An IDX file whose byte i is i mod `modulus`.
inline std::string IdxFile(const std::vector<uint32_t>& extents,
                           size_t modulus) {
  std::string bytes =
      IdxHeader(extents, 0x0800 + static_cast<uint32_t>(extents.size()));
  size_t size = 1;
  for (uint32_t extent : extents) size *= extent;
  for (size_t i = 0; i < size; ++i) {
    bytes.push_back(static_cast<char>(i % modulus));
  }
  return bytes;
}

// One gzip member.
inline std::string Gzip(absl::string_view bytes) {
  z_stream stream = {};
  int result = deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED,
                            16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  MONSOON_CHECK(result == Z_OK, "zlib can deflate");
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  result = deflate(&stream, Z_FINISH);
  MONSOON_CHECK(result == Z_STREAM_END, "the bound is one");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace monsoon
