// SPDX-License-Identifier: Apache-2.0
#include "watch/event_file.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/process.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

// Of each byte: what it adds to a checksum, least significant bit first.
constexpr std::array<uint32_t, 256> CrcTable() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    }
    table[byte] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = CrcTable();

template <typename Integer>
void AddLittleEndian(Integer value, std::string& to) {
  for (size_t i = 0; i < sizeof(value); ++i) {
    to.push_back(static_cast<char>(value >> (8 * i)));
  }
}

// As the format has it: a checksum of data that hold checksums is a poor one.
uint32_t Masked(uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;
}

std::string FileName(absl::Time now) {
  const ProcessInfo process = ThisProcess();
  return absl::StrCat("events.out.tfevents.", absl::ToUnixSeconds(now), ".",
                      process.host, ".", process.pid, ".0.v2");
}

}  // namespace

uint32_t Crc32c(absl::string_view bytes) {
  uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<uint8_t>(byte)) & 0xFF];
  }
  return ~crc;
}

std::string TfRecord(absl::string_view payload) {
  std::string record;
  AddLittleEndian(uint64_t{payload.size()}, record);
  AddLittleEndian(Masked(Crc32c(record)), record);
  absl::StrAppend(&record, payload);
  AddLittleEndian(Masked(Crc32c(payload)), record);
  return record;
}

EventFile::EventFile(std::string folder, absl::Time now, FileSystem& files)
    : folder_(std::move(folder)),
      path_(JoinPath(folder_, FileName(now))),
      files_(files) {
  tb::Event first;
  first.set_wall_time(absl::ToDoubleSeconds(now - absl::UnixEpoch()));
  first.set_file_version("brain.Event:2");
  Add(first);
}

void EventFile::Add(const tb::Event& event) {
  records_ += TfRecord(event.SerializeAsString());
}

void EventFile::Add(absl::Time wall, int64_t step, const tb::Summary& values) {
  tb::Event event;
  event.set_wall_time(absl::ToDoubleSeconds(wall - absl::UnixEpoch()));
  event.set_step(step);
  *event.mutable_summary() = values;
  Add(event);
}

absl::Status EventFile::Flush() {
  const std::string records = std::exchange(records_, "");
  if (records.empty()) return absl::OkStatus();
  if (!made_) RETURN_IF_ERROR(files_.MakeFolder(folder_));
  made_ = true;
  return files_.Append(path_, records);
}

}  // namespace monsoon
