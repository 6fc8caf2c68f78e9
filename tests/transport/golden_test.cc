// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "proto/monsoon.pb.h"
#include "proto/wire.h"
#include "transport/grpc_message.h"

using namespace monsoon;
namespace pb = monsoon::v1;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

namespace {

// A file of tests/golden/, whose README.md describes them.
struct Golden {
  std::string file;
  std::unique_ptr<Message> message;
  std::string bytes;
};

std::unique_ptr<Message> NewMessage(const std::string& name) {
  const auto* type =
      pb::JobSpec::descriptor()->file()->FindMessageTypeByName(name);
  REQUIRE(type != nullptr);
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()
          ->GetPrototype(type)
          ->New());
}

Golden ReadGolden(const std::filesystem::path& path) {
  Golden golden{.file = path.filename()};
  INFO(golden.file);
  std::ifstream in(path);
  std::string line, text;
  std::getline(in, line);
  const std::string key = "message: ";
  REQUIRE(line.rfind(key, 0) == 0);
  golden.message = NewMessage(line.substr(key.size()));
  while (std::getline(in, line) && line != "bytes:") text += line + "\n";
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text,
                                                        golden.message.get()));
  while (std::getline(in, line)) {
    std::istringstream words(line.substr(0, line.find('#')));
    for (std::string word; words >> word;) {
      REQUIRE(word.size() == 2);
      golden.bytes += static_cast<char>(std::stoi(word, nullptr, 16));
    }
  }
  return golden;
}

std::vector<Golden> ReadAll() {
  std::vector<Golden> all;
  const std::filesystem::path folder = MONSOON_SOURCE_DIR "/tests/golden";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") {
      all.push_back(ReadGolden(entry.path()));
    }
  }
  return all;
}

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  REQUIRE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// The bytes, each in a slice of its own. gRPC joins slices that are copies and
// small, or side by side in memory: so there are gaps.
class Crumbs {
 public:
  explicit Crumbs(const std::string& bytes) {
    for (char byte : bytes) spaced_ += {byte, '\0'};
    std::vector<grpc::Slice> slices;
    for (size_t i = 0; i < spaced_.size(); i += 2) {
      slices.emplace_back(&spaced_[i], 1, grpc::Slice::STATIC_SLICE);
    }
    buffer_ = grpc::ByteBuffer(slices.data(), slices.size());
  }
  const grpc::ByteBuffer& buffer() const { return buffer_; }

 private:
  std::string spaced_;
  grpc::ByteBuffer buffer_;
};

// As the exchange is carried: the floats never lie in a protobuf object.
template <typename Exchange>
void CheckCarrier(const Golden& golden) {
  Exchange head;
  head.CopyFrom(*golden.message);
  const std::string values = head.values();
  head.clear_values();

  grpc::Slice payload;
  if (!values.empty()) {
    payload = NewPayload(values.size());
    std::copy(values.begin(), values.end(), BytesOf(payload).begin());
  }
  CHECK(Bytes(WriteMessage(head, payload)) == golden.bytes);
  CHECK(EncodeHead(head, values.size()) + values == golden.bytes);

  Exchange found;
  ReceivedMessage received;
  const Crumbs crumbs(golden.bytes);
  std::vector<grpc::Slice> slices;
  REQUIRE(crumbs.buffer().Dump(&slices).ok());
  REQUIRE(slices.size() == golden.bytes.size());
  REQUIRE(received.Read(crumbs.buffer(), found).ok());
  CHECK(MessageDifferencer::Equals(found, head));
  std::string bytes(received.size(), '\0');
  received.CopyTo(absl::MakeSpan(bytes.data(), bytes.size()));
  CHECK(bytes == values);
}

}  // namespace

TEST_CASE("every golden message is written and read as its bytes") {
  std::set<std::string> names;
  for (const Golden& golden : ReadAll()) {
    INFO(golden.file);
    names.insert(golden.message->GetTypeName());
    CHECK(golden.message->SerializeAsString() == golden.bytes);
    const std::unique_ptr<Message> found(golden.message->New());
    REQUIRE(found->ParseFromString(golden.bytes));
    CHECK(MessageDifferencer::Equals(*found, *golden.message));
  }
  // Those of the five calls.
  CHECK(names.size() == 10);
}

TEST_CASE("exchanges outside of protobuf are the golden bytes") {
  int requests = 0;
  int replies = 0;
  for (const Golden& golden : ReadAll()) {
    INFO(golden.file);
    if (golden.message->GetDescriptor() == pb::ExchangeRequest::descriptor()) {
      CheckCarrier<pb::ExchangeRequest>(golden);
      ++requests;
    }
    if (golden.message->GetDescriptor() == pb::ExchangeReply::descriptor()) {
      CheckCarrier<pb::ExchangeReply>(golden);
      ++replies;
    }
  }
  CHECK(requests >= 5);
  CHECK(replies >= 2);
}
