# SPDX-License-Identifier: Apache-2.0
"""The panel of a running job on a real terminal.

    panel_test.py FOLDER_OF_THE_BINARIES
"""

import re
import sys
import tempfile
import unittest
from pathlib import Path

from terminal_screen import Screen

BINARIES = Path(sys.argv.pop()).resolve()
HEAD = re.compile(r"^downpour +mlp:20 +epoch \d+/\d+ +[\d.]+%  ")
BAR = re.compile(r"^\[#*-*\] +[\d.]+%$")


class PanelTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.runs = 0

    def screen(self, columns=120, rows=30, **environment):
        screen = Screen(columns, rows, **environment)
        self.addCleanup(screen.close)
        return screen

    def start(self, screen, command, epochs, *arguments, before=""):
        """On an empty screen; "before" stands in front of the command."""
        self.runs += 1
        screen.type(" ".join([
            "clear;", before, str(BINARIES / "monsoon"), command,
            "--model mlp:20 --batch-size 128 --workers 2 --trainer downpour",
            f"--epochs {epochs} --out {self.folder}/{self.runs}", *arguments]))

    def wait_for_end(self, screen):
        screen.wait("the end", lambda: (
            len(screen.lines()) > 2 and screen.lines()[-1] == "prompt>"))
        return screen.lines()

    def count(self, pattern, lines):
        return sum(bool(re.search(pattern, line)) for line in lines)

    def wait_for_panel(self, screen):
        """Until both workers have a rate."""
        screen.wait("the panel", lambda: self.count(
            r"^ +1 +[\d,]+ .* ok$", screen.lines()) >= 1)

    def assert_one_panel(self, lines, servers, workers):
        """Every line of it once, in order, and nothing between them."""
        (top,) = [i for i, line in enumerate(lines) if HEAD.search(line)]
        patterns = [r"^downpour ", r"^loss \d\.\d+ +[▁▂▃▄▅▆▇█]+  ", "^server "]
        patterns += [rf"^ +{i} +[\d,]+ .* ok$" for i in range(servers)]
        patterns += ["^worker "]
        patterns += [rf"^ +{i} +([\d,]+|-) .*(ok|done|slow|stalled)"
                     for i in range(workers)]
        patterns += [BAR.pattern]
        for line, pattern in zip(lines[top:], patterns):
            self.assertRegex(line, pattern, "\n".join(lines))
        for pattern in (HEAD, "^loss ", "^server ", "^worker ", BAR):
            self.assertEqual(self.count(pattern, lines), 1, "\n".join(lines))
        return top + len(patterns)

    def assert_ended(self, screen, command):
        """The panel is there once, the result below it, the prompt below that,
        and the cursor behind the prompt."""
        lines = self.wait_for_end(screen)
        x, y, is_shown = screen.cursor()
        self.assertEqual((x, y, is_shown), (8, len(lines) - 1, True))
        below = self.assert_one_panel(lines, 1 if command == "train" else 2, 2)
        self.assertRegex(lines[below], r"^downpour done: ", "\n".join(lines))
        self.assertEqual(self.count("^run folder: ", lines[below:]), 1)
        self.assertIn("100.0%", lines[below - 1])

    def test_train_stays_whole_through_a_resize(self):
        screen = self.screen()
        self.start(screen, "train", 1000)
        self.wait_for_panel(screen)
        below = self.assert_one_panel(screen.lines(), 1, 2)
        self.assertTrue(all(len(line) < 120 for line in screen.lines()))
        self.assertEqual(screen.cursor()[:2], (0, below))
        screen.resize(60, 15)
        screen.wait("a narrow panel", lambda: [
            line for line in screen.lines() if BAR.search(line)
            and len(line) < 60])
        self.assert_one_panel(screen.lines(), 1, 2)
        screen.resize(45, 5)
        screen.wait("a low panel", lambda: len(screen.lines()) == 3)
        self.assertRegex(screen.lines()[0], "^downpour +")
        self.assertRegex(screen.lines()[2], BAR)
        screen.resize(100, 2)
        screen.wait("one line", lambda: self.count(
            r"^downpour .* samples/s  loss ", screen.lines()) == 1)
        screen.resize(120, 30)
        screen.wait("the panel again", lambda: self.count(
            BAR, screen.lines()) == 1)
        screen.press("C-c")
        lines = self.wait_for_end(screen)
        self.assertEqual(self.count("^(monsoon train: |downpour )interrupted: ",
                                    lines), 2, "\n".join(lines))
        self.assertTrue(screen.cursor()[2])

    def test_train_ends_with_its_last_state(self):
        screen = self.screen()
        self.start(screen, "train", 6)
        self.assert_ended(screen, "train")

    def test_launch_ends_with_its_last_state(self):
        screen = self.screen()
        self.start(screen, "launch", 6, "--servers 2")
        self.assert_ended(screen, "launch")

    def test_the_cursor_is_below_all_the_time(self):
        screen = self.screen()
        self.start(screen, "train", 1000)
        self.wait_for_panel(screen)
        below = len(screen.lines())
        # Whatever ends it now: the cursor is below the panel, and is shown.
        self.assertEqual(screen.cursor()[:2], (0, below))
        screen.wait("the cursor", lambda: screen.cursor()[2])

    def test_colours_and_characters_only_where_they_are_wanted(self):
        for environment, coloured in (({}, True), ({"NO_COLOR": "1", "LC_ALL": "C"}, False)):
            screen = self.screen(**environment)
            self.start(screen, "train", 1000)
            self.wait_for_panel(screen)
            text = "\n".join(screen.lines(escapes=True))
            self.assertEqual("\x1b[" in text, coloured, repr(text))
            self.assertEqual("\x1b[32mok" in text, coloured)
            self.assertEqual(text.isascii(), not coloured)  # by the locale
            screen.close()

    def test_plain_lines_elsewhere(self):
        screen = self.screen()
        error = self.folder / "stderr"
        self.start(screen, "train", 2, f"2>{error}")
        self.assertEqual(self.count("^trainer=", self.wait_for_end(screen)), 0)
        self.assertNotIn("\x1b", error.read_text())
        self.assertRegex(error.read_text(),
                         r"^trainer=downpour epoch=2/2 samples=")
        for before, argument in (("TERM=dumb", ""), ("", "--progress lines")):
            self.start(screen, "train", 2, argument, before=before)
            lines = self.wait_for_end(screen)
            self.assertGreaterEqual(
                self.count(r"^trainer=downpour epoch=2/2 ", lines), 1,
                "\n".join(lines))
            self.assertEqual(self.count(BAR, lines), 0)

    def test_a_footer_is_the_last_line_and_the_panel_vanishes(self):
        screen = self.screen(MONSOON_PROGRESS_FOOTER="bench 3/48\x1b[31m eta 1:00")
        self.start(screen, "train", 12)
        self.wait_for_panel(screen)
        self.assertEqual(screen.lines()[-1], "bench 3/48[31m eta 1:00")
        lines = self.wait_for_end(screen)
        self.assertRegex(lines[0], "^downpour done: ", "\n".join(lines))
        self.assertEqual(self.count(BAR, lines), 0)


if __name__ == "__main__":
    unittest.main()
