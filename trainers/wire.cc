// SPDX-License-Identifier: Apache-2.0
#include "trainers/wire.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/device_queue.h"
#include "base/status_macros.h"
#include "trainers/trainer.h"

namespace monsoon {
namespace {

absl::Status CheckLegal(absl::string_view direction, const Codec* codec,
                        absl::string_view trainer, Payload payload) {
  if (codec == nullptr) return absl::OkStatus();
  absl::string_view accepted;
  if (payload == Payload::kNone) {
    accepted = "fp32, as there are none";
  } else if (codec->is_sparse() && payload != Payload::kGradient &&
             payload != Payload::kDelta) {
    accepted =
        "fp32, bf16, fp16 or int8 (sparse and one-bit codes are for "
        "gradients and deltas)";
  }
  if (accepted.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "wire code ", codec->name(), " for ", direction, " (",
      PayloadName(payload), ") of trainer ", trainer, "; expected ", accepted));
}

void CopyBytes(DeviceQueue* queue, void* to, const void* from, size_t bytes) {
  if (queue != nullptr) {
    queue->Copy(to, from, bytes);
  } else {
    std::memcpy(to, from, bytes);
  }
}

}  // namespace

absl::StatusOr<WireNames> ParseWire(absl::string_view text) {
  const size_t comma = std::min(text.find(','), text.size());
  const bool is_pair = comma < text.size();
  WireNames names;
  ASSIGN_OR_RETURN(const auto push, MakeCodec(text.substr(0, comma)));
  if (push != nullptr) names.push = push->name();
  if (!is_pair) {
    if (push != nullptr && !push->is_sparse()) names.reply = names.push;
    return names;
  }
  ASSIGN_OR_RETURN(const auto reply, MakeCodec(text.substr(comma + 1)));
  if (reply != nullptr) names.reply = reply->name();
  return names;
}

absl::StatusOr<Wire> MakeWire(const WireNames& names, absl::string_view trainer,
                              const Traits& traits) {
  ASSIGN_OR_RETURN(auto push, MakeCodec(names.push));
  ASSIGN_OR_RETURN(auto reply, MakeCodec(names.reply));
  RETURN_IF_ERROR(CheckLegal("pushes", push.get(), trainer, traits.pushes));
  RETURN_IF_ERROR(CheckLegal("replies", reply.get(), trainer, traits.replies));
  return Wire{std::move(push), std::move(reply)};
}

size_t ShardCode::bytes() const {
  const size_t plain = static_cast<size_t>(statistics_) * sizeof(float);
  return plain + (codec_ == nullptr
                      ? static_cast<size_t>(parameters_) * sizeof(float)
                      : codec_->Bytes(parameters_));
}

void ShardCode::Encode(const Flat& values, Flat& residual,
                       absl::Span<char> to) const {
  const size_t coded = codec_->Bytes(parameters_);
  Flat lost = residual.Slice(0, parameters_);
  codec_->Encode(values.Slice(0, parameters_), lost, to.subspan(0, coded));
  CopyBytes(values.queue(), to.data() + coded, values.data() + parameters_,
            static_cast<size_t>(statistics_) * sizeof(float));
}

absl::Status ShardCode::Decode(absl::Span<const char> from,
                               Flat& values) const {
  if (from.size() != bytes()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the values have ", from.size(), " bytes, expected ",
                     bytes(), " of wire code ", codec_->name()));
  }
  const size_t coded = codec_->Bytes(parameters_);
  Flat parameters = values.Slice(0, parameters_);
  RETURN_IF_ERROR(codec_->Decode(from.subspan(0, coded), parameters));
  CopyBytes(values.queue(), values.data() + parameters_, from.data() + coded,
            static_cast<size_t>(statistics_) * sizeof(float));
  return absl::OkStatus();
}

}  // namespace monsoon
