// SPDX-License-Identifier: Apache-2.0
#include "cli/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/process.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

// What the child does between fork and exec. The parent has threads, so
// everything here is async-signal-safe, and what it needs is made before.
struct Plan {
  std::vector<char*> arguments;  // ends with a null, as does:
  std::vector<char*> environment;
  int stdout_file = -1;  // -1: the parent's
  int stderr_file = -1;
  int error_pipe = -1;  // closed by exec; else it carries errno
  pid_t parent = 0;
};

[[noreturn]] void BecomeChild(const Plan& plan) {
  const auto fail = [&plan] {
    const int error = errno;
    (void)!::write(plan.error_pipe, &error, sizeof error);
    ::_exit(127);
  };
  ::setpgid(0, 0);
  // The parent may have ended before the kernel was told to watch it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
  if (::getppid() != plan.parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE}) ::signal(number, SIG_DFL);
  // A child in a group of its own must still be able to write to the terminal.
  ::signal(SIGTTOU, SIG_IGN);
  if (plan.stdout_file >= 0 && ::dup2(plan.stdout_file, 1) < 0) fail();
  if (plan.stderr_file >= 0 && ::dup2(plan.stderr_file, 2) < 0) fail();
  ::execve(plan.arguments[0], plan.arguments.data(), plan.environment.data());
  fail();
  ::_exit(127);
}

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void Close() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }
  void Reset(int number) {
    Close();
    number_ = number;
  }
  int number() const { return number_; }

 private:
  int number_;
};

absl::Status OpenForOutput(const std::string& path, int mode,
                           Descriptor& file) {
  if (path.empty()) return absl::OkStatus();
  file.Reset(::open(path.c_str(),
                    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | mode, 0644));
  if (file.number() >= 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("cannot open \"", path,
                   "\" for the output of a process: ", std::strerror(errno)));
}

// The errno of a failed exec; 0 when the child runs.
int ReadExecError(int pipe) {
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(pipe, &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  return got == sizeof error ? error : 0;
}

absl::Status StartFailure(const std::string& path, int error) {
  const std::string message =
      absl::StrCat("cannot start \"", path, "\": ", std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(message)
                         : absl::InternalError(message);
}

// Does the variable `text` of the environment have the name of one of `others`?
bool HasNameOf(absl::string_view text, const std::vector<std::string>& others) {
  const absl::string_view name = text.substr(0, text.find('='));
  return std::any_of(others.begin(), others.end(),
                     [name](absl::string_view other) {
                       return other.substr(0, other.find('=')) == name;
                     });
}

// What is handed to exec: pointers into `command` and this process's own.
std::vector<char*> EnvironmentOf(const Process::Command& command) {
  std::vector<char*> environment;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    if (!HasNameOf(*variable, command.environment)) {
      environment.push_back(*variable);
    }
  }
  for (const std::string& variable : command.environment) {
    environment.push_back(const_cast<char*>(variable.c_str()));
  }
  environment.push_back(nullptr);
  return environment;
}

// Forks and execs; the pid of a child that runs the binary.
absl::StatusOr<pid_t> Spawn(const Process::Command& command) {
  Descriptor out, error, pipe_read, pipe_write;
  RETURN_IF_ERROR(OpenForOutput(command.stdout_file, O_TRUNC, out));
  const bool one_file = command.stderr_file == command.stdout_file;
  RETURN_IF_ERROR(
      OpenForOutput(command.stderr_file, one_file ? 0 : O_TRUNC, error));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return StartFailure(command.arguments[0], errno);
  }
  pipe_read.Reset(ends[0]);
  pipe_write.Reset(ends[1]);
  Plan plan = {{},           EnvironmentOf(command),
               out.number(), error.number(),
               ends[1],      ::getpid()};
  for (const std::string& argument : command.arguments) {
    plan.arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  plan.arguments.push_back(nullptr);

  const pid_t pid = ::fork();
  if (pid == 0) BecomeChild(plan);
  if (pid < 0) return StartFailure(command.arguments[0], errno);
  pipe_write.Close();
  if (const int failed = ReadExecError(pipe_read.number()); failed != 0) {
    ::waitpid(pid, nullptr, 0);
    return StartFailure(command.arguments[0], failed);
  }
  return pid;
}

}  // namespace

std::string DescribeExit(const ProcessExit& exit) {
  if (exit.signal == 0) return absl::StrCat("exit code ", exit.code);
  const char* name = ::sigabbrev_np(exit.signal);
  return absl::StrCat("killed by signal ", exit.signal, " (SIG",
                      name == nullptr ? "?" : name, ")");
}

std::string LastLines(const std::string& text, int lines,
                      const std::string& indent) {
  std::vector<absl::string_view> all =
      absl::StrSplit(text, '\n', absl::SkipWhitespace());
  const size_t count = std::min(all.size(), static_cast<size_t>(lines));
  std::string last;
  for (size_t i = all.size() - count; i < all.size(); ++i) {
    absl::StrAppend(&last, indent, all[i], "\n");
  }
  return last;
}

std::string BinaryFolder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error)
      .parent_path()
      .string();
}

absl::StatusOr<std::unique_ptr<Process>> Process::Start(
    const Command& command, std::function<void()> on_exit) {
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(command));
  return std::unique_ptr<Process>(new Process(pid, std::move(on_exit)));
}

Process::Process(pid_t pid, std::function<void()> on_exit)
    : pid_(pid),
      on_exit_(std::move(on_exit)),
      waiter_([this] { WaitForEnd(); }) {}

Process::~Process() {
  Signal(SIGKILL);
  waiter_.join();
}

void Process::Signal(int number) {
  absl::MutexLock lock(&mu_);
  if (!exit_.has_value()) ::kill(pid_, number);
}

std::optional<ProcessExit> Process::exit() const {
  absl::MutexLock lock(&mu_);
  return exit_;
}

void Process::WaitForEnd() {
  // Seen first, reaped under the lock: Signal never meets a pid that the
  // system has given to another process.
  siginfo_t seen;
  while (::waitid(P_PID, pid_, &seen, WEXITED | WNOWAIT) != 0 &&
         errno == EINTR) {
  }
  {
    absl::MutexLock lock(&mu_);
    int status = 0;
    rusage usage = {};
    ::wait4(pid_, &status, 0, &usage);
    ProcessExit end;
    if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
    if (WIFEXITED(status)) end.code = WEXITSTATUS(status);
    end.peak_rss_bytes = int64_t{usage.ru_maxrss} * 1024;
    end.processor_s = CpuSeconds(usage);
    exit_ = end;
  }
  if (on_exit_) on_exit_();
}

}  // namespace monsoon
