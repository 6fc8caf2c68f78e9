# SPDX-License-Identifier: Apache-2.0
"""The page of monsoon report in a real browser.

    report_page_test.py FOLDER_OF_THE_BINARIES
"""

import json
import statistics
import sys
import tempfile
import unittest
from pathlib import Path

import small_bench
from chromium import Chromium
from small_bench import rows_of

BINARIES = Path(sys.argv.pop()).resolve()
NASTY = "<img src=x onerror=alert(1)>&amp;'\"</script>"

# Of every chart: its marks, and whether each is to be seen where it should be,
# were those of its own name the only ones.
MARKS = """[...document.querySelectorAll(".plot canvas")].map((canvas) => {
  const chart = Chart.getChart(canvas);
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d", {willReadFrequently: true});
  const near = (mark, colour) => {
    const wanted = colour.match(/\\w\\w/g).slice(0, 3)
        .map((part) => parseInt(part, 16));
    const box = context.getImageData(mark.x - 5, mark.y - 5, 11, 11).data;
    for (let i = 0; i < box.length; i += 4) {
      if (box[i + 3] > 200 && wanted.every(
          (value, part) => Math.abs(value - box[i + part]) < 40)) return true;
    }
    return false;
  };
  const shown = chart.data.datasets.map((_, i) => chart.isDatasetVisible(i));
  const marks = [];
  chart.data.datasets.forEach((dataset, index) => {
    if (dataset.guide || !shown[index]) return;
    shown.forEach((_, i) => chart.setDatasetVisibility(i, i === index));
    chart.update("none");
    context.clearRect(0, 0, copy.width, copy.height);
    context.drawImage(canvas, 0, 0);
    chart.getDatasetMeta(index).data.forEach((mark, i) => {
      const point = dataset.points[i];
      if (!point || point.y === null) return;
      const low = dataset.type === "bar" && mark.base - mark.y <= 3;
      marks.push({name: dataset.label, y: point.y,
                  seen: low || near(mark, dataset.borderColor)});
    });
  });
  shown.forEach((is, i) => chart.setDatasetVisibility(i, is));
  chart.update("none");
  return {id: canvas.closest("figure").id, marks};
})"""


def checked(*arguments):
    return small_bench.checked(BINARIES, *arguments)


class ReportPageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.root = Path(temporary.name)
        cls.bench = cls.root / "bench"
        cls.rows = small_bench.make(BINARIES, cls.bench)
        cls.page = cls.report(cls.bench)
        cls.browser = Chromium()
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def report(cls, *folders):
        page = cls.root / f"report-{len(list(cls.root.glob('*.html')))}.html"
        checked("report", *folders, "--out", page)
        return page

    def open(self, page=None, width=1280, dark=False):
        self.browser.screen(width, 900, dark)
        self.browser.open(page or self.page)
        return self.browser.evaluate

    def assert_quiet(self, page):
        """It says nothing on the console and asks the network for nothing."""
        self.assertEqual(self.browser.complaints(), [])
        self.assertEqual([url for url in self.browser.requests()
                          if not url.startswith("data:")],
                         [Path(page).resolve().as_uri()])

    def cells(self):
        """(trainer, batch) -> the runs of it that are done."""
        cells = {}
        for row in self.rows:
            cell = cells.setdefault((row["trainer"], row["batch_size"]), [])
            if row["status"] == "done":
                cell.append(row)
        return cells

    def medians(self, key):
        return {cell: statistics.median(row[key] for row in rows)
                for cell, rows in self.cells().items() if rows}

    def test_every_chart_has_a_mark_for_each_of_its_rows(self):
        evaluate = self.open()
        charts = {chart["id"]: chart["marks"] for chart in evaluate(MARKS)}
        self.assertEqual(list(charts), [
            "c1-elapsed", "c1-accuracy", "c1-by-s", "c1-by-samples", "c1-by-MB",
            "c1-staleness"])
        for name, marks in charts.items():
            self.assertTrue(marks, name)
            self.assertEqual([mark for mark in marks if not mark["seen"]], [],
                             name)
        for name, key in (("c1-elapsed", "elapsed_s"),
                          ("c1-accuracy", "test_acc")):
            self.assertEqual(sorted(mark["y"] for mark in charts[name]),
                             sorted(self.medians(key).values()))
        accuracies = sorted(row["test_acc"] for row in self.rows
                            if row["status"] == "done")
        for name in ("c1-by-s", "c1-by-samples", "c1-by-MB"):
            self.assertEqual(sorted(mark["y"] for mark in charts[name]),
                             accuracies)
        self.assert_quiet(self.page)

    def test_a_cell_that_failed_is_written_into_the_chart_and_its_table(self):
        evaluate = self.open()
        self.assertEqual(evaluate("""Chart.getChart(document.querySelector(
            "#c1-elapsed .plot canvas")).data.datasets.flatMap((dataset) =>
            dataset.points.filter((point) => point.note)
            .map((point) => [dataset.label, point.note, point.y === null]))"""),
            [["single (1 worker)", "1 of 2 done", False],
             ["adag", "failed", True]])
        self.assertIn("failed", evaluate(
            "document.querySelector('#c1-elapsed table').textContent"))
        self.assertIn("3 not done", evaluate("document.body.innerText"))

    def test_pictures_have_words_for_who_cannot_see_them(self):
        evaluate = self.open()
        tree = self.browser.call("Accessibility.getFullAXTree")["nodes"]

        def named(*roles):
            return [node["name"]["value"] for node in tree
                    if node.get("role", {}).get("value") in roles]

        pictures = named("image", "img")
        claims = evaluate("[...document.querySelectorAll('.finding')]"
                          ".map((one) => one.textContent)")
        self.assertEqual(len(pictures), 6)
        for picture, claim in zip(pictures, claims, strict=True):
            self.assertIn(claim, picture)
            self.assertIn("numbers are in the table", picture)
        self.assertIn("All runs", named("region"))
        # Each with its numbers, and a caption.
        self.assertEqual(evaluate("""[...document.querySelectorAll("figure")]
            .filter((one) => one.querySelectorAll("tbody tr").length > 0 &&
                    one.querySelector("caption").textContent).length"""), 6)
        self.assertEqual(evaluate("""[...document.querySelectorAll(
            "button, input, select, summary, a")].filter((one) =>
            !one.textContent.trim() && !one.closest("label")).length"""), 0)

    def test_the_page_has_the_numbers_of_the_results(self):
        evaluate = self.open()
        shown = evaluate("""[...document.querySelectorAll("#runs-table tbody tr")]
            .map((row) => Object.fromEntries([...row.querySelectorAll(
                "[data-key]")].map((cell) => [cell.dataset.key,
                                              cell.dataset.value])))""")
        self.assertEqual(len(shown), 12)
        for row in self.rows:
            (found,) = [one for one in shown if all(
                one[key] == str(row[key])
                for key in ("trainer", "batch_size", "seed"))]
            for name in ("model", "status", "elapsed_s", "test_acc", "samples",
                         "samples_per_s", "staleness_mean", "bytes_up",
                         "peak_rss_bytes", "workers", "train_loss"):
                value = row[name]
                if value is None:
                    self.assertEqual(found[name], "")
                elif isinstance(value, str):
                    self.assertEqual(found[name], value)
                else:
                    self.assertEqual(float(found[name]), value, name)

    def test_the_claims_are_those_of_the_medians(self):
        elapsed, accuracy = self.medians("elapsed_s"), self.medians("test_acc")
        fastest = min(elapsed, key=elapsed.get)
        best = max(accuracy.values())
        near = [cell for cell in accuracy if accuracy[cell] >= best - 0.01]
        recommended = min(near, key=elapsed.get)
        evaluate = self.open()
        cards = dict(evaluate("""[...document.querySelectorAll(".claim")].map(
            (one) => [one.querySelector("h3").textContent,
                      one.querySelector(".sentence").textContent])"""))
        name = {"single": "single (1 worker)"}
        for title, (trainer, batch) in (("Fastest", fastest),
                                        ("Recommended", recommended)):
            self.assertTrue(cards[title].startswith(
                f"{name.get(trainer, trainer)} at batch {batch} is "),
                cards[title])
        self.assertIn(f"{best:.4f}", cards["Most accurate"])

    def visible(self):
        return self.browser.evaluate("""[...document.querySelectorAll(
            "#runs-table tbody tr")].filter((row) => row.offsetHeight > 0)
            .map((row) => [row.querySelector("[data-key=trainer]").textContent,
                           row.dataset.status])""")

    def test_runs_can_be_searched_and_chosen(self):
        evaluate = self.open()
        self.assertEqual(len(self.visible()), 12)
        self.browser.click("#runs-search")
        self.browser.type("adag FAILED")
        self.assertEqual(self.visible(), [["adag", "failed"]] * 2)
        self.assertEqual(evaluate("document.getElementById('runs-count')"
                                  ".textContent"), "2 of 12 runs")
        evaluate("document.getElementById('runs-search').value = ''")
        evaluate("""(() => { const select =
            document.getElementById("runs-trainer");
            select.value = "single";
            select.dispatchEvent(new Event("change")); })()""")
        self.assertEqual(sorted(self.visible()),
                         [["single", "done"]] * 3 + [["single", "failed"]])

    def test_runs_can_be_sorted(self):
        evaluate = self.open()
        for key, of in (("elapsed_s", float), ("batch_size", int),
                        ("trainer", str)):
            for direction in ("ascending", "descending"):
                self.browser.click(f"th[data-key={key}] button")
                self.assertEqual(evaluate(f"""document.querySelector(
                    "th[data-key={key}]").getAttribute("aria-sort")"""),
                    direction)
                shown = [of(text) for text in evaluate(
                    f"""[...document.querySelectorAll("td[data-key={key}]")]
                    .map((cell) => cell.dataset.value)""")]
                self.assertEqual(shown, sorted(
                    shown, reverse=direction == "descending"))
                self.assertNotEqual(shown[0], shown[-1])
        # What has no number comes last, whichever way.
        self.browser.click("th[data-key=test_acc] button")
        self.browser.click("th[data-key=test_acc] button")
        self.assertEqual([row[1] for row in self.visible()][-3:],
                         ["failed"] * 3)
        self.assert_quiet(self.page)

    def test_a_name_hides_its_marks_and_a_batch_size_the_others(self):
        evaluate = self.open()
        before = {chart["id"]: len(chart["marks"]) for chart in evaluate(MARKS)}
        self.browser.click("#c1-by-s .legend li:nth-child(3) button")
        self.browser.click("#c1-by-MB .facets button:nth-of-type(2)")
        after = {chart["id"]: chart["marks"] for chart in evaluate(MARKS)}
        self.assertEqual(before["c1-by-s"] - len(after["c1-by-s"]), 4)
        self.assertNotIn("aeasgd", {mark["name"] for mark in after["c1-by-s"]})
        self.assertEqual(len(after["c1-by-MB"]), sum(
            row["batch_size"] == 500 and row["status"] == "done"
            for row in self.rows))
        self.assertEqual(len(after["c1-elapsed"]), before["c1-elapsed"])
        # With all names hidden, no whisker is left in the middle of the chart.
        ink = """(() => { const chart = Chart.getChart(document.querySelector(
            "#c1-elapsed .plot canvas")); const area = chart.chartArea;
            return [...chart.ctx.getImageData(area.left + 2, area.top,
                area.width - 4, area.height - 4).data].filter((part, i, all) =>
                i % 4 === 0 && part < 60 && all[i + 3] > 200).length; })()"""
        self.assertGreater(evaluate(ink), 20)
        for i in (1, 2, 3):
            self.browser.click(f"#c1-elapsed .legend li:nth-child({i}) button")
        self.assertEqual(evaluate(ink), 0)

    def test_the_arrow_keys_go_from_mark_to_mark(self):
        evaluate = self.open()
        evaluate("document.querySelector('#c1-elapsed canvas[role]').focus()")
        said = []
        for _ in range(6):
            self.browser.press("ArrowRight")
            said.append(evaluate("document.getElementById('said').textContent"))
        self.assertEqual(len(set(said)), 6)
        self.assertTrue(said[0].startswith(
            "single (1 worker), batch size 500, elapsed seconds "), said)
        self.assertIn("adag, batch size 1000, failed", said)
        self.assert_quiet(self.page)

    def test_a_phone_does_not_scroll_sideways(self):
        for width in (390, 320):
            evaluate = self.open(width=width)
            self.assertLessEqual(evaluate("Math.max(document.documentElement"
                                          ".scrollWidth, document.body"
                                          ".scrollWidth)"), width)
            self.assertTrue(all(mark["seen"] for chart in evaluate(MARKS)
                                for mark in chart["marks"]))
        # The table does, in a box of its own.
        self.assertTrue(evaluate("""(() => { const box = document.querySelector(
            "section > .scroll"); return box.scrollWidth > box.clientWidth; })
            ()"""))

    def test_dark_where_dark_is_preferred_and_light_on_paper(self):
        def light(evaluate):
            return evaluate("""getComputedStyle(document.body).backgroundColor
                .match(/\\d+/g).slice(0, 3).every((part) => part > 200)""")

        self.assertTrue(light(self.open()))
        evaluate = self.open(dark=True)
        self.assertFalse(light(evaluate))
        self.assertTrue(all(mark["seen"] for chart in evaluate(MARKS)
                            for mark in chart["marks"]))
        evaluate("""addEventListener("beforeprint", () => { window.seen = [
            getComputedStyle(document.documentElement)
                .getPropertyValue("--paper").trim(),
            document.querySelectorAll("figure details[open]").length]; })""")
        printed = self.root / "report.pdf"
        self.browser.print(printed)
        self.assertTrue(printed.read_bytes().startswith(b"%PDF"))
        self.assertEqual(evaluate("window.seen[0]"), "#ffffff")
        self.assertGreater(evaluate("window.seen[1]"), 2)
        self.assertEqual(evaluate("""document.querySelectorAll(
            "figure details[open]").length"""), 0)
        self.assertFalse(light(evaluate))
        self.assert_quiet(self.page)

    def test_curves_losses_targets_and_workers_have_charts_where_they_are(self):
        two, four = self.root / "two", self.root / "four"
        for folder, workers in ((two, 2), (four, 4)):
            checked("bench", "--models", "mlp:32",
                    "--trainers", "adag", "--batches", "500", "--repeat", "1",
                    "--workers", workers, "--time-to", "0.05,0.999",
                    "--out", folder)
        by_hand = self.root / "by-hand"
        checked("train", "--model", "mlp:32", "--trainer",
                "gem", "--out", by_hand)
        page = self.report(two, four, by_hand)
        evaluate = self.open(page)
        charts = {chart["id"]: chart["marks"] for chart in evaluate(MARKS)}
        for name in ("c1-scaling", "c1-time-to-0.05", "c1-loss"):
            self.assertTrue(charts[name], name)
            self.assertTrue(all(mark["seen"] for mark in charts[name]), name)
        self.assertEqual(
            sorted(mark["y"] for mark in charts["c1-scaling"]),
            sorted(row["samples_per_s"] for folder in (two, four)
                   for row in rows_of(folder)))
        points = sum(len(row["curve"]) for folder in (two, four)
                     for row in rows_of(folder))
        self.assertEqual(len(charts["c1-by-s"]), points + 1)
        self.assertEqual(charts["c1-time-to-0.999"], [])
        self.assertIn("None gets to 0.999", evaluate(
            "document.getElementById('c1-time-to-0.999').innerText"))
        self.assert_quiet(page)

    def test_texts_of_files_stay_texts(self):
        folder = self.root / "nasty"
        folder.mkdir()
        row = {**self.rows[0], "model": NASTY, "trainer": NASTY, "data": NASTY,
               "status": NASTY, "hyper": {NASTY: NASTY}}
        (folder / "results.jsonl").write_text(json.dumps(row) + "\n")
        (folder / "bench.json").write_text(json.dumps(
            {"machine": {NASTY: NASTY}, "matrix": {"models": [NASTY]}}))
        page = self.report(folder)
        evaluate = self.open(page)
        self.assertEqual(evaluate("document.images.length"), 0)
        self.assertEqual(evaluate("document.querySelector("
                                  "'#runs-table td[data-key=trainer]')"
                                  ".textContent"), NASTY)
        self.assert_quiet(page)


if __name__ == "__main__":
    unittest.main()
