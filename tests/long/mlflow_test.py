#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real MLflow server receives runs, and dies during one without harm to it.

    mlflow_test.py FOLDER_OF_THE_BINARIES

Installs mlflow from PyPI in a temporary virtual environment unless it can be
imported.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

from own_environment import has, run_again

FILES = ("config.toml", "summary.json", "metrics.jsonl",
         "checkpoints/final.safetensors")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Server:
    """MLflow's own, with its data in a folder."""

    def __init__(self, folder):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = open(Path(folder) / "log", "w")
        # Its processes are a session of their own, to be ended together.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
             "--port", str(port), "--workers", "1", "--serve-artifacts",
             "--backend-store-uri", "sqlite:///runs.db",
             "--artifacts-destination", "files"],
            cwd=folder, stdout=self._log, stderr=self._log,
            start_new_session=True)
        end = time.monotonic() + 180
        while True:
            with contextlib.suppress(OSError):
                self.get("/health")
                return
            assert time.monotonic() < end, "no MLflow server in three minutes"
            time.sleep(0.5)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return reply.read()

    def ask(self, call, **query):
        return json.loads(self.get(f"/api/2.0/mlflow/{call}?" +
                                   urllib.parse.urlencode(query)))

    def runs(self, experiment):
        found = self.ask("experiments/get-by-name", experiment_name=experiment)
        body = {"experiment_ids": [found["experiment"]["experiment_id"]]}
        request = urllib.request.Request(
            self.url + "/api/2.0/mlflow/runs/search", json.dumps(body).encode(),
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply).get("runs", [])

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()


class MlflowTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.server = Server(self.folder)
        self.addCleanup(self.server.kill)

    def start(self, command, *words):
        return subprocess.Popen(
            [BINARIES / "monsoon", command, "--json", "--progress", "none",
             "--model", "mlp:100", "--out", self.folder / command, "--mlflow",
             self.server.url, *words], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, "MLFLOW_EXPERIMENT_NAME": f"of {command}"})

    def finish(self, process, code=0):
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, code, err)
        return json.loads(out.splitlines()[-1]), err

    def check_history(self, run, tag, expected):
        history = self.server.ask("metrics/get-history", run_id=run,
                                  metric_key=tag)["metrics"]
        self.assertEqual([(point["step"], point["value"]) for point in
                          sorted(history, key=lambda point: point["step"])],
                         expected, tag)

    def check(self, command, summary):
        (run,) = self.server.runs(f"of {command}")
        info, data = run["info"], run["data"]
        self.assertEqual(info["status"], "FINISHED")
        self.assertEqual(info["run_name"], command)
        self.assertAlmostEqual(info["end_time"] - info["start_time"],
                               1000 * summary["elapsed_s"], delta=2)
        params = {one["key"]: one["value"] for one in data["params"]}
        for key in ("trainer", "model", "optimizer", "wire", "precision"):
            self.assertEqual(params[key], summary[key])
        for key in ("batch_size", "workers", "servers", "epochs", "lr"):
            self.assertEqual(float(params[key]), summary[key])
        self.assertEqual(params["hyper.window"],
                         str(summary["hyper"]["window"]))
        last = {one["key"]: one["value"] for one in data["metrics"]}
        self.assertEqual(last["test/loss"], summary["test_loss"])
        self.assertEqual(last["run/elapsed_s"], summary["elapsed_s"])
        self.assertEqual(last["train/loss"], summary["train_loss"])
        self.check_history(info["run_id"], "test/accuracy",
                           [(samples, accuracy)
                            for _, samples, accuracy in summary["curve"]])
        for name in FILES:
            stored = self.server.get(
                "/api/2.0/mlflow-artifacts/artifacts/" +
                info["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/" +
                name)
            self.assertEqual(stored, (self.folder / command / name).read_bytes(),
                             name)

    def test_runs(self):
        for command, words in (("train", ["--epochs", "4"]),
                               ("launch", ["--servers", "2"])):
            summary, err = self.finish(
                self.start(command, "--eval-every", "25000", *words))
            self.assertNotIn("warning", err)
            self.check(command, summary)

    def test_dies_during_a_run(self):
        process = self.start("train", "--epochs", "60")
        end = time.monotonic() + 120
        while not (self.folder / "train" / "metrics.jsonl").exists():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        time.sleep(3)
        self.server.kill()
        self.assertIsNone(process.poll(), "it is killed during the run")
        start = time.monotonic()
        summary, err = self.finish(process)
        self.assertLess(time.monotonic() - start, summary["elapsed_s"] + 15)
        self.assertEqual(summary["status"], "done")
        self.assertEqual(summary["samples"], 60 * 60_000)
        self.assertGreater(summary["test_acc"], 0.8)
        self.assertIn("not delivered: ", err)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not has("mlflow"):
        sys.exit(run_again(["mlflow"], __file__, sys.argv[1:]))
    BINARIES = Path(sys.argv.pop())
    unittest.main()
