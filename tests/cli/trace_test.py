# SPDX-License-Identifier: Apache-2.0
"""--trace with real runs: what the file says is what happened.

    trace_test.py FOLDER_OF_THE_BINARIES
"""

import json
import math
import signal
import sys
import tempfile
import time
import unittest
from collections import defaultdict
from pathlib import Path

from processes import Program, wait_for

BINARIES = Path(sys.argv.pop()).resolve()
STEPS, BESIDE, FIRST_SHARD = 1, 2, 3


class Trace:
    """A file: spans by (rank, thread), in the order of their begins."""

    def __init__(self, path):
        self.whole = json.loads(Path(path).read_text(), parse_constant=float)
        self.spans = defaultdict(list)
        self.names = {}
        for event in self.whole["traceEvents"]:
            key = event["pid"] - 1, event["tid"]
            if event["ph"] == "X":
                self.spans[key].append(event)
            elif event["name"] == "thread_name":
                self.names[key] = event["args"]["name"]
        for spans in self.spans.values():
            spans.sort(key=lambda span: (span["ts"], -span["dur"]))

    def of(self, rank, name, thread=STEPS):
        return [span for span in self.spans[rank, thread]
                if span["name"] == name]

    def requests(self, rank, *names):
        return [span for (of, thread), spans in self.spans.items()
                if of == rank and thread >= FIRST_SHARD
                for span in spans if span["name"] in names]

    def ranks(self):
        return sorted({rank for rank, _ in self.spans})


class TraceTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.file = self.folder / "trace.json"

    def start(self, command, *arguments):
        program = Program(
            [BINARIES / "monsoon", command, "--model", "mlp:100,50", "--workers",
             "2", "--servers", "2", "--batch-size", "100", "--json", "--trace",
             self.file, "--out", self.folder / "run", *arguments], self.folder)
        self.addCleanup(program.end)
        return program

    def assert_well_formed(self, trace, begin, end):
        """As the format's description has it, and within the process's life."""
        self.assertEqual(trace.whole["displayTimeUnit"], "ms")
        for event in trace.whole["traceEvents"]:
            self.assertIn(event["ph"], "XM")
            self.assertGreater(event["pid"], 0)
            self.assertGreater(event["tid"], 0)
            if event["ph"] == "M":
                self.assertTrue(event["args"])
                continue
            for number in (event["ts"], event["dur"]):
                self.assertTrue(math.isfinite(number))
            self.assertGreaterEqual(event["dur"], 0)
            self.assertGreaterEqual(event["ts"], begin * 1e6)
            self.assertLessEqual(event["ts"] + event["dur"], end * 1e6)
        for rank in trace.ranks():
            self.assertEqual(trace.names[rank, STEPS], "steps")
            self.assert_steps_in_turn(trace.spans[rank, STEPS])
        for (rank, thread), spans in trace.spans.items():
            if thread < FIRST_SHARD:
                continue
            self.assertEqual(trace.names[rank, thread],
                             f"shard {thread - FIRST_SHARD}")
            for one, other in zip(spans, spans[1:]):
                self.assertLessEqual(one["ts"] + one["dur"], other["ts"] + 0.01)

    def assert_steps_in_turn(self, spans):
        """They do not overlap; waits lie within exchanges."""
        last_end = 0
        exchange_end = 0
        seen_step = False
        for span in spans:
            end = span["ts"] + span["dur"]
            if span["name"] == "wait":
                # Before the first step the center is brought and pulled.
                if seen_step:
                    self.assertLessEqual(end, exchange_end + 0.01)
                continue
            seen_step = True
            self.assertGreaterEqual(span["ts"], last_end - 0.01)
            last_end = end
            if span["name"] == "exchange":
                exchange_end = end

    def assert_counts(self, trace, summary, shards):
        ranks = range(summary["workers"])
        self.assertEqual(trace.ranks(), list(ranks))
        self.assertEqual(sum(len(trace.of(r, "compute")) for r in ranks),
                         summary["steps"])
        pushes = [span for r in ranks
                  for span in trace.requests(r, "push", "push_pull")]
        self.assertEqual(len(pushes), summary["pushes"] * shards)
        pulls = [span for r in ranks
                 for span in trace.requests(r, "pull", "push_pull")]
        self.assertEqual(len(pulls), summary["pulls"] * shards)
        everything = [span for r in ranks for span in trace.requests(
            r, "push", "pull", "push_pull", "initialize")]
        for key in ("bytes_up", "bytes_down"):
            self.assertEqual(sum(s["args"][key] for s in everything),
                             summary[key])
        mean = sum(s["args"]["staleness"] for s in pushes) / len(pushes)
        self.assertAlmostEqual(mean, summary["staleness_mean"], delta=1e-6)
        self.assertEqual({s["args"]["server"] for s in pushes}, {0, 1})

    def assert_time_of_steps(self, trace, summary):
        """Between the first batch and the last exchange of a worker there is
        little beside what it has spans for."""
        for rank in range(summary["workers"]):
            steps = [s for s in trace.spans[rank, STEPS] if s["name"] != "wait"]
            whole = steps[-1]["ts"] + steps[-1]["dur"] - steps[0]["ts"]
            self.assertGreater(sum(s["dur"] for s in steps), 0.9 * whole)
            self.assertLess(whole / 1e6, 1.05 * summary["elapsed_s"] + 0.2)

    def test_train(self):
        begin = time.monotonic()
        program = self.start("train", "--trainer", "downpour").finish()
        self.assertEqual(program.code, 0, program.err)
        trace = Trace(self.file)
        self.assert_well_formed(trace, begin, time.monotonic())
        summary = program.summary()
        self.assert_counts(trace, summary, shards=2)
        self.assert_time_of_steps(trace, summary)
        self.assertEqual(trace.whole["otherData"]["dropped_spans"], {})
        exchanges = trace.of(0, "exchange")
        self.assertTrue(exchanges)
        self.assertTrue(trace.of(0, "data"))

    def test_launch_has_all_workers(self):
        begin = time.monotonic()
        program = self.start("launch", "--trainer", "adag", "--set", "window=3",
                             "--overlap", "--transport", "grpc").finish()
        self.assertEqual(program.code, 0, program.err)
        trace = Trace(self.file)
        self.assert_well_formed(trace, begin, time.monotonic())
        self.assert_counts(trace, program.summary(), shards=2)
        for rank in (0, 1):
            self.assertTrue(trace.of(rank, "wait", BESIDE))
            self.assertEqual(trace.names[rank, BESIDE],
                             "exchanges beside the steps")
            part = Trace(self.folder / "run" / "logs" / f"trace-{rank}.json")
            self.assertEqual(part.ranks(), [rank])
            for key, spans in part.spans.items():
                self.assertEqual(trace.spans[key], spans)

    def test_what_is_there_is_merged(self):
        program = self.start("launch", "--trainer", "adag", "--epochs", "1000")
        program.wait_until_training()
        program.kill("monsoon-worker", "--rank=1")
        program.finish()
        self.assertEqual(program.code, 1)
        trace = Trace(self.file)
        self.assertEqual(trace.ranks(), [0])
        self.assertTrue(trace.of(0, "compute"))

    def test_an_interrupted_run_is_kept(self):
        program = self.start("train", "--trainer", "adag", "--epochs", "1000")
        program.wait_until_training()
        program.process.send_signal(signal.SIGINT)
        program.finish()
        self.assertEqual(program.code, 130)
        self.assertEqual(Trace(self.file).ranks(), [0, 1])

    def test_a_file_that_cannot_be_written_is_said_before_the_run(self):
        self.file = self.folder / "none" / "trace.json"
        for command in ("train", "launch"):
            program = self.start(command, "--trainer", "adag").finish()
            self.assertEqual(program.code, 1)
            self.assertIn(f"monsoon {command}: error: --trace {self.file}: "
                          "cannot be written: ", program.err)
            self.assertEqual(program.out, "")
            self.assertFalse((self.folder / "run").exists())

    def test_a_failure_at_the_end_is_a_warning(self):
        program = self.start("train", "--trainer", "adag", "--epochs", "3")
        wait_for("the file", self.file.exists)
        self.file.unlink()
        self.file.mkdir()
        program.finish()
        self.assertEqual(program.code, 0, program.err)
        self.assertIn("monsoon train: warning: --trace: ", program.err)
        self.assertEqual(program.summary()["status"], "done")


if __name__ == "__main__":
    unittest.main()
