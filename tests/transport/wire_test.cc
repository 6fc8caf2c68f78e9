// SPDX-License-Identifier: Apache-2.0
#include "proto/wire.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "proto/monsoon.pb.h"

using namespace monsoon;
namespace pb = monsoon::v1;

namespace {

using Pieces = std::vector<absl::string_view>;

pb::ExchangeRequest Request() {
  pb::ExchangeRequest request;
  request.set_kind(pb::ExchangeRequest::PUSH_PULL);
  request.set_job_id(0xfedcba9876543210);
  request.set_worker(-1);
  request.set_incarnation(7);
  request.set_shard(300);
  request.set_sequence(1);
  request.set_weight(0.5f);
  request.set_max_lead(-1);
  return request;
}

std::string Payload(size_t bytes) {
  std::string payload(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) payload[i] = static_cast<char>(i * 37);
  return payload;
}

std::string Join(const Pieces& pieces) {
  std::string all;
  for (absl::string_view piece : pieces) all.append(piece.data(), piece.size());
  return all;
}

// The bytes cut at the given places, each piece in memory of its own so that
// a sanitizer sees a step over its end.
struct Cut {
  Cut(const std::string& bytes, std::vector<size_t> places) {
    size_t start = 0;
    places.push_back(bytes.size());
    for (size_t place : places) {
      memory.emplace_back(bytes.begin() + start, bytes.begin() + place);
      start = place;
    }
    for (const auto& piece : memory)
      pieces.emplace_back(piece.data(), piece.size());
  }
  std::vector<std::vector<char>> memory;
  Pieces pieces;
};

// The pairs of hexadecimal digits with which lines start in the fenced blocks
// of the document.
std::string BytesInDocument() {
  std::ifstream file(MONSOON_SOURCE_DIR "/docs/wire.md");
  const auto is_byte = [](const std::string& word) {
    return word.size() == 2 &&
           word.find_first_not_of("0123456789abcdef") == std::string::npos;
  };
  std::string bytes;
  bool fenced = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("```", 0) == 0) fenced = !fenced;
    if (!fenced) continue;
    std::istringstream words(line);
    for (std::string word; words >> word && is_byte(word);) {
      bytes += static_cast<char>(std::stoi(word, nullptr, 16));
    }
  }
  return bytes;
}

bool Finds(const Cut& cut, const pb::ExchangeRequest& request,
           const std::string& payload) {
  pb::ExchangeRequest found;
  Pieces values;
  return Decode(cut.pieces, found, values).ok() &&
         found.SerializeAsString() == request.SerializeAsString() &&
         Join(values) == payload;
}

}  // namespace

TEST_CASE("head and payload are the bytes that protobuf would write") {
  for (size_t bytes : {0, 1, 4, 127, 128, 16383, 16384, 1 << 22}) {
    const std::string payload = Payload(bytes);
    pb::ExchangeRequest whole = Request();
    whole.set_values(payload);
    CHECK(
        (EncodeHead(Request(), bytes) + payload == whole.SerializeAsString()));
    pb::ExchangeReply reply;
    reply.set_version(3);
    reply.set_refused(true);
    pb::ExchangeReply whole_reply = reply;
    whole_reply.set_values(payload);
    CHECK((EncodeHead(reply, bytes) + payload ==
           whole_reply.SerializeAsString()));
  }
}

TEST_CASE("the bytes in docs/wire.md are those of the messages") {
  pb::ExchangeRequest request;
  request.set_kind(pb::ExchangeRequest::PUSH_PULL);
  request.set_job_id(0x1234);
  request.set_worker(1);
  request.set_incarnation(7);
  request.set_shard(2);
  request.set_sequence(1);
  request.set_weight(1);
  request.set_local_steps(1);
  request.set_samples(64);
  request.set_max_lead(-1);
  pb::ExchangeReply reply;
  reply.set_version(5);
  reply.set_staleness(1);
  const auto bytes = [](const std::string& head, std::vector<float> values) {
    return head + std::string(reinterpret_cast<const char*>(values.data()),
                              values.size() * sizeof(float));
  };
  CHECK(BytesInDocument() == bytes(EncodeHead(request, 8), {1, -2}) +
                                 bytes(EncodeHead(reply, 8), {0.5f, 0.25f}));
}

TEST_CASE("a message may be cut at any two of its bytes") {
  const std::string payload = Payload(24);
  const std::string bytes = EncodeHead(Request(), payload.size()) + payload;
  bool all = true;
  for (size_t i = 0; i <= bytes.size(); ++i) {
    for (size_t j = i; j <= bytes.size(); ++j) {
      all = all && Finds(Cut(bytes, {i, j}), Request(), payload);
    }
  }
  CHECK(all);
}

TEST_CASE("a large message may be cut anywhere") {
  Random random{1};
  const std::string payload = Payload(300'000);
  const std::string bytes = EncodeHead(Request(), payload.size()) + payload;
  bool all = true;
  for (int round = 0; round < 50; ++round) {
    std::vector<size_t> places;
    for (int i = 0; i < 20; ++i) places.push_back(random.Below(bytes.size()));
    std::sort(places.begin(), places.end());
    all = all && Finds(Cut(bytes, places), Request(), payload);
  }
  CHECK(all);
}

TEST_CASE("fields come in any order, twice, or unknown") {
  const std::string payload = Payload(8);
  const std::string values = EncodeHead(pb::ExchangeRequest(), 8) + payload;
  const std::string old = EncodeHead(pb::ExchangeRequest(), 5) + "stale";
  const std::string head = Request().SerializeAsString();
  CHECK(Finds(Cut(values + head, {}), Request(), payload));
  CHECK(Finds(Cut(old + head + values, {3}), Request(), payload));
  const std::string empty("\xa2\x06\x00", 3);
  CHECK(Finds(Cut(values + empty, {}), {}, ""));

  pb::JobStatus other;  // a message of a later version of the schema
  other.mutable_spec()->set_trainer("adag");
  const std::string unknown =
      "\xfa\x7f\x03"
      "abc";  // field 2047
  pb::ExchangeRequest found;
  Pieces pieces;
  const std::string bytes = head + unknown + values;
  const Cut cut(bytes, {20});
  REQUIRE(Decode(cut.pieces, found, pieces).ok());
  CHECK(Join(pieces).size() == 8);
  CHECK(found.shard() == 300);
}

TEST_CASE("an empty message is one with defaults") {
  CHECK(Finds(Cut("", {}), {}, ""));
  pb::ExchangeRequest found;
  Pieces pieces;
  CHECK(Decode({}, found, pieces).ok());
}

TEST_CASE("a truncated message is refused") {
  const std::string payload = Payload(40);
  const std::string head = Request().SerializeAsString();
  const std::string bytes = EncodeHead(Request(), payload.size()) + payload;
  for (size_t size = head.size() + 1; size < bytes.size(); ++size) {
    pb::ExchangeRequest found;
    Pieces pieces;
    const Cut cut(bytes.substr(0, size), {size / 2});
    CHECK(Decode(cut.pieces, found, pieces).code() ==
          absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("absurd lengths are refused") {
  for (const std::string& length :
       {std::string("\xff\xff\xff\xff\x07"),
        std::string("\xff\xff\xff\xff\x0f"),
        std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")}) {
    for (const std::string tag : {"\xa2\x06", "\xfa\x7f"}) {
      pb::ExchangeRequest found;
      Pieces pieces;
      const std::string bytes = tag + length + "abcd";
      CHECK(Decode(Cut(bytes, {}).pieces, found, pieces).code() ==
            absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST_CASE("no bytes crash the decoder") {
  Random random{2};
  const std::string payload = Payload(32);
  const std::string good = EncodeHead(Request(), payload.size()) + payload;
  int refused = 0;
  int taken_wrongly = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string bytes = good;
    const uint64_t mutations = 1 + random.Below(6);
    for (uint64_t i = 0; i < mutations && !bytes.empty(); ++i) {
      const size_t at = random.Below(bytes.size());
      switch (random.Below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random.Next());
          break;
        case 1:
          bytes.erase(at, 1 + random.Below(5));
          break;
        case 2:
          bytes.insert(at, 1, static_cast<char>(random.Next()));
          break;
        default:
          bytes += bytes.substr(at, 10);
      }
    }
    pb::ExchangeRequest found;
    Pieces pieces;
    const size_t place = random.Below(bytes.size() + 1);
    const bool ok = Decode(Cut(bytes, {place}).pieces, found, pieces).ok();
    // protobuf is the judge of what is a message.
    pb::ExchangeRequest judge;
    if (ok != judge.ParseFromString(bytes)) ++taken_wrongly;
    if (!ok) ++refused;
  }
  CHECK(refused > 1000);
  CHECK(taken_wrongly == 0);
}
