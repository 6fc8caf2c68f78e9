// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/base/temporary_folder.h"
#include "watch/event_file.h"
#include "watch/histogram.h"
#include "watch/job_settings.h"
#include "watch/tensorboard_log.h"

namespace monsoon {
namespace {

TEST_CASE("Checksums are those of CRC-32C", "[watch]") {
  CHECK(Crc32c("123456789") == 0xe3069283);
  CHECK(Crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(Crc32c(std::string(32, '\xff')) == 0x62a8ab43);
  CHECK(Crc32c("") == 0);
}

tb::Event ScalarEvent() {
  tb::Event event;
  event.set_wall_time(2);
  event.set_step(1);
  tb::Summary::Value& value = *event.mutable_summary()->add_value();
  value.set_tag("loss");
  value.set_simple_value(0.5F);
  return event;
}

std::string RecordInHex(const tb::Event& event) {
  return absl::BytesToHexString(TfRecord(event.SerializeAsString()));
}

TEST_CASE("Records are TensorBoard's own, byte by byte", "[watch]") {
  tb::Event version;
  version.set_wall_time(1);
  version.set_file_version("brain.Event:2");
  CHECK(RecordInHex(version) ==
        "1800000000000000a37f4b2209000000000000f03f1a0d627261696e2e4576656e743a"
        "3286bf577a");
  CHECK(RecordInHex(ScalarEvent()) ==
        "1a00000000000000129bd82d09000000000000004010012a0d0a0b0a046c6f73731500"
        "00003fe20576ce");
  tb::Event tensor = ScalarEvent();
  tb::Summary::Value& value = *tensor.mutable_summary()->mutable_value(0);
  value.mutable_tensor()->set_dtype(tb::Tensor::FLOAT);
  value.mutable_tensor()->mutable_shape();
  value.mutable_tensor()->add_float_val(0.5F);
  value.mutable_metadata()->mutable_plugin()->set_plugin_name("scalars");
  value.mutable_metadata()->set_data_class(tb::Summary::Metadata::SCALAR);
  CHECK(RecordInHex(tensor) ==
        "300000000000000095f5d05f09000000000000004010012a230a210a046c6f7373420a"
        "080112002a040000003f4a0d0a090a077363616c61727320014cb95ff2");
}

double Total(const BucketedValues& values) {
  double total = 0;
  for (const auto& bucket : values.buckets) total += bucket.count;
  return total;
}

TEST_CASE("Buckets lie side by side from the smallest to the largest value",
          "[watch]") {
  const std::vector<float> values = {-3, 0, 0, 0.05F, 2.9F, 3};
  const BucketedValues bucketed = Bucketed(values);
  REQUIRE(bucketed.buckets.size() == 30);
  CHECK(bucketed.buckets.front().left == -3);
  CHECK(bucketed.buckets.back().right == 3);
  for (size_t i = 1; i < 30; ++i) {
    CHECK(bucketed.buckets[i].left == bucketed.buckets[i - 1].right);
  }
  CHECK(bucketed.buckets[0].count == 1);
  CHECK(bucketed.buckets[15].count == 3);  // [0, 0.2)
  CHECK(bucketed.buckets[29].count == 2);  // [2.8, 3]: the end is in it
  CHECK(Total(bucketed) == 6);
}

TEST_CASE("Values that are equal, none or not finite have buckets, too",
          "[watch]") {
  const std::vector<float> equal(7, 2.5F);
  const BucketedValues one = Bucketed(equal);
  REQUIRE(one.buckets.size() == 1);
  CHECK(one.buckets[0].left == 2);
  CHECK(one.buckets[0].right == 3);
  CHECK(one.buckets[0].count == 7);
  CHECK(Bucketed(absl::Span<const float>()).buckets.empty());

  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> odd = {1, infinity, -infinity, 2,
                                  std::numeric_limits<float>::quiet_NaN()};
  const BucketedValues some = Bucketed(odd);
  CHECK(some.not_finite == 3);
  CHECK(Total(some) == 2);
  CHECK(some.buckets.back().right == 2);

  const BucketedValues counts = Bucketed({{0, 120}, {3, 15}, {9, 0}});
  CHECK(Total(counts) == 135);
  CHECK(counts.buckets.front().count == 120);
  CHECK(counts.buckets.back().right == 3);
}

pb::JobSpec Spec() {
  pb::JobSpec spec;
  spec.set_trainer("adag");
  spec.set_workers(2);
  spec.set_servers(1);
  spec.set_push_code("int8");
  (*spec.mutable_hyper())["window"] = "16";
  auto& settings = *spec.mutable_settings();
  settings["model"] = "mlp:500";
  settings["lr"] = "0.05";
  settings["overlap"] = "false";
  settings["seed"] = "3";
  return spec;
}

TEST_CASE("Settings of a job are numbers, flags and texts", "[watch]") {
  std::map<std::string, JobSetting> settings;
  for (const JobSetting& one : SettingsOf(Spec())) settings[one.name] = one;
  using Value = std::variant<std::string, bool, double>;
  CHECK(SettingsOf(Spec())[0].name == "trainer");
  CHECK(settings["trainer"].value() == Value("adag"));
  CHECK(settings["model"].value() == Value("mlp:500"));
  CHECK(settings["workers"].value() == Value(2.0));
  CHECK(settings["lr"].value() == Value(0.05));
  CHECK(settings["overlap"].value() == Value(false));
  CHECK(settings["hyper.window"].value() == Value(16.0));
  CHECK(settings["hyper"].value() == Value("window=16"));
  CHECK(settings["wire"].value() == Value("int8,fp32"));
  CHECK(settings["max_staleness"].value() == Value(-1.0));
}

// ---- The log ---------------------------------------------------------------

// A clock that a test sets.
class SetClock final : public Clock {
 public:
  absl::Time Now() const override { return now; }
  std::unique_ptr<Event> NewEvent() override { return nullptr; }
  absl::Time now = absl::UnixEpoch();
};

JobView ViewAt(double seconds, int64_t samples) {
  JobView view;
  view.spec = Spec();
  view.progress.samples = samples;
  view.progress.elapsed_s = seconds;
  view.progress.loss = 1 / (1 + seconds);
  view.wall = absl::UnixEpoch() + absl::Seconds(1000 + seconds);
  for (int rank = 0; rank < 2; ++rank) {
    WorkerView& worker = view.workers.emplace_back();
    worker.member.set_worker(rank);
    worker.samples_per_s = 100;
    worker.staleness_mean = rank;
    pb::WorkerReport& report = *worker.member.mutable_report();
    report.set_samples(samples / 2);
    report.set_bytes_up(samples);
    report.set_compute_s(0.6 * seconds);
    report.set_exchange_s(0.3 * seconds);
    report.set_data_s(0.1 * seconds);
    (*report.mutable_staleness())[rank] = samples;
  }
  ServerView& server = view.servers.emplace_back();
  server.updates_per_s = 50;
  return view;
}

uint64_t LittleEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

// The events of the one file in `folder`.
std::vector<tb::Event> ReadEvents(const std::string& folder) {
  FileSystem& files = RealFileSystem();
  std::vector<tb::Event> events;
  const auto names = files.List(folder);
  REQUIRE(names.ok());
  for (const std::string& name : *names) {
    if (!absl::StrContains(name, "tfevents")) continue;
    CHECK(events.empty());
    const auto contents = files.Read(JoinPath(folder, name));
    REQUIRE(contents.ok());
    absl::string_view rest = *contents;
    while (!rest.empty()) {
      const size_t size = LittleEndian(rest.substr(0, 8));
      const absl::string_view payload = rest.substr(12, size);
      REQUIRE(rest.substr(0, size + 16) == TfRecord(payload));
      REQUIRE(events.emplace_back().ParseFromString(std::string(payload)));
      rest.remove_prefix(size + 16);
    }
  }
  return events;
}

struct Point {
  double wall = 0;
  int64_t step = 0;
  float value = 0;
  bool operator==(const Point&) const = default;
};

std::map<std::string, std::vector<Point>> Scalars(
    const std::vector<tb::Event>& events) {
  std::map<std::string, std::vector<Point>> scalars;
  for (const tb::Event& event : events) {
    for (const tb::Summary::Value& value : event.summary().value()) {
      if (value.what_case() != tb::Summary::Value::kSimpleValue) continue;
      scalars[value.tag()].push_back(
          {event.wall_time(), event.step(), value.simple_value()});
    }
  }
  return scalars;
}

std::map<std::string, tb::Summary::Value> Tensors(
    const std::vector<tb::Event>& events) {
  std::map<std::string, tb::Summary::Value> tensors;
  for (const tb::Event& event : events) {
    for (const tb::Summary::Value& value : event.summary().value()) {
      if (value.has_tensor()) tensors[value.tag()] = value;
    }
  }
  return tensors;
}

nlohmann::ordered_json SummaryOfRun() {
  return nlohmann::ordered_json::parse(R"({
    "samples": 400, "elapsed_s": 4.0, "samples_per_s": 100, "test_acc": 0.75,
    "test_loss": null, "status": "done",
    "curve": [[1.0, 100, 0.25], [4.0, 400, 0.75]],
    "staleness": {"workers": {"0": {"0": 10}, "1": {"1": 6}},
                  "shards": {"0": {"0": 8, "1": 2}, "1": {"0": 6}}}})");
}

// Of runs in which nothing goes wrong.
void Fail(const std::string& what) { FAIL(what); }

TEST_CASE("A run is written for TensorBoard, the job and each worker",
          "[watch]") {
  const TemporaryFolder folder;
  SetClock clock;
  TensorBoardLog log(Fail, folder.path(), clock, RealFileSystem());
  for (int tenth = 0; tenth <= 25; ++tenth) {
    clock.now = absl::UnixEpoch() + absl::Milliseconds(100 * tenth);
    log.See(ViewAt(0.1 * tenth, 10 * tenth + 10), false);
  }
  const std::string root = folder.At("tensorboard");
  // What is two seconds old is on disk before the run is over.
  CHECK(Scalars(ReadEvents(root))["train/loss"].size() == 3);
  clock.now += absl::Milliseconds(100);
  log.See(ViewAt(2.6, 400), true);
  ParameterLayout layout;
  layout.Add("fc.weight", {2, 3}, TensorKind::kWeight);
  layout.Add("fc.bias", {2}, TensorKind::kNoDecay);
  std::vector<Flat> members;
  members.emplace_back(8);
  for (int i = 0; i < 6; ++i) members[0][i] = static_cast<float>(i);
  members[0][7] = std::numeric_limits<float>::infinity();
  const nlohmann::ordered_json summary = SummaryOfRun();
  log.End({.summary = summary,
           .folder = folder.path(),
           .layout = &layout,
           .members = members});

  const std::vector<tb::Event> events = ReadEvents(root);
  CHECK(events[0].file_version() == "brain.Event:2");
  auto job = Scalars(events);
  CHECK(job["train/loss"] ==
        std::vector<Point>{{1000, 10, 1},
                           {1001, 110, 0.5F},
                           {1002, 210, 1 / 3.0F},
                           {1002.6, 400, static_cast<float>(1 / 3.6)}});
  CHECK(job["perf/samples_per_second"][1] == Point{1001, 110, 200});
  CHECK(job["ps/staleness_mean"][1] == Point{1001, 110, 0.5F});
  CHECK(job["ps/updates_per_second"][1] == Point{1001, 110, 50});
  REQUIRE(job["net/bytes_per_second"].size() == 3);
  CHECK(job["net/bytes_per_second"][0] == Point{1001, 110, 200});
  // The curve at its own times, and the result once.
  CHECK(job["test/accuracy"] ==
        std::vector<Point>{{1001, 100, 0.25F}, {1004, 400, 0.75F}});
  CHECK(job.count("test/loss") == 0);
  CHECK(job["run/elapsed_s"] == std::vector<Point>{{1004, 400, 4}});
  CHECK(job["run/samples_per_second"] == std::vector<Point>{{1004, 400, 100}});
  CHECK(job["weights/not_finite"] == std::vector<Point>{{1004, 400, 1}});

  auto histograms = Tensors(events);
  const tb::Tensor& weights = histograms["weights/fc.weight"].tensor();
  CHECK(weights.shape().dim(0).size() == 30);
  CHECK(weights.shape().dim(1).size() == 3);
  CHECK(weights.double_val_size() == 90);
  CHECK(weights.double_val(88) == 5);
  CHECK(weights.double_val(89) == 1);
  CHECK(histograms["weights/fc.bias"].tensor().double_val(2) == 1);
  CHECK(histograms["ps/staleness"].tensor().double_val(2) == 14);
  CHECK(histograms["ps/staleness"].metadata().plugin().plugin_name() ==
        "histograms");

  const std::vector<tb::Event> of_worker =
      ReadEvents(JoinPath(root, "worker-1"));
  auto worker = Scalars(of_worker);
  CHECK(worker["ps/staleness_mean"].size() == 4);
  CHECK(worker["perf/samples_per_second"][0] == Point{1000, 10, 100});
  REQUIRE(worker["time/compute_share"].size() == 3);
  CHECK(worker["time/compute_share"][0].value == Approx(0.6));
  CHECK(worker["time/exchange_share"][2].value == Approx(0.3));
  CHECK(worker["time/data_share"][2].value == Approx(0.1));
  CHECK(Tensors(of_worker)["ps/staleness"].tensor().double_val(2) == 6);
}

tb::HParams HParamsIn(const std::vector<tb::Event>& events,
                      const std::string& tag) {
  tb::HParams content;
  auto tensors = Tensors(events);
  const tb::Summary::Value& value = tensors["_hparams_/" + tag];
  CHECK(value.metadata().plugin().plugin_name() == "hparams");
  CHECK(value.tensor().shape().dim(0).size() == 0);
  CHECK(content.ParseFromString(value.metadata().plugin().content()));
  return content;
}

TEST_CASE("The HParams plugin finds settings and end of a run", "[watch]") {
  std::map<std::string, std::string> groups;
  for (const std::string seed : {"3", "4", "other"}) {
    const TemporaryFolder folder;
    SetClock clock;
    TensorBoardLog log(Fail, folder.path(), clock, RealFileSystem());
    JobView view = ViewAt(2, 10);
    (*view.spec.mutable_settings())["seed"] = seed == "other" ? "3" : seed;
    if (seed == "other") (*view.spec.mutable_hyper())["window"] = "17";
    log.See(view, true);
    nlohmann::ordered_json summary = SummaryOfRun();
    summary["status"] = seed == "4" ? "diverged" : "done";
    log.End({.summary = summary, .folder = folder.path()});
    const auto events = ReadEvents(folder.At("tensorboard"));
    const tb::HParams start = HParamsIn(events, "session_start_info");
    CHECK(start.session_start().start_time_secs() == 1000);
    const auto& hparams = start.session_start().hparams();
    CHECK(hparams.at("trainer").string_value() == "adag");
    CHECK(hparams.at("lr").number_value() == 0.05);
    CHECK_FALSE(hparams.at("overlap").bool_value());
    groups[seed] = start.session_start().group_name();
    const tb::HParams about = HParamsIn(events, "experiment");
    CHECK(about.experiment().hparams_size() ==
          static_cast<int>(hparams.size()));
    CHECK(about.experiment().metrics(0).name().tag() == "test/accuracy");
    const tb::HParams end = HParamsIn(events, "session_end_info");
    CHECK(end.session_end().end_time_secs() == 1004);
    CHECK(end.session_end().status() ==
          (seed == "4" ? tb::HParams::SessionEnd::FAILURE
                       : tb::HParams::SessionEnd::SUCCESS));
  }
  // Repeats of a configuration with other seeds are one group.
  CHECK(groups["3"] == groups["4"]);
  CHECK(groups["3"] != groups["other"]);
}

TEST_CASE("A run that never began leaves nothing for TensorBoard", "[watch]") {
  const TemporaryFolder folder;
  SetClock clock;
  TensorBoardLog log(Fail, folder.path(), clock, RealFileSystem());
  const nlohmann::ordered_json summary = SummaryOfRun();
  log.End({.summary = summary, .folder = folder.path()});
  CHECK_FALSE(RealFileSystem().Exists(folder.At("tensorboard")));
}

TEST_CASE("A folder that cannot be written does not stop the log", "[watch]") {
  const TemporaryFolder folder;
  REQUIRE(RealFileSystem().Write(folder.At("tensorboard"), "a file").ok());
  SetClock clock;
  std::vector<std::string> said;
  TensorBoardLog log([&said](const std::string& what) { said.push_back(what); },
                     folder.path(), clock, RealFileSystem());
  log.See(ViewAt(1, 10), false);
  clock.now += absl::Seconds(5);
  log.See(ViewAt(6, 20), true);
  const nlohmann::ordered_json summary = SummaryOfRun();
  log.End({.summary = summary, .folder = folder.path()});
  REQUIRE(said.size() == 1);
  CHECK(said[0].find(folder.At("tensorboard")) != std::string::npos);
  CHECK(said[0].find("the run goes on") != std::string::npos);
  CHECK(*RealFileSystem().Read(folder.At("tensorboard")) == "a file");
}

}  // namespace
}  // namespace monsoon
