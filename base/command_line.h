// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's name
class App;
}

namespace monsoon {

// Reads a command line into `app`; argv[0] is skipped. INVALID_ARGUMENT names
// the flag, what was found and what is accepted, with the nearest spelling of
// an unknown flag. When --help was asked, `help` gets the text to print and
// nothing else is to be done; else it is empty. The one place where CLI11's
// exceptions are caught.
absl::Status ParseCommandLine(CLI::App& app, int argc, const char* const* argv,
                              std::string& help);

// What a process ends with: 0 done, 2 usage or configuration
// (INVALID_ARGUMENT), 3 data missing or corrupt (NOT_FOUND, DATA_LOSS), else 1.
int ExitCode(const absl::Status& status);

// Prints "PROGRAM: error: MESSAGE" on stderr; returns the exit code.
int Fail(absl::string_view program, const absl::Status& status);

}  // namespace monsoon
