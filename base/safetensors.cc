// SPDX-License-Identifier: Apache-2.0
#include "base/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

using Json = nlohmann::json;
using Tensor = SafetensorsFile::Tensor;

static_assert(std::endian::native == std::endian::little,
              "safetensors data is little-endian");

constexpr uint64_t kMostHeader = 100'000'000;
constexpr size_t kAlignment = 8;
constexpr char kMetadata[] = "__metadata__";

absl::Status Malformed(absl::string_view what, absl::string_view found,
                       absl::string_view expected) {
  return absl::DataLossError(absl::StrCat("safetensors: ", what, " is ", found,
                                          ", expected ", expected));
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// A tensor and where its data lies.
struct Placed {
  Tensor tensor;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// The JSON object in `text`. Of keys that are there twice JSON libraries keep
// one in silence, so they are looked for while parsing.
absl::StatusOr<Json> ParseObject(absl::string_view text) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto see = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key &&
        !keys.back().insert(value.get<std::string>()).second) {
      twice = value.get<std::string>();
    }
    return true;
  };
  Json json = Json::parse(text.begin(), text.end(), see,
                          /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) {
    return Malformed("header", "not a JSON object", "one in UTF-8");
  }
  if (!twice.empty()) {
    return Malformed("header", absl::StrCat("holding \"", twice, "\" twice"),
                     "unique keys");
  }
  return json;
}

// An array of integers that are not negative and fit 63 bits.
bool AreUnsigned(const Json& array) {
  return array.is_array() &&
         std::all_of(array.begin(), array.end(), [](const Json& value) {
           return value.is_number_unsigned() &&
                  value.get<uint64_t>() <=
                      uint64_t{std::numeric_limits<int64_t>::max()};
         });
}

// The bytes of a float32 tensor of `shape`; -1 where they overflow.
int64_t NumBytes(const std::vector<int64_t>& shape) {
  int64_t bytes = sizeof(float);
  for (int64_t extent : shape) {
    if (extent > 0 && bytes > std::numeric_limits<int64_t>::max() / extent) {
      return -1;
    }
    bytes *= extent;
  }
  return bytes;
}

absl::StatusOr<Placed> ParseTensor(const std::string& name, const Json& entry) {
  const std::string what = absl::StrCat("tensor \"", name, "\"");
  const auto field = [&entry](const char* key) {
    return entry.is_object() && entry.contains(key) ? entry[key] : Json();
  };
  const Json dtype = field("dtype");
  const Json shape = field("shape");
  const Json offsets = field("data_offsets");
  if (!dtype.is_string() || !AreUnsigned(shape) || !AreUnsigned(offsets) ||
      offsets.size() != 2) {
    return Malformed(what, "not described so",
                     "{\"dtype\": \"F32\", \"shape\": [N, ...], "
                     "\"data_offsets\": [BEGIN, END]}");
  }
  if (dtype != "F32") {
    return absl::UnimplementedError(
        absl::StrCat("safetensors: ", what, " has dtype ",
                     dtype.get<std::string>(), ", expected F32; convert it"));
  }
  Placed placed;
  placed.tensor.name = name;
  placed.tensor.shape = shape.get<std::vector<int64_t>>();
  placed.begin = offsets[0].get<uint64_t>();
  placed.end = offsets[1].get<uint64_t>();
  const int64_t bytes = NumBytes(placed.tensor.shape);
  if (bytes < 0 || placed.begin > placed.end ||
      placed.end - placed.begin != static_cast<uint64_t>(bytes)) {
    return Malformed(
        absl::StrCat("data of ", what),
        absl::StrCat("bytes ", placed.begin, " to ", placed.end),
        absl::StrCat("the size of F32 ", ShapeText(placed.tensor.shape)));
  }
  return placed;
}

absl::Status ParseMetadata(const Json& entry,
                           std::map<std::string, std::string>& metadata) {
  const bool valid =
      entry.is_object() &&
      std::all_of(entry.begin(), entry.end(),
                  [](const Json& value) { return value.is_string(); });
  if (!valid) return Malformed(kMetadata, entry.type_name(), "only strings");
  metadata = entry.get<std::map<std::string, std::string>>();
  return absl::OkStatus();
}

// Sorts by place and hands out the data, which the tensors must tile.
absl::Status Place(std::vector<Placed>& placed, absl::string_view data,
                   std::vector<Tensor>& tensors) {
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t at = 0;
  for (Placed& p : placed) {
    if (p.begin != at || p.end > data.size()) {
      return Malformed(absl::StrCat("data of tensor \"", p.tensor.name, "\""),
                       absl::StrCat("bytes ", p.begin, " to ", p.end),
                       absl::StrCat("from ", at, " and within the ",
                                    data.size(), " of the file"));
    }
    at = p.end;
    p.tensor.data = data.substr(p.begin, p.end - p.begin);
    tensors.push_back(std::move(p.tensor));
  }
  if (at == data.size()) return absl::OkStatus();
  return Malformed("size of the data", absl::StrCat(data.size(), " bytes"),
                   absl::StrCat(at, " as the tensors have"));
}

// Splits a file into header and data.
absl::Status Split(absl::string_view bytes, absl::string_view& header,
                   absl::string_view& data) {
  uint64_t size = 0;
  if (bytes.size() < sizeof(size)) {
    return Malformed("size of the file", absl::StrCat(bytes.size(), " bytes"),
                     "8 or more");
  }
  std::memcpy(&size, bytes.data(), sizeof(size));
  bytes.remove_prefix(sizeof(size));
  if (size > kMostHeader || size > bytes.size()) {
    return Malformed("size of the header", absl::StrCat(size, " bytes"),
                     absl::StrCat("at most ", kMostHeader, " and the ",
                                  bytes.size(), " that are there"));
  }
  header = bytes.substr(0, size);
  data = bytes.substr(size);
  if (!header.empty() && header[0] == '{') return absl::OkStatus();
  return Malformed("header", "not a JSON object", "a { at its start");
}

const Tensor* Find(const SafetensorsFile& file, const std::string& name) {
  for (const Tensor& tensor : file.tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

absl::Status Mismatch(absl::string_view name, absl::string_view found,
                      absl::string_view expected) {
  return absl::FailedPreconditionError(absl::StrCat(
      "model file: tensor \"", name, "\" is ", found, ", expected ", expected,
      "; give the model that the file was written by"));
}

}  // namespace

std::string EncodeSafetensors(
    const ParameterLayout& layout, const Flat& values,
    const std::map<std::string, std::string>& metadata) {
  MONSOON_CHECK(values.size() == layout.size(), "values have their layout");
  // Ordered: the metadata first, then the tensors as they lie.
  nlohmann::ordered_json header;
  header[kMetadata] = metadata;
  header[kMetadata].emplace("format", "pt");
  for (const TensorSpec& tensor : layout.tensors()) {
    MONSOON_CHECK(!header.contains(tensor.name), "names are unique");
    const int64_t begin = tensor.offset * int64_t{sizeof(float)};
    const int64_t end = begin + tensor.size() * int64_t{sizeof(float)};
    header[tensor.name] = {{"dtype", "F32"},
                           {"shape", tensor.shape},
                           {"data_offsets", {begin, end}}};
  }
  // What is not UTF-8 in metadata, such as a file's name, is replaced.
  std::string text = header.dump(
      -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const uint64_t header_size = text.size();
  const size_t data_size = static_cast<size_t>(values.size()) * sizeof(float);
  std::string bytes;
  bytes.reserve(sizeof(header_size) + text.size() + data_size);
  bytes.append(reinterpret_cast<const char*>(&header_size),
               sizeof(header_size));
  bytes.append(text);
  bytes.append(reinterpret_cast<const char*>(values.data()), data_size);
  return bytes;
}

absl::StatusOr<SafetensorsFile> ParseSafetensors(absl::string_view bytes) {
  absl::string_view text, data;
  RETURN_IF_ERROR(Split(bytes, text, data));
  ASSIGN_OR_RETURN(const Json header, ParseObject(text));
  SafetensorsFile file;
  std::vector<Placed> placed;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadata) {
      RETURN_IF_ERROR(ParseMetadata(entry, file.metadata));
      continue;
    }
    ASSIGN_OR_RETURN(Placed tensor, ParseTensor(name, entry));
    placed.push_back(std::move(tensor));
  }
  RETURN_IF_ERROR(Place(placed, data, file.tensors));
  return file;
}

absl::Status CopyToFlat(const SafetensorsFile& file,
                        const ParameterLayout& layout, Flat& values) {
  MONSOON_CHECK(values.size() == layout.size(), "values have their layout");
  std::set<std::string> known;
  for (const TensorSpec& spec : layout.tensors()) {
    const Tensor* tensor = Find(file, spec.name);
    if (tensor == nullptr) {
      return Mismatch(spec.name, "missing", ShapeText(spec.shape));
    }
    if (tensor->shape != spec.shape) {
      return Mismatch(spec.name, ShapeText(tensor->shape),
                      ShapeText(spec.shape));
    }
    known.insert(spec.name);
  }
  for (const Tensor& tensor : file.tensors) {
    if (known.count(tensor.name) == 0) {
      return Mismatch(tensor.name, ShapeText(tensor.shape),
                      "no tensor of this name");
    }
  }
  for (const TensorSpec& spec : layout.tensors()) {
    const absl::string_view data = Find(file, spec.name)->data;
    if (data.empty()) continue;
    std::memcpy(values.data() + spec.offset, data.data(), data.size());
  }
  return absl::OkStatus();
}

}  // namespace monsoon
