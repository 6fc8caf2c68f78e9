// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/filesystem.h"
#include "proto/tensorboard.pb.h"

namespace monsoon {

namespace tb = ::monsoon::tensorboard;

// CRC-32C (Castagnoli).
uint32_t Crc32c(absl::string_view bytes);

// A record of a TFRecord file: length and payload, each with a checksum.
std::string TfRecord(absl::string_view payload);

// An event file, as TensorBoard reads it: one writer a folder. Events gather in
// memory until they are flushed. For one thread.
class EventFile {
 public:
  // A new file in `folder`, with a name that no other file there has when
  // process and second are its own. The first flush makes both; `files`
  // outlives it.
  EventFile(std::string folder, absl::Time now, FileSystem& files);

  // Values of `step`, seen at `wall` of the system's clock.
  void Add(absl::Time wall, int64_t step, const tb::Summary& values);
  // INTERNAL when the file cannot be written; what was to be is lost.
  absl::Status Flush();

 private:
  void Add(const tb::Event& event);

  const std::string folder_;
  const std::string path_;
  FileSystem& files_;
  std::string records_;  // not written yet
  bool made_ = false;    // the folder
};

}  // namespace monsoon
