// SPDX-License-Identifier: Apache-2.0
#include "watch/mlflow_client.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace monsoon {
namespace {

using Json = nlohmann::json;

constexpr char kProxied[] = "mlflow-artifacts:";
constexpr size_t kLongestParam = 500;  // MLflow's limits
constexpr size_t kLongestAnswer = 200;

absl::Status BadUrl(absl::string_view found, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("--mlflow ", found, ": ", what,
                   "; expected the address of an MLflow server, as in "
                   "http://127.0.0.1:5000"));
}

// As a part of a URL's path or query.
std::string Escaped(absl::string_view text, absl::string_view also_plain) {
  std::string escaped;
  for (const char c : text) {
    const bool is_plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                          absl::StrContains("-_.~", c) ||
                          absl::StrContains(also_plain, c);
    if (is_plain) {
      escaped.push_back(c);
    } else {
      absl::StrAppendFormat(&escaped, "%%%02X", static_cast<uint8_t>(c));
    }
  }
  return escaped;
}

// The text under a key; "" where there is none, or something else: what answers
// may be anything.
std::string TextOf(const Json& json, const char* key) {
  if (!json.is_object()) return "";
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>()
                                                   : "";
}

// The object under a key; null where there is none.
Json PartOf(const Json& json, const char* key) {
  return json.is_object() && json.contains(key) ? json.at(key) : Json();
}

// What an MLflow server says about an error, or the page of something else, in
// one line and not for ever.
std::string AnswerOf(const HttpReply& reply, std::string& code) {
  const Json json = Json::parse(reply.body, nullptr, false);
  std::string text = reply.body;
  if (json.is_object()) {
    code = TextOf(json, "error_code");
    text = TextOf(json, "message");
  }
  for (char& c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  text = text.substr(0, kLongestAnswer);
  const std::string status = absl::StrCat("it answers ", reply.code);
  return text.empty() ? status : absl::StrCat(status, ": ", text);
}

absl::Status StatusOf(const HttpReply& reply) {
  if (reply.code / 100 == 2) return absl::OkStatus();
  std::string code;
  const std::string answer = AnswerOf(reply, code);
  if (reply.code == 408 || reply.code == 429 || reply.code / 100 == 5) {
    return absl::UnavailableError(answer);
  }
  if (code == "RESOURCE_DOES_NOT_EXIST") return absl::NotFoundError(answer);
  if (code == "RESOURCE_ALREADY_EXISTS") {
    return absl::AlreadyExistsError(answer);
  }
  if (reply.code / 100 == 3) {
    return absl::FailedPreconditionError(absl::StrCat(
        "it answers ", reply.code,
        ", which leads elsewhere and is not followed; give that address"));
  }
  return absl::FailedPreconditionError(answer);
}

bool IsThisMachine(absl::string_view url) {
  url = url.substr(url.find("//") + 2);
  absl::string_view host = url.substr(0, url.find('/'));
  if (absl::StartsWith(host, "[::1]")) return true;
  host = host.substr(0, host.find(':'));
  // No name ends with a number: an address, not 127.example.org.
  return host == "localhost" ||
         (absl::StartsWith(host, "127.") &&
          host.find_first_not_of("0123456789.") == absl::string_view::npos);
}

// The folder so many above a path; "" when there is none.
std::string Above(std::string path, int levels) {
  for (; levels > 0; --levels) {
    path = path.substr(0, path.find_last_of('/') + 1);
    if (!path.empty()) path.pop_back();
  }
  return path;
}

}  // namespace

absl::StatusOr<std::string> ParseMlflowUrl(absl::string_view text) {
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, "http://") &&
      !absl::ConsumePrefix(&rest, "https://")) {
    return BadUrl(absl::StrContains(text, '@') ? "(not shown)" : text,
                  "found no http:// or https:// in front");
  }
  const absl::string_view authority = rest.substr(0, rest.find('/'));
  if (absl::StrContains(authority, '@')) {
    return BadUrl("(not shown)",
                  "found a user in the address, where others see it; put that "
                  "into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD");
  }
  if (authority.empty() || authority[0] == ':') {
    return BadUrl(text, "found no host");
  }
  for (const char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c)) || c == '?' ||
        c == '#') {
      return BadUrl(text, "found a blank, a query or a fragment");
    }
  }
  const size_t colon = authority.find_last_of(":]");
  if (colon != absl::string_view::npos && authority[colon] == ':') {
    int port = 0;
    if (!absl::SimpleAtoi(authority.substr(colon + 1), &port) || port < 1 ||
        port > 65535) {
      return BadUrl(text, "found a port that is not 1 to 65535");
    }
  }
  return std::string(absl::StripSuffix(text, "/"));
}

MlflowClient::MlflowClient(std::string url, std::unique_ptr<HttpCalls> http,
                           FileSystem& files, const std::atomic<bool>& give_up)
    : url_(std::move(url)),
      http_(std::move(http)),
      files_(files),
      give_up_(give_up) {}

absl::StatusOr<HttpReply> MlflowClient::Ask(const HttpRequest& request) {
  ASSIGN_OR_RETURN(HttpReply reply, http_->Call(request, give_up_));
  RETURN_IF_ERROR(StatusOf(reply));
  return reply;
}

absl::StatusOr<Json> MlflowClient::Call(const std::string& method,
                                        const std::string& path,
                                        const Json& body) {
  // A text from outside that is no UTF-8 is not ours to refuse.
  const std::string text =
      method == "GET"
          ? ""
          : body.dump(-1, ' ', false, Json::error_handler_t::replace);
  ASSIGN_OR_RETURN(const HttpReply reply,
                   Ask({.method = method,
                        .url = absl::StrCat(url_, "/api/2.0/mlflow/", path),
                        .body = text}));
  Json json = Json::parse(reply.body, nullptr, false);
  if (json.is_object()) return json;
  return absl::FailedPreconditionError(
      "what answers there is not an MLflow server");
}

absl::StatusOr<std::string> MlflowClient::Experiment(const std::string& name) {
  const auto find = [&]() -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(
        const Json json,
        Call("GET",
             absl::StrCat("experiments/get-by-name?experiment_name=",
                          Escaped(name, "")),
             nullptr));
    return TextOf(PartOf(json, "experiment"), "experiment_id");
  };
  absl::StatusOr<std::string> found = find();
  if (!absl::IsNotFound(found.status())) return found;
  const auto made = Call("POST", "experiments/create", {{"name", name}});
  // Somebody else was a little earlier.
  if (absl::IsAlreadyExists(made.status())) return find();
  RETURN_IF_ERROR(made.status());
  return TextOf(*made, "experiment_id");
}

absl::Status MlflowClient::CreateRun(const std::string& experiment,
                                     const MlflowNames& names,
                                     absl::Time start) {
  const auto tag = [](const char* key, const std::string& value) {
    return Json{{"key", key}, {"value", value}};
  };
  ASSIGN_OR_RETURN(
      const Json json,
      Call("POST", "runs/create",
           {{"experiment_id", experiment},
            {"run_name", names.run},
            {"start_time", absl::ToUnixMillis(start)},
            {"tags", Json::array({tag("mlflow.runName", names.run),
                                  tag("mlflow.user", names.user),
                                  tag("mlflow.source.name", names.program),
                                  tag("mlflow.source.type", "LOCAL")})}}));
  const Json info = PartOf(PartOf(json, "run"), "info");
  run_ = TextOf(info, "run_id");
  artifacts_ = TextOf(info, "artifact_uri");
  if (has_run()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "what answers there is not an MLflow server");
}

absl::Status MlflowClient::SendParams(absl::Span<const JobSetting> params) {
  Json list = Json::array();
  for (const JobSetting& param : params) {
    list.push_back(
        {{"key", param.name}, {"value", param.text.substr(0, kLongestParam)}});
  }
  return Call("POST", "runs/log-batch",
              {{"run_id", run_}, {"params", std::move(list)}})
      .status();
}

absl::Status MlflowClient::SendMetrics(absl::Span<const RunPoint> points) {
  Json list = Json::array();
  for (const RunPoint& point : points) {
    list.push_back({{"key", point.tag},
                    {"value", point.value},
                    {"timestamp", absl::ToUnixMillis(point.wall)},
                    {"step", point.step}});
  }
  return Call("POST", "runs/log-batch",
              {{"run_id", run_}, {"metrics", std::move(list)}})
      .status();
}

absl::Status MlflowClient::EndRun(const std::string& status, absl::Time end) {
  return Call("POST", "runs/update",
              {{"run_id", run_},
               {"status", status},
               {"end_time", absl::ToUnixMillis(end)}})
      .status();
}

absl::Status MlflowClient::SendArtifact(const std::string& path,
                                        const std::string& name) {
  absl::string_view to = artifacts_;
  if (absl::ConsumePrefix(&to, kProxied) && !absl::StartsWith(to, "//")) {
    absl::ConsumePrefix(&to, "/");
    return Ask({.method = "PUT",
                .url =
                    absl::StrCat(url_, "/api/2.0/mlflow-artifacts/artifacts/",
                                 Escaped(to, "/"), "/", Escaped(name, "/")),
                .file = path})
        .status();
  }
  absl::ConsumePrefix(&to, "file://");
  if (absl::StartsWith(to, "/") && !absl::StrContains(to, "/..") &&
      IsThisMachine(url_)) {
    return Copy(path, JoinPath(to, name));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the server keeps artifacts in \"", artifacts_,
      "\", where they cannot be sent to; start it with --serve-artifacts"));
}

absl::Status MlflowClient::Copy(const std::string& path,
                                const std::string& to) {
  // ROOT/EXPERIMENT/RUN/artifacts, of which the server has made the root alone,
  // or this machine only looks like the server's.
  absl::string_view artifacts = artifacts_;
  absl::ConsumePrefix(&artifacts, "file://");
  const std::string root = Above(std::string(artifacts), 3);
  if (root.empty() || !files_.Exists(root)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the server keeps artifacts in \"", artifacts_,
        "\", which is not on this machine; start it with --serve-artifacts"));
  }
  ASSIGN_OR_RETURN(const std::string contents, files_.Read(path));
  RETURN_IF_ERROR(files_.MakeFolder(to.substr(0, to.find_last_of('/'))));
  return files_.Write(to, contents);
}

}  // namespace monsoon
