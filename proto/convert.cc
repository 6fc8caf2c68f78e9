// SPDX-License-Identifier: Apache-2.0
#include "proto/convert.h"

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "proto/wire.h"

namespace monsoon {
namespace {

constexpr int64_t kMaxParameters = int64_t{1} << 40;
// Floats of a shard, the initial center of which is one message.
constexpr int64_t kMaxShard = int64_t{kMaxPayloadBytes / sizeof(float)};

using Settings = std::map<std::string, std::string>;

// Every fact of a job under the name that a user knows it by.
Settings Facts(const pb::JobSpec& spec) {
  Settings facts(spec.settings().begin(), spec.settings().end());
  facts["trainer"] = spec.trainer();
  facts["workers"] = absl::StrCat(spec.workers());
  facts["servers"] = absl::StrCat(spec.servers());
  facts["samples"] = absl::StrCat(spec.samples());
  facts["wire"] = absl::StrCat(PushCode(spec), ",", ReplyCode(spec));
  if (spec.has_max_staleness()) {
    facts["max_staleness"] = absl::StrCat(spec.max_staleness());
  }
  facts["data hash"] = spec.data_hash();
  for (const auto& [key, value] : spec.hyper()) facts["set " + key] = value;
  for (const pb::Tensor& tensor : spec.tensors()) {
    facts["tensor " + tensor.name()] =
        absl::StrCat(absl::StrJoin(tensor.shape(), "x"), " of kind ",
                     pb::Tensor::Kind_Name(tensor.kind()));
  }
  for (int i = 0; i < spec.shards_size(); ++i) {
    const pb::Shard& shard = spec.shards(i);
    facts[absl::StrCat("shard ", i)] =
        absl::StrCat(shard.size(), " floats from ", shard.offset(),
                     " on server ", shard.server());
  }
  return facts;
}

absl::Status Differs(const std::string& key, absl::string_view ours,
                     absl::string_view theirs) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the job has ", key, " = ", ours, ", this worker has ", theirs,
      "; start all workers of a job with the same settings"));
}

}  // namespace

void LayoutToProto(const ParameterLayout& layout, pb::JobSpec& spec) {
  for (const TensorSpec& tensor : layout.tensors()) {
    pb::Tensor& out = *spec.add_tensors();
    out.set_name(tensor.name);
    out.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
    out.set_kind(static_cast<pb::Tensor::Kind>(tensor.kind));
  }
}

absl::StatusOr<ParameterLayout> LayoutFromProto(const pb::JobSpec& spec) {
  ParameterLayout layout;
  std::set<std::string> names;
  bool statistics = false;
  for (const pb::Tensor& tensor : spec.tensors()) {
    const std::string what = absl::StrCat("tensor \"", tensor.name(), "\"");
    if (!names.insert(tensor.name()).second) {
      return absl::InvalidArgumentError(what + " is in the layout twice");
    }
    int64_t room = kMaxParameters - layout.size();
    for (int64_t extent : tensor.shape()) {
      if (extent < 1 || extent > room) {
        return absl::InvalidArgumentError(absl::StrCat(
            what, " has an extent of ", extent, "; expected 1 or more, and at ",
            "most 2^40 floats in all"));
      }
      room /= extent;
    }
    if (!pb::Tensor::Kind_IsValid(tensor.kind())) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " is of unknown kind ", tensor.kind()));
    }
    const auto kind = static_cast<TensorKind>(tensor.kind());
    if (statistics && kind != TensorKind::kStatistic) {
      return absl::InvalidArgumentError(
          what + " follows a statistic; statistics come last");
    }
    statistics = kind == TensorKind::kStatistic;
    layout.Add(tensor.name(), {tensor.shape().begin(), tensor.shape().end()},
               kind);
  }
  if (layout.size() == 0) {
    return absl::InvalidArgumentError("the layout has no tensors");
  }
  return layout;
}

void ShardsToProto(const std::vector<ShardRange>& shards, pb::JobSpec& spec) {
  for (const ShardRange& shard : shards) {
    pb::Shard& out = *spec.add_shards();
    out.set_offset(shard.offset);
    out.set_size(shard.size);
    out.set_server(shard.server);
  }
}

absl::StatusOr<std::vector<ShardRange>> ShardsFromProto(const pb::JobSpec& spec,
                                                        int64_t parameters) {
  std::vector<ShardRange> shards;
  int64_t end = 0;
  for (const pb::Shard& shard : spec.shards()) {
    const std::string what = absl::StrCat("shard ", shards.size());
    if (shard.offset() != end || shard.size() < 1 ||
        shard.size() > parameters - end) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " has ", shard.size(), " floats from ",
                       shard.offset(), "; expected a start at ", end,
                       " and an end at or before ", parameters));
    }
    if (shard.size() > kMaxShard) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " has ", shard.size(), " floats; expected 1 to ",
                       kMaxShard, ", which a message can carry"));
    }
    if (shard.server() < 0 || shard.server() >= spec.servers()) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " is on server ", shard.server(), " of ",
                       spec.servers(), "; expected 0 to servers - 1"));
    }
    end += shard.size();
    shards.push_back({shard.offset(), shard.size(), shard.server()});
  }
  if (end != parameters) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the shards end at float ", end, ", the tensors at ", parameters));
  }
  return shards;
}

std::string PushCode(const pb::JobSpec& spec) {
  return spec.push_code().empty() ? "fp32" : spec.push_code();
}
std::string ReplyCode(const pb::JobSpec& spec) {
  return spec.reply_code().empty() ? "fp32" : spec.reply_code();
}

absl::Status SameJob(const pb::JobSpec& ours, const pb::JobSpec& theirs) {
  const Settings a = Facts(ours);
  const Settings b = Facts(theirs);
  // What a person chose is named before what follows from it.
  for (const std::string key : {"model", "data", "trainer"}) {
    const auto in_a = a.find(key);
    const auto in_b = b.find(key);
    if (in_a != a.end() && in_b != b.end() && in_a->second != in_b->second) {
      return Differs(key, in_a->second, in_b->second);
    }
  }
  for (const auto& [key, value] : a) {
    const auto it = b.find(key);
    if (it == b.end()) return Differs(key, value, "nothing");
    if (it->second != value) return Differs(key, value, it->second);
  }
  for (const auto& [key, value] : b) {
    if (!a.contains(key)) return Differs(key, "nothing", value);
  }
  return absl::OkStatus();
}

}  // namespace monsoon
