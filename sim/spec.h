// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/random.h"

// What a simulated cluster is made of, as people write it on the command line.
// Every parser gives INVALID_ARGUMENT with what was found and what is expected,
// not the flag; every Text() is the shortest text that is read as the same.
namespace monsoon {

// How long a step of one whole batch takes: `20ms`, `lognormal:MEDIAN:SIGMA`
// (the logarithm is normal with standard deviation SIGMA), `uniform:A:B`.
struct StepTime {
  enum Kind { kConstant, kLognormal, kUniform };
  Kind kind = kConstant;
  absl::Duration low = absl::Milliseconds(20);  // the time, the median, A
  absl::Duration high;                          // B
  double sigma = 0;

  static absl::StatusOr<StepTime> Parse(absl::string_view text);
  std::string Text() const;
  // Draws the same number of times from `random` whatever the kind is.
  absl::Duration Draw(Random& random) const;
};

// Bytes in a second: `10gbit`, `500mbit`, `2gbyte`; `none` is without a limit.
struct Rate {
  double bytes_per_s = std::numeric_limits<double>::infinity();

  static absl::StatusOr<Rate> Parse(absl::string_view text);
  std::string Text() const;
  // How long so many bytes take.
  absl::Duration TimeOf(int64_t bytes) const;
};

// A card of every worker and every server: `RATE:LATENCY`, as in 10gbit:100us.
struct NetworkSpec {
  Rate rate{1.25e9};
  absl::Duration latency = absl::Microseconds(100);

  static absl::StatusOr<NetworkSpec> Parse(absl::string_view text);
  std::string Text() const;
};

// `FRACTION:FACTORx`: so many of the workers, rounded to the nearest whole
// number, take FACTOR times as long for every step.
struct Stragglers {
  double fraction = 0;
  double factor = 1;

  static absl::StatusOr<Stragglers> Parse(absl::string_view text);
  std::string Text() const;
};

// `P/epoch`: how often a worker crashes in an epoch of its own, on average.
struct CrashRate {
  double per_epoch = 0;

  static absl::StatusOr<CrashRate> Parse(absl::string_view text);
  std::string Text() const;
};

// `real`: of the model on the data. `quadratic`: of a toy function with as many
// parameters as the model; `quadratic:COUNT`: with COUNT.
struct GradientKind {
  bool is_quadratic = false;
  int64_t parameters = 0;  // 0: the model's

  static absl::StatusOr<GradientKind> Parse(absl::string_view text);
  std::string Text() const;
};

// `10s`, `1.5ms`, `100us`: 0 or more.
absl::StatusOr<absl::Duration> ParseTime(absl::string_view text);
std::string TimeText(absl::Duration time);

// Everything that is simulated. A value.
struct SimulationSpec {
  StepTime compute;
  NetworkSpec network;
  // How fast the one core of a server takes in updates and copies replies.
  Rate server_rate;
  Stragglers stragglers;
  CrashRate crash;
  // From a crash until the next process of that rank joins.
  absl::Duration restart = absl::Seconds(10);
  GradientKind gradients;
};

// How long a server waits for a sign of life. Whoever comes back after a crash
// is at once taken for the next self, unless that is so soon that signs of life
// would be all that happens.
absl::Duration LeaseOf(const SimulationSpec& spec);

}  // namespace monsoon
