// SPDX-License-Identifier: Apache-2.0
#include "transport/shm_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/wire.h"
#include "transport/shm_packet.h"

namespace monsoon {
namespace {

constexpr absl::Duration kAcceptPause = absl::Milliseconds(50);
// A worker says at once who it is.
constexpr int kHelloSeconds = 5;
// More than workers on any host; each takes a thread.
constexpr size_t kMaxConnections = 1024;

}  // namespace

// One worker. Its thread serves it; calls that were parked finish on others.
class ShmServer::Connection {
 public:
  Connection(ServerCalls& calls, Clock& clock, Descriptor socket)
      : calls_(calls),
        socket_(std::move(socket)),
        idle_(clock.NewEvent()),
        thread_([this] { Serve(); }) {}
  ~Connection() {
    ShutDown(socket_);
    thread_.join();
  }

  bool ended() const { return ended_; }

 private:
  // An exchange in one slot. Its memory is kept until the slot's next one: the
  // thread that makes that is also the one that cancels.
  class Call final : public ExchangeCall {
   public:
    Call(Connection& connection, uint32_t slot)
        : connection_(connection), slot_(slot) {}

    absl::Span<char> ReplyBuffer(size_t bytes) override {
      size_ = bytes;
      if (bytes <= connection_.bytes_) {
        return {connection_.Memory(slot_, /*reply=*/true), bytes};
      }
      stray_.resize(bytes);
      return absl::MakeSpan(stray_);
    }
    void Finish(absl::Status status, pb::ExchangeReply reply) override {
      if (status.ok() && !stray_.empty()) {
        status = absl::InternalError(absl::StrCat("the reply has ", size_,
                                                  " bytes, the slot has ",
                                                  connection_.bytes_));
      }
      const shm::Head head = {shm::Head::kReply, slot_,
                              status.ok() ? static_cast<uint32_t>(size_) : 0,
                              static_cast<int32_t>(status.code())};
      connection_.Answer(
          slot_, status.ok()
                     ? shm::Packet(head, reply)
                     : shm::Packet(head, status.message().substr(0, kMaxText)));
    }

   private:
    static constexpr size_t kMaxText = kMaxPacketBytes / 2;

    Connection& connection_;
    const uint32_t slot_;
    size_t size_ = 0;
    std::vector<char> stray_;  // what no slot has room for
  };

  char* Memory(uint32_t slot, bool reply) {
    const size_t place = 2 * slot + (reply ? 1 : 0);
    return reinterpret_cast<char*>(memory_.data()) +
           place * shm::Stride(bytes_);
  }

  void Serve() {
    if (Welcome()) {
      while (Next()) {
      }
    }
    End();
    ended_ = true;
  }

  // The first packet says how much memory there has to be.
  bool Welcome() {
    SetReceiveTimeout(socket_, kHelloSeconds);
    shm::Head head;
    absl::string_view body;
    if (!shm::Parse(ReceivePacket(socket_, absl::MakeSpan(buffer_)), head,
                    body) ||
        head.kind != shm::Head::kHello || head.size == 0 ||
        head.size > kMaxPayloadBytes || head.size % sizeof(float) != 0) {
      return false;
    }
    bytes_ = head.size;
    auto memory = SharedMemory::Create(shm::MemoryBytes(head.size));
    head = {.kind = shm::Head::kWelcome};
    if (!memory.ok()) {
      head.code = static_cast<int32_t>(memory.status().code());
      SendPacket(socket_, shm::Packet(head, memory.status().message()));
      return false;
    }
    memory_ = *std::move(memory);
    SetReceiveTimeout(socket_, 0);
    return SendPacket(socket_, shm::Packet(head), memory_.descriptor().get());
  }

  // False: the worker has gone, or makes no sense.
  bool Next() {
    shm::Head head;
    absl::string_view body;
    if (!shm::Parse(ReceivePacket(socket_, absl::MakeSpan(buffer_)), head,
                    body) ||
        head.slot >= shm::kSlots) {
      return false;
    }
    if (head.kind == shm::Head::kCancel) {
      CancelIn(head.slot);
      return true;
    }
    if (IsInFlight(head.slot)) return false;
    Call* call = &made_[head.slot].emplace(*this, head.slot);
    if (head.kind != shm::Head::kCall || head.size > bytes_ ||
        !call->request.ParseFromArray(body.data(),
                                      static_cast<int>(body.size()))) {
      return false;
    }
    if (head.size > 0) {
      call->update = {Memory(head.slot, /*reply=*/false), head.size};
    }
    {
      absl::MutexLock lock(&mu_);
      in_flight_[head.slot] = true;
    }
    calls_.Exchange(*call);
    return true;
  }

  bool IsInFlight(uint32_t slot) {
    absl::MutexLock lock(&mu_);
    return in_flight_[slot];
  }
  // Does nothing to a call that ends meanwhile.
  void CancelIn(uint32_t slot) {
    if (IsInFlight(slot)) calls_.Cancel(*made_[slot]);
  }

  // The slot is free before the worker can know it.
  void Answer(uint32_t slot, const shm::Packet& packet) {
    {
      absl::MutexLock lock(&mu_);
      in_flight_[slot] = false;
      ++answering_;
    }
    // A worker that does not read its answers gets no more of them.
    if (!SendPacket(socket_, packet)) ShutDown(socket_);
    absl::MutexLock lock(&mu_);
    --answering_;
    if (ending_ && Idle()) idle_->Set();
  }

  bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return answering_ == 0 && std::find(in_flight_.begin(), in_flight_.end(),
                                        true) == in_flight_.end();
  }

  // Nobody waits for the answers any more.
  void End() {
    ShutDown(socket_);
    for (uint32_t slot = 0; slot < shm::kSlots; ++slot) {
      CancelIn(slot);
    }
    bool is_idle = false;
    {
      absl::MutexLock lock(&mu_);
      ending_ = true;
      is_idle = Idle();
    }
    if (!is_idle) idle_->Wait(absl::InfiniteFuture());
    absl::MutexLock last(&mu_);  // whoever set the event has let go of it
    memory_ = SharedMemory();
  }

  ServerCalls& calls_;
  const Descriptor socket_;
  std::array<char, kMaxPacketBytes> buffer_;
  SharedMemory memory_;
  size_t bytes_ = 0;  // that a slot has room for, each way
  std::array<std::optional<Call>, shm::kSlots> made_;  // the thread's
  const std::unique_ptr<Event> idle_;
  std::atomic<bool> ended_ = false;
  absl::Mutex mu_;
  std::array<bool, shm::kSlots> in_flight_ ABSL_GUARDED_BY(mu_) = {};
  int answering_ ABSL_GUARDED_BY(mu_) = 0;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // last: it uses all of the above
};

absl::StatusOr<std::unique_ptr<ShmServer>> ShmServer::Start(ServerCalls& calls,
                                                            std::string name,
                                                            Clock& clock) {
  ASSIGN_OR_RETURN(Descriptor listener, ListenLocal(name));
  return std::unique_ptr<ShmServer>(
      new ShmServer(calls, std::move(name), clock, std::move(listener)));
}

ShmServer::ShmServer(ServerCalls& calls, std::string name, Clock& clock,
                     Descriptor listener)
    : calls_(calls),
      name_(std::move(name)),
      clock_(clock),
      listener_(std::move(listener)),
      acceptor_([this] { Accept(); }) {}

ShmServer::~ShmServer() {
  ShutDown(listener_);
  acceptor_.join();
}

void ShmServer::Accept() {
  while (true) {
    absl::StatusOr<Descriptor> socket = AcceptLocal(listener_);
    if (absl::IsCancelled(socket.status())) return;
    connections_.remove_if(
        [](const auto& connection) { return connection->ended(); });
    if (!socket.ok()) {  // too many open files, say
      clock_.NewEvent()->Wait(clock_.Now() + kAcceptPause);
      continue;
    }
    if (connections_.size() >= kMaxConnections) continue;  // closes it
    connections_.push_back(
        std::make_unique<Connection>(calls_, clock_, *std::move(socket)));
  }
}

}  // namespace monsoon
