// SPDX-License-Identifier: Apache-2.0
#include "base/spelling.h"

#include <catch2/catch.hpp>

namespace monsoon {
namespace {

const std::vector<std::string> kNames = {"adag", "aeasgd", "downpour",
                                         "single"};

TEST_CASE("The nearest spelling is found through one slip of the finger") {
  CHECK(NearestSpelling("adga", kNames) == "adag");         // exchanged
  CHECK(NearestSpelling("downpor", kNames) == "downpour");  // missing
  CHECK(NearestSpelling("singgle", kNames) == "single");    // twice
  CHECK(NearestSpelling("aeasgf", kNames) == "aeasgd");     // another
  CHECK(NearestSpelling("adag", kNames) == "adag");
}

TEST_CASE("A word that is not near to any has no nearest spelling") {
  CHECK(NearestSpelling("transformer", kNames).empty());
  CHECK(NearestSpelling("", kNames).empty());
  CHECK(NearestSpelling("adag", {}).empty());
}

TEST_CASE("An unknown name is reported with the accepted ones") {
  CHECK(UnknownName("trainer", "adga", {"adag", "aeasgd"}) ==
        "unknown trainer \"adga\"; accepted: adag, aeasgd; did you mean "
        "\"adag\"?");
  CHECK(UnknownName("model", "xyzzy-42", {"cnn", "mlp"}) ==
        "unknown model \"xyzzy-42\"; accepted: cnn, mlp");
}

}  // namespace
}  // namespace monsoon
