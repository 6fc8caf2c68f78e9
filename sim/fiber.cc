// SPDX-License-Identifier: Apache-2.0
#include "sim/fiber.h"

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <bit>
#include <cstdint>
#include <utility>

#include "base/check.h"

#ifdef MONSOON_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef MONSOON_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace monsoon {
namespace {

// One side of a switch, as the sanitizers want to know it.
struct Side {
#ifdef MONSOON_ADDRESS_SANITIZER
  void* fake_stack = nullptr;
  const void* bottom = nullptr;
  size_t size = 0;
#endif
#ifdef MONSOON_THREAD_SANITIZER
  void* fiber = nullptr;
#endif
  ucontext_t context;
};

// Leaves `from`, for good if `is_last`, and returns when somebody comes back.
void Switch(Side& from, Side& to, [[maybe_unused]] bool is_last) {
#ifdef MONSOON_ADDRESS_SANITIZER
  __sanitizer_start_switch_fiber(is_last ? nullptr : &from.fake_stack,
                                 to.bottom, to.size);
#endif
#ifdef MONSOON_THREAD_SANITIZER
  __tsan_switch_to_fiber(to.fiber, 0);
#endif
  MONSOON_CHECK(swapcontext(&from.context, &to.context) == 0,
                "contexts can be swapped");
#ifdef MONSOON_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

}  // namespace

struct Fiber::Context {
  explicit Context(std::function<void()> function) : body(std::move(function)) {
    // Below the stack lies a page that nobody may touch.
    page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    memory =
        mmap(nullptr, kStack + page, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    MONSOON_CHECK(memory != MAP_FAILED, "there is room for a stack");
    mprotect(memory, page, PROT_NONE);
    getcontext(&own.context);
    own.context.uc_stack.ss_sp = static_cast<char*>(memory) + page;
    own.context.uc_stack.ss_size = kStack;
    own.context.uc_link = nullptr;
    const auto self = reinterpret_cast<uintptr_t>(this);
    // makecontext hands on ints: a pointer is two.
    makecontext(&own.context, reinterpret_cast<void (*)()>(&Begin), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
#ifdef MONSOON_ADDRESS_SANITIZER
    own.bottom = own.context.uc_stack.ss_sp;
    own.size = kStack;
#endif
#ifdef MONSOON_THREAD_SANITIZER
    own.fiber = __tsan_create_fiber(0);
#endif
  }
  ~Context() {
#ifdef MONSOON_THREAD_SANITIZER
    __tsan_destroy_fiber(own.fiber);
#endif
    munmap(memory, kStack + page);
  }

  static void Begin(unsigned high, unsigned low) {
    auto* const self = std::bit_cast<Context*>(
        static_cast<uintptr_t>(high) << 32 | static_cast<uintptr_t>(low));
#ifdef MONSOON_ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(nullptr, &self->caller.bottom,
                                    &self->caller.size);
#endif
    self->body();
    self->is_done = true;
    Switch(self->own, self->caller, /*is_last=*/true);
  }

  std::function<void()> body;
  size_t page = 0;
  void* memory = nullptr;
  bool has_begun = false;
  bool is_done = false;
  Side own, caller;
};

Fiber::Fiber(std::function<void()> body)
    : context_(std::make_unique<Context>(std::move(body))) {}

Fiber::~Fiber() {
  MONSOON_CHECK(context_->is_done || !context_->has_begun,
                "nothing is left on the stack");
}

void Fiber::Resume() {
  context_->has_begun = true;
#ifdef MONSOON_THREAD_SANITIZER
  context_->caller.fiber = __tsan_get_current_fiber();
#endif
  Switch(context_->caller, context_->own, /*is_last=*/false);
}

void Fiber::Pause() {
  Switch(context_->own, context_->caller, /*is_last=*/false);
}

bool Fiber::done() const { return context_->is_done; }

}  // namespace monsoon
