// SPDX-License-Identifier: Apache-2.0
#include "watch/curl_http.h"

#include <curl/curl.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace monsoon {
namespace {

constexpr long kConnectMs = 2'000;  // NOLINT(google-runtime-int): libcurl's
constexpr long kTotalMs = 10'000;   // NOLINT(google-runtime-int): libcurl's
constexpr size_t kLargestReply = 1 << 20;

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
using Headers = std::unique_ptr<curl_slist, void (*)(curl_slist*)>;

size_t TakeReply(const char* bytes, size_t, size_t size, void* to) {
  std::string& reply = *static_cast<std::string*>(to);
  if (reply.size() + size > kLargestReply) return 0;  // an error of the call
  reply.append(bytes, size);
  return size;
}

int IsGivenUp(void* flag, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(flag)->load() ? 1 : 0;
}

class CurlHttp final : public HttpCalls {
 public:
  explicit CurlHttp(HttpCredentials credentials)
      : credentials_(std::move(credentials)) {
    static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
    handle_ = curl_easy_init();
    MONSOON_CHECK(kReady == CURLE_OK && handle_ != nullptr,
                  "libcurl can be used");
  }
  ~CurlHttp() override { curl_easy_cleanup(handle_); }
  CurlHttp(const CurlHttp&) = delete;
  CurlHttp& operator=(const CurlHttp&) = delete;

  absl::StatusOr<HttpReply> Call(const HttpRequest& request,
                                 const std::atomic<bool>& give_up) override {
    File file(nullptr, &std::fclose);
    if (!request.file.empty()) {
      file.reset(std::fopen(request.file.c_str(), "rbe"));
      if (file == nullptr) {
        return absl::NotFoundError(absl::StrCat("cannot open \"", request.file,
                                                "\": ", std::strerror(errno)));
      }
    }
    HttpReply reply;
    curl_easy_reset(handle_);  // connections stay
    SetLimits(give_up);
    curl_easy_setopt(handle_, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &TakeReply);
    curl_easy_setopt(handle_, CURLOPT_WRITEDATA, &reply.body);
    if (file != nullptr) SetUpload(file.get());
    if (request.method == "POST") {
      curl_easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, request.body.c_str());
    }
    const Headers headers = SetHeaders(request);
    const CURLcode code = curl_easy_perform(handle_);
    if (code != CURLE_OK) {
      return absl::UnavailableError(
          error_[0] != '\0' ? error_ : curl_easy_strerror(code));
    }
    long status = 0;  // NOLINT(google-runtime-int): libcurl's
    curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    reply.code = static_cast<int>(status);
    return reply;
  }

 private:
  void SetLimits(const std::atomic<bool>& give_up) {
    error_[0] = '\0';
    curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, error_);
    curl_easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
    // A name server that hangs must not hold up the end of the program.
    curl_easy_setopt(handle_, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle_, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
    curl_easy_setopt(handle_, CURLOPT_TIMEOUT_MS, kTotalMs);
    curl_easy_setopt(handle_, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle_, CURLOPT_XFERINFOFUNCTION, &IsGivenUp);
    curl_easy_setopt(handle_, CURLOPT_XFERINFODATA, &give_up);
  }

  void SetUpload(std::FILE* file) {
    std::fseek(file, 0, SEEK_END);
    const auto size = static_cast<curl_off_t>(std::ftell(file));
    std::rewind(file);
    curl_easy_setopt(handle_, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(handle_, CURLOPT_READDATA, file);  // read with fread
    curl_easy_setopt(handle_, CURLOPT_INFILESIZE_LARGE, size);
  }

  // They outlive the call.
  Headers SetHeaders(const HttpRequest& request) {
    curl_slist* list = nullptr;
    if (request.method == "POST") {
      list = curl_slist_append(list, "Content-Type: application/json");
    }
    if (request.method == "PUT") {
      list = curl_slist_append(list, "Content-Type: application/octet-stream");
    }
    // Not to wait for a permission that many servers never give.
    list = curl_slist_append(list, "Expect:");
    if (!credentials_.user.empty()) {
      curl_easy_setopt(handle_, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
      curl_easy_setopt(handle_, CURLOPT_USERNAME, credentials_.user.c_str());
      curl_easy_setopt(handle_, CURLOPT_PASSWORD,
                       credentials_.password.c_str());
    } else if (!credentials_.token.empty()) {
      const std::string bearer =
          absl::StrCat("Authorization: Bearer ", credentials_.token);
      list = curl_slist_append(list, bearer.c_str());
    }
    curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, list);
    return {list, &curl_slist_free_all};
  }

  const HttpCredentials credentials_;
  CURL* handle_ = nullptr;
  char error_[CURL_ERROR_SIZE] = "";
};

}  // namespace

std::unique_ptr<HttpCalls> NewCurlHttp(HttpCredentials credentials) {
  return std::make_unique<CurlHttp>(std::move(credentials));
}

}  // namespace monsoon
