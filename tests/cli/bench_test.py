# SPDX-License-Identifier: Apache-2.0
"""monsoon bench with real processes and real data.

    bench_test.py FOLDER_OF_THE_BINARIES
"""

import csv
import json
import os
import signal
import sys
import tempfile
import unittest
from pathlib import Path

from processes import Program, wait_for

BINARIES = Path(sys.argv.pop())
LONG = ["--epochs", "1000"]  # nobody waits for its end


class BenchTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "bench"
        self.results = self.folder / "results.jsonl"

    def bench(self, *arguments):
        program = Program([BINARIES / "monsoon", "bench", "--models", "mlp:50",
                           "--out", self.folder, *arguments], self.folder)
        self.addCleanup(program.end)
        return program

    def rows(self):
        return [json.loads(line)
                for line in self.results.read_text().splitlines()]

    def cells(self):
        return sorted((row["trainer"], row["batch_size"], row["seed"])
                      for row in self.rows())

    def assert_gone(self, program):
        wait_for("all processes to end", lambda: not program.running(), 5)

    def test_compares_the_time_to_an_accuracy(self):
        program = self.bench("--trainers", "single,adag", "--batches", "500",
                             "--repeat", "1", "--time-to", "0.999,0.3").finish()
        self.assertEqual(program.code, 0, program.err)
        for row in self.rows():
            curve = row["curve"]
            self.assertIsNone(row["time_to"], "0.999, which none reaches")
            self.assertGreater(len(curve), 20)
            self.assertEqual(curve, sorted(curve))
            self.assertEqual(curve[-1][1:], [60_000, row["test_acc"]])
            self.assertGreater(curve[-1][2], curve[0][2])
            first = next(point for point in curve if point[2] >= 0.3)
            self.assertIn(f"{first[0]:.2f}", program.out)
        self.assertEqual(program.out.count("not reached 0/1"), 2)
        for row in self.rows():
            pages = self.folder.glob(f"runs/*-{row['trainer']}-*/report.html")
            self.assertIn(f"{row['test_acc']:.4f}", next(pages).read_text())

    def test_the_curve_ends_where_it_is_enough(self):
        program = self.bench("--trainers", "adag", "--batches", "500",
                             "--repeat", "1", "--time-to", "0.3").finish()
        self.assertEqual(program.code, 0, program.err)
        (row,) = self.rows()
        reached = [point[2] >= 0.3 for point in row["curve"]]
        self.assertEqual(reached, [False] * (len(reached) - 1) + [True])
        self.assertEqual(row["time_to"], row["curve"][-1][0])

    def test_who_chooses_the_points_of_a_curve_gets_them_all(self):
        program = self.bench("--trainers", "single", "--batches", "500",
                             "--repeat", "1", "--time-to", "0.3",
                             "--eval-every", "6000").finish()
        self.assertEqual(program.code, 0, program.err)
        (row,) = self.rows()
        self.assertEqual([point[1] for point in row["curve"]],
                         list(range(6000, 60_001, 6000)))
        self.assertLess(row["time_to"], row["curve"][-1][0])

    def test_compares_trainers_and_batch_sizes(self):
        program = self.bench("--trainers", "single,adag", "--batches",
                             "2000,1000", "--repeat", "2", "--seed", "5",
                             "--json").finish()
        self.assertEqual(program.code, 0, program.err)
        self.assertEqual(self.cells(), sorted(
            (trainer, batch, seed) for trainer in ("single", "adag")
            for batch in (1000, 2000) for seed in (5, 6)))
        for row in self.rows():
            self.assertEqual(row["status"], "done")
            self.assertEqual(row["samples"], 60_000)
            self.assertEqual(row["workers"], 1 if row["trainer"] == "single"
                             else 2)
        self.assertEqual(program.summary(), {
            "out": str(self.folder), "runs": 8, "done": 8, "diverged": 0,
            "failed": 0})
        for text in ("elapsed seconds, median (min..max) of 2", "test accuracy",
                     "single (1 worker)"):
            self.assertIn(text, program.out)
        self.assertIn("= 8 runs", program.err)
        bench = json.loads((self.folder / "bench.json").read_text())
        self.assertEqual(bench["matrix"]["batches"], [2000, 1000])
        self.assertGreater(bench["machine"]["cores"], 0)
        for name in ("elapsed.csv", "accuracy.csv"):
            with open(self.folder / name, newline="") as file:
                sheet = list(csv.DictReader(file))
            self.assertEqual([row["batch_size"] for row in sheet],
                             ["2000", "1000"])
            self.assertGreater(float(sheet[0]["adag_max"]), 0)
        self.assertIn("| batch", (self.folder / "tables.md").read_text())

    def test_shows_one_table_of_runs_where_there_is_one_run_each(self):
        program = self.bench("--trainers", "downpour", "--batches", "1000",
                             "--repeat", "1").finish()
        self.assertEqual(program.code, 0, program.err)
        lines = program.out.splitlines()
        for column in ("trainer", "batch", "elapsed s", "samples/s",
                       "staleness", "test accuracy"):
            self.assertIn(column, lines[1])
        self.assertIn("downpour", lines[2])
        self.assertIn(str(self.folder), lines[-1])

    def test_compares_wire_codes(self):
        program = self.bench("--trainers", "adag", "--batches", "1000",
                             "--wire", "fp32,int8/bf16", "--repeat",
                             "1").finish()
        self.assertEqual(program.code, 0, program.err)
        moved = {row["wire"]: row["bytes_up"] for row in self.rows()}
        self.assertEqual(sorted(moved), ["fp32", "int8,bf16"])
        # The initial center is float32 in both.
        self.assertLess(moved["int8,bf16"], 0.6 * moved["fp32"])
        lines = program.out.splitlines()
        self.assertIn("Wire codes on fashion-mnist", lines[0])
        for column in ("wire", "pushed MB", "pulled MB", "test accuracy"):
            self.assertIn(column, lines[1])
        self.assertIn(" int8,bf16 ", lines[3])

    def test_goes_on_where_it_was_interrupted(self):
        matrix = ["--trainers", "single,aeasgd", "--batches", "1000,2000",
                  "--repeat", "1"]
        program = self.bench(*matrix)
        wait_for("the first result", lambda: self.results.exists()
                 and self.results.read_text().count("\n") >= 1)
        os.killpg(program.process.pid, signal.SIGINT)
        program.finish()
        self.assertEqual(program.code, 130, program.err)
        self.assertIn("goes on", program.err)
        self.assert_gone(program)
        before = self.results.read_text()
        self.assertLess(len(self.rows()), 4)
        with open(self.results, "a") as file:
            file.write('{"trainer":"sin')  # a bench that was killed

        other = self.bench(*matrix, "--epochs", "2").finish()
        self.assertEqual(other.code, 2)
        self.assertIn("epochs is 1 there, 2 here", other.err)

        again = self.bench(*matrix).finish()
        self.assertEqual(again.code, 0, again.err)
        self.assertTrue(self.results.read_text().startswith(before))
        self.assertEqual(self.cells(), [
            ("aeasgd", 1000, 1), ("aeasgd", 2000, 1), ("single", 1000, 1),
            ("single", 2000, 1)])

        runs = self.results.read_text()
        done = self.bench(*matrix).finish()
        self.assertEqual(done.code, 0, done.err)
        self.assertEqual(self.results.read_text(), runs)

    def test_leaves_nothing_when_it_is_killed(self):
        program = self.bench("--trainers", "adag", "--batches", "500",
                             "--repeat", "1", *LONG)
        program.wait_until_training()
        program.process.kill()
        program.finish()
        self.assert_gone(program)
        self.assertFalse(self.results.exists())

    def test_records_a_run_that_crashes_and_goes_on(self):
        program = self.bench("--trainers", "single,adag", "--batches", "500",
                             "--repeat", "1", *LONG)
        program.wait_until_training()
        # The children have --trainer=, and the bench has --trainers.
        program.kill("--trainer=")
        wait_for("its result", self.results.exists)
        wait_for("the next run", lambda: program.running("--trainer="))
        program.kill("--trainer=")
        program.finish()
        self.assertEqual(program.code, 1, program.err)
        self.assertIn("killed by signal 9 (SIGKILL)", program.err)
        self.assertEqual([row["status"] for row in self.rows()],
                         ["failed", "failed"])
        self.assertIn("failed", program.out)
        self.assert_gone(program)

    def assert_refused(self, code, message, *arguments):
        program = self.bench(*arguments).finish()
        self.assertEqual(program.code, code, program.err)
        self.assertIn(message, program.err)
        self.assertEqual(program.out, "")
        self.assertFalse(self.folder.exists())

    def test_refuses_bad_lists_before_any_work(self):
        for message, *arguments in (
                ('did you mean "adag"?', "--trainers", "single,adga"),
                ('did you mean "cnn"?', "--models", "cnm"),
                ('"adag" comes twice', "--trainers", "adag,adag"),
                ("none empty", "--batches", "16,,32"),
                ('found "0"', "--batches", "16,0"),
                ('found "0"', "--repeat", "0"),
                ('found "x"', "--batches", "x"),
                ("windw", "--set", "windw=3"),
                ("mlp:0", "--models", "mlp:0"),
                ("--batch-size 70000", "--batches", "16,70000"),
                ('"exchange"', "exchange")):
            with self.subTest(arguments):
                self.assert_refused(2, message, *arguments)

    def test_refuses_missing_data_before_any_work(self):
        self.assert_refused(3, "dataset-fashion-mnist", "--data",
                            "fashion-mnist:/nowhere")


if __name__ == "__main__":
    unittest.main()
