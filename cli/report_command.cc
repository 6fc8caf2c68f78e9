// SPDX-License-Identifier: Apache-2.0
#include "cli/report_command.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "worker/config_file.h"
#include "worker/option_fields.h"

namespace monsoon {
namespace {

using Json = nlohmann::ordered_json;

// Said even where it is the default: what a reader looks for first.
const std::set<std::string>& AlwaysSaid() {
  static const auto* const kNames =
      new std::set<std::string>{"trainer",    "model",   "data",   "workers",
                                "batch-size", "servers", "epochs", "seed"};
  return *kNames;
}

std::string Quoted(const std::string& word) {
  const bool plain = std::all_of(word.begin(), word.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           absl::StrContains("-_=.,:/+@%", c);
  });
  if (plain && !word.empty()) return word;
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string TextOf(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Takes over what the object has under the keys of options. What is no value of
// its option, as "virtual" of a transport, is passed over.
void Take(const Json& object, Options& options) {
  if (!object.is_object()) return;
  for (const OptionField& field : OptionFields()) {
    const auto found = object.find(field.key());
    if (found == object.end() || !found->is_primitive() || found->is_null()) {
      continue;
    }
    field.Set(TextOf(*found), options).IgnoreError();
  }
  const auto hyper = object.find("hyper");
  if (hyper == object.end() || !hyper->is_object()) return;
  options.set.clear();
  for (const auto& [key, value] : hyper->items()) {
    options.set[key] = TextOf(value);
  }
}

// The flags of `monsoon simulate` beside the shared ones, which its summary has
// under their names.
std::string ClusterFlags(const Json& summary) {
  std::string flags;
  for (const char* name : {"compute", "network", "server-rate", "stragglers",
                           "crash", "restart", "gradients"}) {
    const auto found = summary.find(absl::StrReplaceAll(name, {{"-", "_"}}));
    if (found == summary.end() || !found->is_string()) continue;
    absl::StrAppend(&flags, " ",
                    Quoted(absl::StrCat("--", name, "=", TextOf(*found))));
  }
  return flags;
}

std::string CommandOf(const Options& options, const Json& summary,
                      const std::string& transport) {
  const bool is_virtual = transport == "virtual";
  const bool is_one_process = transport == "inproc";
  std::string command = absl::StrCat("monsoon ", is_virtual       ? "simulate"
                                                 : is_one_process ? "train"
                                                                  : "launch");
  const Options defaults;
  for (const OptionField& field : OptionFields()) {
    if (field.name == "out" || field.name == "connect-timeout") continue;
    if (is_virtual && field.name == "transport") continue;
    const std::string text = field.Get(options);
    if (text == field.Get(defaults) && !AlwaysSaid().contains(field.name)) {
      continue;
    }
    absl::StrAppend(&command, " ",
                    Quoted(absl::StrCat("--", field.name, "=", text)));
  }
  for (const auto& [key, value] : options.set) {
    absl::StrAppend(&command, " --set ", Quoted(absl::StrCat(key, "=", value)));
  }
  if (is_virtual) command += ClusterFlags(summary);
  return command;
}

}  // namespace

void FillCommands(FileSystem& files, ResultFolder& folder) {
  const std::string config = JoinPath(folder.path, "config.toml");
  for (size_t i = 0; i < folder.runs.size(); ++i) {
    Options options;
    Take(folder.matrix, options);
    const std::string data = options.data;
    Take(folder.summaries[i], options);
    // A summary leaves out the folder of the data.
    if (absl::StartsWith(data, options.data + ":")) options.data = data;
    if (!folder.is_bench && files.Exists(config)) {
      Options written = options;
      if (ReadConfigFile(config, files, written).ok()) options = written;
    }
    folder.runs[i].command =
        CommandOf(options, folder.summaries[i], folder.runs[i].transport);
  }
}

}  // namespace monsoon
