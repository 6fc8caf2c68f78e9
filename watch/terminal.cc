// SPDX-License-Identifier: Apache-2.0
#include "watch/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace monsoon {
namespace {

constexpr char kHideCursor[] = "\x1b[?25l";
constexpr char kShowCursor[] = "\x1b[?25h";
constexpr char kEraseToEndOfLine[] = "\x1b[K";
constexpr char kEraseBelow[] = "\x1b[J";
constexpr size_t kMostWaiting = 64 << 10;  // bytes of printed lines

TerminalSize StderrSize() {
  winsize size = {};
  TerminalSize found;
  // A terminal over a plain line knows none, and says 0.
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0) return found;
  if (size.ws_col > 0) found.columns = size.ws_col;
  if (size.ws_row > 0) found.rows = size.ws_row;
  return found;
}

}  // namespace

Terminal StderrTerminal() {
  return {.size = StderrSize,
          .is_ready =
              [] {
                pollfd stderr_now = {.fd = STDERR_FILENO, .events = POLLOUT};
                return ::poll(&stderr_now, 1, 0) == 1 &&
                       (stderr_now.revents & POLLOUT) != 0;
              },
          .write =
              [](absl::string_view text) {
                std::fwrite(text.data(), 1, text.size(), stderr);
                std::fflush(stderr);
              }};
}

TerminalWish WishOf(const std::function<const char*(const char*)>& environment,
                    bool is_terminal) {
  const auto value = [&environment](const char* name) {
    const char* found = environment(name);
    return std::string(found == nullptr ? "" : found);
  };
  TerminalWish wish;
  const std::string term = value("TERM");
  wish.is_live = is_terminal && !term.empty() && term != "dumb";
  std::string locale = value("LC_ALL");
  if (locale.empty()) locale = value("LC_CTYPE");
  if (locale.empty()) locale = value("LANG");
  locale = absl::AsciiStrToLower(locale);
  wish.utf8 =
      absl::StrContains(locale, "utf-8") || absl::StrContains(locale, "utf8");
  const std::string force = value("CLICOLOR_FORCE");
  const bool is_forced = !force.empty() && force != "0";
  wish.colour = value("NO_COLOR").empty() &&
                (is_forced || (wish.is_live && value("CLICOLOR") != "0"));
  int columns = 0;
  if (absl::SimpleAtoi(value("COLUMNS"), &columns)) {
    wish.columns = std::max(0, columns);
  }
  wish.footer = value("MONSOON_PROGRESS_FOOTER");
  return wish;
}

TerminalWish StderrWish() {
  return WishOf([](const char* name) { return std::getenv(name); },
                ::isatty(STDERR_FILENO) == 1);
}

LiveBlock::~LiveBlock() {
  absl::MutexLock lock(&mu_);
  if (!waiting_.empty()) terminal_.write(waiting_);
}

std::string LiveBlock::ToTop() const {
  if (lines_.empty()) return "\r";
  const TerminalSize size = terminal_.size();
  const int columns = std::max(1, size.columns);
  int rows = 0;
  for (const PanelLine& line : lines_) {
    rows += std::max(1, (line.columns + columns - 1) / columns);
  }
  // What has left the screen upwards cannot be reached any more.
  rows = std::min(rows, std::max(0, size.rows - 1));
  return rows > 0 ? absl::StrCat("\x1b[", rows, "A\r") : "\r";
}

std::string LiveBlock::Text() const {
  std::string text;
  for (const PanelLine& line : lines_) {
    absl::StrAppend(&text, line.text, kEraseToEndOfLine, "\n");
  }
  return text;
}

void LiveBlock::Draw(std::vector<PanelLine> lines) {
  absl::MutexLock lock(&mu_);
  if (lines_.empty() && lines.empty()) return;
  if (!terminal_.is_ready()) return;
  std::string text = absl::StrCat(kHideCursor, ToTop());
  if (!waiting_.empty()) {
    absl::StrAppend(&text, kEraseBelow, std::exchange(waiting_, ""));
  }
  lines_ = std::move(lines);
  absl::StrAppend(&text, Text(), kEraseBelow, kShowCursor);
  terminal_.write(text);
}

void LiveBlock::Print(absl::string_view line) {
  absl::MutexLock lock(&mu_);
  if (waiting_.size() < kMostWaiting) absl::StrAppend(&waiting_, line, "\n");
  if (!terminal_.is_ready()) return;
  terminal_.write(absl::StrCat(kHideCursor, ToTop(), kEraseBelow,
                               std::exchange(waiting_, ""), Text(),
                               kShowCursor));
}

}  // namespace monsoon
