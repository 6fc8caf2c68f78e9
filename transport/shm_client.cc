// SPDX-License-Identifier: Apache-2.0
#include "transport/shm_client.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transport/local_socket.h"
#include "transport/shm_packet.h"

namespace monsoon {
namespace {

// A server that is there answers at once.
constexpr int kHandshakeSeconds = 5;

// Bytes of the largest shard that the server of this index has.
size_t LargestShard(const pb::JoinRequest& request) {
  int64_t largest = 0;
  for (const pb::Shard& shard : request.spec().shards()) {
    if (shard.server() != request.server_index()) continue;
    largest = std::max(largest, shard.size());
  }
  return static_cast<size_t>(largest) * sizeof(float);
}

}  // namespace

// The memory that one server shares with us.
class ShmClient::Connection {
 public:
  static absl::StatusOr<std::shared_ptr<Connection>> Open(
      const std::string& name, size_t bytes) {
    ASSIGN_OR_RETURN(Descriptor socket, ConnectLocal(name));
    SetReceiveTimeout(socket, kHandshakeSeconds);
    const shm::Head hello = {.kind = shm::Head::kHello,
                             .size = static_cast<uint32_t>(bytes)};
    std::array<char, kMaxPacketBytes> buffer;
    Descriptor passed;
    shm::Head head;
    absl::string_view body;
    SendPacket(socket, shm::Packet(hello));  // or there is no answer
    const absl::string_view answer =
        ReceivePacket(socket, absl::MakeSpan(buffer), &passed);
    if (answer.empty()) {
      return absl::UnavailableError(
          absl::StrCat("no answer on the local socket @", name, " within ",
                       kHandshakeSeconds,
                       " s: the server has stopped, or is of another version"));
    }
    if (!shm::Parse(answer, head, body) || head.kind != shm::Head::kWelcome) {
      return absl::UnavailableError(absl::StrCat(
          "the answer on the local socket @", name,
          " is none that this worker knows; use one version of both"));
    }
    if (head.code != 0) {
      return absl::Status(static_cast<absl::StatusCode>(head.code), body);
    }
    ASSIGN_OR_RETURN(
        SharedMemory memory,
        SharedMemory::Map(std::move(passed), shm::MemoryBytes(bytes)));
    SetReceiveTimeout(socket, 0);
    return std::make_shared<Connection>(std::move(socket), std::move(memory),
                                        bytes);
  }

  Connection(Descriptor socket, SharedMemory memory, size_t bytes)
      : socket_(std::move(socket)),
        memory_(std::move(memory)),
        bytes_(bytes),
        reader_([this] { Read(); }) {}
  ~Connection() {
    ShutDown(socket_);
    reader_.join();
  }

  bool broken() const {
    absl::MutexLock lock(&mu_);
    return broken_;
  }

  void Exchange(ExchangeCall& call) {
    if (call.update.size() > bytes_) {
      call.Finish(absl::InvalidArgumentError(absl::StrCat(
                      "the update has ", call.update.size(),
                      " bytes, the largest shard of this server has ", bytes_)),
                  {});
      return;
    }
    uint32_t slot = 0;
    {
      absl::MutexLock lock(&mu_);
      slot = broken_ ? shm::kSlots : FreeSlot();
      if (slot < shm::kSlots) {
        slots_[slot] = {State::kWriting, &call};
      } else if (!broken_) {
        waiting_.push_back(&call);
        return;
      }
    }
    if (slot == shm::kSlots) return call.Finish(Broken(call), {});
    Begin(slot, &call);
  }

  // Ends a call here and now; its slot is free once the server has let go of
  // it. False: it is not ours.
  bool Cancel(ExchangeCall& call) {
    {
      absl::MutexLock lock(&mu_);
      const auto waits = std::find(waiting_.begin(), waiting_.end(), &call);
      const auto slot =
          std::find_if(slots_.begin(), slots_.end(),
                       [&call](const Slot& s) { return s.call == &call; });
      if (waits != waiting_.end()) {
        waiting_.erase(waits);
      } else if (slot != slots_.end() && slot->state == State::kWriting) {
        slot->is_cancelled = true;  // whoever writes there finishes the call
        return true;
      } else if (slot != slots_.end()) {
        slot->call = nullptr;
        Send(shm::Packet(
            {.kind = shm::Head::kCancel,
             .slot = static_cast<uint32_t>(slot - slots_.begin())}));
      } else {
        return false;
      }
    }
    call.Finish(Cancelled(call), {});
    return true;
  }

 private:
  enum class State { kFree, kWriting, kSent };
  struct Slot {
    State state = State::kFree;
    ExchangeCall* call = nullptr;  // null with kSent: nobody waits any more
    bool is_cancelled = false;     // while it was kWriting
  };

  static absl::Status Cancelled(const ExchangeCall& call) {
    return absl::CancelledError(absl::StrCat(
        "worker ", call.request.worker(), ", shard ", call.request.shard(),
        ": gave up waiting for the server, which shares memory with this "
        "worker and has not answered; see whether it runs"));
  }
  static absl::Status Broken(const ExchangeCall& call) {
    return absl::UnavailableError(absl::StrCat(
        "worker ", call.request.worker(), ", shard ", call.request.shard(),
        ": the server has closed the memory that it shared"));
  }

  char* Memory(uint32_t slot, bool reply) {
    const size_t place = 2 * slot + (reply ? 1 : 0);
    return reinterpret_cast<char*>(memory_.data()) +
           place * shm::Stride(bytes_);
  }

  // kSlots: none.
  uint32_t FreeSlot() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const auto slot =
        std::find_if(slots_.begin(), slots_.end(),
                     [](const Slot& s) { return s.state == State::kFree; });
    return static_cast<uint32_t>(slot - slots_.begin());
  }

  // A server that cannot be told anything is gone; the reader finds that out.
  void Send(const shm::Packet& packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!SendPacket(socket_, packet)) ShutDown(socket_);
  }

  // Ends what the slot did; the call that waits for it, if one does.
  ExchangeCall* Release(uint32_t slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    slots_[slot] = {};
    if (waiting_.empty()) return nullptr;
    ExchangeCall* next = waiting_.front();
    waiting_.pop_front();
    slots_[slot] = {State::kWriting, next};
    return next;
  }

  // `slot` is kWriting, for `call`: nobody else touches its memory.
  void Begin(uint32_t slot, ExchangeCall* call) {
    while (call != nullptr) {
      std::copy(call->update.begin(), call->update.end(),
                Memory(slot, /*reply=*/false));
      const shm::Packet packet(
          {.kind = shm::Head::kCall,
           .slot = slot,
           .size = static_cast<uint32_t>(call->update.size())},
          call->request);
      absl::Status status;
      ExchangeCall* next = nullptr;
      {
        absl::MutexLock lock(&mu_);
        if (broken_) status = Broken(*call);
        if (slots_[slot].is_cancelled) status = Cancelled(*call);
        if (status.ok()) {
          slots_[slot].state = State::kSent;
          Send(packet);
          return;
        }
        next = Release(slot);
      }
      call->Finish(std::move(status), {});
      call = next;
    }
  }

  // The reader's thread.
  void Read() {
    std::array<char, kMaxPacketBytes> buffer;
    shm::Head head;
    absl::string_view body;
    while (shm::Parse(ReceivePacket(socket_, absl::MakeSpan(buffer)), head,
                      body) &&
           head.kind == shm::Head::kReply && head.slot < shm::kSlots &&
           head.size <= bytes_ && Take(head, body)) {
    }
    ShutDown(socket_);  // where it was nonsense that ended this
    std::vector<ExchangeCall*> lost;
    {
      absl::MutexLock lock(&mu_);
      broken_ = true;
      for (Slot& slot : slots_) {
        if (slot.state != State::kSent) continue;
        if (slot.call != nullptr) lost.push_back(slot.call);
        slot = {};
      }
      lost.insert(lost.end(), waiting_.begin(), waiting_.end());
      waiting_.clear();
    }
    for (ExchangeCall* call : lost) call->Finish(Broken(*call), {});
  }

  // False: the slot waits for no reply.
  bool Take(const shm::Head& head, absl::string_view body) {
    ExchangeCall* call = nullptr;
    {
      // Cancel does nothing from here on.
      absl::MutexLock lock(&mu_);
      if (slots_[head.slot].state != State::kSent) return false;
      call = std::exchange(slots_[head.slot].call, nullptr);
    }
    absl::Status status(static_cast<absl::StatusCode>(head.code),
                        head.code == 0 ? absl::string_view() : body);
    pb::ExchangeReply reply;
    if (call != nullptr && status.ok()) {
      if (!reply.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
        status = absl::InternalError("the reply in shared memory is cut off");
      } else if (head.size > 0) {
        const char* from = Memory(head.slot, /*reply=*/true);
        std::copy_n(from, head.size, call->ReplyBuffer(head.size).data());
      }
    }
    ExchangeCall* next = nullptr;
    {
      absl::MutexLock lock(&mu_);
      next = Release(head.slot);
    }
    Begin(head.slot, next);
    if (call != nullptr) call->Finish(std::move(status), std::move(reply));
    return true;
  }

  const Descriptor socket_;
  SharedMemory memory_;
  const size_t bytes_;  // of the largest update
  mutable absl::Mutex mu_;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  std::array<Slot, shm::kSlots> slots_ ABSL_GUARDED_BY(mu_);
  std::deque<ExchangeCall*> waiting_ ABSL_GUARDED_BY(mu_);  // for a free slot
  std::thread reader_;  // last: it uses all of the above
};

ShmClient::ShmClient(ServerCalls& control, bool is_required)
    : control_(control), is_required_(is_required) {}

ShmClient::~ShmClient() = default;

std::shared_ptr<ShmClient::Connection> ShmClient::connection() const {
  absl::MutexLock lock(&mu_);
  return connection_ == nullptr || connection_->broken() ? nullptr
                                                         : connection_;
}

bool ShmClient::shares_memory() const { return connection() != nullptr; }

absl::Status ShmClient::GetJob(const pb::GetJobRequest& request,
                               pb::JobStatus& reply) {
  return control_.GetJob(request, reply);
}

absl::Status ShmClient::Join(const pb::JoinRequest& request,
                             pb::JoinReply& reply) {
  RETURN_IF_ERROR(control_.Join(request, reply));
  const size_t bytes = LargestShard(request);
  if (bytes == 0) return absl::OkStatus();  // nothing will be exchanged
  std::shared_ptr<Connection> before;
  {
    absl::MutexLock lock(&mu_);
    connection_.swap(before);
  }
  absl::Status status;
  if (reply.local_socket().empty()) {
    status = absl::NotFoundError("the server names no local socket");
  } else {
    auto opened = Connection::Open(reply.local_socket(), bytes);
    status = opened.status();
    if (status.ok()) {
      absl::MutexLock lock(&mu_);
      connection_ = *std::move(opened);
    }
  }
  if (status.ok() || !is_required_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("--transport shm: no memory can be shared with the server (",
                   status.message(),
                   "); start both on one host and in one network namespace, or "
                   "use --transport auto"));
}

absl::Status ShmClient::Report(const pb::ReportRequest& request,
                               pb::ReportReply& reply) {
  return control_.Report(request, reply);
}

void ShmClient::Exchange(ExchangeCall& call) {
  const std::shared_ptr<Connection> shared = connection();
  if (shared != nullptr) return shared->Exchange(call);
  control_.Exchange(call);
}

void ShmClient::Cancel(ExchangeCall& call) {
  std::shared_ptr<Connection> shared;
  {
    absl::MutexLock lock(&mu_);
    shared = connection_;
  }
  if (shared != nullptr && shared->Cancel(call)) return;
  control_.Cancel(call);
}

}  // namespace monsoon
