// SPDX-License-Identifier: Apache-2.0
#include "base/filesystem.h"

#include <catch2/catch.hpp>

#include "tests/base/temporary_folder.h"

namespace monsoon {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("A file is read back as it was written, whatever its size") {
  TemporaryFolder folder;
  FileSystem& files = RealFileSystem();
  const std::string path = folder.At("file");
  for (size_t size : {0, 1, 4095, 4096, 4097, 1000000}) {
    std::string contents(size, 'x');
    if (size > 0) contents[size / 2] = '\0';
    REQUIRE(files.Write(path, contents).ok());
    const absl::StatusOr<std::string> read = files.Read(path);
    REQUIRE(read.ok());
    CHECK(*read == contents);
  }
}

TEST_CASE("Writing replaces the whole file and leaves nothing beside it") {
  TemporaryFolder folder;
  FileSystem& files = RealFileSystem();
  REQUIRE(files.Write(folder.At("file"), "a long first text").ok());
  REQUIRE(files.Write(folder.At("file"), "short").ok());
  CHECK(*files.Read(folder.At("file")) == "short");
  CHECK(*files.List(folder.path()) == std::vector<std::string>{"file"});
}

TEST_CASE("Appending creates the file and adds to its end") {
  TemporaryFolder folder;
  FileSystem& files = RealFileSystem();
  REQUIRE(files.Append(folder.At("log"), "one\n").ok());
  REQUIRE(files.Append(folder.At("log"), "two\n").ok());
  CHECK(*files.Read(folder.At("log")) == "one\ntwo\n");
}

TEST_CASE("A file whose size is not told is read to its end") {
  const absl::StatusOr<std::string> status =
      RealFileSystem().Read("/proc/self/status");
  REQUIRE(status.ok());
  CHECK_THAT(*status, Contains("VmRSS"));
}

TEST_CASE("What does not exist is not found, by name") {
  TemporaryFolder folder;
  FileSystem& files = RealFileSystem();
  const std::string path = folder.At("missing/file");
  CHECK_FALSE(files.Exists(path));
  for (const absl::Status& status :
       {files.Read(path).status(), files.Write(path, "x"),
        files.Append(path, "x"), files.List(path).status()}) {
    CHECK(absl::IsNotFound(status));
    CHECK_THAT(std::string(status.message()),
               Contains("\"" + path) && Contains("No such file"));
  }
}

TEST_CASE("A folder is no file, and a file is no folder") {
  TemporaryFolder folder;
  FileSystem& files = RealFileSystem();
  const absl::Status read = files.Read(folder.path()).status();
  CHECK(absl::IsInternal(read));
  CHECK_THAT(std::string(read.message()),
             Contains(folder.path()) && Contains("directory"));
  REQUIRE(files.Write(folder.At("file"), "x").ok());
  CHECK(absl::IsInternal(files.Read(folder.At("file/below")).status()));
  CHECK(absl::IsInternal(files.MakeFolder(folder.At("file/below"))));
  CHECK_FALSE(files.Write(folder.path(), "x").ok());
}

TEST_CASE("Folders are made with their parents and listed in order") {
  TemporaryFolder folder;
  FileSystem& files = RealFileSystem();
  REQUIRE(files.MakeFolder(folder.At("b/c/d")).ok());
  REQUIRE(files.MakeFolder(folder.At("b/c/d")).ok());
  REQUIRE(files.MakeFolder(folder.At("a")).ok());
  REQUIRE(files.Exists(folder.At("b/c/d")));
  CHECK(*files.List(folder.path()) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("Paths are joined, absolute ones are kept") {
  CHECK(JoinPath("a", "b") == "a/b");
  CHECK(JoinPath("a/", "b") == "a/b");
  CHECK(JoinPath("", "b") == "b");
  CHECK(JoinPath("a", "/b") == "/b");
}

}  // namespace
}  // namespace monsoon
