// SPDX-License-Identifier: Apache-2.0
#include "worker/heartbeat.h"

#include <utility>

namespace monsoon {

Heartbeat::Heartbeat(std::vector<ServerCalls*> servers, pb::ReportRequest who,
                     absl::Duration every, Clock& clock)
    : servers_(std::move(servers)),
      who_(std::move(who)),
      every_(every),
      clock_(clock),
      stop_(clock.NewEvent()),
      thread_([this] { Run(); }) {}

Heartbeat::~Heartbeat() {
  stop_->Set();
  thread_.join();
}

void Heartbeat::Run() {
  while (!stop_->Wait(clock_.Now() + every_)) {
    for (ServerCalls* server : servers_) {
      // A call to a server that is gone may take its time; one is enough.
      if (stop_->Wait(absl::InfinitePast())) return;
      pb::ReportReply reply;
      server->Report(who_, reply).IgnoreError();
    }
  }
}

}  // namespace monsoon
