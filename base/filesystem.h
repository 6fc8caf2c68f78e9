// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace monsoon {

// Files, passed in so that tests can fail them. Every error names the path and
// what the system said: NOT_FOUND where there is no such file, INTERNAL
// otherwise. Thread-safe for different paths.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual absl::StatusOr<std::string> Read(const std::string& path) = 0;
  // Replaces the file as a whole: after a crash it is the old or the new one.
  virtual absl::Status Write(const std::string& path,
                             absl::string_view contents) = 0;
  // Adds to the end, creating the file.
  virtual absl::Status Append(const std::string& path,
                              absl::string_view contents) = 0;
  virtual bool Exists(const std::string& path) = 0;
  // With all parents; fine when it exists.
  virtual absl::Status MakeFolder(const std::string& path) = 0;
  // Names (not paths) in a folder, sorted.
  virtual absl::StatusOr<std::vector<std::string>> List(
      const std::string& path) = 0;
};

FileSystem& RealFileSystem();

// "a/b" from "a" and "b"; an absolute `b` stays as it is.
std::string JoinPath(absl::string_view a, absl::string_view b);

}  // namespace monsoon
