# SPDX-License-Identifier: Apache-2.0
"""The programs with --device cuda, on an emulated GPU: real processes, data and
sockets.

    programs_test.py FOLDER_OF_THE_BINARIES
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from processes import Program, wait_for  # pylint: disable=wrong-import-position

BINARIES = Path(sys.argv.pop())
# Of real data, as much as an emulated GPU gets through in a second or two.
JOB = ["--model", "mlp:32", "--batch-size", "500", "--epochs", "1", "--lr", "0.05"]


def monsoon(*arguments, environment=None):
    return subprocess.run([BINARIES / "monsoon", *arguments], capture_output=True, text=True,
                          timeout=120, check=False, env={**os.environ, **(environment or {})})


class Programs(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def summary(self, name, *arguments):
        done = monsoon(*arguments, "--json", "--out", str(self.folder / name))
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def start(self, name, *arguments, **environment):
        old = {key: os.environ.get(key) for key in environment}
        os.environ.update(environment)
        try:
            program = Program([BINARIES / name, *arguments], self.folder)
        finally:
            for key, value in old.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})
        self.addCleanup(program.end)
        return program

    def test_train_on_both_devices(self):
        single = ["--trainer", "single", "--workers", "1", *JOB]
        there = self.summary("cuda", "train", "--device", "auto", *single)
        here = self.summary("cpu", "train", "--device", "cpu", *single)
        self.assertEqual(there["samples"], 60_000)
        # The order of sums differs, and 120 steps carry it on.
        self.assertAlmostEqual(there["test_loss"], here["test_loss"], delta=1e-3)
        self.assertEqual((there["device"], here["device"]), ("cuda", "cpu"))

    def test_servers_on_a_gpu(self):
        for device in ("cpu", "cuda"):
            summary = self.summary(device, "train", "--device", device, "--server-device", "cuda",
                                   "--trainer", "downpour", "--workers", "2", *JOB)
            self.assertEqual((summary["server_device"], summary["samples"]), ("cuda", 60_000))
            self.assertGreater(summary["test_acc"], 0.5)

    def test_launch(self):
        summary = self.summary(
            "run", "launch", "--device", "cuda", "--trainer", "adag", "--workers", "2",
            "--servers", "2", "--transport", "grpc", "--wire", "int8,bf16", "--overlap", *JOB)
        self.assertEqual((summary["status"], summary["samples"]), ("done", 60_000))
        self.assertGreater(summary["test_acc"], 0.6)

    def test_bench_exchange(self):
        for arguments, limit in [(["--transport", "inproc"], "pcie"),
                                 (["--transport", "inproc", "--wire", "int8"], "pcie"),
                                 (["--transport", "inproc", "--server-device", "cuda",
                                   "--servers", "2", "--workers", "2"], None),
                                 (["--transport", "grpc", "--workers", "2"], "tcp")]:
            with self.subTest(arguments=arguments):
                done = monsoon("bench", "exchange", "--device", "cuda", "--bytes", "400000",
                               "--seconds", "0.3", "--json", *arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                line = json.loads(done.stdout)
                self.assertEqual((line["device"], line["limit"]), ("cuda", limit))
                self.assertGreater(line["pcie_bytes_per_s"], 0)
                if limit is None:
                    self.assertIsNone(line["fraction"])
                else:
                    self.assertAlmostEqual(line["fraction"],
                                           line["bytes_per_s"] / line["limit_bytes_per_s"])

    def test_bench_kernels(self):
        done = monsoon("bench", "kernels", "--device", "cuda", "--model", "mlp:16",
                       "--batch-size", "16", "--seconds", "0.2", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(json.loads(done.stdout)["samples_per_s"], 0)

    def test_a_lost_gpu_ends_its_worker_alone_and_another_takes_its_rank(self):
        port = self.folder / "port"
        server = self.start("monsoon-server", "--listen", "127.0.0.1:0", "--port-file", port,
                            "--lease", "0.5")
        wait_for("the server", port.exists)
        address = f"127.0.0.1:{port.read_text().strip()}"
        job = ["--servers", address, "--workers", "2", "--trainer", "downpour", *JOB,
               "--batch-size", "20", "--epochs", "24"]
        first = self.start("monsoon-worker", "--rank", "0", "--device", "cpu", *job)
        lost = self.start("monsoon-worker", "--rank", "1", "--device", "cuda", *job,
                          MONSOON_EMULATED_REPLAYS="30")
        lost.finish()
        self.assertEqual(lost.code, 1, lost.err)
        self.assertIn("the GPU is lost to this process, start it anew", lost.err)
        self.assertIsNone(first.process.poll(), "the other goes on")
        # As a supervisor would, until the rank is free.
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            again = self.start("monsoon-worker", "--rank", "1", "--device", "cpu", *job)
            again.finish()
            if "is taken by a living worker" not in again.err:
                break
        self.assertEqual(again.code, 0, again.err)
        first.finish()
        self.assertEqual(first.code, 0, first.err)
        self.assertEqual(server.process.poll(), None)


if __name__ == "__main__":
    unittest.main()
