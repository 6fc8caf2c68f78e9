// SPDX-License-Identifier: Apache-2.0
#include "watch/terminal.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "watch/live_panel.h"

namespace monsoon {
namespace {

using Variables = std::map<std::string, std::string>;

TerminalWish Wish(const Variables& variables, bool is_terminal = true) {
  return WishOf(
      [&variables](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      is_terminal);
}

// What was written, and how large the terminal is by now.
struct Screen {
  TerminalSize size;
  bool is_ready = true;
  std::string written;

  Terminal terminal() {
    return {
        .size = [this] { return size; },
        .is_ready = [this] { return is_ready; },
        .write =
            [this](absl::string_view text) { written += std::string(text); }};
  }
  std::string Take() { return std::exchange(written, ""); }
};

constexpr char kHide[] = "\x1b[?25l";
constexpr char kShow[] = "\x1b[?25h";

TEST_CASE("The environment says how a terminal may be used", "[watch]") {
  CHECK(Wish({{"TERM", "xterm"}}).is_live);
  CHECK(Wish({{"TERM", "xterm"}}).colour);
  CHECK_FALSE(Wish({{"TERM", "xterm"}}, false).is_live);
  CHECK_FALSE(Wish({{"TERM", "xterm"}}, false).colour);
  CHECK_FALSE(Wish({{"TERM", "dumb"}}).is_live);
  CHECK_FALSE(Wish({{"TERM", ""}}).is_live);
  CHECK_FALSE(Wish({}).is_live);
  const auto colour = [](Variables variables) {
    variables["TERM"] = "xterm";
    return Wish(variables).colour;
  };
  CHECK_FALSE(colour({{"NO_COLOR", "1"}}));
  CHECK(colour({{"NO_COLOR", ""}}));
  CHECK_FALSE(colour({{"NO_COLOR", "1"}, {"CLICOLOR_FORCE", "1"}}));
  CHECK_FALSE(colour({{"CLICOLOR", "0"}}));
  CHECK(colour({{"CLICOLOR", "0"}, {"CLICOLOR_FORCE", "1"}}));
  CHECK_FALSE(colour({{"CLICOLOR", "0"}, {"CLICOLOR_FORCE", "0"}}));
  // It is for colours alone.
  CHECK_FALSE(Wish({{"CLICOLOR_FORCE", "1"}}, false).is_live);
  CHECK(Wish({{"LANG", "en_US.UTF-8"}}).utf8);
  CHECK(Wish({{"LANG", "C"}, {"LC_CTYPE", "C.utf8"}}).utf8);
  CHECK_FALSE(Wish({{"LANG", "C.UTF-8"}, {"LC_ALL", "POSIX"}}).utf8);
  CHECK_FALSE(Wish({}).utf8);
  CHECK(Wish({{"COLUMNS", "50"}}).columns == 50);
  CHECK(Wish({{"COLUMNS", "-3"}}).columns == 0);
  CHECK(Wish({{"COLUMNS", "wide"}}).columns == 0);
  CHECK(Wish({{"MONSOON_PROGRESS_FOOTER", "2/9"}}).footer == "2/9");
}

TEST_CASE("A block is drawn in its place, line over line", "[watch]") {
  Screen screen;
  LiveBlock block(screen.terminal());
  block.Draw({{"one", 3}, {"two", 3}});
  CHECK(screen.Take() ==
        absl::StrCat(kHide, "\rone\x1b[K\ntwo\x1b[K\n\x1b[J", kShow));
  block.Draw({{"ONE", 3}});
  CHECK(screen.Take() ==
        absl::StrCat(kHide, "\x1b[2A\rONE\x1b[K\n\x1b[J", kShow));
  block.Print("warning");
  CHECK(screen.Take() ==
        absl::StrCat(kHide, "\x1b[1A\r\x1b[Jwarning\nONE\x1b[K\n", kShow));
  block.Erase();
  CHECK(screen.Take() == absl::StrCat(kHide, "\x1b[1A\r\x1b[J", kShow));
  block.Erase();
  CHECK(screen.Take().empty());
  block.Print("later");
  CHECK(screen.Take() == absl::StrCat(kHide, "\r\x1b[Jlater\n", kShow));
}

TEST_CASE("A line for a terminal that was stopped waits for it", "[watch]") {
  std::string taken;
  bool is_ready = true;
  const Terminal terminal{
      .size = [] { return TerminalSize{.columns = 80, .rows = 24}; },
      .is_ready = [&] { return is_ready; },
      .write = [&](absl::string_view text) { absl::StrAppend(&taken, text); }};
  {
    LiveBlock block(terminal);
    block.Draw({{"one", 3}});
    taken.clear();
    is_ready = false;
    block.Print("warning");
    CHECK(taken.empty());
    is_ready = true;
    block.Draw({{"two", 3}});
    CHECK(taken == absl::StrCat(kHide,
                                "\x1b[1A\r\x1b[Jwarning\ntwo\x1b[K\n\x1b[J",
                                kShow));
    taken.clear();
    is_ready = false;
    block.Print("last");
    CHECK(taken.empty());
  }
  CHECK(taken == "last\n");
}

TEST_CASE("A terminal that became narrower has wrapped the lines", "[watch]") {
  Screen screen;
  LiveBlock block(screen.terminal());
  block.Draw({{std::string(70, 'x'), 70}, {"y", 1}, {"", 0}});
  screen.Take();
  screen.size.columns = 30;
  block.Draw({{"z", 1}});  // 3 + 1 + 1 rows
  CHECK(screen.Take() ==
        absl::StrCat(kHide, "\x1b[5A\rz\x1b[K\n\x1b[J", kShow));
  // Of what was wrapped beyond the screen only the rest is there.
  screen.size = {};
  block.Draw(std::vector<PanelLine>(10, {std::string(70, 'x'), 70}));
  screen.Take();
  screen.size = {.columns = 35, .rows = 12};
  block.Draw({{"z", 1}});
  CHECK(screen.Take() ==
        absl::StrCat(kHide, "\x1b[11A\rz\x1b[K\n\x1b[J", kShow));
}

TEST_CASE("A terminal that its user has stopped holds nobody up", "[watch]") {
  Screen screen;
  LiveBlock block(screen.terminal());
  block.Draw({{"one", 3}});
  screen.Take();
  screen.is_ready = false;
  block.Draw({{"two", 3}, {"three", 5}});
  CHECK(screen.Take().empty());
  screen.is_ready = true;
  block.Draw({{"four", 4}});  // over the one line that is there
  CHECK(screen.Take() ==
        absl::StrCat(kHide, "\x1b[1A\rfour\x1b[K\n\x1b[J", kShow));
}

TEST_CASE("A panel stays at the end, one with a footer vanishes", "[watch]") {
  JobView view;
  view.progress.trainer = "adag";
  Screen screen;
  LivePanel panel({.is_live = true, .columns = 20}, screen.terminal());
  panel.See(view, false);
  CHECK(screen.Take().find("adag") != std::string::npos);
  panel.See(view, true);
  CHECK(screen.Take().find("adag") != std::string::npos);
  LivePanel other({.is_live = true, .footer = "2/9"}, screen.terminal());
  other.See(view, false);
  CHECK(screen.Take().find("2/9") != std::string::npos);
  other.See(view, true);
  const std::string last = screen.Take();
  CHECK(last.find("2/9") == std::string::npos);
  CHECK(last.find("\x1b[J") != std::string::npos);
  // No more columns than are asked for, nor than there are.
  LivePanel narrow({.is_live = true, .columns = 200}, screen.terminal());
  screen.size.columns = 10;
  narrow.See(view, false);
  CHECK(screen.Take().find("adag  epo") != std::string::npos);
}

}  // namespace
}  // namespace monsoon
