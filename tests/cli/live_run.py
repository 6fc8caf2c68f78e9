# SPDX-License-Identifier: Apache-2.0
"""Runs of monsoon with --http, and what they answer."""

import json
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

from processes import Program, wait_for

LONG = ["--epochs", "100000"]  # nobody waits for its end
JOB = ["--model", "mlp:20", "--trainer", "adag", "--workers", "2", "--seed", "3"]


class LiveRun(Program):
    """A program that serves a live page. It yields to who asks it."""

    def __init__(self, binaries, command, *arguments, folder="."):
        super().__init__(["nice", "-n", "10", binaries / command[0],
                          *command[1:], "--http", "127.0.0.1:0", *arguments],
                         folder)
        self.url = wait_for("the address of the live page", self._url)

    def _url(self):
        text = self.said()
        if self.process.poll() is not None:
            raise AssertionError(text)
        found = re.search(r": live page (http://\S+/)\n", text)
        return found and found.group(1)

    def said(self):
        """On stderr, so far."""
        return Path(f"/proc/self/fd/{self._err.fileno()}").read_text()

    @property
    def port(self):
        return int(self.url.rstrip("/").rsplit(":", 1)[1])

    def get(self, path, method="GET"):
        """Status, headers and body."""
        request = urllib.request.Request(self.url + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return (answer.status, answer.headers,
                        answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def status(self):
        return json.loads(self.get("api/status")[2])

    def wait_until_it_learns(self):
        wait_for("the first samples", lambda: self.get("readyz")[0] == 200)
        wait_for("both workers", lambda: sum(
            worker["samples"] > 0 for worker in self.status()["workers"]) >= 2)

    def events(self):
        """A connection that follows the events; nothing of it is read yet."""
        connection = socket.create_connection(("127.0.0.1", self.port), 60)
        connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: x.localhost\r\n\r\n")
        return connection


def messages(connection):
    """What is left to read of events, to their end."""
    with connection, connection.makefile("r", encoding="utf-8") as lines:
        return [json.loads(line.removeprefix("data: ")) for line in lines
                if line.startswith("data: ")]
