// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_split.h"
#include "report/build_report.h"
#include "report/number_text.h"
#include "report/report_formats.h"
#include "tests/report/some_runs.h"

namespace monsoon {
namespace {

using Catch::Contains;
using Json = nlohmann::ordered_json;

Report SomeReport(const std::vector<RunSummary>& runs) {
  ResultFolder folder;
  folder.path = "bench/first";
  folder.is_bench = true;
  folder.machine = {{"cores", 2}};
  folder.runs = runs;
  return BuildReport({folder}, {"a <notice>"});
}

// What stands between the two texts, the first time.
std::string Between(const std::string& text, const std::string& from,
                    const std::string& to) {
  const size_t begin = text.find(from);
  REQUIRE(begin != std::string::npos);
  const size_t end = text.find(to, begin + from.size());
  REQUIRE(end != std::string::npos);
  return text.substr(begin + from.size(), end - begin - from.size());
}

TEST_CASE("the formats make the same claims") {
  const Report report = SomeReport(SomeRuns());
  const std::string html = FormatHtml(report);
  const std::string markdown = FormatReportMarkdown(report);
  const Json json = Json::parse(FormatReportJson(report));
  REQUIRE(report.chapters.size() == 1);
  REQUIRE(report.chapters[0].claims.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    const std::string& text = report.chapters[0].claims[i].text;
    CHECK_THAT(html, Contains(text));
    CHECK_THAT(markdown, Contains(text));
    CHECK(json["chapters"][0]["claims"][i]["text"] == text);
  }
  REQUIRE_FALSE(report.chapters[0].figures.empty());
  for (const Figure& figure : report.chapters[0].figures) {
    CHECK_THAT(html, Contains(figure.claim));
    CHECK_THAT(markdown, Contains(figure.claim));
  }
  CHECK_THAT(html, Contains("a &lt;notice&gt;"));
  CHECK_THAT(markdown, Contains("a &lt;notice&gt;"));
  CHECK(json["notices"][0] == "a <notice>");
}

TEST_CASE("the same input gives the same bytes") {
  CHECK(FormatHtml(SomeReport(SomeRuns())) ==
        FormatHtml(SomeReport(SomeRuns())));
}

TEST_CASE("CSV and JSON have every run with every digit") {
  std::vector<RunSummary> runs = SomeRuns();
  runs[6].elapsed_s = 5.000000000000001;
  const Report report = SomeReport(runs);
  const std::vector<std::string> lines =
      absl::StrSplit(FormatReportCsv(report), '\n');
  REQUIRE(lines.size() == 12 + 2);  // the names, and nothing behind the last
  CHECK(lines[0].rfind("model,data,trainer,batch_size,", 0) == 0);
  CHECK_THAT(lines[7],
             Contains("adag,32,") && Contains("5.000000000000001,0.846,"));
  CHECK_THAT(lines[6], Contains("failed,,,"));
  const Json json = Json::parse(FormatReportJson(report));
  REQUIRE(json["runs"].size() == 12);
  CHECK(json["runs"][6]["elapsed_s"] == 5.000000000000001);
  CHECK(json["runs"][5]["elapsed_s"].is_null());
  CHECK(json["machines"]["rows"][0][1] == "2");
}

TEST_CASE("texts from files are texts in the page") {
  const std::string nasty = "<img src=x onerror=\"1\">'</script><!--{{script}}";
  std::vector<RunSummary> runs = SomeRuns();
  for (RunSummary& run : runs) {
    run.model = run.trainer = run.data = run.status = nasty;
    run.command = run.folder = nasty;
  }
  const Report report = SomeReport(runs);
  const std::string html = FormatHtml(report);
  CHECK(html.find("<img") == std::string::npos);
  CHECK(html.find("'</script") == std::string::npos);
  CHECK(html.find("onerror=\"") == std::string::npos);
  // Was put in, and not looked at again.
  CHECK_THAT(html, Contains("&lt;!--{{script}}"));
  CHECK(FormatReportMarkdown(report).find("<img") == std::string::npos);
}

TEST_CASE("the page's data are JSON that no text can end") {
  std::vector<RunSummary> runs = SomeRuns();
  for (RunSummary& run : runs) run.trainer += "</script><!--";
  const std::string html = FormatHtml(SomeReport(runs));
  const Json figures = Json::parse(Between(
      html, "<script id=\"figures\" type=\"application/json\">", "</script>"));
  REQUIRE(figures.size() == 5);
  CHECK(figures[0]["series"][1]["name"] == "adag</script><!--");
  CHECK(figures[0]["series"][1]["points"][0]["y"] == 5);
}

TEST_CASE("the page asks for nothing outside itself") {
  const std::string html = FormatHtml(SomeReport(SomeRuns()));
  CHECK(html.find("{{") == std::string::npos);
  CHECK(html.find(" src=\"") == std::string::npos);
  CHECK(html.find("@import") == std::string::npos);
  CHECK_THAT(html, Contains("default-src 'none'") && Contains("Chart.js v3"));
}

TEST_CASE("Markdown keeps what would be markup, and folds long tables") {
  std::vector<RunSummary> runs = SomeRuns();
  runs[0].folder = "a|b_c*d`e[f]";
  for (uint64_t seed = 10; seed < 30; ++seed) {
    runs.push_back(SomeRun("adag", 32, seed, 5, 0.846));
  }
  const std::string markdown = FormatReportMarkdown(SomeReport(runs));
  CHECK_THAT(markdown, Contains("a\\|b\\_c\\*d\\`e\\[f\\]") &&
                           Contains("<details><summary>32 rows</summary>"));
}

TEST_CASE("text that is no UTF-8 is mended") {
  std::vector<RunSummary> runs = SomeRuns();
  runs[0].folder = "\xff";
  CHECK_THAT(FormatReportJson(SomeReport(runs)), Contains("\xEF\xBF\xBD"));
}

TEST_CASE("numbers are printed with the digits that count") {
  CHECK(LossText(0.43214) == "0.4321");
  CHECK(LossText(52014.79) == "52014.7900");
  CHECK(LossText(1.1031e23) == "1.10e+23");
  CHECK(LossText(RunSummary::kNone) == "-");
  CHECK(SecondsText(0.012345) == "0.0123");
  CHECK(SecondsText(0.44) == "0.440");
  CHECK(SecondsText(2.6899) == "2.69");
  CHECK(SecondsText(18.91) == "18.9");
  CHECK(SecondsText(391.6) == "392");
  CHECK(SecondsText(0) == "0.00");
  CHECK(SecondsText(RunSummary::kNone) == "-");
  CHECK(AccuracyText(0.85194) == "0.8519");
  CHECK(MegabytesText(984'040'000) == "984.0");
  CHECK(GroupedText(999) == "999");
  CHECK(GroupedText(1234567) == "1,234,567");
  CHECK(GroupedText(-123) == "-123");
  CHECK(ListText({"a", "b", "c"}) == "a, b and c");
  CHECK(CountedText(1, "run") == "1 run");
}

}  // namespace
}  // namespace monsoon
