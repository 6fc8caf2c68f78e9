# SPDX-License-Identifier: Apache-2.0
"""monsoon bench with real processes and real data.

    bench_test.py FOLDER_OF_THE_BINARIES
"""

import csv
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import time
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
                           "--warm-up-runs", "0", "--out", self.folder,
                           *arguments], self.folder)
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
        summary = program.summary()
        self.assertEqual(summary.pop("disturbed"),
                         sum(row["disturbed"] for row in self.rows()))
        self.assertEqual(summary, {
            "out": str(self.folder), "runs": 8, "done": 8, "diverged": 0,
            "failed": 0})
        for text in ("elapsed seconds, median (min..max) of 2", "test accuracy",
                     "single (1 worker)"):
            self.assertIn(text, program.out)
        self.assertIn("= 8 runs", program.err)
        bench = json.loads((self.folder / "bench.json").read_text())
        self.assertEqual(bench["matrix"]["batches"], [2000, 1000])
        machine = bench["machine"]
        self.assertGreater(machine["cores"], 0)
        self.assertLessEqual({"frequency_mhz", "governor", "load_before"},
                             set(machine))
        self.assertRegex(machine["versions"]["commit"],
                         "^([0-9a-f]{12,}(-dirty)?|unknown)$")
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

    SMALL = ["--models", "mlp:8", "--batches", "1000", "--repeat", "1"]

    def test_workers_servers_and_windows_are_axes(self):
        matrix = [*self.SMALL, "--trainers", "single,adag", "--workers", "1,2",
                  "--windows", "5,20", "--against", "single", "--json"]
        program = self.bench(*matrix).finish()
        self.assertEqual(program.code, 0, program.err)
        self.assertIn("2 numbers of workers x 2 windows x 1 repeat = 5 runs",
                      program.err)
        cells = sorted((row["trainer"], row["workers"],
                        row["hyper"].get("window")) for row in self.rows())
        self.assertEqual(cells, [("adag", 1, 5), ("adag", 1, 20),
                                 ("adag", 2, 5), ("adag", 2, 20),
                                 ("single", 1, None)])
        # What the window decides: 60 steps of 1000, over one or two workers.
        pushes = {(row["workers"], row["hyper"]["window"]): row["pushes"]
                  for row in self.rows() if row["trainer"] == "adag"}
        self.assertEqual(pushes, {(1, 5): 12, (1, 20): 3, (2, 5): 12,
                                  (2, 20): 4})
        for title in ("Scaling over workers on fashion-mnist, 1/2 workers, "
                      "1 server, windows 5/20, 1 epoch",
                      "Against single on ", "Runs on "):
            self.assertIn(title, program.out)
        base = next(row for row in self.rows() if row["trainer"] == "single")
        two = next(row for row in self.rows() if row["workers"] == 2
                   and row["hyper"]["window"] == 20)
        line = next(line for line in program.out.split("Against")[1]
                    .splitlines() if " adag        2      20 " in line)
        times, _, points = line.replace("*", "").split()[6:9]
        self.assertAlmostEqual(float(times),
                               base["elapsed_s"] / two["elapsed_s"], delta=.006)
        self.assertAlmostEqual(
            float(points), 100 * (two["test_acc"] - base["test_acc"]),
            delta=.006)
        matrix_of = json.loads((self.folder / "bench.json").read_text())
        self.assertEqual(matrix_of["matrix"]["workers"], [1, 2])
        self.assertEqual(matrix_of["matrix"]["windows"], [5, 20])
        with open(self.folder / "elapsed.csv", newline="") as file:
            sheet = list(csv.DictReader(file))
        self.assertEqual([(row["workers"], row["window"]) for row in sheet],
                         [("1", "5"), ("1", "20"), ("2", "5"), ("2", "20")])
        self.assertEqual(len({row["single"] for row in sheet}), 1)
        self.reported_apart()
        # A folder that has lost a line goes on with that run alone.
        lines = self.results.read_text().splitlines(True)
        lost = json.loads(lines.pop(2))
        self.results.write_text("".join(lines))
        again = self.bench(*matrix).finish()
        self.assertEqual(again.code, 0, again.err)
        self.assertEqual(self.results.read_text().splitlines(True)[:4], lines)
        made = self.rows()[4]
        for key in ("trainer", "workers", "hyper", "seed"):
            self.assertEqual(made[key], lost[key])

    def reported_apart(self):
        """monsoon report and compare know the five cells of the bench."""
        out = self.folder / "report.json"
        report = Program([BINARIES / "monsoon", "report", self.folder, "--out",
                          out], self.folder).finish()
        self.assertEqual(report.code, 0, report.err)
        (chapter,) = json.loads(out.read_text())["chapters"]
        figures = {figure["title"]: figure["table"]
                   for figure in chapter["figures"]}
        self.assertEqual(
            figures["Elapsed time by trainer and batch size"]["columns"],
            ["batch", "single", "adag, 1 worker, window 5",
             "adag, 1 worker, window 20", "adag, 2 workers, window 5",
             "adag, 2 workers, window 20"])
        self.assertEqual(
            [row[:3] for row in figures["Scaling over workers"]["rows"]],
            [["adag, window 5", "1000", "1"], ["adag, window 5", "1000", "2"],
             ["adag, window 20", "1000", "1"],
             ["adag, window 20", "1000", "2"]])
        other = self.folder.parent / "other"
        shutil.copytree(self.folder, other)
        compared = Program([BINARIES / "monsoon", "compare", self.folder, other,
                            "--json"], self.folder).finish()
        cells = json.loads(compared.out)["cells"]
        self.assertEqual(sorted((cell["workers"], cell["window"] or 0)
                                for cell in cells),
                         [(1, 0), (1, 5), (1, 20), (2, 5), (2, 20)])
        self.assertTrue(all(cell["a"]["runs"] == 1 for cell in cells))

    def test_servers_are_an_axis_of_trainers_that_exchange(self):
        program = self.bench(*self.SMALL, "--trainers", "single,adag",
                             "--servers", "1,2").finish()
        self.assertEqual(program.code, 0, program.err)
        self.assertEqual(sorted((row["trainer"], row["servers"])
                                for row in self.rows()),
                         [("adag", 1), ("adag", 2), ("single", 1)])
        self.assertIn("  servers  ", program.out)

    def test_warm_up_runs_leave_nothing(self):
        program = self.bench(*self.SMALL, "--trainers", "single",
                             "--warm-up-runs", "2").finish()
        self.assertEqual(program.code, 0, program.err)
        self.assertEqual(program.err.count("warm   mlp:8, not counted"), 2)
        self.assertEqual(len(self.rows()), 1)
        self.assertEqual(os.listdir(self.folder / "runs"),
                         ["mlp-8-single-b1000-s1"])
        # Nothing is left to do, and nothing to warm up for.
        again = self.bench(*self.SMALL, "--trainers", "single",
                           "--warm-up-runs", "2").finish()
        self.assertNotIn("warm   ", again.err)

    def test_a_warm_up_run_is_short(self):
        program = self.bench("--trainers", "single", "--batches", "500",
                             "--repeat", "1", "--warm-up-runs", "1", *LONG)
        runs = self.folder / "runs"
        wait_for("the warm-up", (runs / "warm-up").exists)
        begin = time.monotonic()
        wait_for("the first run",
                 (runs / "mlp-50-single-b500-s1").exists)
        self.assertLess(time.monotonic() - begin, 30)
        os.killpg(program.process.pid, signal.SIGINT)
        program.finish()
        self.assertEqual(program.code, 130, program.err)

    def test_a_disturbed_run_is_marked_and_made_again(self):
        # As much as there are cores, beside the run.
        others = [subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"])
                  for _ in range(os.cpu_count())]
        try:
            program = self.bench(*self.SMALL, "--trainers", "single,adag",
                                 "--json").finish()
        finally:
            for other in others:
                other.kill()
                other.wait()
        self.assertEqual(program.code, 0, program.err)
        rows = self.rows()
        for row in rows:
            self.assertTrue(row["disturbed"])
            self.assertGreater(row["other_load"], 0.2)
            self.assertGreater(row["wall_s"], row["elapsed_s"])
            self.assertIn(f"disturbed (other processes used "
                          f"{row['other_load']:.2f} of a core", program.err)
        self.assertEqual(program.summary()["disturbed"], 2)
        self.assertIn("* disturbed: ", program.out)
        self.assertIn("--repeat-disturbed", program.err)
        again = self.bench(*self.SMALL, "--trainers", "single,adag",
                           "--repeat-disturbed").finish()
        self.assertEqual(again.code, 0, again.err)
        self.assertEqual(again.err.count("again: "), 2)
        kept = (self.folder / "disturbed.jsonl").read_text().splitlines()
        self.assertEqual([json.loads(line) for line in kept], rows)
        new = self.rows()
        self.assertEqual([row["trainer"] for row in new],
                         [row["trainer"] for row in rows])
        self.assertTrue(all(row["repeated"] for row in new))
        # Once: a run that was disturbed again stays as it is.
        text = self.results.read_text().replace('"disturbed":false',
                                                '"disturbed":true')
        self.results.write_text(text)
        third = self.bench(*self.SMALL, "--trainers", "single,adag",
                           "--repeat-disturbed").finish()
        self.assertEqual(third.code, 0, third.err)
        self.assertEqual(self.results.read_text(), text)

    def test_on_a_terminal_the_child_gets_the_bar(self):
        """The bench hands its children the line that they draw beneath."""
        shown = self.folder.parent / "shown"
        fake = self.folder.parent / "bin"
        fake.mkdir()
        shutil.copy(BINARIES / "monsoon", fake / "real")
        # The bench starts the program beside its own binary.
        (fake / "monsoon").write_text(
            f'#!/bin/sh\necho "$MONSOON_PROGRESS_FOOTER" >> {shown}\n'
            f'exec {BINARIES / "monsoon"} "$@"\n')
        (fake / "monsoon").chmod(0o755)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(fake / "real", [
                "real", "bench", *self.SMALL, "--trainers", "single,adag",
                "--warm-up-runs", "0", "--out", str(self.folder)])
        text = b""
        try:
            while chunk := os.read(terminal, 4096):
                text += chunk
        except OSError:  # the terminal is closed with the last process
            pass
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0,
                         text)
        first, second = shown.read_text().splitlines()
        self.assertEqual(first, "[------------] 0/2")
        self.assertRegex(second, r"^\[######------\] 1/2  [0-9a-z]+ left$")
        self.assertEqual(text.count(b" seed 1 "), 2)
        self.assertNotIn(b"about ", text)

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
                ('found "0"', "--workers", "2,0"),
                ('found "x"', "--servers", "1,x"),
                ('"1" comes twice', "--windows", "1,1"),
                ('found "-1"', "--warm-up-runs", "-1"),
                ("--set window=3: found with --windows", "--trainers", "adag",
                 "--set", "window=3", "--windows", "5,10"),
                ('--against: found "gem", expected one of --trainers '
                 "single,adag", "--trainers", "single,adag", "--against",
                 "gem"),
                ("trainer hogwild", "--trainers", "hogwild", "--servers",
                 "2,3"),
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
