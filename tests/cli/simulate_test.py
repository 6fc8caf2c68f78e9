# SPDX-License-Identifier: Apache-2.0
"""`monsoon simulate` as a person meets it: what it prints, where, and how it
ends.

    simulate_test.py FOLDER_OF_THE_BINARIES
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import small_data
from processes import Program

BINARIES = Path(sys.argv.pop())
USAGE, DATA, FAILED = 2, 3, 1


class SimulateTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.data = f"fashion-mnist:{small_data.write(self.folder / 'data')}"

    def simulate(self, *words):
        return Program([BINARIES / "monsoon", "simulate", "--model", "mlp:8",
                        "--data", self.data, "--batch-size", "1",
                        *map(str, words)], self.folder).finish()

    def test_same_bytes_twice_and_nothing_written(self):
        before = sorted(os.listdir(self.folder))
        words = ("--workers", 3, "--servers", 2, "--epochs", 3, "--seed", 5,
                 "--compute", "lognormal:20ms:0.5", "--network",
                 "1gbit:50us", "--stragglers", "0.3:4x", "--crash",
                 "0.2/epoch", "--server-rate", "2gbyte", "--restart", "100ms",
                 "--time-to", "0.01", "--json")
        first = self.simulate(*words)
        self.assertEqual(first.code, 0, first.err)
        self.assertEqual(first.out, self.simulate(*words).out)
        self.assertEqual(before, sorted(os.listdir(self.folder)))
        self.assertIn("virtual seconds in", first.err)
        summary = first.summary()
        self.assertEqual(summary["status"], "done")
        self.assertEqual(summary["transport"], "virtual")
        self.assertIsNone(summary["peak_rss_bytes"])
        self.assertGreater(summary["elapsed_s"], 0)
        self.assertEqual(summary["samples"],
                         summary["samples_applied"] + summary["samples_lost"]
                         + summary["samples_refused"])
        self.assertEqual(summary["compute"], "lognormal:20ms:0.5")
        times = [point[0] for point in summary["curve"]]
        self.assertEqual(times, sorted(times))
        self.assertGreater(len(times), 2)
        self.assertEqual(summary["curve"][-1][2], summary["test_acc"])
        self.assertIn(summary["time_to"], times)
        by_worker, by_shard = (
            sum(sum(counts.values()) for counts in histograms.values())
            for histograms in summary["staleness"].values())
        self.assertGreater(by_worker, 0)
        self.assertEqual(by_worker, by_shard)
        for use in summary["utilization"].values():
            self.assertLessEqual(0, use["mean"])
            self.assertLessEqual(use["mean"], use["max"])
            self.assertLessEqual(use["max"], 1)

    def test_report_for_people_and_run_folder(self):
        run = self.folder / "run"
        program = self.simulate("--workers", 2, "--out", run)
        self.assertEqual(program.code, 0, program.err)
        self.assertIn("Simulated: compute 20ms, network 10gbit:100us",
                      program.out)
        self.assertIn("run folder:", program.out)
        summary = json.loads((run / "summary.json").read_text())
        self.assertEqual(summary["status"], "done")
        self.assertTrue((run / "checkpoints/final.safetensors").exists())

    def test_divergence_prints_the_summary_and_fails(self):
        program = self.simulate("--workers", 2, "--epochs", 20, "--lr", 1e30,
                                "--json")
        self.assertEqual(program.code, FAILED)
        self.assertIn("diverged", program.err)
        summary = program.summary()
        self.assertEqual(summary["status"], "diverged")
        self.assertIn("test_acc", summary)

    def test_bad_flags(self):
        for flag, value, parts in [
                ("compute", "20", ['"20"', "lognormal:20ms:0.5"]),
                ("compute", "uniform:3ms:1ms", ["A is at most B"]),
                ("network", "10gbit", ['"10gbit"', "RATE:LATENCY"]),
                ("server-rate", "fast", ['"fast"', "2gbyte"]),
                ("stragglers", "2:10x", ['"2:10x"', "0.01:10x"]),
                ("crash", "2/epoch", ['"2/epoch"', "0.001/epoch"]),
                ("restart", "-1s", ['"-1s"', "20ms"]),
                ("gradients", "toy", ['"toy"', "quadratic"]),
                ("eval-every", "-1", ['"-1"', "at least 0"]),
                ("time-to", "85", ['"85"', "at most 1"]),
                ("transport", "grpc", ['"grpc"', "--network"]),
                ("workers", "0", ['"0"', "at least 1"])]:
            with self.subTest(flag=flag, value=value):
                program = self.simulate(f"--{flag}", value)
                self.assertEqual(program.code, USAGE, program.err)
                self.assertEqual(program.out, "")
                for part in [f"--{flag}", *parts]:
                    self.assertIn(part, program.err)
        program = self.simulate("--overlap")
        self.assertEqual(program.code, USAGE)
        self.assertIn("--overlap", program.err)
        program = self.simulate("--gradients", "quadratic", "--time-to", "0.5")
        self.assertEqual(program.code, USAGE)
        self.assertIn("--gradients real", program.err)
        program = self.simulate("--workers", 100000)
        self.assertEqual(program.code, USAGE)
        self.assertIn("--workers", program.err)

    def test_a_replica_is_its_center_and_its_slots(self):
        # A million floats: 4 MB a vector, of which a worker has x, center,
        # velocity and an update on its way, but keeps two of them.
        vector, workers = 4_000_000, 60
        command = [BINARIES / "monsoon", "simulate", "--data", self.data,
                   "--workers", workers, "--batch-size", 1, "--epochs", 4,
                   "--gradients", "quadratic:1000000", "--set", "window=1",
                   "--lr", "0.001", "--compute", "uniform:10ms:30ms", "--json"]
        process = subprocess.Popen([str(word) for word in command],
                                   stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        self.assertLess(used.ru_maxrss * 1024,
                        2.2 * vector * workers + 100_000_000)


if __name__ == "__main__":
    unittest.main()
