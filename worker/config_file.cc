// SPDX-License-Identifier: Apache-2.0
#include "worker/config_file.h"

#include <toml++/toml.h>

#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/spelling.h"
#include "base/status_macros.h"
#include "worker/option_fields.h"

namespace monsoon {
namespace {

std::vector<std::string> AcceptedKeys() {
  std::vector<std::string> keys = {"set"};
  for (const OptionField& field : OptionFields()) keys.push_back(field.name);
  return keys;
}

absl::Status Bad(absl::string_view path, const toml::source_position& at,
                 absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ":", at.line, ": ", what));
}

// A TOML scalar as it would be typed behind a flag.
absl::StatusOr<std::string> ScalarText(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return absl::StrCat(whole->get());
  if (const auto* number = node.as_floating_point()) {
    return ShortestDecimal(number->get());
  }
  if (const auto* flag = node.as_boolean()) {
    return std::string(flag->get() ? "true" : "false");
  }
  std::ostringstream kind;
  kind << node.type();
  return absl::InvalidArgumentError(absl::StrCat(
      "found a value of type ", kind.str(), ", expected a text or a number"));
}

absl::Status ReadSet(absl::string_view path, const toml::node& node,
                     Options& options) {
  const toml::table* table = node.as_table();
  if (table == nullptr) {
    return Bad(path, node.source().begin,
               "set: expected a table, [set] with a line KEY = VALUE for each "
               "hyper-parameter");
  }
  for (const auto& [key, value] : *table) {
    const auto text = ScalarText(value);
    if (!text.ok()) {
      return Bad(path, value.source().begin,
                 absl::StrCat("set.", std::string(key.str()), ": ",
                              text.status().message()));
    }
    options.set[std::string(key.str())] = *text;
  }
  options.given.insert("set");
  return absl::OkStatus();
}

absl::Status ReadKey(absl::string_view path, const toml::key& key,
                     const toml::node& node, Options& options) {
  if (key == "set") return ReadSet(path, node, options);
  const std::string name(key.str());
  const OptionField* field = FindOptionField(name);
  if (field == nullptr) {
    return Bad(path, key.source().begin,
               UnknownName("key", name, AcceptedKeys()));
  }
  const auto text = ScalarText(node);
  absl::Status status = text.status();
  if (status.ok()) status = field->Set(*text, options);
  if (!status.ok()) {
    return Bad(path, node.source().begin,
               absl::StrCat(name, ": ", status.message()));
  }
  options.given.insert(field->name);
  return absl::OkStatus();
}

std::string Toml(const std::string& value, bool is_text) {
  if (!is_text) return value;
  std::ostringstream out;
  out << toml::value<std::string>(value);
  return out.str();
}

absl::StatusOr<toml::table> Parse(const std::string& path,
                                  const std::string& contents) {
  try {
    return toml::parse(contents, path);
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":", at.line, ":", at.column, ": ",
                     std::string(error.description())));
  }
}

}  // namespace

absl::Status ReadConfigFile(const std::string& path, FileSystem& files,
                            Options& options) {
  const auto contents = files.Read(path);
  if (!contents.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--config: ", contents.status().message()));
  }
  ASSIGN_OR_RETURN(const toml::table table, Parse(path, *contents));
  for (const auto& [key, node] : table) {
    RETURN_IF_ERROR(ReadKey(path, key, node, options));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ConfigText(const Options& options) {
  ASSIGN_OR_RETURN(const MadeTrainer made, TrainerOf(options));
  std::ostringstream out;
  for (const OptionField& field : OptionFields()) {
    if (field.use == OptionField::kCommandLine) continue;
    out << field.name << " = " << Toml(field.Get(options), field.is_text())
        << "\n";
  }
  out << "\n[set]\n";
  for (const Hyperparameters::Declared& hyper : made.hyper) {
    out << hyper.key << " = " << Toml(hyper.value, hyper.type == "choice")
        << "\n";
  }
  return out.str();
}

}  // namespace monsoon
