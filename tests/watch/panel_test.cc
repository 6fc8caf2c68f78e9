// SPDX-License-Identifier: Apache-2.0
#include "watch/panel.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "watch/display_text.h"

namespace monsoon {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A job at 150 of 400 samples, with workers that do 1000, 1001, ... a second.
JobView View(int workers, int servers) {
  JobView view;
  view.job_id = 7;
  view.progress = {.trainer = "adag",
                   .samples = 150,
                   .total = 400,
                   .epoch = 2,
                   .epochs = 4,
                   .elapsed_s = 10.25,
                   .samples_per_s = 15,
                   .loss = 0.3127,
                   .eta_s = 185};
  (*view.spec.mutable_settings())["model"] = "cnn";
  for (int i = 0; i < workers; ++i) {
    WorkerView worker;
    worker.member.set_worker(i);
    worker.samples_per_s = 1000 + i;
    worker.loss = 0.5 + 0.001 * i;
    worker.staleness_mean = 1.25;
    pb::WorkerReport& report = *worker.member.mutable_report();
    report.set_host("here");
    report.set_samples(75);
    report.set_compute_s(8.75);
    report.set_exchange_s(1);
    report.set_data_s(0.25);
    view.workers.push_back(worker);
  }
  for (int i = 0; i < servers; ++i) {
    ServerView server;
    server.index = i;
    server.answers = true;
    server.updates_per_s = 2210.4;
    server.cores = 0.531;
    server.status.set_host("here");
    server.status.set_pid(100 + i);
    server.status.set_peak_rss_bytes(182 << 20);
    auto& counts =
        *(*server.status.mutable_shard_staleness())[i].mutable_counts();
    counts[1] = 60;
    counts[3] = 40;
    view.servers.push_back(server);
  }
  for (int i = 0; i < 100; ++i) view.losses.emplace_back(i, 2.0 / (1 + i));
  return view;
}

std::vector<std::string> Texts(const JobView& view, const PanelLook& look) {
  std::vector<std::string> texts;
  for (const PanelLine& line : PanelOf(view, look)) texts.push_back(line.text);
  return texts;
}

std::string Text(const JobView& view, const PanelLook& look) {
  return absl::StrJoin(Texts(view, look), "\n");
}

TEST_CASE("The panel of two workers and two servers, line by line", "[watch]") {
  JobView view = View(2, 2);
  view.workers[1].samples_per_s = 700;
  CHECK(Texts(view, {.columns = 81, .rows = 24}) ==
        std::vector<std::string>{
            "adag  cnn  epoch 2/4  37.5%  elapsed 10.2 s  eta 3:05",
            "loss 0.3127  #:..____________________________"
            "  1,700 samples/s  (850 per worker)",
            "server  updates/s  staleness p50/p95  cores   memory  state",
            "     0      2,210                1/3   0.53  182 MiB  ok",
            "     1      2,210                1/3   0.53  182 MiB  ok",
            "worker  samples/s    loss  staleness  compute  exchange  data  "
            "state",
            "     0      1,000  0.5000       1.25      88%       10%    2%  ok",
            "     1        700  0.5010       1.25      88%       10%    2%  "
            "ok",
            "[##########################--------------------------------------"
            "------]  37.5%"});
}

TEST_CASE("States are told in words, and in colours where they may be",
          "[watch]") {
  JobView view = View(8, 2);
  view.servers[1].answers = false;
  view.workers[1].is_silent = true;
  view.workers[1].member.set_silent_s(12.04);
  view.workers[2].samples_per_s = 400;
  view.workers[3].samples_per_s = 0;
  view.workers[4].member.mutable_report()->set_state(pb::DONE);
  view.workers[5].member.mutable_report()->set_state(pb::DIVERGED);
  view.workers[6].member.mutable_report()->set_state(pb::FAILED);
  view.workers[7].member.mutable_report()->set_state(pb::INTERRUPTED);
  const std::vector<std::string> texts =
      Texts(view, {.columns = 100, .rows = 30});
  REQUIRE(texts.size() == 15);
  CHECK(absl::EndsWith(texts[3], "182 MiB  ok"));
  CHECK(texts[4] ==
        "     1          -                  -      -        -  gone");
  const std::vector<std::string> states = {
      "  ok",   "  silent 12.0 s", "  ok",     "  stalled",
      "  done", "  diverged",      "  failed", "  interrupted"};
  for (size_t i = 0; i < states.size(); ++i) {
    INFO(texts[6 + i]);
    CHECK(absl::EndsWith(texts[6 + i], states[i]));
  }
  // Of two, both count: the median is 700 then.
  JobView two = View(2, 1);
  two.workers[0].samples_per_s = 400;
  CHECK(absl::StrContains(Text(two, {.columns = 100, .rows = 30}),
                          "slow (1.8 x)"));
  two.workers[0].samples_per_s = 0;
  CHECK(absl::StrContains(Text(two, {.columns = 100, .rows = 30}), "stalled"));
  view.workers[3].samples_per_s = 1000;
  CHECK(absl::StrContains(Text(view, {.columns = 100, .rows = 30}),
                          "slow (2.5 x)"));
  const std::string coloured =
      Text(view, {.columns = 100, .rows = 30, .colour = true});
  for (const char* piece :
       {"\x1b[31mgone\x1b[0m", "\x1b[31msilent 12.0 s\x1b[0m",
        "\x1b[33mslow (2.5 x)\x1b[0m", "\x1b[32mdone\x1b[0m", "\x1b[32m#"}) {
    INFO(piece);
    CHECK(absl::StrContains(coloured, piece));
  }
  // And nothing else is different.
  CHECK(absl::StrReplaceAll(coloured, {{"\x1b[2m", ""},
                                       {"\x1b[31m", ""},
                                       {"\x1b[32m", ""},
                                       {"\x1b[33m", ""},
                                       {"\x1b[0m", ""}}) ==
        Text(view, {.columns = 100, .rows = 30}));
}

TEST_CASE("Of more than eight workers the three slowest are named", "[watch]") {
  JobView view = View(9, 1);
  view.workers[5].samples_per_s = 100;
  view.workers[7].is_silent = true;
  view.workers[7].member.set_silent_s(20);
  const std::vector<std::string> texts =
      Texts(view, {.columns = 100, .rows = 40});
  REQUIRE(texts.size() == 13);
  CHECK(texts[4] == "9 workers: 7 ok, 1 slow, 1 silent");
  CHECK(absl::StartsWith(texts[6], "   min        100  0.5000"));
  CHECK(absl::StartsWith(texts[7], "median      1,002  0.5035"));
  CHECK(absl::StartsWith(texts[8], "   max      1,008  0.5080"));
  CHECK(absl::StartsWith(texts[9], "     7      1,007"));
  CHECK(absl::EndsWith(texts[9], "silent 20.0 s"));
  CHECK(absl::StartsWith(texts[10], "     5        100"));
  CHECK(absl::EndsWith(texts[10], "slow (10.0 x)"));
  CHECK(absl::StartsWith(texts[11], "     0      1,000"));
  // Eight have a row each.
  CHECK_FALSE(absl::StrContains(Text(View(8, 1), {.columns = 100, .rows = 40}),
                                "median"));
}

TEST_CASE("Of more than eight servers there is one row", "[watch]") {
  JobView view = View(1, 12);
  view.servers[3].answers = false;
  const std::vector<std::string> texts =
      Texts(view, {.columns = 100, .rows = 40});
  CHECK(texts[3] ==
        "all 12     24,314                1/3   5.84  2.0 GiB  1 gone");
  // Of one process what it takes counts once.
  for (ServerView& server : view.servers) server.status.set_pid(1);
  CHECK(absl::StrContains(Text(view, {.columns = 100, .rows = 40}),
                          "0.53  182 MiB"));
}

TEST_CASE("The panel fits every terminal", "[watch]") {
  for (const int workers : {0, 1, 8, 9, 1000}) {
    for (const int servers : {1, 4, 40}) {
      JobView view = View(workers, servers);
      for (int columns = 1; columns <= 200; columns += 3) {
        for (const int rows : {1, 2, 3, 5, 8, 12, 20, 50}) {
          for (const char* footer : {"", "bench 3/48, eta 12:00"}) {
            PanelLook look{.columns = columns,
                           .rows = rows,
                           .utf8 = columns % 2 == 0,
                           .colour = columns % 4 == 0,
                           .footer = footer};
            const std::vector<PanelLine> lines = PanelOf(view, look);
            REQUIRE(static_cast<int>(lines.size()) < std::max(2, rows));
            if (columns > 1 && rows > 1) REQUIRE_FALSE(lines.empty());
            for (const PanelLine& line : lines) {
              REQUIRE(line.columns < columns);
              const std::string bare =
                  absl::StrReplaceAll(line.text, {{"\x1b[2m", ""},
                                                  {"\x1b[31m", ""},
                                                  {"\x1b[32m", ""},
                                                  {"\x1b[33m", ""},
                                                  {"\x1b[0m", ""}});
              REQUIRE(ColumnsOf(bare) == line.columns);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("What matters least goes first", "[watch]") {
  const JobView view = View(2, 2);
  const auto text = [&view](int columns, int rows) {
    return Text(view, {.columns = columns, .rows = rows});
  };
  CHECK(absl::StrContains(text(60, 24), "exchange"));
  CHECK_FALSE(absl::StrContains(text(60, 24), "data"));
  CHECK_FALSE(absl::StrContains(text(40, 24), "compute"));
  CHECK(absl::StrContains(text(44, 24), "staleness  state"));
  CHECK_FALSE(absl::StrContains(text(32, 24), "elapsed"));
  CHECK(absl::StrContains(text(32, 24), "eta"));
  // Nine lines need ten rows.
  CHECK(absl::StrContains(text(80, 10), "     1      2,210"));
  CHECK(absl::StrContains(text(80, 9), " all 2      4,421"));
  CHECK_FALSE(absl::StrContains(text(80, 8), "server"));
  CHECK(absl::StrContains(text(80, 8), "     1      1,001"));
  CHECK_FALSE(absl::StrContains(text(80, 6), "worker "));
  CHECK(Texts(view, {.columns = 80, .rows = 4}).size() == 3);
  CHECK(text(80, 3) ==
        "adag  epoch 2/4  38%  15 samples/s  loss 0.3127  eta 185 s"
        "  elapsed 10.2 s");
  CHECK(text(29, 24) == "adag  epoch 2/4  38%  15 sam");
}

TEST_CASE("What is not known yet is a dash", "[watch]") {
  JobView view = View(9, 2);
  view.progress.loss = view.progress.eta_s = kNaN;
  view.progress.total = 0;
  view.losses = {{0, kNaN}, {5, kInfinity}, {9, kNaN}};
  for (WorkerView& worker : view.workers) {
    worker.samples_per_s = worker.loss = worker.staleness_mean = kNaN;
    worker.member.mutable_report()->clear_compute_s();
    worker.member.mutable_report()->clear_exchange_s();
    worker.member.mutable_report()->clear_data_s();
  }
  view.servers[0].updates_per_s = kNaN;
  view.servers[0].cores = kInfinity;
  view.servers[0].status.clear_shard_staleness();
  const std::string text = Text(view, {.columns = 100, .rows = 40});
  CHECK_FALSE(absl::StrContains(text, "nan"));
  CHECK_FALSE(absl::StrContains(text, "inf"));
  CHECK(absl::StrContains(text, "epoch 2/4  -  elapsed"));
  CHECK(absl::StrContains(text, "loss -  "));
  CHECK(absl::StrContains(text, "     0          -                -/-      -"));
  CHECK(absl::StrContains(text, "   max          -     -          -"));
  CHECK(absl::StrContains(text, "9 workers: 9 ok"));
}

TEST_CASE("The loss is drawn over all of its time", "[watch]") {
  JobView view = View(1, 1);
  view.losses.clear();
  for (int i = 0; i < 8; ++i) view.losses.emplace_back(10 * i, 8 - i);
  // 8 columns are left for it.
  const PanelLook look{.columns = 39, .utf8 = true};
  CHECK(Texts(view, look)[1] == "loss 0.3127  █▇▆▅▄▃▂▁  1,000 samples/s");
  view.losses.erase(view.losses.begin() + 3);  // a gap goes on as it was
  CHECK(Texts(view, look)[1] == "loss 0.3127  █▇▆▆▄▃▂▁  1,000 samples/s");
  view.losses = {{0, 0.5}, {10, 0.5}};
  CHECK(absl::StrContains(Texts(view, look)[1], "  ▁▁▁▁▁▁▁▁  "));
  CHECK(absl::StrContains(Texts(view, {.columns = 39})[1], "  ________  "));
  view.losses.clear();
  CHECK(Texts(view, look)[1] == "loss 0.3127  1,000 samples/s");
}

TEST_CASE("Names from the network cannot move the cursor", "[watch]") {
  JobView view = View(2, 1);
  const std::string evil =
      "a\x1b[2J\r\n\tb\xc2\x9b"
      "31m\x07\xe2\x80\xae";
  view.progress.trainer = evil;
  (*view.spec.mutable_settings())["model"] = evil;
  view.workers[0].member.mutable_report()->set_host(evil);
  view.servers[0].status.set_host(evil);
  for (const PanelLook& look :
       {PanelLook{.columns = 120, .utf8 = true, .footer = evil},
        PanelLook{.columns = 20, .footer = evil}}) {
    const std::string text = Text(view, look);
    for (const char* piece :
         {"\x1b", "\r", "\t", "\x07", "\xc2\x9b", "\xe2\x80\xae"}) {
      CHECK_FALSE(absl::StrContains(text, piece));
    }
    CHECK(absl::StrContains(text, "a[2Jb31m"));
  }
  const std::string text = Text(view, {.columns = 120});
  CHECK(absl::StrContains(text, "host"));  // as there are two
  CHECK(absl::StrContains(text, "  here"));
}

TEST_CASE("A footer is the last line, within the width", "[watch]") {
  const JobView view = View(2, 2);
  const std::string footer = "bench ━━━━╺━━━  12/48";
  CHECK(Texts(view, {.columns = 80, .utf8 = true, .footer = footer}).back() ==
        footer);
  CHECK(Texts(view, {.columns = 80, .footer = footer}).back() ==
        "bench ????????  12/48");
  CHECK(Texts(view, {.columns = 80, .footer = std::string(200, 'x')}).back() ==
        std::string(79, 'x'));
}

TEST_CASE("Text takes the columns that it is said to take", "[watch]") {
  CHECK(ColumnsOf("abc") == 3);
  CHECK(ColumnsOf("▁█é") == 3);
  CHECK(ColumnsOf("日本") == 4);
  CHECK(ColumnsOf("e\xcc\x81") == 1);
  CHECK(ColumnsOf("😀") == 2);
  CHECK(Cut("日本語", 5) == "日本");
  CHECK(Cut("▁▂▃", 2) == "▁▂");
  CHECK(Cut("abc", 0).empty());
  CHECK(Printable("a\x80\xff\xc0\x80\xed\xa0\x80z", true) == "a???????z");
  CHECK(Printable("\xf4\x90\x80\x80", true) == "????");
  CHECK(Printable("caf\xc3\xa9", false) == "caf?");
  CHECK(Printable("caf\xc3", true) == "caf?");
  CHECK(Printable("caf\xc3\xa9", true) == "caf\xc3\xa9");
}

TEST_CASE("Numbers are short", "[watch]") {
  CHECK(Grouped(0) == "0");
  CHECK(Grouped(999.4) == "999");
  CHECK(Grouped(999.6) == "1,000");
  CHECK(Grouped(1234567) == "1,234,567");
  CHECK(Grouped(-123456) == "-123,456");
  CHECK(Grouped(kNaN) == "-");
  CHECK(Duration(99.94) == "99.9 s");
  CHECK(Duration(3599.4) == "59:59");
  CHECK(Duration(3600) == "1:00:00");
  CHECK(Duration(kInfinity) == "-");
}

}  // namespace
}  // namespace monsoon
