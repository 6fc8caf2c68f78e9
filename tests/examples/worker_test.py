# SPDX-License-Identifier: Apache-2.0
"""examples/worker.py beside the workers of this repository, as real processes on
real data.

    worker_test.py FOLDER_OF_THE_BINARIES ROOT_OF_THE_REPOSITORY
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(sys.argv.pop())
BINARIES = Path(sys.argv.pop())
sys.path[:0] = [str(ROOT / folder)
                for folder in ("tests/cli", "tests/transport", "examples")]

import grpc
import numpy as np

from lossy_server import lossy
from processes import Program, wait_for
from schema_code import generate

GENERATED = tempfile.TemporaryDirectory()
PB, PB_GRPC = generate(ROOT / "proto" / "monsoon.proto", GENERATED.name)
import mlp
import worker

SAMPLES = 60_000
LONG = ["--epochs", "1000"]  # nobody waits for its end


class WorkerTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def start(self, *command):
        program = Program([str(word) for word in command], self.folder)
        self.addCleanup(self.stop, program)
        return program

    @staticmethod
    def stop(program):
        program.end()
        if not hasattr(program, "code"):
            program.finish()  # closes its files

    def start_servers(self, count=1):
        files = [self.folder / f"port-{i}" for i in range(count)]
        for file in files:
            self.start(BINARIES / "monsoon-server", "--listen", "127.0.0.1:0",
                       "--port-file", file)
        for file in files:
            wait_for("a server", lambda: file.exists() and file.read_text())
        return [f"127.0.0.1:{file.read_text().strip()}" for file in files]

    def start_cpp(self, servers, *arguments):
        return self.start(
            BINARIES / "monsoon-worker", "--servers", ",".join(servers),
            "--rank", 0, "--workers", 2, "--data", "fashion-mnist", "--model",
            "mlp:32", "--connect-timeout", 60, "--out", self.folder / "run", "--json", *arguments)

    def start_python(self, servers, *arguments):
        os.environ["PYTHONPATH"] = GENERATED.name
        return self.start(
            "/usr/bin/python3", "-B", ROOT / "examples" / "worker.py",
            "--servers", ",".join(servers), "--rank", 1, *arguments)

    @staticmethod
    def stub(address):
        return PB_GRPC.ParameterServerStub(grpc.insecure_channel(address))

    def job(self, address):
        return self.stub(address).GetJob(PB.GetJobRequest(), timeout=10)

    def check_end(self, cpp, python, servers, epochs):
        """Both ended well, and every sample was applied once."""
        self.assertEqual(cpp.finish().code, 0, cpp.err)
        self.assertEqual(python.finish().code, 0, python.err)
        summary = cpp.summary()
        self.assertEqual(summary["status"], "done")
        self.assertEqual(summary["samples"], epochs * SAMPLES)
        self.assertEqual(summary["samples_refused"], 0)
        self.assertEqual(summary["steps"], epochs * 2 * 469)
        for address in servers:
            job = self.job(address)
            self.assertEqual(job.samples_applied, epochs * SAMPLES)
            ours, theirs = [member.report for member in job.members]
            self.assertEqual((theirs.state, theirs.keeps_job), (PB.DONE, False))
            self.assertEqual(theirs.samples, epochs * SAMPLES // 2)
            for field in "steps", "pushes", "pulls", "bytes_down", "loss_samples":
                self.assertEqual(getattr(theirs, field), getattr(ours, field),
                                 field)
            # Rank 0 has brought the initial center.
            center = ours.bytes_down // ours.pulls
            self.assertEqual(theirs.bytes_up, ours.bytes_up - center)
            self.assertEqual(sum(theirs.staleness.values()),
                             theirs.pushes * len(job.spec.shards))
        return summary, theirs

    def test_trains_beside_a_worker_in_another_language(self):
        servers = self.start_servers(2)
        python = self.start_python(servers)  # waits for rank 0
        cpp = self.start_cpp(servers, "--epochs", 2)
        summary, theirs = self.check_end(cpp, python, servers, 2)
        self.assertGreater(summary["test_acc"], 0.78)
        # It has learned on its half of the data.
        self.assertTrue(0.2 < theirs.loss_sum / theirs.loss_samples < 1)

    def test_repeats_what_was_lost_under_the_same_number(self):
        servers = self.start_servers(2)
        lost = []
        with contextlib.ExitStack() as stack:
            python = self.start_python(
                [stack.enter_context(lossy(server, lost)) for server in servers])
            cpp = self.start_cpp(servers, "--optimizer", "sgd", "--set", "window=7")
            self.check_end(cpp, python, servers, 1)
        self.assertGreater(lost.count(("request", "Exchange")), 5)
        self.assertGreater(lost.count(("reply", "Exchange")), 5)

    def test_ends_when_the_job_is_stopped(self):
        servers = self.start_servers()
        python, cpp = self.start_python(servers), self.start_cpp(servers, *LONG)
        cpp.wait_until_training()
        cpp.process.send_signal(signal.SIGINT)
        self.assertEqual(python.finish().code, 1, python.err)
        self.assertIn("INTERRUPTED worker 0: interrupted by signal 2", python.err)
        self.assertEqual(cpp.finish().code, 130, cpp.err)

    def test_tells_the_others_when_it_is_interrupted(self):
        servers = self.start_servers()
        python, cpp = self.start_python(servers), self.start_cpp(servers, *LONG)
        cpp.wait_until_training()
        python.process.send_signal(signal.SIGINT)
        self.assertEqual(python.finish().code, 1, python.err)
        self.assertEqual(cpp.finish().code, 143, cpp.err)
        self.assertEqual(cpp.summary()["status"], "interrupted")
        self.assertIn("worker 1: interrupted", cpp.err)

    def bring_job(self, address, **changes):
        """Rank 0 of a job that nobody will train."""
        spec = PB.JobSpec(
            trainer="adag", hyper={"window": "1"}, workers=2, servers=1,
            tensors=[PB.Tensor(name="x", shape=[4])],
            shards=[PB.Shard(size=4)], data_hash="feed",
            settings={"model": "mlp:32", "data": "fashion-mnist",
                      "optimizer": "sgd", "lr": "0.1"})
        settings = changes.pop("settings", {})
        spec.settings.update(settings)
        if "hyper" in changes:
            spec.hyper.clear()
        spec.MergeFrom(PB.JobSpec(**changes))
        self.stub(address).Join(
            PB.JoinRequest(job_id=1, incarnation=1, spec=spec), timeout=10)

    def refused(self, code, words, *arguments, **job):
        servers = self.start_servers()
        self.bring_job(servers[0], **job)
        python = self.start_python(servers, *arguments).finish()
        self.assertEqual(python.code, code, python.err)
        for word in words:
            self.assertIn(word, python.err)
        self.assertNotIn("Traceback", python.err)
        self.assertEqual(len(self.job(servers[0]).members), 1)

    def test_refuses_what_it_cannot_follow(self):
        self.refused(2, ["trainer is aeasgd", "model is cnn", "clip_norm is 1",
                         "knows adag", "knows sgd and nesterov"],
                     trainer="aeasgd", hyper={},
                     settings={"model": "cnn", "clip_norm": "1",
                               "optimizer": "adam"})

    def test_refuses_a_rank_that_is_none(self):
        self.refused(2, ["--rank is 2, expected 1 to 1"], "--rank", 2)

    def test_refuses_other_data(self):
        self.refused(3, ["hash", "the job's feed"])


class LifeTest(unittest.TestCase):
    def test_every_server_hears_that_it_lives(self):
        class Heard(Exception):
            pass

        class Server:
            def __init__(self):
                self.Report, self.heard = self, []

            def future(self, request, timeout):
                self.heard.append(request)
                if len(self.heard) == 4:
                    raise Heard

        one = worker.Worker.__new__(worker.Worker)
        one.servers, one.lease_s = [Server(), Server()], 0.4
        one.ids = {"job_id": 5, "worker": 1, "incarnation": 6}
        begin = time.monotonic()
        self.assertRaises(Heard, one.live)
        # At least every half of the lease, and without a report.
        self.assertLess(time.monotonic() - begin, 3 * one.lease_s)
        for server in one.servers:
            self.assertGreaterEqual(len(server.heard), 3)
            self.assertEqual(set(map(str, server.heard)),
                             {str(PB.ReportRequest(**one.ids))})


class ArithmeticTest(unittest.TestCase):
    def test_the_gradient_is_that_of_the_loss(self):
        tensors = [PB.Tensor(shape=shape) for shape in ([5, 7], [5], [4, 5], [4])]
        random = np.random.default_rng(1)
        x = random.normal(size=64)
        images = random.integers(0, 256, (6, 7), np.uint8)
        labels = random.integers(0, 4, 6)
        g, _ = mlp.gradient(tensors, x, images, labels)

        def loss(at):
            return mlp.gradient(tensors, at, images, labels)[1]

        for i, step in enumerate(1e-5 * np.eye(64)):
            self.assertAlmostEqual((loss(x + step) - loss(x - step)) / 2e-5, g[i],
                                   delta=1e-6)

    def test_local_steps_are_those_of_the_job(self):
        for optimizer, expected in (("sgd", [-1, -2]), ("nesterov", [-1.9, -4.61])):
            local = mlp.LocalSteps({"optimizer": optimizer, "lr": "1"})
            x = np.zeros(1, "f4")
            for value in expected:
                local.step(x, np.ones(1, "f4"))
                self.assertAlmostEqual(x[0], value, places=5)

    def test_an_update_is_the_way_divided_by_its_steps(self):
        one = worker.Worker.__new__(worker.Worker)
        one.spec = PB.JobSpec(workers=2, hyper={"window": "3"}, settings={
            "optimizer": "sgd", "lr": "0.5", "batch_size": "2", "epochs": "1"})
        one.ids, one.report, one.told = {"worker": 1}, PB.WorkerReport(), np.inf
        pushes = []

        def exchange(update=None, **work):
            if update is not None:
                pushes.append((update.tolist(), work["local_steps"], work["samples"]))
            return np.zeros(2, "f4")

        one.exchange = exchange
        original, mlp.gradient = mlp.gradient, lambda *_: (np.ones(2, "f4"), 0.25)
        try:
            one.train(np.zeros((15, 1), np.uint8), np.arange(15))
        finally:
            mlp.gradient = original
        # 7 of 15 examples: batches of 2, 2, 2 and 1.
        self.assertEqual(pushes, [([-0.5, -0.5], 3, 6), ([-0.5, -0.5], 1, 1)])
        self.assertEqual((one.report.steps, one.report.samples, one.report.loss_sum),
                         (4, 7, 7 * 0.25))


if __name__ == "__main__":
    unittest.main()
