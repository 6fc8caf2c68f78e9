// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "watch/panel.h"

namespace monsoon {

struct TerminalSize {
  int columns = 80;
  int rows = 24;
};

// A terminal, passed in so that tests can be one.
struct Terminal {
  std::function<TerminalSize()> size;
  // Does it take output at once? Not while its user has stopped it.
  std::function<bool()> is_ready;
  // Writes all of the text at once.
  std::function<void(absl::string_view)> write;
};

Terminal StderrTerminal();

// How a terminal may be used. A value.
struct TerminalWish {
  bool is_live = false;  // it can move its cursor
  bool utf8 = false;
  bool colour = false;
  int columns = 0;     // use no more than these; 0: what it has
  std::string footer;  // MONSOON_PROGRESS_FOOTER
};

// From the environment: TERM (a terminal that is "dumb", or has none, is not
// live), LC_ALL, LC_CTYPE and LANG (the first that is set tells of UTF-8),
// NO_COLOR (where it is set, there are no colours), CLICOLOR=0 (the same,
// unless CLICOLOR_FORCE is set and not 0), COLUMNS, MONSOON_PROGRESS_FOOTER.
TerminalWish WishOf(const std::function<const char*(const char*)>& environment,
                    bool is_terminal);
// Of this process, and stderr.
TerminalWish StderrWish();

// A block of lines at the end of what a terminal shows, drawn anew in its place
// by one write, without erasing it first. The cursor is visible and below the
// block whenever a write has ended. Where the terminal has become narrower it
// is expected to have wrapped the lines that no longer fit. Thread-safe.
class LiveBlock {
 public:
  explicit LiveBlock(Terminal terminal) : terminal_(std::move(terminal)) {}
  // Prints what still waits.
  ~LiveBlock();

  TerminalSize size() const { return terminal_.size(); }
  // Nothing happens while the terminal is not ready.
  void Draw(std::vector<PanelLine> lines);
  // Prints a line above the block, at once or as soon as the terminal is ready:
  // one that was stopped holds nobody up.
  void Print(absl::string_view line);
  // Takes the block away.
  void Erase() { Draw({}); }

 private:
  // Moves the cursor to where the block begins.
  std::string ToTop() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string Text() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Terminal terminal_;
  absl::Mutex mu_;
  std::vector<PanelLine> lines_ ABSL_GUARDED_BY(mu_);  // that are there
  // Printed lines that the terminal has not taken yet, each with its newline.
  std::string waiting_ ABSL_GUARDED_BY(mu_);
};

}  // namespace monsoon
