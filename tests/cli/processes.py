# SPDX-License-Identifier: Apache-2.0
"""Real processes for tests: started with a mark in their environment, which
their children inherit, so that whatever is left of them is found."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

DEADLINE = 120  # seconds; generous, for machines that do other things too


def wait_for(what, condition, deadline=DEADLINE):
    """The first true value of condition(); an error after the deadline."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline} s for {what}")
        time.sleep(0.02)


class Program:
    """A program that runs in a session, and with a folder, of its own."""

    def __init__(self, arguments, folder):
        self.folder = Path(folder)
        self.mark = f"MONSOON_TEST_MARK={uuid.uuid4()}"
        name, value = self.mark.split("=")
        # Files, not pipes: a child that is left over would keep those open.
        self._out = tempfile.TemporaryFile("w+")
        self._err = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            arguments, stdout=self._out, stderr=self._err,
            stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, name: value})

    def running(self, *words):
        """Processes of this program whose command line has all the words."""
        found = []
        for path in Path("/proc").iterdir():
            if not path.name.isdigit():
                continue
            try:
                environment = (path / "environ").read_bytes().decode()
                command = (path / "cmdline").read_bytes().decode()
            except OSError:
                continue  # it has ended meanwhile, or is somebody else's
            if self.mark in environment.split("\0") and all(
                    word in command for word in words):
                found.append(int(path.name))
        return found

    def kill(self, *words, number=signal.SIGKILL):
        """Signals the one process with these words; its pid."""
        (pid,) = self.running(*words)
        os.kill(pid, number)
        return pid

    def threads_that_take(self, number, *words):
        """Of the one process with these words: those that have the signal not
        blocked."""
        (pid,) = self.running(*words)
        takes = []
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue  # the thread has ended meanwhile
            blocked = re.search(r"SigBlk:\s*(\w+)", text).group(1)
            if not int(blocked, 16) >> (number - 1) & 1:
                takes.append(int(status.parent.name))
        return pid, takes

    def end(self):
        """Kills what is left of it, for a test that has failed."""
        for pid in self.running():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # its parent's death was its own
        self.process.wait()

    def wait_until_training(self):
        wait_for("the first samples", lambda: any(
            json.loads(line)["samples"] > 0
            for path in self.folder.rglob("metrics.jsonl")
            for line in path.read_text().splitlines(keepends=True)
            if line.endswith("\n")))

    def finish(self, deadline=DEADLINE):
        """Waits for the end: exit code, stdout, stderr."""
        try:
            self.code = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.end()
            raise
        self.out, self.err = map(self._read, (self._out, self._err))
        return self

    @staticmethod
    def _read(file):
        with file:
            file.seek(0)
            return file.read()

    def summary(self):
        """The last line of stdout."""
        return json.loads(self.out.splitlines()[-1])
