# SPDX-License-Identifier: Apache-2.0
"""monsoon report on real benches and runs, and on what is left of some.

    report_test.py FOLDER_OF_THE_BINARIES
"""

import csv
import json
import shlex
import sys
import tempfile
import unittest
from pathlib import Path

import small_bench

BINARIES = Path(sys.argv.pop()).resolve()


def run(*arguments, **more):
    return small_bench.run(BINARIES, *arguments, **more)


def checked(*arguments, **more):
    return small_bench.checked(BINARIES, *arguments, **more)


class ReportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.root = Path(temporary.name)
        cls.bench = cls.root / "bench"
        cls.rows = small_bench.make(BINARIES, cls.bench)

    def report(self, *folders, end="json"):
        """The end of the command, and what it has written, if anything."""
        out = self.root / f"{self._testMethodName}.{end}"
        out.unlink(missing_ok=True)
        done = run("report", *folders, "--out", out)
        return done, out.read_text() if out.exists() else None

    def runs(self, *folders):
        """What the report has of each run; all is well."""
        done, text = self.report(*folders)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(text)["runs"]

    def test_every_format_has_the_runs_and_the_claims(self):
        outs = {end: self.root / f"all.{end}"
                for end in ("html", "md", "csv", "json")}
        printed = checked("report", self.bench, "--json",
                          *[f"--out={path}" for path in outs.values()])
        self.assertEqual(json.loads(printed.stdout.splitlines()[-1]), {
            "out": [str(path) for path in outs.values()], "runs": 12, "done": 9,
            "notices": 0})
        with open(outs["csv"], newline="") as file:
            sheet = list(csv.DictReader(file))
        report = json.loads(outs["json"].read_text())
        self.assertEqual([len(sheet), len(report["runs"])], [12, 12])
        for row in self.rows:
            (in_csv,), (in_json,) = [
                [one for one in runs if all(str(one[key]) == str(row[key])
                 for key in ("trainer", "batch_size", "seed"))]
                for runs in (sheet, report["runs"])]
            for key in ("model", "status", "elapsed_s", "test_acc", "samples",
                        "staleness_mean", "bytes_up", "workers"):
                self.assertEqual(in_json[key], row[key])
                if row[key] is None or isinstance(row[key], str):
                    self.assertEqual(in_csv[key], row[key] or "")
                else:
                    self.assertEqual(float(in_csv[key]), row[key])
        markdown, page = outs["md"].read_text(), outs["html"].read_text()
        (chapter,) = report["chapters"]
        self.assertEqual([claim["title"] for claim in chapter["claims"]],
                         ["Fastest", "Most accurate", "Recommended"])
        for text in [claim["text"] for claim in chapter["claims"]] + [
                figure["claim"] for figure in chapter["figures"]]:
            self.assertIn(text, markdown)
            self.assertIn(text, page)

    def repeat(self, run):
        """Does what the report says repeats the run; its summary, its folder."""
        words = shlex.split(run["command"])
        self.assertEqual(words[0], "monsoon")
        out = Path(tempfile.mkdtemp(dir=self.root)) / "run"
        done = checked(*words[1:], "--json", "--out", out)
        return json.loads(done.stdout.splitlines()[-1]), out

    def test_the_command_of_a_run_repeats_it(self):
        common = ["--model", "mlp:32", "--trainer", "adag", "--batch-size",
                  "500", "--set", "window=3", "--seed", "9", "--workers", "2",
                  "--lr", "0.05", "--weight-decay", "0.001"]
        folders = []
        for command, *arguments in (
                ("train", "--eval-every", "20000"), ("launch",),
                ("simulate", "--compute", "2ms", "--network", "1gbit:10us")):
            folders.append(self.root / f"repeated-{command}")
            checked(command, *common, *arguments, "--out", folders[-1])
        runs = {run["folder"]: run for run in self.runs(*folders)}
        for folder in folders:
            first = json.loads((folder / "summary.json").read_text())
            again, out = self.repeat(runs[str(folder)])
            self.assertEqual((folder / "config.toml").read_text(),
                             (out / "config.toml").read_text())
            exact = ["trainer", "transport", "hyper", "samples", "workers"]
            if first["transport"] == "virtual":
                exact += ["elapsed_s", "compute", "network", "test_acc"]
            self.assertEqual([first[key] for key in exact],
                             [again[key] for key in exact])

    def test_the_command_of_a_run_of_a_bench_repeats_it(self):
        for run in self.runs(self.bench):
            if (run["trainer"], run["seed"]) != ("single", 2):
                continue
            again, _ = self.repeat(run)
            (first,) = [row for row in self.rows if all(
                row[key] == run[key]
                for key in ("trainer", "batch_size", "seed"))]
            # One worker alone does the same to the last bit.
            for key in ("trainer", "batch_size", "seed", "hyper", "lr",
                        "samples", "test_acc", "test_loss"):
                self.assertEqual(first[key], again[key])

    def test_bad_use_is_refused_before_any_work(self):
        for message, *arguments in (
                ("expected one or more", "--out", "x.html"),
                (".html, .md, .csv or .json", self.bench, "--out", "x.pdf"),
                (".html, .md, .csv or .json", self.bench, "--out", "html"),
                ('did you mean "--out"?', self.bench, "--oot", "x.html"),
                ("found no value", self.bench, "--out")):
            with self.subTest(arguments):
                done = run("report", *arguments, cwd=self.root)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(message, done.stderr)
                self.assertEqual(done.stdout, "")
        self.assertEqual(list(self.root.glob("x.*")), [])

    def test_what_is_missing_is_said_and_the_rest_shown(self):
        empty = self.root / "empty"
        empty.mkdir()
        for end in ("json", "html", "md"):
            done, text = self.report(self.root / "nowhere", self.bench, empty,
                                     end=end)
            self.assertEqual(done.returncode, 3)
            for message in ("nowhere", "no such folder",
                            "neither bench.json nor summary.json"):
                self.assertIn(message, done.stderr)
                self.assertIn(message, text)
            self.assertIn("aeasgd", text)

    def test_nothing_is_written_where_there_is_nothing_to_show(self):
        for folders in (["nowhere"], ["nowhere", "nothing"]):
            done, text = self.report(*folders)
            self.assertEqual(done.returncode, 3)
            self.assertEqual(done.stderr.count("error: "), len(folders))
            self.assertIsNone(text)

    def write(self, results):
        folder = Path(tempfile.mkdtemp(dir=self.root))
        (folder / "results.jsonl").write_text(results)
        (folder / "bench.json").write_text('{"machine":{},"matrix":{}}')
        return folder

    def test_a_bench_that_is_still_written_is_shown_and_not_mended(self):
        results = json.dumps(self.rows[0]) + '\n{"trainer":"ad'
        folder = self.write(results)
        done, text = self.report(folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("half written", done.stderr)
        report = json.loads(text)
        self.assertEqual(len(report["runs"]), 1)
        self.assertIn("half written", report["notices"][0])
        self.assertEqual((folder / "results.jsonl").read_text(), results)

    def test_rows_of_another_version_are_shown_without_what_they_lack(self):
        old = {key: self.rows[0][key] for key in
               ("trainer", "model", "batch_size", "elapsed_s", "status")}
        done, text = self.report(self.write(json.dumps(old) + "\n"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("line 1: found no data, transport, ", done.stderr)
        (shown,) = json.loads(text)["runs"]
        self.assertEqual(shown["elapsed_s"], self.rows[0]["elapsed_s"])
        self.assertIsNone(shown["test_acc"])

    def test_a_line_that_cannot_be_read_is_corrupt_data(self):
        folder = self.write(json.dumps(self.rows[0]) + "\ngarbage\n")
        done, text = self.report(folder)
        self.assertEqual(done.returncode, 3)
        self.assertIn('line 2: found "garbage"', done.stderr)
        self.assertEqual(len(json.loads(text)["runs"]), 1)

    def test_a_bench_whose_runs_all_failed_says_so(self):
        folder = self.write("".join(
            json.dumps(small_bench.failed(row)) + "\n" for row in self.rows))
        done, text = self.report(folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(text)
        self.assertEqual([run["status"] for run in report["runs"]],
                         ["failed"] * 12)
        (chapter,) = report["chapters"]
        self.assertEqual([claim["text"] for claim in chapter["claims"]],
                         ["No run is done: 12 failed."])

    def test_a_place_that_cannot_be_written_is_named_and_the_others_are(self):
        bad, good = self.root / "no" / "x.html", self.root / "good.csv"
        done = run("report", self.bench, "--out", bad, "--out", good)
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(bad), done.stderr)
        self.assertIn("expected a folder that exists", done.stderr)
        self.assertEqual(len(good.read_text().splitlines()), 13)

    def test_the_page_lands_in_the_folder_and_the_help_names_the_command(self):
        done = checked("report", self.bench)
        page = self.bench / "report.html"
        self.assertEqual(done.stdout, f"report: {page}\n")
        self.assertIn("<!DOCTYPE html>", page.read_text())
        self.assertIn("\n  report ", checked("--help").stdout)


if __name__ == "__main__":
    unittest.main()
