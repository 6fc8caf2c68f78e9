# SPDX-License-Identifier: Apache-2.0
"""monsoon compare on folders that real benches have written.

    compare_test.py FOLDER_OF_THE_BINARIES
"""

import csv
import io
import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import small_data
from processes import Program

BINARIES = Path(sys.argv.pop())
FAILED, USAGE, DATA, GATE = 1, 2, 3, 4


class CompareTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """A bench of single and adag, three runs each, and one that diverges."""
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.benches = Path(temporary.name)
        cls.data = f"fashion-mnist:{small_data.write(cls.benches / 'data')}"
        cls.bench("a", 0, "--trainers", "single,adag", "--repeat", "3")
        cls.bench("diverged", FAILED, "--trainers", "adag", "--repeat", "1",
                  "--lr", "1e30")

    @classmethod
    def bench(cls, name, code, *words):
        program = Program(
            [BINARIES / "monsoon", "bench", "--models", "mlp:8", "--data",
             cls.data, "--batches", "10", "--out", cls.benches / name, *words],
            cls.benches).finish()
        assert program.code == code, program.err

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.a = self.benches / "a"

    def compare(self, *words):
        return Program([BINARIES / "monsoon", "compare", *map(str, words)],
                       self.folder).finish()

    def rows(self, folder):
        return [json.loads(line) for line in
                (folder / "results.jsonl").read_text().splitlines()]

    def changed(self, change=lambda row: row, name="b"):
        """A copy of A with change(row), None to drop it, in place of each."""
        copy = self.folder / name
        shutil.copytree(self.a, copy)
        rows = filter(None, map(change, self.rows(self.a)))
        (copy / "results.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows))
        return copy

    def slower(self):
        """A copy of A where adag takes twice as long."""
        return self.changed(lambda row: row if row["trainer"] != "adag" else
                            {**row, "elapsed_s": 2 * row["elapsed_s"]})

    def assert_refused(self, program, code, *parts):
        self.assertEqual(program.code, code, program.err)
        self.assertEqual(program.out, "")
        for part in parts:
            self.assertIn(str(part), program.err)

    # ---- Side by side ----------------------------------------------------

    def test_shows_a_table_for_each_field(self):
        program = self.compare(self.a, self.slower())
        self.assertEqual(program.code, 0, program.err)
        self.assertEqual(program.err, "")
        lines = program.out.splitlines()
        self.assertEqual(lines[0], f"A  {self.a}: 6 runs")
        for title in ("elapsed_s (s)", "samples_per_s", "test_acc"):
            self.assertIn(f"\n**{title} on fashion-mnist, 1 server: medians",
                          program.out)
        self.assertNotIn("time_to", program.out)
        (adag,) = [line for line in lines
                   if "+100.0 % |" in line and "adag" in line]
        self.assertEqual([text.strip() for text in adag.split("|")[1:5]],
                         ["mlp:8", "adag", "10", "2"])
        self.assertIn("test_acc: 2 differences: 2 within noise", lines)

    def test_json_is_one_object_with_the_same(self):
        b = self.slower()
        program = self.compare(self.a, b, "--json")
        self.assertEqual(program.code, 0, program.err)
        self.assertEqual(program.out.count("\n"), 1)
        found = json.loads(program.out)
        self.assertEqual(list(found), ["a", "b", "machine", "interval",
                                       "cells", "gate"])
        self.assertEqual(found["a"], {"folder": str(self.a), "runs": 6,
                                      "done": 6, "problems": []})
        self.assertEqual(found["interval"], {"confidence": 0.95,
                                             "resamples": 10_000, "seed": 1})
        self.assertEqual(found["machine"], {})
        self.assertIsNone(found["gate"])
        adag, single = found["cells"]
        self.assertEqual((adag["trainer"], adag["batch_size"], adag["workers"],
                          adag["servers"], adag["wire"], adag["in"]),
                         ("adag", 10, 2, 1, "fp32", "both"))
        times = sorted(row["elapsed_s"] for row in self.rows(self.a)
                       if row["trainer"] == "adag")
        elapsed = adag["fields"]["elapsed_s"]
        self.assertEqual(elapsed["a"], times[1])
        self.assertEqual(elapsed["b"], 2 * times[1])
        self.assertAlmostEqual(elapsed["percent"], 100)
        # Of three repeats: the range of all differences.
        self.assertAlmostEqual(elapsed["difference_low"],
                               2 * times[0] - times[2])
        self.assertAlmostEqual(elapsed["difference_high"],
                               2 * times[2] - times[0])
        self.assertEqual(single["fields"]["elapsed_s"]["difference"], 0)
        self.assertEqual(single["fields"]["elapsed_s"]["verdict"],
                         "within_noise")
        self.assertEqual(single["fields"]["staleness_mean"]["verdict"],
                         "no_value")
        self.assertEqual(program.out,
                         self.compare(self.a, b, "--json").out)

    def test_csv_has_a_line_for_each_cell_and_field(self):
        program = self.compare(self.a, self.slower(), "--csv")
        self.assertEqual(program.code, 0, program.err)
        rows = list(csv.DictReader(io.StringIO(program.out)))
        adag = {row["field"]: row for row in rows if row["trainer"] == "adag"}
        self.assertEqual(float(adag["elapsed_s"]["percent"]), 100)
        self.assertEqual(adag["test_acc"]["verdict"], "within noise")
        self.assertEqual(len(rows), 2 * len(adag))
        self.assert_refused(self.compare(self.a, self.a, "--csv", "--json"),
                            USAGE, "--json and --csv")

    def test_cells_of_one_side_and_failed_runs_are_shown(self):
        program = self.compare(self.a, self.benches / "diverged")
        self.assertEqual(program.code, 0, program.err)
        self.assertIn("1 run, 1 not done", program.out)
        self.assertIn("not done in B: mlp:8 on fashion-mnist, adag, batch 10, "
                      "2 workers, 1 server, seed 1: diverged", program.out)
        self.assertRegex(program.out, r"adag .* diverged \| .* not done")
        self.assertRegex(program.out, r"single .* only in A")
        self.assertRegex(program.out, r"differs: lr is 0\.\d+ in A, 1e\+30 in B")
        self.assertIn("elapsed_s: nothing to compare", program.out)

    def test_one_repeat_has_no_interval(self):
        b = self.changed(lambda row: row if row["seed"] == 1 else None)
        program = self.compare(self.a, b)
        self.assertEqual(program.code, 0, program.err)
        self.assertIn("2 of one repeat (no interval, may be noise)",
                      program.out)
        self.assertIn(f'"{b}/bench.json": 1 run has ended of mlp:8 on ',
                      program.err)
        self.assertIn("expected 3; the same monsoon bench goes on", program.err)
        self.assertNotIn("..", program.out.replace(str(self.folder), ""))

    def test_two_runs_are_compared_though_they_differ(self):
        runs = sorted((self.a / "runs").iterdir())
        adag, single = runs[0], runs[-1]
        program = self.compare(adag, single)
        self.assertEqual(program.code, 0, program.err)
        self.assertIn("adag / single", program.out)
        self.assertIn('differs: trainer is "adag" in A, "single" in B',
                      program.out)
        (cell,) = json.loads(self.compare(adag, single, "--json").out)["cells"]
        self.assertEqual(cell["in"], "both")
        self.assertEqual(cell["settings"]["workers"], {"a": [2], "b": [1]})
        # Beside a bench, a run belongs to its cell.
        cells = json.loads(self.compare(self.a, single, "--json").out)["cells"]
        self.assertEqual([cell["in"] for cell in cells], ["a", "both"])

    def test_machines_that_differ_are_named(self):
        b = self.changed()
        bench = json.loads((b / "bench.json").read_text())
        bench["machine"]["processor"] = "Another One"
        bench["machine"]["versions"]["monsoon"] = "0.0.1"
        bench["machine"]["load_before"] = 77
        (b / "bench.json").write_text(json.dumps(bench))
        found = json.loads(self.compare(self.a, b, "--json").out)["machine"]
        self.assertEqual(sorted(found), ["processor", "versions.monsoon"])
        self.assertEqual(found["processor"]["b"], "Another One")
        self.assertIn('"0.0.1" in B', self.compare(self.a, b).out)

    # ---- The gate --------------------------------------------------------

    def test_a_gate_that_holds(self):
        program = self.compare(
            self.a, self.slower(), "--gate",
            "test_acc >= -0.005, elapsed_s <= +101%", "--gate",
            "abs(test_acc) >= 0")
        self.assertEqual(program.code, 0, program.out)
        self.assertEqual(program.out.splitlines()[-4:], [
            "gate test_acc >= -0.005: holds in 2 of 2 cells",
            "gate elapsed_s <= +101%: holds in 2 of 2 cells",
            "gate abs(test_acc) >= 0: holds in 2 of 2 cells",
            "gate: holds"])

    def test_a_gate_that_falls_short_says_where(self):
        words = (self.a, self.slower(), "--gate",
                 "test_acc >= -0.005, elapsed_s <= +10%")
        program = self.compare(*words)
        self.assertEqual(program.code, GATE, program.err)
        lines = program.out.splitlines()
        at = lines.index("gate elapsed_s <= +10%: FALLS SHORT in 1 of 2 cells")
        self.assertRegex(
            lines[at + 1],
            r"^  mlp:8 on fashion-mnist, adag, batch 10, 2 workers, 1 server: "
            r"\+100 % \(95 % interval .*\), elapsed_s from .* to ")
        self.assertEqual(lines[at + 2:], ["gate: FALLS SHORT"])
        self.assertIn("gate test_acc >= -0.005: holds in 2 of 2 cells", lines)
        program = self.compare(*words, "--json")
        self.assertEqual(program.code, GATE)
        gate = json.loads(program.out)["gate"]
        self.assertFalse(gate["holds"])
        self.assertEqual([len(bound["falls_short"]) for bound in gate["bounds"]],
                         [0, 1])
        self.assertIn("gate elapsed_s <= +10%: FALLS SHORT", program.err)

    def test_a_gate_on_fields_that_are_not_shown_otherwise(self):
        program = self.compare(self.a, self.changed(), "--gate",
                               "peak_rss_bytes <= 0%")
        self.assertEqual(program.code, 0, program.out)
        self.assertIn("**peak_rss_bytes (MB)", program.out)

    def test_a_gate_does_not_pass_because_there_is_nothing_to_see(self):
        adag = "mlp:8 on fashion-mnist, adag, batch 10, 2 workers, 1 server"
        none = self.changed(
            lambda row: {**row, "batch_size": 11}, "other_batch")
        null = self.changed(lambda row: {**row, "test_acc": None}, "null")
        for b, why in (
                (self.benches / "diverged",
                 f"  {adag}: 1 of 1 runs of B is not done: seed 1 diverged"),
                (none, "  no cell is in both A and B"),
                (null, f"  {adag}: no test_acc in 3 of 3 runs of B")):
            with self.subTest(why):
                program = self.compare(self.a, b, "--gate", "test_acc >= -1")
                self.assertEqual(program.code, GATE, program.out)
                self.assertIn(why, program.out)
                self.assertEqual(program.out.count("gate: FALLS SHORT"), 1)

    def test_cells_that_no_bound_was_held_to_are_counted(self):
        b = self.changed(
            lambda row: row if row["trainer"] == "adag" else None)
        program = self.compare(self.a, b, "--gate", "test_acc >= -1")
        self.assertEqual(program.code, 0, program.out)
        self.assertIn("gate: holds; with nothing to compare with: 1 cells only "
                      "in A, 0 only in B", program.out)

    def test_refuses_a_gate_that_cannot_be_read(self):
        b = self.changed()
        for gate, *parts in (
                ("test_acc => 1", "character 10", 'found "=>"',
                 "expected >=, <=, > or <"),
                ("tst_acc >= 1", "character 1", 'unknown field "tst_acc"',
                 "accepted: elapsed_s, ", 'did you mean "test_acc"?'),
                ("elapsed_s <= ten", "character 14", 'found "ten"',
                 "expected a number"),
                ("abs(test_acc) >= 86%", "character 20", "no part of A"),
                ("", "found its end", "expected a field"),
                ("elapsed_s <= 1,", "character 16", "found its end")):
            with self.subTest(gate):
                self.assert_refused(
                    self.compare(self.a, b, "--gate", gate), USAGE,
                    f'--gate "{gate}"', *parts)
        # What is wrong with the gate is said before anything is read.
        self.assert_refused(self.compare(self.a, "/nowhere", "--gate", "x"),
                            USAGE, 'unknown field "x"')

    # ---- Folders ---------------------------------------------------------

    def test_refuses_other_than_two_folders(self):
        self.assert_refused(self.compare(), USAGE, "found 0 folders",
                            "expected two")
        self.assert_refused(self.compare("x"), USAGE, "found 1 folder (x)")
        self.assert_refused(self.compare("x", "y", "z"), USAGE,
                            "found 3 folders (x, y, z)")
        self.assert_refused(self.compare(self.a, f"{self.a}/../a/"), USAGE,
                            "are one folder")
        self.assert_refused(self.compare("x", "y", "--gat", "z"), USAGE,
                            'unknown flag "--gat"', 'did you mean "--gate"?')

    def test_refuses_what_is_no_folder_of_results(self):
        (self.folder / "empty").mkdir()
        for b, part in (
                ("missing", "found no such folder"),
                ("empty", "neither results.jsonl nor summary.json")):
            path = self.folder / b
            self.assert_refused(self.compare(self.a, path), DATA, path, part)
            self.assert_refused(self.compare(path, self.a), DATA, path, part)
        self.assert_refused(
            self.compare(self.a, self.a / "results.jsonl"), DATA,
            "found a file, expected the folder")
        (self.folder / "empty/bench.json").write_text("{}")
        self.assert_refused(self.compare(self.a, self.folder / "empty"), DATA,
                            "its bench has ended no run yet")
        self.assert_refused(
            self.compare(self.folder / "one", self.folder / "two"), DATA,
            self.folder / "one", self.folder / "two")

    def test_a_half_written_line_is_told_and_the_rest_compared(self):
        b = self.changed()
        with open(b / "results.jsonl", "a") as file:
            file.write('{"trainer":"sin')
        program = self.compare(self.a, b, "--gate", "test_acc >= 0")
        self.assertEqual(program.code, 0, program.err)
        self.assertIn(f'"{b}/results.jsonl", line 7, is half-written: found '
                      '"{"trainer":"sin"', program.err)
        self.assertIn(f"B  {b}: 6 runs", program.out)
        self.assertTrue((b / "results.jsonl").read_text().endswith("sin"),
                        "the folder is left as it was")

    def test_a_line_that_is_no_summary_is_told_and_the_rest_compared(self):
        b = self.changed()
        lines = (b / "results.jsonl").read_text().splitlines()
        lines[2] = lines[2].replace('"elapsed_s": ', '"elapsed_s": "slow"+')
        lines[4] = '{"trainer": "adag"}'
        (b / "results.jsonl").write_text("\n".join(lines) + "\n")
        program = self.compare(self.a, b, "--gate", "test_acc >= -1")
        self.assertEqual(program.code, DATA, program.err)
        self.assertIn("line 3: found ", program.err)
        self.assertIn('line 5: found no "model", expected a text', program.err)
        self.assertIn("not all of it could be read", program.err)
        self.assertIn(f"B  {b}: 4 runs", program.out)
        self.assertIn("**elapsed_s", program.out)
        problems = json.loads(self.compare(self.a, b, "--json").out)["b"][
            "problems"]
        self.assertIn("line 3", problems[0])
        self.assertIn("line 5", problems[1])
        (b / "results.jsonl").write_text("")
        program = self.compare(self.a, b)
        self.assertEqual(program.code, DATA)
        self.assertIn("found no run that can be read", program.err)
        self.assertIn("only in A", program.out)

    def test_results_of_another_version_are_compared_by_what_they_have(self):
        lacks = ("wire", "servers", "peak_rss_bytes", "curve", "time_to")
        b = self.changed(lambda row: {
            **{key: row[key] for key in row if key not in lacks}, "new": [1]})
        program = self.compare(self.a, b)
        self.assertEqual(program.code, 0, program.err)
        for what in ('6 runs have no "wire", which this version writes; taken '
                     "as fp32", 'no "servers"', 'no "peak_rss_bytes"'):
            self.assertIn(what, program.err)
        self.assertIn("test_acc: 2 differences: 2 within noise", program.out)
        program = self.compare(self.a, b, "--gate", "peak_rss_bytes <= 10%")
        self.assertEqual(program.code, GATE)
        self.assertIn("no peak_rss_bytes in 3 of 3 runs of B", program.out)

    def test_help_names_the_command_and_its_flags(self):
        program = Program([BINARIES / "monsoon", "--help"],
                          self.folder).finish()
        self.assertRegex(program.out, r"\n  compare +two benches or runs")
        program = self.compare("--help")
        self.assertEqual(program.code, 0)
        for word in ("--gate", "--json", "--csv", "elapsed_s", "abs(test_acc)"):
            self.assertIn(word, program.out)


if __name__ == "__main__":
    unittest.main()
