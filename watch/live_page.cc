// SPDX-License-Identifier: Apache-2.0
#include "watch/live_page.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "transport/address.h"
#include "watch/page/page.h"

namespace monsoon {
namespace {

// How old what is shown may be, and how often it is sent to who follows it.
constexpr absl::Duration kKeepEvery = absl::Milliseconds(200);
constexpr absl::Duration kSendEvery = absl::Milliseconds(500);
constexpr size_t kMostRates = 400;

constexpr char kPaths[] =
    "there is:\n"
    "  /            the page, for a browser\n"
    "  /api/status  the same as JSON\n"
    "  /api/events  the same as server-sent events, at most two a second\n"
    "  /metrics     for Prometheus\n"
    "  /healthz     200 while the process lives\n"
    "  /readyz      200 while it does its work, else 503\n";

// One pass: what is put in is not looked at again.
std::string MakePage() {
  return absl::StrReplaceAll(LivePageTemplate(),
                             {{"{{base}}", ReportPageStyle()},
                              {"{{style}}", LivePageStyle()},
                              {"{{library}}", LivePageCharts()},
                              {"{{script}}", LivePageScript()}});
}

void AddRate(const JobView& view, double& every_s,
             std::vector<std::pair<double, double>>& rates) {
  double rate = 0;
  bool is_known = false;
  for (const WorkerView& worker : view.workers) {
    if (!std::isfinite(worker.samples_per_s)) continue;
    rate += worker.samples_per_s;
    is_known = true;
  }
  const double now = view.progress.elapsed_s;
  if (!is_known || (!rates.empty() && now < rates.back().first + every_s) ||
      (!rates.empty() && now <= rates.back().first)) {
    return;
  }
  rates.emplace_back(now, rate);
  if (rates.size() <= kMostRates) return;
  for (size_t i = 0; 2 * i < rates.size(); ++i) rates[i] = rates[2 * i];
  rates.resize((rates.size() + 1) / 2);
  every_s = (rates.back().first - rates.front().first) /
            static_cast<double>(rates.size() - 1);
}

}  // namespace

// Counts who follows the events.
class LivePage::Reader {
 public:
  explicit Reader(std::atomic<int>& all) : all_(all) {
    is_admitted_ = ++all_ <= kMostReaders;
  }
  ~Reader() { --all_; }
  bool is_admitted() const { return is_admitted_; }

 private:
  std::atomic<int>& all_;
  bool is_admitted_ = false;
};

absl::StatusOr<std::unique_ptr<LivePage>> LivePage::Open(
    const std::string& address, const std::string& program, Clock& clock,
    Of of) {
  const auto named = [](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat("--http: ", status.message()));
  };
  const auto parsed = ParseAddress(address);
  if (!parsed.ok()) return named(parsed.status());
  std::unique_ptr<LivePage> page(new LivePage(program, clock, of));
  auto server = HttpServer::Start(
      *parsed,
      [page = page.get()](const std::string& path) {
        return page->Answer(path);
      },
      clock);
  if (!server.ok()) return named(server.status());
  page->server_ = *std::move(server);
  return page;
}

LivePage::LivePage(const std::string& program, Clock& clock, Of of)
    : clock_(clock), page_(MakePage()), end_(clock.NewEvent()) {
  state_.program = program;
  state_.is_server = of == Of::kServer;
}

LivePage::~LivePage() {
  end_->Set();
  server_.reset();
}

std::string LivePage::url() const {
  Address address = server_->address();
  if (address.is_wildcard()) address.host = ThisProcess().host;
  return absl::StrCat("http://", address.text(), "/");
}

void LivePage::See(const JobView& view, bool is_last) {
  const absl::Time now = clock_.Now();
  if (now < next_ && !is_last) return;
  next_ = now + kKeepEvery;
  auto copy = std::make_shared<const JobView>(view);
  absl::MutexLock lock(&mu_);
  if (state_.view != nullptr && state_.view->job_id != view.job_id) {
    state_.rates.clear();
    rates_every_s_ = 0;
  }
  AddRate(view, rates_every_s_, state_.rates);
  state_.view = std::move(copy);
  ++version_;
  is_ready_ = true;
}

void LivePage::End(const RunEnd& end) {
  auto copy = std::make_shared<const nlohmann::ordered_json>(end.summary);
  {
    absl::MutexLock lock(&mu_);
    state_.summary = std::move(copy);
    ++version_;
  }
  end_->Set();
}

std::pair<LiveState, uint64_t> LivePage::Now() const {
  absl::MutexLock lock(&mu_);
  return {state_, version_};
}

std::string LivePage::Status() const {
  absl::MutexLock lock(&text_mu_);
  const auto [state, version] = Now();
  if (version != text_version_) {
    text_ = StatusJson(state);
    text_version_ = version;
  }
  return text_;
}

HttpAnswer LivePage::Events() {
  auto reader = std::make_shared<Reader>(readers_);
  if (!reader->is_admitted()) {
    return {.status = 503,
            .body = absl::StrCat(kMostReaders,
                                 " readers follow the events already; ask "
                                 "/api/status instead\n")};
  }
  return {
      .type = "text/event-stream",
      .more = [this, reader, sent = uint64_t{0}](std::string& piece) mutable {
        const bool is_first = sent == 0;
        const bool is_last = end_->Wait(is_first ? absl::InfinitePast()
                                                 : clock_.Now() + kSendEvery);
        const uint64_t version = Now().second;
        // A colon is a comment: it shows whether somebody still reads.
        piece = version == sent ? ":\n\n"
                                : absl::StrCat(is_first ? "retry: 1000\n" : "",
                                               "data: ", Status(), "\n\n");
        sent = version;
        return !is_last;
      }};
}

HttpAnswer LivePage::Readiness() const {
  if (is_ready_) return {.body = "ready\n"};
  return {.status = 503, .body = "not ready: the job has not begun\n"};
}

HttpAnswer LivePage::Answer(const std::string& path) {
  if (path == "/") return {.type = "text/html; charset=utf-8", .body = page_};
  if (path == "/api/status") {
    return {.type = "application/json", .body = Status() + "\n"};
  }
  if (path == "/api/events") return Events();
  if (path == "/healthz") return {.body = "ok\n"};
  if (path == "/readyz") return Readiness();
  if (path == "/metrics") {
    return {
        .type = "text/plain; version=0.0.4; charset=utf-8",
        .body = MetricsText(Now().first, ThisProcess(), UseOfThisProcess())};
  }
  return {.status = 404, .body = absl::StrCat("no such page; ", kPaths)};
}

}  // namespace monsoon
