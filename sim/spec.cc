// SPDX-License-Identifier: Apache-2.0
#include "sim/spec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "worker/option_fields.h"

namespace monsoon {
namespace {

constexpr char kTimeExpected[] = "a time, as in 20ms, 100us or 1.5s";
// Longer ones are a slip of the pen, and would overflow sums.
constexpr absl::Duration kLongest = absl::Hours(24 * 365);

struct Unit {
  absl::string_view name;
  double value;
};
constexpr std::array<Unit, 5> kTimes = {
    {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"min", 60}, {"s", 1}}};
constexpr std::array<Unit, 6> kRates = {{{"kbit", 125},
                                         {"mbit", 125e3},
                                         {"gbit", 125e6},
                                         {"kbyte", 1e3},
                                         {"mbyte", 1e6},
                                         {"gbyte", 1e9}}};

absl::Status Bad(absl::string_view found, absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("found \"", found, "\", expected ", expected));
}

std::optional<double> Number(absl::string_view text) {
  double value = 0;
  if (!absl::SimpleAtod(text, &value) || !std::isfinite(value)) return {};
  return value;
}

// The number in front of one of the units, times that.
template <typename Units>
std::optional<double> WithUnit(absl::string_view text, const Units& units) {
  for (const Unit& unit : units) {
    absl::string_view number = text;
    if (!absl::ConsumeSuffix(&number, unit.name)) continue;
    const std::optional<double> value = Number(number);
    if (value.has_value()) return *value * unit.value;
  }
  return {};
}

// The largest unit of which there is at least one.
template <typename Units>
std::string InUnits(double value, const Units& units) {
  const Unit* best = nullptr;
  for (const Unit& unit : units) {
    if (best != nullptr && unit.value <= best->value) continue;
    if (best == nullptr || value >= unit.value) best = &unit;
  }
  return absl::StrCat(ShortestDecimal(value / best->value), best->name);
}

// Uniform over (0, 1].
double Unit01(Random& random) {
  return static_cast<double>((random.Next() >> 11) + 1) * 0x1p-53;
}

}  // namespace

absl::StatusOr<absl::Duration> ParseTime(absl::string_view text) {
  const std::optional<double> seconds = WithUnit(text, kTimes);
  if (!seconds.has_value() || *seconds < 0 ||
      *seconds > absl::ToDoubleSeconds(kLongest)) {
    return Bad(text, absl::StrCat(kTimeExpected, ", at most a year"));
  }
  return absl::Seconds(*seconds);
}

std::string TimeText(absl::Duration time) {
  if (time == absl::ZeroDuration()) return "0s";
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(time);
  std::pair<int64_t, absl::string_view> best{1, "ns"};
  for (const auto& unit : {std::pair<int64_t, absl::string_view>{1000, "us"},
                           {1'000'000, "ms"},
                           {1'000'000'000, "s"}}) {
    if (nanoseconds >= unit.first) best = unit;
  }
  return absl::StrCat(ShortestDecimal(static_cast<double>(nanoseconds) /
                                      static_cast<double>(best.first)),
                      best.second);
}

absl::StatusOr<StepTime> StepTime::Parse(absl::string_view text) {
  const std::string expected =
      "the time of a step: 20ms, lognormal:MEDIAN:SIGMA as in "
      "lognormal:20ms:0.5, or uniform:A:B as in uniform:10ms:30ms";
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  StepTime step;
  const size_t place = parts.size() == 1 ? 0 : 1;
  const absl::StatusOr<absl::Duration> low = ParseTime(parts[place]);
  if (!low.ok() || *low <= absl::ZeroDuration()) return Bad(text, expected);
  step.low = *low;
  if (parts.size() == 1) return step;
  if (parts.size() != 3) return Bad(text, expected);
  if (parts[0] == "lognormal") {
    const std::optional<double> sigma = Number(parts[2]);
    if (!sigma.has_value() || *sigma < 0 || *sigma > 5) {
      return Bad(text, absl::StrCat(expected, ", where SIGMA is 0 to 5"));
    }
    step.kind = kLognormal;
    step.sigma = *sigma;
    return step;
  }
  const absl::StatusOr<absl::Duration> high = ParseTime(parts[2]);
  if (parts[0] != "uniform" || !high.ok() || *high < *low) {
    return Bad(text, absl::StrCat(expected, ", where A is at most B"));
  }
  step.kind = kUniform;
  step.high = *high;
  return step;
}

std::string StepTime::Text() const {
  if (kind == kLognormal) {
    return absl::StrCat("lognormal:", TimeText(low), ":",
                        ShortestDecimal(sigma));
  }
  if (kind == kUniform) {
    return absl::StrCat("uniform:", TimeText(low), ":", TimeText(high));
  }
  return TimeText(low);
}

absl::Duration StepTime::Draw(Random& random) const {
  const double u = Unit01(random);
  const double v = Unit01(random);
  switch (kind) {
    case kConstant:
      return low;
    case kUniform:
      return low + (high - low) * u;
    case kLognormal: {
      // Box and Muller 1958: normal, from two that are uniform.
      const double normal =
          std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
      return low * std::exp(sigma * normal);
    }
  }
  return low;
}

absl::StatusOr<Rate> Rate::Parse(absl::string_view text) {
  if (text == "none") return Rate{};
  const std::optional<double> rate = WithUnit(text, kRates);
  if (!rate.has_value() || *rate < 1) {
    return Bad(text,
               "a rate above 0, as in 10gbit, 500mbit or 2gbyte (a second), or "
               "none for no limit");
  }
  return Rate{*rate};
}

std::string Rate::Text() const {
  if (std::isinf(bytes_per_s)) return "none";
  const std::array<Unit, 3> bits = {kRates[0], kRates[1], kRates[2]};
  return InUnits(bytes_per_s, bits);
}

absl::Duration Rate::TimeOf(int64_t bytes) const {
  if (std::isinf(bytes_per_s)) return absl::ZeroDuration();
  return absl::Seconds(static_cast<double>(bytes) / bytes_per_s);
}

absl::StatusOr<NetworkSpec> NetworkSpec::Parse(absl::string_view text) {
  const std::string expected =
      "RATE:LATENCY of every machine's port, as in 10gbit:100us";
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  if (parts.size() != 2) return Bad(text, expected);
  const absl::StatusOr<Rate> rate = Rate::Parse(parts[0]);
  const absl::StatusOr<absl::Duration> latency = ParseTime(parts[1]);
  if (!rate.ok()) {
    return Bad(text,
               absl::StrCat(expected, ": RATE ", rate.status().message()));
  }
  if (!latency.ok()) {
    return Bad(
        text, absl::StrCat(expected, ": LATENCY ", latency.status().message()));
  }
  return NetworkSpec{*rate, *latency};
}

std::string NetworkSpec::Text() const {
  return absl::StrCat(rate.Text(), ":", TimeText(latency));
}

absl::StatusOr<Stragglers> Stragglers::Parse(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  if (parts.size() == 2) {
    absl::string_view times = parts[1];
    absl::ConsumeSuffix(&times, "x");
    const std::optional<double> fraction = Number(parts[0]);
    const std::optional<double> factor = Number(times);
    if (fraction.has_value() && factor.has_value() && *fraction >= 0 &&
        *fraction <= 1 && *factor >= 1 && *factor <= 1e6) {
      return Stragglers{*fraction, *factor};
    }
  }
  return Bad(text,
             "FRACTION:FACTORx, a part of the workers from 0 to 1 and how many "
             "times as long they take, from 1 to 1000000, as in 0.01:10x");
}

std::string Stragglers::Text() const {
  return absl::StrCat(ShortestDecimal(fraction), ":", ShortestDecimal(factor),
                      "x");
}

absl::StatusOr<CrashRate> CrashRate::Parse(absl::string_view text) {
  absl::string_view number = text;
  absl::ConsumeSuffix(&number, "/epoch");
  const std::optional<double> rate = Number(number);
  if (!rate.has_value() || *rate < 0 || *rate > 1) {
    return Bad(text,
               "P/epoch, how often a worker crashes in an epoch of its own, "
               "from 0 to 1, as in 0.001/epoch");
  }
  return CrashRate{*rate};
}

std::string CrashRate::Text() const {
  return absl::StrCat(ShortestDecimal(per_epoch), "/epoch");
}

absl::StatusOr<GradientKind> GradientKind::Parse(absl::string_view text) {
  if (text == "real") return GradientKind{};
  absl::string_view count = text;
  if (absl::ConsumePrefix(&count, "quadratic")) {
    if (count.empty()) return GradientKind{.is_quadratic = true};
    int64_t parameters = 0;
    if (absl::ConsumePrefix(&count, ":") &&
        absl::SimpleAtoi(count, &parameters) && parameters >= 1 &&
        parameters <= (int64_t{1} << 32)) {
      return GradientKind{.is_quadratic = true, .parameters = parameters};
    }
  }
  return Bad(text,
             "real, quadratic (as many parameters as the model), or "
             "quadratic:COUNT with 1 to 2^32 parameters");
}

std::string GradientKind::Text() const {
  if (!is_quadratic) return "real";
  return parameters == 0 ? "quadratic" : absl::StrCat("quadratic:", parameters);
}

absl::Duration LeaseOf(const SimulationSpec& spec) {
  return std::max(spec.restart, absl::Seconds(1));
}

}  // namespace monsoon
