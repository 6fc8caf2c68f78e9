# SPDX-License-Identifier: Apache-2.0
"""A terminal of a given size, and what it shows: a tmux server of its own, with
a shell that nobody has configured."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from processes import wait_for


class Screen:
    """One window. Close it, or use it in a `with`."""

    def __init__(self, columns, rows, **environment):
        if shutil.which("tmux") is None:
            raise RuntimeError("no tmux; deploy/apt-packages.txt has it")
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._socket = str(Path(self._folder.name) / "socket")
        unwanted = ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES",
                    "TMUX", "LC_CTYPE")
        self._environment = {
            **{name: value for name, value in os.environ.items()
               if name not in unwanted},
            "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment}
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns),
                   "-y", str(rows), "env", "PS1=prompt> ", "/bin/sh")
        try:
            self.wait("the prompt", lambda: self.lines() == ["prompt>"])
        except AssertionError:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the server, and with it what still runs in the window."""
        self._tmux("kill-server", check=False)
        self._folder.cleanup()

    def _tmux(self, *arguments, check=True):
        return subprocess.run(["tmux", "-u", "-S", self._socket, *arguments],
                              env=self._environment, check=check, text=True,
                              capture_output=True).stdout

    def wait(self, what, condition, deadline=60):
        try:
            return wait_for(what, condition, deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n" +
                                 "\n".join(self.lines())) from None

    def type(self, line):
        """Types a line and Enter."""
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")

    def press(self, key):
        """A key as tmux calls it: "C-c"."""
        self._tmux("send-keys", key)

    def resize(self, columns, rows):
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def lines(self, history=False, escapes=False):
        """What it shows, without what is empty at the end; with all that has
        left it upwards; with the escape sequences of colours."""
        arguments = ["capture-pane", "-p"]
        if history:
            arguments += ["-S", "-"]
        if escapes:
            arguments += ["-e"]
        shown = self._tmux(*arguments).rstrip("\n").split("\n")
        return [line.rstrip() for line in shown]

    def cursor(self):
        """Column, row (from 0), and whether it is shown."""
        told = self._tmux("display-message", "-p",
                          "#{cursor_x} #{cursor_y} #{cursor_flag}").split()
        return int(told[0]), int(told[1]), told[2] == "1"
