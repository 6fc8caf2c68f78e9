# SPDX-License-Identifier: Apache-2.0
"""--mlflow tells a server about a run, and whatever that server does, the run
is the same.

    mlflow_test.py FOLDER_OF_THE_BINARIES
"""

import json
import os
import signal
import socket
import sys
import tempfile
import time
import unittest
from pathlib import Path

import small_data
from mlflow_double import Double
from processes import Program, wait_for

BINARIES = Path(sys.argv.pop())
# What the end may wait for a server that says nothing, with some slack.
PATIENCE = 5 + 1 + 4
SHORT = ["--epochs", "8"]
ENDLESS = ["--epochs", "1000000"]


class MlflowTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        data = small_data.write(Path(temporary.name) / "data", train=6000,
                                test=100)
        cls.data = ["--data", f"fashion-mnist:{data}"]

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.run_folder = Path(temporary.name) / "run"

    def double(self, *misbehave):
        double = Double(*misbehave)
        self.addCleanup(double.close)
        return double

    def start(self, url, *words, command="train", **environment):
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            program = Program(
                [BINARIES / "monsoon", command, "--json", "--progress", "none",
                 "--model", "mlp:32", "--batch-size", "8", "--workers", "2",
                 "--out", self.run_folder, "--mlflow", url, *self.data, *words],
                self.run_folder)
        finally:
            os.environ.clear()
            os.environ.update(before)
        self.addCleanup(program.end)
        return program

    def assert_unharmed(self, program):
        self.assertEqual(program.code, 0, program.err)
        summary = program.summary()
        self.assertEqual(summary["status"], "done")
        self.assertEqual(
            json.loads((self.run_folder / "summary.json").read_text()), summary)
        return summary

    def assert_lost(self, program, *parts):
        (line,) = [line for line in program.err.splitlines()
                   if "not delivered: " in line]
        for part in ("warning: --mlflow http://127.0.0.1:", *parts):
            self.assertIn(part, line)

    # ---- A server that answers --------------------------------------------

    def check_told(self, double, summary):
        (run,) = double.bodies("runs/create")
        self.assertEqual(run["run_name"], "run")
        params = double.params()
        self.assertEqual(params["trainer"], "adag")
        self.assertEqual(params["batch_size"], "8")
        self.assertEqual(params["hyper.window"],
                         str(summary["hyper"]["window"]))
        metrics = double.metrics()
        for tag, key in (("test/accuracy", "test_acc"),
                         ("test/loss", "test_loss"),
                         ("train/loss", "train_loss"),
                         ("run/elapsed_s", "elapsed_s"),
                         ("run/samples_per_second", "samples_per_s"),
                         ("ps/staleness_mean", "staleness_mean")):
            self.assertEqual(metrics[tag][-1][:2],
                             (summary["samples"], summary[key]), tag)
        (end,) = double.bodies("runs/update")
        self.assertEqual(end["status"], "FINISHED")
        self.assertAlmostEqual(end["end_time"] - run["start_time"],
                               1000 * summary["elapsed_s"], delta=2)
        self.assertEqual(sorted(double.files), [
            f"7/r1/artifacts/{name}" for name in (
                "checkpoints/final.safetensors", "config.toml",
                "metrics.jsonl", "summary.json")])
        for name, contents in double.files.items():
            path = self.run_folder / name[len("7/r1/artifacts/"):]
            self.assertEqual(contents, path.read_bytes(), name)

    def test_train(self):
        double = self.double()
        program = self.start(double.url, *SHORT, "--eval-every", "20000",
                             MLFLOW_EXPERIMENT_NAME="my test",
                             MLFLOW_TRACKING_USERNAME="me",
                             MLFLOW_TRACKING_PASSWORD="hidden").finish()
        summary = self.assert_unharmed(program)
        self.assertNotIn("warning", program.err)
        self.check_told(double, summary)
        self.assertEqual(double.experiments, {"my test": "7"})
        curve = [(samples, accuracy)
                 for _, samples, accuracy in summary["curve"]]
        self.assertEqual([point[:2] for point in
                          double.metrics()["test/accuracy"]], curve)
        self.assertEqual({one["Authorization"] for one in double.headers},
                         {"Basic bWU6aGlkZGVu"})

    def test_launch(self):
        double = self.double()
        program = self.start(double.url, command="launch").finish()
        # The parent alone tells, what it has completed.
        self.check_told(double, self.assert_unharmed(program))
        self.assertEqual(double.experiments, {"monsoon": "7"})

    def test_interrupted(self):
        double = self.double()
        program = self.start(double.url, *ENDLESS)
        wait_for("a point", lambda: double.metrics())
        program.kill("--mlflow", number=signal.SIGINT)
        self.assertEqual(program.finish().code, 130, program.err)
        self.assertEqual(double.bodies("runs/update")[0]["status"], "KILLED")

    # ---- Servers that do not ------------------------------------------------

    def test_nobody_is_there(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            program = self.start(f"http://127.0.0.1:{port}", *SHORT).finish()
        self.assert_unharmed(program)
        self.assert_lost(program, " points", "the run itself")

    def test_hangs(self):
        double = self.double(lambda number, path: "hang")
        start = time.monotonic()
        program = self.start(double.url, *SHORT).finish()
        took = time.monotonic() - start
        summary = self.assert_unharmed(program)
        self.assertLess(took, summary["elapsed_s"] + summary["startup_s"] +
                        PATIENCE)
        self.assert_lost(program, " points", "the run itself")

    def test_errors_that_pass(self):
        double = self.double(
            lambda number, path: {0: 500, 2: 429, 4: 503}.get(number))
        program = self.start(double.url, *ENDLESS,
                             MLFLOW_TRACKING_TOKEN="hidden")
        wait_for("points after the errors",
                 lambda: len(double.metrics().get("train/loss", ())) >= 2)
        program.kill("--mlflow", number=signal.SIGTERM)
        self.assertEqual(program.finish().code, 143, program.err)
        # Said once, and nothing is missing.
        self.assertEqual(program.err.count("warning: --mlflow"), 1)
        self.assertIn("answers 500", program.err)
        self.assertNotIn("hidden", program.err)
        self.assertEqual({one["Authorization"] for one in double.headers},
                         {"Bearer hidden"})
        self.assertEqual(len(double.bodies("runs/create")), 1)

    def test_refuses(self):
        for status in (401, 302):
            double = self.double(lambda number, path, status=status: status)
            self.run_folder = self.run_folder.with_name(f"run-{status}")
            program = self.start(double.url, *SHORT).finish()
            self.assert_unharmed(program)
            self.assert_lost(program, str(status))
            self.assertEqual(double.calls, [])  # nothing is followed

    def test_dies(self):
        double = self.double()
        program = self.start(double.url, *ENDLESS)
        wait_for("a point", lambda: double.metrics())
        double.close()
        start = time.monotonic()
        program.kill("--mlflow", number=signal.SIGINT)
        self.assertEqual(program.finish().code, 130, program.err)
        self.assertLess(time.monotonic() - start, PATIENCE)
        self.assert_lost(program, " points", "the end of the run")

    def test_bad_address(self):
        for url in ("127.0.0.1:5000", "ftp://127.0.0.1", "http://"):
            program = self.start(url).finish()
            self.assertEqual(program.code, 2, program.err)
            self.assertIn(f"--mlflow {url}: found", program.err)
            self.assertIn("expected", program.err)
            self.assertFalse(self.run_folder.exists())


if __name__ == "__main__":
    unittest.main()
