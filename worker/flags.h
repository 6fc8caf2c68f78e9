// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/filesystem.h"
#include "worker/options.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's name
class App;
}

namespace monsoon {

// The flags that `monsoon train`, `launch`, `bench` and `monsoon-worker` share.
// A caller makes a CLI::App, adds these and its own, and reads:
//
//   Flags flags;
//   AddFlags(app, flags);
//   RETURN_IF_ERROR(ReadFlags(app, argc, argv, RealFileSystem(), flags));
//   if (!flags.help.empty()) ...print it, done...
//   RETURN_IF_ERROR(ResolveOptions(flags.options));
struct Flags {
  Options options;    // as given by flags and --config; not yet resolved
  bool json = false;  // the last line on stdout is the summary
  std::string help;   // the text of --help, if that was asked

  // As typed, on the way into `options`.
  std::map<std::string, std::string> texts, switches;
  std::vector<std::string> set;
  std::string config;
};

// Adds every shared flag to `app` except those named in `without`, which the
// caller defines in its own way. `flags` outlives the parsing.
void AddFlags(CLI::App& app, Flags& flags,
              const std::vector<std::string>& without = {});

// Parses argv (argv[0] is skipped), then reads the --config file, over which
// flags win. INVALID_ARGUMENT names flag or file:line, value, accepted.
absl::Status ReadFlags(CLI::App& app, int argc, const char* const* argv,
                       FileSystem& files, Flags& flags);

// Says on stderr, in the name of `program`, what WarningsOf(options) has.
void PrintWarnings(const std::string& program, const Options& options);

}  // namespace monsoon
