// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/layout.h"
#include "proto/monsoon.pb.h"

namespace monsoon {

namespace pb = ::monsoon::v1;

// Between the schema's messages and our types. What comes from a message was
// checked: INVALID_ARGUMENT names the first thing that cannot be.

void LayoutToProto(const ParameterLayout& layout, pb::JobSpec& spec);
// Positive extents, at most 2^40 floats, statistics last, names unique.
absl::StatusOr<ParameterLayout> LayoutFromProto(const pb::JobSpec& spec);

void ShardsToProto(const std::vector<ShardRange>& shards, pb::JobSpec& spec);
// The shards tile `parameters` floats in order, each on a server of the job.
absl::StatusOr<std::vector<ShardRange>> ShardsFromProto(const pb::JobSpec& spec,
                                                        int64_t parameters);

// The codes in which values may travel; fp32 where the spec names none.
std::string PushCode(const pb::JobSpec& spec);
std::string ReplyCode(const pb::JobSpec& spec);

// OK when both say the same job; else FAILED_PRECONDITION naming the first key
// that differs and both values. `ours` is the job on the server.
absl::Status SameJob(const pb::JobSpec& ours, const pb::JobSpec& theirs);

}  // namespace monsoon
