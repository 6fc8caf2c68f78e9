// SPDX-License-Identifier: Apache-2.0
//
// push_worker RECORDS grpc|shm RANK LIFE ADDRESS...: a worker that pushes until
// it is killed, and notes what was acknowledged. Takes over its rank as soon as
// the servers let it.
#include "tests/worker/push_worker.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "transport/grpc_client.h"
#include "transport/grpc_settings.h"
#include "transport/shm_client.h"
#include "worker/shard_link.h"

namespace monsoon {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(5);

absl::Status Join(ServerCalls& server, const pb::JoinRequest& request) {
  const absl::Time deadline = RealClock().Now() + kPatience;
  while (true) {
    pb::JoinReply reply;
    absl::Status status = server.Join(request, reply);
    const bool may_come =
        absl::IsAlreadyExists(status) || absl::IsUnavailable(status);
    if (!may_come || RealClock().Now() > deadline) return status;
    RealClock().NewEvent()->Wait(RealClock().Now() + kPoll);
  }
}

std::string WrongReply(const Flat& reply, const LifeRecord& record, int rank,
                       int life, int64_t n) {
  std::string wrong = WrongTotals(kPushJob, reply);
  for (int shard = 0; shard < kPushJob.shards; ++shard) {
    wrong += WrongLife(record.before[static_cast<size_t>(shard)],
                       AppliedOf(kPushJob, reply, rank, shard), life, n, n);
  }
  return wrong;
}

absl::Status Run(PushRecords& records, bool shares_memory, int rank, int life,
                 const std::vector<std::string>& addresses) {
  LifeRecord& record =
      records[static_cast<size_t>(rank)][static_cast<size_t>(life)];
  std::vector<std::unique_ptr<ServerCalls>> owned;
  std::vector<ServerCalls*> servers;
  for (const std::string& address : addresses) {
    ASSIGN_OR_RETURN(auto client, GrpcClient::Create(address, RealClock()));
    RETURN_IF_ERROR(client->WaitConnected(RealClock().Now() + kPatience));
    ServerCalls* carrier = client.get();
    owned.push_back(std::move(client));
    if (shares_memory) {
      owned.push_back(std::make_unique<ShmClient>(*carrier, true));
      carrier = owned.back().get();
    }
    RETURN_IF_ERROR(Join(
        *carrier, kPushJob.JoinAs(rank, static_cast<int>(servers.size()),
                                  kPushJobId, PushIncarnation(rank, life))));
    owned.push_back(std::make_unique<AcknowledgedCalls>(
        *carrier, absl::MakeSpan(record.shards)));
    servers.push_back(owned.back().get());
  }
  ShardLink link({.servers = servers,
                  .shards = kPushJob.Shards(),
                  .job_id = kPushJobId,
                  .worker = rank,
                  .incarnation = PushIncarnation(rank, life)},
                 RealClock());
  Flat update(kPushJob.floats()), reply(kPushJob.floats());
  RETURN_IF_ERROR(link.Pull(reply));
  for (int shard = 0; shard < kPushJob.shards; ++shard) {
    record.before[static_cast<size_t>(shard)] =
        AppliedOf(kPushJob, reply, rank, shard);
  }
  record.has_begun = true;
  for (int64_t n = 1;; ++n) {
    FillPush(kPushJob, rank, life, n, update);
    RETURN_IF_ERROR(link.PushPull(update, reply));
    const std::string wrong = WrongReply(reply, record, rank, life, n);
    if (!wrong.empty()) return absl::InternalError(wrong);
  }
}

}  // namespace
}  // namespace monsoon

int main(int argc, char** argv) {
  monsoon::PrepareGrpc();
  if (argc < 6) return 2;
  monsoon::PushRecords& records = monsoon::MapRecords(argv[1]);
  const int rank = std::atoi(argv[3]);
  const int life = std::atoi(argv[4]);
  const absl::Status status =
      monsoon::Run(records, argv[2] == std::string("shm"), rank, life,
                   {argv + 5, argv + argc});
  char* error =
      records[static_cast<size_t>(rank)][static_cast<size_t>(life)].error;
  std::snprintf(error, sizeof monsoon::LifeRecord::error, "%s",
                status.ToString().c_str());
  std::_Exit(1);
}
