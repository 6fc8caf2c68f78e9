# SPDX-License-Identifier: Apache-2.0
"""monsoon launch with real processes and real data.

    launch_test.py FOLDER_OF_THE_BINARIES
"""

import json
import os
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path

from processes import Program, wait_for

BINARIES = Path(sys.argv.pop())
LONG = ["--epochs", "1000"]  # nobody waits for its end


class LaunchTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "run"

    def launch(self, *arguments):
        program = Program(
            [BINARIES / "monsoon", "launch", "--servers", "2", "--workers", "2",
             "--batch-size", "500", "--json", "--out", self.folder,
             *arguments], self.folder)
        self.addCleanup(program.end)
        return program

    def assert_gone(self, program):
        wait_for("all processes to end", lambda: not program.running(), 5)

    def assert_checkpoint(self):
        model = self.folder / "checkpoints" / "final.safetensors"
        # 784-1000-250-10, four bytes each, and a header.
        self.assertGreater(model.stat().st_size, 1_037_760 * 4)

    def test_counts_every_sample_once(self):
        program = self.launch("--epochs", "2", "--trainer", "aeasgd").finish()
        self.assertEqual(program.code, 0, program.err)
        summary = program.summary()
        self.assertEqual(summary["status"], "done")
        self.assertEqual(summary["samples"], 2 * 60_000)
        self.assertEqual(summary["samples_refused"], 0)
        self.assertEqual(summary["transport"], "shm")
        self.assertEqual((summary["servers"], summary["workers"]), (2, 2))
        self.assertGreater(summary["startup_s"], 0)
        self.assertGreater(summary["test_acc"], 0.5)
        # Five processes, of which the workers hold model and data.
        self.assertGreater(summary["peak_rss_bytes"], 100e6)
        written = json.loads((self.folder / "summary.json").read_text())
        self.assertEqual(written, summary)
        self.assertIn(f"{summary['test_acc']:.4f}",
                      (self.folder / "report.html").read_text())
        self.assertEqual(
            sorted(path.name for path in (self.folder / "logs").iterdir()),
            ["server-0.log", "server-1.log", "worker-0.log", "worker-1.log"])
        self.assert_checkpoint()
        self.assert_gone(program)

    def test_the_transport_is_what_was_asked_for(self):
        for transport in ("grpc", "shm"):
            with self.subTest(transport=transport):
                self.folder = self.folder.with_name(transport)
                program = self.launch("--model", "mlp:20", "--trainer", "downpour",
                                      "--transport", transport).finish()
                self.assertEqual(program.code, 0, program.err)
                summary = program.summary()
                self.assertEqual((summary["transport"], summary["samples"]),
                                 (transport, 60_000))

    def test_values_travel_as_was_asked_for(self):
        for wire, up, down in (("bf16", 2, 2), ("int8,fp16", 1, 2),
                               ("topk:0.1", 0.8, 4)):
            with self.subTest(wire=wire):
                self.folder = self.folder.with_name(wire.replace(":", "-"))
                program = self.launch("--model", "mlp:20", "--trainer", "downpour",
                                      "--wire", wire).finish()
                self.assertEqual(program.code, 0, program.err)
                summary = program.summary()
                self.assertEqual(summary["samples"], 60_000)
                self.assertGreater(summary["test_acc"], 0.5)
                floats = 784 * 20 + 20 + 20 * 10 + 10
                pushed = summary["bytes_up"] - 4 * floats  # the initial center
                per_float = pushed / summary["pushes"] / floats
                self.assertAlmostEqual(per_float, up, delta=0.03)
                per_float = summary["bytes_down"] / summary["pulls"] / floats
                self.assertAlmostEqual(per_float, down, delta=0.03)
                expected = wire if "," in wire or wire == "bf16" else wire + ",fp32"
                self.assertEqual(summary["wire"], expected)

    def test_exchanges_run_beside_steps(self):
        program = self.launch("--model", "mlp:20", "--trainer", "adag",
                              "--set", "window=5", "--overlap").finish()
        self.assertEqual(program.code, 0, program.err)
        summary = program.summary()
        self.assertEqual((summary["overlap"], summary["samples"]),
                         (True, 60_000))
        # Two workers: one window more is two rounds more.
        self.assertGreater(summary["staleness_mean"], 1.5)
        self.assertGreater(summary["test_acc"], 0.5)
        config = (self.folder / "config.toml").read_text()
        self.assertIn("overlap = true\n", config)

    def assert_ends_after_kill(self, name, *words):
        program = self.launch(*LONG)
        program.wait_until_training()
        begin = time.monotonic()
        pid = program.kill(*words)
        program.finish()
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(program.code, 1, program.err)
        self.assertIn(f"{name} (pid {pid}) ended first: killed by signal 9 "
                      "(SIGKILL); the last lines of ", program.err)
        self.assertEqual(program.summary()["status"], "failed")
        self.assert_gone(program)
        return program

    def test_ends_when_a_worker_is_killed(self):
        self.assert_ends_after_kill("worker 1", "monsoon-worker", "--rank=1")

    def test_ends_when_the_first_worker_is_killed(self):
        self.assert_ends_after_kill("worker 0", "monsoon-worker", "--rank=0")

    def test_ends_when_a_server_is_killed(self):
        program = self.assert_ends_after_kill(
            "server 1", "monsoon-server", "server-1.port")
        self.assertIn("  | ", program.err)  # the lines of its log

    def assert_interrupted(self, send, code):
        program = self.launch(*LONG)
        program.wait_until_training()
        send(program.process.pid)
        program.finish()
        self.assertEqual(program.code, code, program.err)
        summary = program.summary()
        self.assertEqual(summary["status"], "interrupted")
        self.assertGreater(summary["samples"], 0)
        self.assertNotIn("error", program.err)
        self.assert_checkpoint()
        self.assert_gone(program)

    def test_no_thread_that_computes_takes_signals(self):
        # oneDNN's matrix products use the stack register for other things.
        program = self.launch(*LONG, "--threads", "2")
        program.wait_until_training()
        for worker in ("--rank=0", "--rank=1"):
            for number in (signal.SIGINT, signal.SIGTERM):
                pid, takes = program.threads_that_take(
                    number, "monsoon-worker", worker)
                self.assertEqual(len(takes), 1)
                self.assertNotEqual(takes, [pid])

    def test_says_that_a_worker_crashed_as_it_was_asked_to_end(self):
        program = self.launch(*LONG)
        program.wait_until_training()
        pid = program.kill("monsoon-worker", "--rank=0", number=signal.SIGSTOP)
        os.kill(program.process.pid, signal.SIGINT)
        wait_for("the other to end",
                 lambda: not program.running("monsoon-worker", "--rank=1"))
        os.kill(pid, signal.SIGSEGV)
        os.kill(pid, signal.SIGCONT)
        program.finish()
        self.assertEqual(program.code, 1, program.err)
        self.assertIn(f"worker 0 (pid {pid}) crashed as it was asked to end: "
                      "killed by signal 11 (SIGSEGV)", program.err)
        self.assertEqual(program.summary()["status"], "failed")

    def test_keeps_a_checkpoint_on_sigint(self):
        self.assert_interrupted(lambda pid: os.kill(pid, signal.SIGINT), 130)

    def test_keeps_a_checkpoint_on_sigterm(self):
        self.assert_interrupted(lambda pid: os.kill(pid, signal.SIGTERM), 143)

    def test_keeps_a_checkpoint_on_ctrl_c_of_a_terminal(self):
        # The terminal signals the whole process group.
        self.assert_interrupted(lambda pid: os.killpg(pid, signal.SIGINT), 130)

    def test_leaves_nothing_when_it_is_killed_itself(self):
        program = self.launch(*LONG)
        program.wait_until_training()
        program.process.kill()
        program.finish()
        self.assert_gone(program)

    def assert_refused(self, code, message, *arguments):
        program = self.launch(*arguments).finish()
        self.assertEqual(program.code, code, program.err)
        self.assertIn(message, program.err)
        self.assertEqual(program.out, "")
        self.assert_gone(program)

    def test_starts_nothing_for_wrong_arguments(self):
        self.assert_refused(2, 'did you mean "adag"?', "--trainer", "adga")
        self.assert_refused(2, "--transport inproc", "--transport", "inproc")
        self.assert_refused(2, "--workers", "--trainer", "single")
        self.assert_refused(2, "--wire onebit: wire code onebit for pushes (parameters)",
                            "--trainer", "aeasgd", "--wire", "onebit")
        self.assertFalse(self.folder.exists())

    def test_passes_on_that_settings_do_not_fit_the_data(self):
        self.assert_refused(2, "--batch-size 50000", "--batch-size", "50000")

    def test_passes_on_that_data_are_missing(self):
        self.assert_refused(3, "dataset-fashion-mnist", "--data",
                            "fashion-mnist:/nowhere")


if __name__ == "__main__":
    unittest.main()
