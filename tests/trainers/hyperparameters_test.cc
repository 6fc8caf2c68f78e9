// SPDX-License-Identifier: Apache-2.0
#include "trainers/hyperparameters.h"

#include <catch2/catch.hpp>
#include <string>

namespace monsoon {
namespace {

using Given = std::map<std::string, std::string>;

// A trainer's questions: one of each type.
struct Answers {
  explicit Answers(Given given, const JobFacts& facts = {})
      : hyper(std::move(given), facts),
        window(hyper.Count("window", 12, 1, "steps")),
        alpha(hyper.Number("alpha", 0.9 / hyper.facts().workers,
                           {.min = 0, .max = 1, .min_open = true}, "rate")),
        drop(hyper.Toggle("drop", false, "whether")),
        form(hyper.Choice("form", "gradient", {"gradient", "delta"}, "what")) {}

  Hyperparameters hyper;
  int64_t window;
  double alpha;
  bool drop;
  std::string form;
};

std::string ErrorFor(Given given) {
  const Answers answers(std::move(given));
  const absl::Status status = answers.hyper.Check("trainer toy");
  REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST_CASE("A key that is not given has its default") {
  const Answers answers({});
  CHECK(answers.hyper.Check("trainer toy").ok());
  CHECK(answers.window == 12);
  CHECK(answers.alpha == 0.9);
  CHECK_FALSE(answers.drop);
  CHECK(answers.form == "gradient");
}

TEST_CASE("A default may depend on the job") {
  const Answers answers({}, {.workers = 4});
  CHECK(answers.alpha == 0.9 / 4);
  CHECK(answers.hyper.declared()[1].fallback == "0.225");
}

TEST_CASE("Given values of every type are read") {
  const Answers answers({{"window", "3"},
                         {"alpha", "0.125"},
                         {"drop", "true"},
                         {"form", "delta"}});
  CHECK(answers.hyper.Check("trainer toy").ok());
  CHECK(answers.window == 3);
  CHECK(answers.alpha == 0.125);
  CHECK(answers.drop);
  CHECK(answers.form == "delta");
  CHECK(answers.hyper.resolved() == Given{{"window", "3"},
                                          {"alpha", "0.125"},
                                          {"drop", "true"},
                                          {"form", "delta"}});
}

TEST_CASE("Declared keys keep their order, type, range, help and value") {
  const Answers answers(Given{{"window", "3"}});
  const auto& declared = answers.hyper.declared();
  REQUIRE(declared.size() == 4);
  CHECK(declared[0].key == "window");
  CHECK(declared[0].type == "count");
  CHECK(declared[0].fallback == "12");
  CHECK(declared[0].value == "3");
  CHECK(declared[0].help == "steps");
  CHECK(declared[1].type == "number");
  CHECK(declared[1].accepted == "above 0, at most 1");
  CHECK(declared[2].type == "flag");
  CHECK(declared[3].accepted == "one of gradient, delta");
}

TEST_CASE("Values in force read back as the same floats") {
  for (int workers : {3, 7, 11, 13}) {
    const Answers here({}, {.workers = workers});
    const Answers there(here.hyper.resolved());
    CHECK(static_cast<float>(there.alpha) == static_cast<float>(here.alpha));
  }
  const Answers here(Given{{"alpha", "0.1234567891"}});
  const Answers there(here.hyper.resolved());
  CHECK(static_cast<float>(there.alpha) == 0.1234567891f);
}

TEST_CASE("A bad value is refused with key, value and what is accepted") {
  CHECK_THAT(ErrorFor({{"window", "0"}}),
             Catch::Contains("window=0") && Catch::Contains("1 or more"));
  CHECK_THAT(ErrorFor({{"window", "2.5"}}), Catch::Contains("window=2.5"));
  CHECK_THAT(ErrorFor({{"window", "many"}}), Catch::Contains("whole number"));
  CHECK_THAT(ErrorFor({{"alpha", "0"}}), Catch::Contains("above 0"));
  CHECK_THAT(ErrorFor({{"alpha", "1.5"}}), Catch::Contains("at most 1"));
  CHECK_THAT(ErrorFor({{"alpha", "nan"}}), Catch::Contains("alpha=nan"));
  CHECK_THAT(ErrorFor({{"drop", "perhaps"}}), Catch::Contains("true or false"));
  CHECK_THAT(ErrorFor({{"form", "gradent"}}),
             Catch::Contains("did you mean \"gradient\""));
}

TEST_CASE("The closed end of a range is accepted") {
  CHECK(Answers(Given{{"alpha", "1"}}).hyper.Check("trainer toy").ok());
  CHECK(Answers(Given{{"window", "1"}}).hyper.Check("trainer toy").ok());
}

TEST_CASE("A key that nobody asked for is refused with the nearest one") {
  CHECK_THAT(ErrorFor({{"windw", "3"}}),
             Catch::Contains("trainer toy") && Catch::Contains("windw") &&
                 Catch::Contains("did you mean \"window\""));
  Hyperparameters none({{"window", "3"}}, {});
  CHECK_THAT(std::string(none.Check("trainer single").message()),
             Catch::Contains("trainer single has no keys"));
}

}  // namespace
}  // namespace monsoon
