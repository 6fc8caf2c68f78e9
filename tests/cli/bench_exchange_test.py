# SPDX-License-Identifier: Apache-2.0
"""monsoon bench exchange, as a person and a script meet it.

    bench_exchange_test.py FOLDER_OF_THE_BINARIES
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BINARY = Path(sys.argv.pop()) / "monsoon"
KEYS = ["transport", "bytes", "wire", "workers", "servers", "exchanges", "elapsed_s",
        "bytes_per_s", "params_per_s", "p50_ms", "p99_ms", "cpu_s_per_gb", "limit",
        "limit_bytes_per_s", "fraction", "grpc_echo_bytes_per_s", "empty_call_ms",
        "axpy_bytes_per_s", "memcpy_bytes_per_s", "device",
        "server_device", "pcie_bytes_per_s"]


def exchange(*arguments, environment=None):
    return subprocess.run([BINARY, "bench", "exchange", "--seconds", "0.3", *arguments],
                          capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, **(environment or {})})


class BenchExchange(unittest.TestCase):
    def line(self, *arguments):
        done = exchange("--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        line = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(list(line), KEYS)
        size = line["bytes"]
        self.assertAlmostEqual(line["bytes_per_s"] * line["elapsed_s"],
                               2 * size * line["exchanges"], delta=1)
        self.assertAlmostEqual(line["params_per_s"] * 8, line["bytes_per_s"], delta=1)
        self.assertGreater(line["exchanges"], 0)
        self.assertLessEqual(line["p50_ms"], line["p99_ms"])
        self.assertGreater(line["cpu_s_per_gb"], 0)
        return line

    def test_over_grpc(self):
        with tempfile.TemporaryDirectory() as folder:
            done = exchange("--bytes", "1000000", "--servers", "2", "--workers", "3",
                            environment={"TMPDIR": folder})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("bare gRPC", done.stdout)
            self.assertEqual(os.listdir(folder), [])
        line = self.line("--bytes", "4096")
        self.assertEqual((line["transport"], line["limit"]), ("grpc", "tcp"))
        self.assertGreater(line["empty_call_ms"], 0)
        self.assertAlmostEqual(line["fraction"],
                               line["bytes_per_s"] / line["limit_bytes_per_s"])

    def test_through_shared_memory(self):
        line = self.line("--transport", "shm", "--bytes", "4194304", "--workers", "2",
                         "--servers", "2")
        self.assertEqual((line["transport"], line["limit"]), ("shm", "tcp"))
        # A server without a shard.
        self.line("--transport", "shm", "--bytes", "4", "--servers", "2")

    def test_in_process(self):
        line = self.line("--transport", "inproc", "--bytes", "4000000", "--workers", "2")
        self.assertEqual((line["transport"], line["limit"]), ("inproc", "axpy"))
        self.assertIsNone(line["grpc_echo_bytes_per_s"])
        self.assertAlmostEqual(line["fraction"],
                               16 * line["params_per_s"] / line["axpy_bytes_per_s"])

    def test_bad_input(self):
        for arguments, names in [
                (["--bytes", "6"], ["--bytes", "6", "multiple of 4"]),
                (["--bytes", "4MB"], ["--bytes", "\"4MB\"", "whole number"]),
                (["--workers", "0"], ["--workers", "\"0\"", "1"]),
                (["--servers", "-1"], ["--servers", "\"-1\""]),
                (["--seconds", "x"], ["--seconds", "\"x\"", "0.1"]),
                (["--wire", "fp23"], ["--wire", "fp23", "fp32"]),
                (["--transport", "grcp"], ["--transport", "grcp", "grpc"]),
                (["--device", "gpu"], ["--device", "gpu", "cuda"]),
                (["--server-device", "cuda"], ["--server-device cuda", "--transport grpc",
                                               "--transport inproc"]),
                (["--modle", "mlp"], ["--modle"])]:
            with self.subTest(arguments=arguments):
                done = exchange(*arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                for name in names:
                    self.assertIn(name, done.stderr)


if __name__ == "__main__":
    unittest.main()
