// SPDX-License-Identifier: Apache-2.0
#include "cli/port_check.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "transport/local_socket.h"

namespace monsoon {
namespace {

constexpr char kServer[] = "monsoon-server";

// The inodes of sockets that listen on the port.
std::vector<std::string> Listeners(FileSystem& files, int port) {
  constexpr char kListens[] = "0A";
  std::vector<std::string> inodes;
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const std::string text = files.Read(path).value_or("");
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      const std::vector<absl::string_view> words =
          absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (words.size() < 10 || words[3] != kListens) continue;
      if (absl::EndsWith(words[1], absl::StrFormat(":%04X", port))) {
        inodes.emplace_back(words[9]);
      }
    }
  }
  return inodes;
}

// "monsoon-server (pid 4711)", of whose sockets one has such an inode; "" when
// the system does not tell, as for processes of other users.
std::string Owner(FileSystem& files, const std::vector<std::string>& inodes) {
  for (const std::string& pid :
       files.List("/proc").value_or(std::vector<std::string>())) {
    if (!std::all_of(pid.begin(), pid.end(), absl::ascii_isdigit)) continue;
    const std::string folder = absl::StrCat("/proc/", pid, "/fd");
    for (const std::string& fd :
         files.List(folder).value_or(std::vector<std::string>())) {
      std::error_code error;
      const std::string target =
          std::filesystem::read_symlink(JoinPath(folder, fd), error).string();
      for (const std::string& inode : inodes) {
        if (target != absl::StrCat("socket:[", inode, "]")) continue;
        const std::string name =
            files.Read(absl::StrCat("/proc/", pid, "/comm")).value_or("");
        return absl::StrCat(absl::StripAsciiWhitespace(name), " (pid ", pid,
                            ")");
      }
    }
  }
  return "";
}

// errno's value of listening there for a moment; 0: that goes.
int Listen(const addrinfo& address) {
  const Descriptor socket(
      ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.open()) return errno;
  const int on = 1;  // as gRPC does: connections that have ended do not matter
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool listens =
      ::bind(socket.get(), address.ai_addr, address.ai_addrlen) == 0 &&
      ::listen(socket.get(), 1) == 0;
  return listens ? 0 : errno;
}

void SayTaken(FileSystem& files, const Address& listen, bool is_asked,
              Section& section) {
  const std::string owner = Owner(files, Listeners(files, listen.port));
  const std::string found = absl::StrCat(
      "taken by ",
      owner.empty() ? "a process that the system does not name" : owner);
  if (!is_asked && absl::StartsWith(owner, kServer)) {
    return section.Note(listen.text(), found, "",
                        "a server is there already: use it, or give another "
                        "one another --listen");
  }
  section.Bad(listen.text(), found, "a free port",
              absl::StrCat("end that process, or give monsoon-server another "
                           "--listen; `ss -ltnp 'sport = :",
                           listen.port, "'` as root shows who has it"));
}

}  // namespace

Checks CheckPort(FileSystem& files, const Address& listen, bool is_asked) {
  Section section("ports");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int unknown = ::getaddrinfo(
      listen.host.c_str(), absl::StrCat(listen.port).c_str(), &hints, &found);
  if (unknown != 0) {
    section.Bad(listen.text(), ::gai_strerror(unknown),
                "a name or address of this machine",
                "see `ip address`, or use 0.0.0.0 for all of them");
    return section.checks();
  }
  const int error = Listen(*found);
  ::freeaddrinfo(found);
  if (error == 0) {
    section.Good(listen.text(), "free");
  } else if (error == EADDRINUSE) {
    SayTaken(files, listen, is_asked, section);
  } else if (error == EACCES) {
    section.Bad(listen.text(), "this user may not listen there",
                "a port from 1024 on", "use such a port");
  } else {
    section.Bad(listen.text(), std::strerror(error),
                "a name or address of this machine",
                "see `ip address`, or use 0.0.0.0 for all of them");
  }
  return section.checks();
}

}  // namespace monsoon
