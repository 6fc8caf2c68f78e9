// SPDX-License-Identifier: Apache-2.0
#include "watch/job_settings.h"

#include <cmath>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace monsoon {
namespace {

using Texts = std::map<std::string, std::string>;

// "bf16", or of pushes and replies "int8,bf16".
std::string WireOf(const pb::JobSpec& spec) {
  const auto name = [](const std::string& code) {
    return code.empty() ? "fp32" : code;
  };
  const std::string push = name(spec.push_code());
  const std::string reply = name(spec.reply_code());
  return push == reply ? push : absl::StrCat(push, ",", reply);
}

}  // namespace

std::variant<std::string, bool, double> JobSetting::value() const {
  if (text == "true" || text == "false") return text == "true";
  double number = 0;
  if (absl::SimpleAtod(text, &number) && std::isfinite(number)) return number;
  return text;
}

std::vector<JobSetting> SettingsOf(const pb::JobSpec& spec) {
  Texts settings(spec.settings().begin(), spec.settings().end());
  const Texts hyper(spec.hyper().begin(), spec.hyper().end());
  settings["trainer"] = spec.trainer();
  settings["workers"] = absl::StrCat(spec.workers());
  settings["servers"] = absl::StrCat(spec.servers());
  settings["wire"] = WireOf(spec);
  settings["max_staleness"] =
      absl::StrCat(spec.has_max_staleness() ? spec.max_staleness() : -1);
  settings["hyper"] = absl::StrJoin(hyper, " ", absl::PairFormatter("="));
  std::vector<JobSetting> all;
  for (const char* first :
       {"trainer", "model", "batch_size", "workers", "lr", "hyper", "data",
        "epochs", "servers", "optimizer", "seed", "wire", "precision"}) {
    const auto it = settings.find(first);
    if (it == settings.end()) continue;
    all.push_back({it->first, it->second});
    settings.erase(it);
  }
  for (const auto& [name, text] : settings) all.push_back({name, text});
  for (const auto& [key, text] : hyper) {
    all.push_back({absl::StrCat("hyper.", key), text});
  }
  return all;
}

}  // namespace monsoon
