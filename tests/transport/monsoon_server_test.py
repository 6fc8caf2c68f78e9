# SPDX-License-Identifier: Apache-2.0
"""The process monsoon-server: flags, ports, signals, exit codes.

Usage: monsoon_server_test.py SERVER_BINARY
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SERVER = sys.argv[1]


def run(*flags):
    return subprocess.run([SERVER, *flags], capture_output=True, text=True,
                          timeout=10)


class Running:
    """A server on a free port, until the end of the block."""

    def __init__(self, *flags):
        self.flags = flags

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        port_file = os.path.join(self.folder.name, "port")
        self.process = subprocess.Popen(
            [SERVER, *self.flags, "--port-file", port_file],
            stderr=subprocess.PIPE, text=True)
        self.line = self.process.stderr.readline()
        deadline = time.monotonic() + 10
        while not os.path.exists(port_file) and time.monotonic() < deadline:
            time.sleep(0.01)
        with open(port_file) as file:
            self.port = int(file.read())
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.folder.cleanup()


class ServerProcessTest(unittest.TestCase):

    def test_version(self):
        result = run("--version")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout,
                         r"\Amonsoon-server \d+\.\d+\.\d+\ncuda: none\n\Z")

    def test_bad_flags_are_exit_2_with_what_is_accepted(self):
        for flags, words in [
                (["--lisen", "127.0.0.1:0"], ['"--lisen"', '"--listen"?']),
                (["--listen", "7001"], ["--listen", '"7001"', "HOST:PORT"]),
                (["--listen", "::1:7001"], ["--listen", "[::1]:7001"]),
                (["--listen", "127.0.0.1:70000"], ["--listen", "65535"]),
                (["--advertise", "here"], ["--advertise", '"here"']),
                (["--listen"], ["--listen", "HOST:PORT"]),
                (["--lease", "0"], ["--lease", "0.1"]),
                (["stray"], ["stray"])]:
            with self.subTest(flags):
                result = run(*flags)
                self.assertEqual(result.returncode, 2)
                self.assertEqual(result.stdout, "")
                self.assertEqual(len(result.stderr.splitlines()), 1)
                for word in words:
                    self.assertIn(word, result.stderr)

    def test_a_taken_port_is_exit_1_at_once(self):
        for host in ["127.0.0.1", "0.0.0.0"]:
            with Running("--listen", host + ":0") as server:
                start = time.monotonic()
                result = run("--listen", "127.0.0.1:%d" % server.port)
                self.assertLess(time.monotonic() - start, 3)
                self.assertEqual(result.returncode, 1)
                self.assertEqual(len(result.stderr.splitlines()), 1)
                for word in [":%d" % server.port, "taken", "ss -ltnp",
                             "--listen"]:
                    self.assertIn(word, result.stderr)

    def test_signals_end_it_cleanly(self):
        for number in [signal.SIGINT, signal.SIGTERM]:
            with Running("--listen", "127.0.0.1:0") as server:
                server.process.send_signal(number)
                self.assertEqual(server.process.wait(5), 128 + number)
                self.assertEqual(server.process.stderr.read(), "")

    def test_it_says_where_it_listens_and_what_workers_should_give(self):
        for flags, listens, advertises in [
                (["--listen", "127.0.0.1:0"], "127.0.0.1:{}", "127.0.0.1:{}"),
                (["--listen", "0.0.0.0:0"], "0.0.0.0:{}",
                 socket.gethostname() + ":{}"),
                (["--listen", "0.0.0.0:0", "--advertise", "node-3:7001"],
                 "0.0.0.0:{}", "node-3:7001"),
                (["--listen", "0.0.0.0:0", "--advertise", "[fe80::1]:0"],
                 "0.0.0.0:{}", "[fe80::1]:{}")]:
            with Running(*flags) as server:
                self.assertEqual(
                    server.line,
                    "monsoon-server: listening on %s (workers use --servers "
                    "%s)\n" % (listens.format(server.port),
                               advertises.format(server.port)))

    def test_a_port_file_that_cannot_be_written_is_an_error(self):
        result = run("--listen", "127.0.0.1:0", "--port-file", "/no/such/file")
        self.assertEqual(result.returncode, 1)
        self.assertIn("/no/such/file", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
