// SPDX-License-Identifier: Apache-2.0
#include "base/filesystem.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

absl::Status Failure(const std::string& path, absl::string_view action,
                     int error) {
  const std::string message = absl::StrCat("cannot ", action, " \"", path,
                                           "\": ", std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(message)
                         : absl::InternalError(message);
}

// Writes all of `contents` to a new descriptor of `path` and closes it.
absl::Status WriteAll(const std::string& path, int flags,
                      absl::string_view contents) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (file < 0) return Failure(path, "open for writing", errno);
  absl::Status status;
  while (!contents.empty() && status.ok()) {
    const ssize_t written = ::write(file, contents.data(), contents.size());
    if (written > 0) contents.remove_prefix(static_cast<size_t>(written));
    if (written < 0 && errno != EINTR) status = Failure(path, "write", errno);
  }
  if (status.ok() && (flags & O_APPEND) == 0 && ::fsync(file) != 0) {
    status = Failure(path, "sync", errno);
  }
  if (::close(file) != 0 && status.ok()) status = Failure(path, "close", errno);
  return status;
}

// All that can be read from `file`, into memory taken once where its size is
// known. Returns errno's value, 0 for success.
int ReadAll(int file, std::string& contents) {
  struct stat about = {};
  if (::fstat(file, &about) != 0) return errno;
  // One byte more than there should be, so that the end is seen; some for files
  // that do not tell their size.
  contents.resize(
      std::max<size_t>(static_cast<size_t>(about.st_size) + 1, 4096));
  size_t size = 0;
  while (true) {
    if (size == contents.size()) contents.resize(2 * size);
    const ssize_t got = ::read(file, &contents[size], contents.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  contents.resize(size);
  return 0;
}

class Disk final : public FileSystem {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) override {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return Failure(path, "open", errno);
    std::string contents;
    const int error = ReadAll(file, contents);
    ::close(file);
    if (error != 0) return Failure(path, "read", error);
    return contents;
  }

  absl::Status Write(const std::string& path,
                     absl::string_view contents) override {
    const std::string temporary = absl::StrCat(path, ".tmp", ::getpid());
    absl::Status status =
        WriteAll(temporary, O_WRONLY | O_CREAT | O_TRUNC, contents);
    if (status.ok() && std::rename(temporary.c_str(), path.c_str()) != 0) {
      status = Failure(path, "rename a new file to", errno);
    }
    if (!status.ok()) ::unlink(temporary.c_str());
    return status;
  }

  absl::Status Append(const std::string& path,
                      absl::string_view contents) override {
    return WriteAll(path, O_WRONLY | O_CREAT | O_APPEND, contents);
  }

  bool Exists(const std::string& path) override {
    std::error_code error;
    return std::filesystem::exists(path, error);
  }

  absl::Status MakeFolder(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return Failure(path, "make the folder", error.value());
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> List(
      const std::string& path) override {
    std::error_code error;
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      names.push_back(entry.path().filename().string());
    }
    if (error) return Failure(path, "list", error.value());
    std::sort(names.begin(), names.end());
    return names;
  }
};

}  // namespace

FileSystem& RealFileSystem() {
  static Disk disk;
  return disk;
}

std::string JoinPath(absl::string_view a, absl::string_view b) {
  return (std::filesystem::path(std::string(a)) / std::string(b)).string();
}

}  // namespace monsoon
