// SPDX-License-Identifier: Apache-2.0
#include "worker/options.h"

#include <catch2/catch.hpp>
#include <string>

#include "base/command_line.h"
#include "cuda/cuda.h"
#include "models/precision.h"
#include "worker/option_fields.h"

namespace monsoon {
namespace {

using Catch::Contains;
using Catch::StartsWith;

// The message that resolving gives; fails the test when it is not exit code 2.
std::string Refusal(Options options) {
  const absl::Status status = ResolveOptions(options);
  CHECK(ExitCode(status) == 2);
  return std::string(status.message());
}

TEST_CASE("The defaults of the trainer fill in optimizer and rate",
          "[worker][options]") {
  for (const std::string& name : TrainerNames()) {
    Options options{.trainer = name};
    REQUIRE(ResolveOptions(options).ok());
    const TrainerEntry& entry = **FindTrainer(name);
    CHECK(options.optimizer == entry.optimizer);
    CHECK(static_cast<float>(options.lr) == entry.lr);
    CHECK(options.device == "cpu");
  }
}

TEST_CASE("Resolving twice changes nothing", "[worker][options]") {
  Options once{.trainer = "aeasgd"};
  REQUIRE(ResolveOptions(once).ok());
  Options twice = once;
  REQUIRE(ResolveOptions(twice).ok());
  for (const OptionField& field : OptionFields()) {
    CHECK(field.Get(once) == field.Get(twice));
  }
}

TEST_CASE("single gets one worker, and refuses two", "[worker][options]") {
  Options options{.trainer = "single"};
  REQUIRE(ResolveOptions(options).ok());
  CHECK(options.workers == 1);

  options.workers = 2;
  options.given = {"workers"};
  CHECK(Refusal(options) ==
        "trainer single runs with one worker, found --workers 2; use "
        "--workers 1 or another trainer");
}

TEST_CASE("An unknown name is told with the accepted and the nearest ones",
          "[worker][options]") {
  struct Row {
    std::string Options::*member;
    std::string value;
    std::string nearest;
  };
  const Row row =
      GENERATE(values<Row>({{&Options::trainer, "adga", "adag"},
                            {&Options::model, "mpl", "mlp"},
                            {&Options::data, "fashionmnist", "fashion-mnist"},
                            {&Options::optimizer, "nestrov", "nesterov"},
                            {&Options::device, "gpu", "cpu"},
                            {&Options::lr_schedule, "cosin", "cosine"},
                            {&Options::precision, "pf32", "fp32"},
                            {&Options::transport, "grcp", "grpc"}}));
  Options options;
  options.*row.member = row.value;
  const std::string message = Refusal(options);
  CHECK_THAT(message, Contains("\"" + row.value + "\"; accepted: "));
  CHECK_THAT(message, Contains("did you mean \"" + row.nearest + "\"?"));
}

TEST_CASE("A device is one that this build has", "[worker][options]") {
  for (const std::string device : {"cuda", "cuda:3"}) {
    Options options;
    options.device = device;
    if (CudaDevices() > 3) {
      REQUIRE(ResolveOptions(options).ok());
      CHECK(options.device == device);
    } else if (CudaVersions() == "none") {
      CHECK_THAT(Refusal(options), StartsWith("--device: " + device + ": ") &&
                                       Contains("built without CUDA") &&
                                       Contains("docs/gpu.md") &&
                                       Contains("--device cpu"));
    } else if (CudaDevices() == 0) {
      CHECK_THAT(Refusal(options), StartsWith("--device: " + device + ": ") &&
                                       Contains("no GPU is found") &&
                                       Contains("--device cpu"));
    }
  }
  for (const std::string device : {"cuda:", "cuda:x", "cuda:-1", "cuda:1,2"}) {
    CHECK_THAT(Refusal({.device = device}),
               Contains("\"" + device + "\"; accepted: ") &&
                   Contains("cuda:N is the GPU of number N"));
  }
}

TEST_CASE("The servers' device is one that this build has, and in reach",
          "[worker][options]") {
  if (CudaDevices() == 0) {
    const std::string message = Refusal({.server_device = "cuda"});
    CHECK_THAT(message, StartsWith("--server-device: cuda: ") &&
                            Contains("use --server-device cpu"));
  }
  CHECK_THAT(Refusal({.server_device = "gpu"}),
             StartsWith("--server-device: unknown device \"gpu\""));
  // The processor is everywhere; what is automatic never ends a job.
  for (const std::string transport : {"auto", "inproc", "shm", "grpc"}) {
    for (const std::string device : {"cpu", "auto"}) {
      Options options{.server_device = device, .transport = transport};
      REQUIRE(ResolveOptions(options).ok());
      const bool may_be_gpu = CudaDevices() > 0 && transport == "inproc";
      if (device == "cpu" || !may_be_gpu) CHECK(options.server_device == "cpu");
    }
  }
  CHECK(CheckServersElsewhere({.server_device = "auto"}).ok());
  CHECK_THAT(
      std::string(CheckServersElsewhere({.server_device = "cuda:1"}).message()),
      StartsWith("--server-device cuda:1: found servers that are not in "
                 "the workers' process, expected --transport inproc"));
}

TEST_CASE("Trainers in the processor's memory want no GPU",
          "[worker][options]") {
  if (CudaDevices() == 0) return;
  Options options{.trainer = "hogwild", .device = "cuda", .given = {"device"}};
  CHECK_THAT(Refusal(options), Contains("--device cuda") &&
                                   Contains("hogwild") &&
                                   Contains("expected cpu"));
}

TEST_CASE("Values travel in a code that the trainer can have",
          "[worker][options]") {
  const auto resolved = [](const std::string& trainer,
                           const std::string& wire) {
    Options options;
    options.trainer = trainer;
    options.wire = wire;
    const absl::Status status = ResolveOptions(options);
    return status.ok() ? options.wire : std::string(status.message());
  };
  CHECK(resolved("adag", "fp32") == "fp32");
  CHECK(resolved("adag", "int8") == "int8");
  CHECK(resolved("adag", "int8,int8") == "int8");
  CHECK(resolved("adag", "topk:0.10") == "topk:0.10,fp32");
  CHECK(resolved("aeasgd", "bf16,fp16") == "bf16,fp16");
  CHECK_THAT(resolved("aeasgd", "topk:0.1"),
             StartsWith("--wire topk:0.1: ") &&
                 Contains("pushes (parameters) of trainer aeasgd") &&
                 Contains("expected fp32, bf16, fp16 or int8"));
  CHECK_THAT(resolved("single", "bf16"), Contains("pushes (nothing)"));
  CHECK_THAT(resolved("adag", "int7"),
             StartsWith("--wire int7: unknown wire code \"int7\"; expected "));
}

TEST_CASE("Exchanges overlap where the reply is the center",
          "[worker][options]") {
  const auto refusal = [](const std::string& trainer) {
    Options options;
    options.trainer = trainer;
    options.overlap = true;
    const absl::Status status = ResolveOptions(options);
    CHECK((status.ok() || absl::IsInvalidArgument(status)));
    return std::string(status.message());
  };
  CHECK(refusal("adag").empty());
  CHECK(refusal("downpour").empty());
  CHECK_THAT(refusal("aeasgd"),
             StartsWith("--overlap: trainer aeasgd is answered with the "
                        "elastic difference of this very exchange, expected") &&
                 Contains("leave --overlap out"));
  CHECK_THAT(refusal("single"), Contains("exchanges nothing"));
}

TEST_CASE("Bounds of staleness are for trainers that have it",
          "[worker][options]") {
  const auto refusal = [](const std::string& trainer, int lead, int staleness) {
    Options options;
    options.trainer = trainer;
    options.max_lead = lead;
    options.max_staleness = staleness;
    return std::string(ResolveOptions(options).message());
  };
  CHECK(refusal("adag", 0, 0).empty());
  CHECK(refusal("sync", -1, 0).empty());
  CHECK_THAT(refusal("sync", 3, -1), StartsWith("--max-lead 3: trainer sync "));
  CHECK_THAT(refusal("aeasgd", 3, -1), Contains("what follows from it"));
  CHECK_THAT(refusal("single", 3, -1), Contains("exchanges nothing"));
  CHECK_THAT(refusal("eamsgd", -1, 2),
             StartsWith("--max-staleness 2: ") && Contains("none is stale"));
  CHECK_THAT(refusal("adag", -2, -1), Contains("--max-lead") && Contains("-2"));
}

TEST_CASE("The bound of staleness is the job's", "[worker][options]") {
  Options first;
  first.max_staleness = 4;
  first.max_lead = 2;
  REQUIRE(ResolveOptions(first).ok());
  pb::JobSpec spec;
  spec.set_trainer(first.trainer);
  spec.set_workers(2);
  SettingsToSpec(first, spec);
  CHECK(spec.max_staleness() == 4);
  Options later;
  REQUIRE(SettingsFromSpec(spec, later).ok());
  CHECK(later.max_staleness == 4);
  CHECK(later.max_lead == 2);
}

TEST_CASE("What is allowed beyond a known bound is said with the bound",
          "[worker][options]") {
  Options options;
  options.trainer = "aeasgd";
  REQUIRE(ResolveOptions(options).ok());
  CHECK(WarningsOf(options).empty());
  options.set["alpha"] = "0.9";
  REQUIRE(WarningsOf(options).size() == 1);
  CHECK_THAT(WarningsOf(options)[0],
             StartsWith("trainer aeasgd: alpha=0.9 with 2 workers") &&
                 Contains("expected below 2"));
  options.trainer = "downpour";
  options.set = {{"window", "9"}};
  options.workers = 20;
  REQUIRE(WarningsOf(options).size() == 1);
  CHECK_THAT(WarningsOf(options)[0], Contains("window=9 with 20 workers"));
}

TEST_CASE("A worker takes the wire codes of the job", "[worker][options]") {
  Options first;
  first.wire = "topk:0.1,bf16";
  REQUIRE(ResolveOptions(first).ok());
  pb::JobSpec spec;
  spec.set_trainer(first.trainer);
  spec.set_workers(first.workers);
  SettingsToSpec(first, spec);
  CHECK(spec.push_code() == "topk:0.1");
  CHECK(spec.reply_code() == "bf16");
  Options next;
  REQUIRE(SettingsFromSpec(spec, next).ok());
  CHECK(next.wire == first.wire);
  // One that knows no codes.
  spec.clear_push_code();
  spec.clear_reply_code();
  REQUIRE(SettingsFromSpec(spec, next).ok());
  REQUIRE(ResolveOptions(next).ok());
  CHECK(next.wire == "fp32");
}

TEST_CASE("bf16 is for processors that have it", "[worker][options]") {
  Options options;
  options.precision = "bf16";
  if (CheckPrecision(Precision::kBf16, Device()).ok()) {
    CHECK(ResolveOptions(options).ok());
  } else {
    CHECK_THAT(Refusal(options), StartsWith("--precision bf16: ") &&
                                     Contains("avx512_bf16") &&
                                     Contains("use fp32"));
  }
}

TEST_CASE("Zero of anything is refused with the flag and the accepted range",
          "[worker][options]") {
  CHECK(Refusal({.workers = 0}) ==
        "--workers: found \"0\", expected a whole number, at least 1, at most "
        "65536");
  CHECK_THAT(Refusal({.servers = 0}), Contains("--servers: found \"0\""));
  CHECK_THAT(Refusal({.batch_size = 0}), Contains("--batch-size: found"));
  CHECK_THAT(Refusal({.epochs = -3}), Contains("--epochs: found \"-3\""));
  CHECK_THAT(Refusal({.threads = 0}), Contains("--threads: found \"0\""));
  CHECK_THAT(Refusal({.connect_timeout = absl::ZeroDuration()}),
             Contains("--connect-timeout: found \"0\""));
  CHECK_THAT(Refusal({.lr = -1}), Contains("--lr: found \"-1\""));
  CHECK_THAT(Refusal({.lr = 0, .given = {"lr"}}),
             Contains("--lr: found \"0\", expected a number above 0"));
}

TEST_CASE("Rules of training are refused with the accepted range",
          "[worker][options]") {
  CHECK(Refusal({.label_smoothing = 1}) ==
        "--label-smoothing: found \"1\", expected a number, at least 0, below "
        "1");
  CHECK_THAT(Refusal({.label_smoothing = -0.1}), Contains("at least 0"));
  CHECK_THAT(
      Refusal({.weight_decay = -1}),
      Contains("--weight-decay: found \"-1\"") && Contains("at least 0"));
  CHECK_THAT(Refusal({.clip_norm = -1}), Contains("--clip-norm: found"));
  CHECK_THAT(Refusal({.warmup = -1}), Contains("--warmup: found \"-1\""));
  CHECK(Refusal({.epochs = 2, .warmup = 2.5}) ==
        "--warmup: found \"2.5\", expected a number, at least 0, at most "
        "--epochs 2");
  CHECK_THAT(Refusal({.lr_schedule = "step"}),
             Contains("--lr-step-epochs: found \"0\"") &&
                 Contains("above 0 with --lr-schedule step"));
  CHECK_THAT(Refusal({.lr_step_epochs = 3}),
             Contains("--lr-step-epochs 3") && Contains("--lr-schedule step"));
  for (const double decay : {0.0, 1.5}) {
    CHECK_THAT(Refusal({.lr_decay = decay}),
               Contains("a number above 0, at most 1"));
  }
}

TEST_CASE("Each worker's rules follow from the options", "[worker][options]") {
  const Options options{.workers = 4,
                        .epochs = 8,
                        .lr_schedule = "step",
                        .warmup = 1.5,
                        .lr_step_epochs = 2,
                        .lr_decay = 0.25,
                        .weight_decay = 0.5,
                        .clip_norm = 3};
  const LocalRules rules = LocalRulesOf(options, 250);
  CHECK(rules.weight_decay == 0.5f);
  CHECK(rules.clip_norm == 3);
  CHECK(rules.epoch_samples == 250);
  CHECK(rules.workers == 4);
  CHECK(rules.schedule.Factor(0) == 0.25f);  // one worker's share
  CHECK(rules.schedule.Factor(1.5) == 1);
  CHECK(rules.schedule.Factor(6) == 0.015625f);
  const LocalRules cosine =
      LocalRulesOf({.epochs = 8, .lr_schedule = "cosine"}, 1);
  CHECK(cosine.schedule.Factor(4) == Approx(0.5));
  const LocalRules plain = LocalRulesOf({}, 1);
  CHECK(plain.schedule.Factor(0.5) == 1);
  CHECK(plain.weight_decay == 0);
  CHECK(plain.clip_norm == 0);
}

TEST_CASE("Hyper-parameters are checked by the trainer", "[worker][options]") {
  CHECK_THAT(Refusal({.set = {{"windwo", "5"}}}),
             Contains("did you mean \"window\"?"));
  CHECK_THAT(Refusal({.set = {{"window", "0"}}}),
             Contains("--set window=0") && Contains("1 or more"));
}

TEST_CASE("Hyper-parameters may follow from the local optimizer",
          "[worker][options]") {
  for (const std::string optimizer : {"sgd", "nesterov"}) {
    Options options{.trainer = "downpour", .optimizer = optimizer};
    REQUIRE(ResolveOptions(options).ok());
    const auto made = TrainerOf(options);
    REQUIRE(made.ok());
    CHECK(made->resolved.at("form") ==
          (optimizer == "sgd" ? "gradient" : "delta"));
  }
}

TEST_CASE("Every worker needs a sample and a whole batch",
          "[worker][options]") {
  const Options options{.workers = 3, .batch_size = 33};
  CHECK(CheckDataSize(options, 100).ok());
  const absl::Status batch = CheckDataSize(options, 98);
  CHECK(ExitCode(batch) == 2);
  CHECK_THAT(std::string(batch.message()),
             Contains("--batch-size 33") && Contains("has 32"));
  const absl::Status workers = CheckDataSize(options, 2);
  CHECK(ExitCode(workers) == 2);
  CHECK_THAT(std::string(workers.message()),
             Contains("--workers 3") && Contains("has 2 training samples"));
}

TEST_CASE("A worker takes from the job what it was not told",
          "[worker][options]") {
  Options first{.trainer = "downpour",
                .data = "fashion-mnist:/elsewhere",
                .workers = 3,
                .batch_size = 32,
                .lr_schedule = "cosine",
                .weight_decay = 0.001,
                .seed = 9};
  REQUIRE(ResolveOptions(first).ok());
  pb::JobSpec spec;
  spec.set_trainer(first.trainer);
  spec.set_workers(first.workers);
  (*spec.mutable_hyper())["window"] = "7";
  SettingsToSpec(first, spec);
  CHECK(spec.settings().at("data") == "fashion-mnist");
  CHECK(spec.settings().at("batch_size") == "32");
  CHECK(spec.settings().at("weight_decay") == "0.001");
  CHECK(spec.settings().at("lr_schedule") == "cosine");

  Options second{.data = "fashion-mnist:/here",
                 .batch_size = 64,
                 .given = {"data", "batch-size"}};
  REQUIRE(SettingsFromSpec(spec, second).ok());
  CHECK(second.trainer == "downpour");
  CHECK(second.set.at("window") == "7");
  CHECK(second.workers == 3);
  CHECK(second.seed == 9);
  CHECK(second.lr_schedule == "cosine");
  CHECK(second.weight_decay == 0.001);
  CHECK(second.optimizer == first.optimizer);
  CHECK(second.lr == first.lr);
  CHECK(second.data == "fashion-mnist:/here");
  CHECK(second.batch_size == 64);
}

TEST_CASE("A setting of the job that is no value of its key is refused",
          "[worker][options]") {
  pb::JobSpec spec;
  (*spec.mutable_settings())["epochs"] = "many";
  Options options;
  const absl::Status status = SettingsFromSpec(spec, options);
  CHECK(ExitCode(status) == 2);
  CHECK_THAT(std::string(status.message()),
             Contains("epochs") && Contains("\"many\""));
}

TEST_CASE("A field's text reads back as the same value", "[worker][options]") {
  for (const OptionField& field : OptionFields()) {
    Options options{.lr = 0.1 + 0.2, .seed = uint64_t{1} << 53};
    options.connect_timeout = absl::Milliseconds(1500);
    const std::string text = field.Get(options);
    Options other{.lr = 1};
    REQUIRE(field.Set(text, other).ok());
    CHECK(field.Get(other) == text);
  }
  CHECK(AsWritten(0.1f) == 0.1);
}

TEST_CASE("A status becomes the exit code of its kind", "[worker][options]") {
  CHECK(ExitCode(absl::OkStatus()) == 0);
  CHECK(ExitCode(absl::InvalidArgumentError("")) == 2);
  CHECK(ExitCode(absl::NotFoundError("")) == 3);
  CHECK(ExitCode(absl::DataLossError("")) == 3);
  CHECK(ExitCode(absl::UnavailableError("")) == 1);
  CHECK(ExitCode(absl::FailedPreconditionError("")) == 1);
}

}  // namespace
}  // namespace monsoon
