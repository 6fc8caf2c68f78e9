#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TensorBoard itself reads back what runs have written for it.

    tensorboard_test.py FOLDER_OF_THE_BINARIES

Installs tensorboard from PyPI in a temporary virtual environment unless it can
be imported.
"""

import contextlib
import json
import math
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

from own_environment import has, run_again

RUNS = {"adag": ["--seed", "1"], "again": ["--seed", "2"],
        "aeasgd": ["--trainer", "aeasgd"]}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class TensorBoardTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.runs = Path(temporary.name) / "runs"
        cls.summaries = {}
        for name, words in RUNS.items():
            out = subprocess.run(
                [BINARIES / "monsoon", "train", "--json", "--model", "mlp:100",
                 "--epochs", "2", "--eval-every", "30000", "--out",
                 cls.runs / name, *words], check=True, stdout=subprocess.PIPE)
            cls.summaries[name] = json.loads(out.stdout.splitlines()[-1])

    def same(self, found, expected):
        self.assertTrue(math.isclose(found, expected, rel_tol=1e-6),
                        f"{found}, expected {expected}")

    # What its Python reader makes of the files.

    def accumulated(self, *parts):
        from tensorboard.backend.event_processing import event_accumulator
        everything = {"scalars": 0, "tensors": 0, "histograms": 0}
        accumulator = event_accumulator.EventAccumulator(
            str(self.runs.joinpath(*parts)), size_guidance=everything)
        return accumulator.Reload()

    def test_every_scalar_of_a_run(self):
        for name, summary in self.summaries.items():
            job = self.accumulated(name, "tensorboard")
            for tag, key in (("test/accuracy", "test_acc"),
                             ("test/loss", "test_loss"),
                             ("run/elapsed_s", "elapsed_s"),
                             ("run/samples_per_second", "samples_per_s"),
                             ("ps/staleness_mean", "staleness_mean"),
                             ("train/loss", "train_loss")):
                last = job.Scalars(tag)[-1]
                self.assertEqual(last.step, summary["samples"], tag)
                self.same(last.value, summary[key])
            self.assertEqual(
                [(point.step, round(point.value, 6))
                 for point in job.Scalars("test/accuracy")],
                [(samples, round(accuracy, 6))
                 for _, samples, accuracy in summary["curve"]])
            lines = (self.runs / name / "metrics.jsonl").read_text().splitlines()
            losses = {line["samples"]: line["loss"]
                      for line in map(json.loads, lines)}
            points = [point for point in job.Scalars("train/loss")
                      if losses.get(point.step) is not None]
            self.assertGreaterEqual(len(points), 2)
            for point in points:
                self.same(point.value, losses[point.step])
            for rank in range(summary["workers"]):
                worker = self.accumulated(name, "tensorboard", f"worker-{rank}")
                for tag in ("train/loss", "perf/samples_per_second",
                            "ps/staleness_mean", "time/compute_share",
                            "time/exchange_share", "time/data_share"):
                    self.assertTrue(worker.Scalars(tag), tag)

    def test_histograms(self):
        from tensorboard.util import tensor_util
        job = self.accumulated("adag", "tensorboard")
        for tag, count in (("weights/fc1.weight", 784 * 100),
                           ("weights/fc2.bias", 10)):
            (event,) = job.Tensors(tag)
            buckets = tensor_util.make_ndarray(event.tensor_proto)
            self.assertEqual(buckets.shape, (30, 3))
            self.assertEqual(buckets[:, 2].sum(), count)
        (event,) = job.Tensors("ps/staleness")
        buckets = tensor_util.make_ndarray(event.tensor_proto)
        shards = self.summaries["adag"]["staleness"]["shards"].values()
        self.assertEqual(buckets[:, 2].sum(),
                         sum(sum(counts.values()) for counts in shards))

    # What its server, with the reader that it has for itself, shows.

    @contextlib.contextmanager
    def server(self):
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", "--logdir", self.runs,
             "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield f"http://127.0.0.1:{port}/data/"
        finally:
            process.terminate()
            process.wait()

    def ask(self, url, body=None, until=lambda answer: True):
        end = time.monotonic() + 120
        while True:
            try:
                request = urllib.request.Request(
                    url, headers={"Content-Type": "application/json"},
                    data=None if body is None else json.dumps(body).encode())
                with urllib.request.urlopen(request, timeout=10) as reply:
                    answer = json.load(reply)
                if until(answer):
                    return answer
            except OSError:
                pass  # it starts
            self.assertLess(time.monotonic(), end, f"{url} in two minutes")
            time.sleep(0.5)

    def test_the_server(self):
        with self.server() as url:
            runs = self.ask(url + "runs", until=lambda runs: len(runs) == 9)
            self.assertIn("adag/tensorboard/worker-1", runs)
            scalars = self.ask(url + "plugin/scalars/tags")
            self.assertIn("perf/samples_per_second", scalars["adag/tensorboard"])
            histograms = self.ask(url + "plugin/histograms/tags")
            self.assertIn("weights/fc1.weight", histograms["adag/tensorboard"])
            self.check_hparams(url + "plugin/hparams/")

    def check_hparams(self, url):
        experiment = self.ask(url + "experiment", {})
        names = {info["name"] for info in experiment["hparamInfos"]}
        self.assertLessEqual({"trainer", "model", "batch_size", "workers", "lr",
                              "seed", "wire", "hyper", "hyper.window"}, names)
        self.assertEqual(
            [info["name"]["tag"] for info in experiment["metricInfos"]],
            ["test/accuracy", "run/elapsed_s", "run/samples_per_second"])
        groups = self.ask(url + "session_groups", {
            "startIndex": 0, "sliceSize": 100,
            "allowedStatuses": ["STATUS_SUCCESS"],
            "aggregationType": "AGGREGATION_AVG",
            "colParams": [{"hparam": "trainer"}]})["sessionGroups"]
        # The two seeds are one configuration.
        by_trainer = {group["hparams"]["trainer"]: group for group in groups}
        self.assertEqual(sorted(by_trainer), ["adag", "aeasgd"])
        self.assertEqual(
            sorted(one["name"] for one in by_trainer["adag"]["sessions"]),
            ["adag/tensorboard", "again/tensorboard"])
        accuracy = {value["name"]["tag"]: value["value"] for value in
                    by_trainer["adag"]["metricValues"]}["test/accuracy"]
        both = [self.summaries[name]["test_acc"] for name in ("adag", "again")]
        self.same(accuracy, sum(both) / 2)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not has("tensorboard"):
        sys.exit(run_again(["tensorboard", "setuptools<81"], __file__,
                           sys.argv[1:]))
    BINARIES = Path(sys.argv.pop())
    unittest.main()
