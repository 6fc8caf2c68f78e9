// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace monsoon {

// The only place where gRPC's status and ours meet: the codes are the same
// numbers, the message is kept. An unknown number becomes UNKNOWN.

absl::Status FromGrpc(const grpc::Status& status);
// Messages are cut at 2000 bytes: they travel in a header of 8 KiB.
grpc::Status ToGrpc(const absl::Status& status);

}  // namespace monsoon
