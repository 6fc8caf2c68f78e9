// SPDX-License-Identifier: Apache-2.0
#include "proto/wire.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/wire_format_lite.h"

namespace monsoon {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::ArrayInputStream;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::ConcatenatingInputStream;
using google::protobuf::io::ZeroCopyInputStream;

constexpr int kValuesField = 100;
const uint32_t kValuesTag = WireFormatLite::MakeTag(
    kValuesField, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);

// A stream of bytes over the slices.
class SliceStream {
 public:
  explicit SliceStream(absl::Span<const absl::string_view> slices) {
    for (absl::string_view slice : slices) {
      arrays_.emplace_back(slice.data(), static_cast<int>(slice.size()));
    }
    for (ArrayInputStream& array : arrays_) pointers_.push_back(&array);
    all_.emplace(pointers_.data(), static_cast<int>(pointers_.size()));
  }
  ZeroCopyInputStream& get() { return *all_; }

 private:
  std::deque<ArrayInputStream> arrays_;
  absl::InlinedVector<ZeroCopyInputStream*, 8> pointers_;
  std::optional<ConcatenatingInputStream> all_;
};

// Takes [begin, end) of the concatenated slices, piece by piece.
template <typename Take>
void Cut(absl::Span<const absl::string_view> slices, size_t begin, size_t end,
         Take take) {
  size_t start = 0;
  for (absl::string_view slice : slices) {
    const size_t from = std::max(begin, start);
    const size_t to = std::min(end, start + slice.size());
    if (from < to) take(slice.substr(from - start, to - from));
    start += slice.size();
  }
}

}  // namespace

std::string EncodeHead(const google::protobuf::MessageLite& message,
                       size_t payload_bytes) {
  std::string head = message.SerializeAsString();
  if (payload_bytes == 0) return head;
  google::protobuf::io::StringOutputStream stream(&head);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.WriteTag(kValuesTag);
  out.WriteVarint64(payload_bytes);
  out.Trim();
  return head;
}

absl::Status Decode(absl::Span<const absl::string_view> slices,
                    google::protobuf::MessageLite& message,
                    std::vector<absl::string_view>& payload) {
  const auto malformed = [] {
    return absl::InvalidArgumentError("the bytes are no exchange message");
  };
  SliceStream stream(slices);
  CodedInputStream in(&stream.get());
  absl::InlinedVector<char, 256> head;
  payload.clear();
  size_t copied = 0;  // the head has everything before this, but the payloads
  const auto copy_head_to = [&](size_t end) {
    Cut(slices, copied, end, [&](absl::string_view piece) {
      head.insert(head.end(), piece.begin(), piece.end());
    });
  };
  while (true) {
    const auto start = static_cast<size_t>(in.CurrentPosition());
    const uint32_t tag = in.ReadTag();
    if (tag == 0) {
      if (!in.ConsumedEntireMessage()) return malformed();
      copy_head_to(start);
      break;
    }
    if (tag != kValuesTag) {
      if (!WireFormatLite::SkipField(&in, tag)) return malformed();
      continue;
    }
    uint32_t length = 0;
    if (!in.ReadVarint32(&length) || length > INT32_MAX) return malformed();
    const auto begin = static_cast<size_t>(in.CurrentPosition());
    if (!in.Skip(static_cast<int>(length))) return malformed();
    payload.clear();  // the last of a repeated field counts
    Cut(slices, begin, begin + length,
        [&](absl::string_view piece) { payload.push_back(piece); });
    copy_head_to(start);
    copied = begin + length;
  }
  if (!message.ParseFromArray(head.data(), static_cast<int>(head.size()))) {
    return malformed();
  }
  return absl::OkStatus();
}

}  // namespace monsoon
