# SPDX-License-Identifier: Apache-2.0
"""The live page in a real browser: of a real run, and of a server that says
what no run would.

    http_page_test.py FOLDER_OF_THE_BINARIES
"""

import copy
import http.server
import json
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from chromium import Chromium
from live_run import JOB, LONG, LiveRun, messages
from processes import wait_for

BINARIES = Path(sys.argv.pop()).resolve()
TRAIN = ["monsoon", "train", *JOB, "--batch-size", "500", "--json"]
NASTY = "<img src=x onerror=document.title=1>&amp;\"'</script>"

# Of each chart: how many points it has, and how many pixels of its colour.
CHARTS = """[...document.querySelectorAll(".plot canvas")].map((canvas) => {
  const dataset = Chart.getChart(canvas).data.datasets[0];
  const wanted = dataset.borderColor.match(/\\w\\w/g)
      .map((part) => parseInt(part, 16));
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d", {willReadFrequently: true});
  context.drawImage(canvas, 0, 0);
  const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
  let drawn = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    drawn += pixels[i + 3] > 150 && wanted.every(
        (value, part) => Math.abs(value - pixels[i + part]) < 60);
  }
  return {id: canvas.closest("figure").id, points: dataset.data.length, drawn,
          label: canvas.getAttribute("aria-label")};
})"""
ROWS = """[...document.querySelectorAll("#workers-table tbody tr")].map(
    (row) => [...row.cells].map((cell) => cell.textContent))"""


def text(selector):
    return f"document.querySelector({json.dumps(selector)}).textContent"


class FakeRun:
    """Serves a page and events that are given."""

    def __init__(self, page, port=0):
        fake = self
        self.status = None
        self.ended = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                is_page = self.path == "/"
                self.send_header("Content-Type", "text/html; charset=utf-8"
                                 if is_page else "text/event-stream")
                self.end_headers()
                if is_page:
                    self.wfile.write(page.encode())
                    return
                sent = "retry: 100\ndata: " + json.dumps(fake.status) + "\n\n"
                self.wfile.write(sent.encode())
                fake.ended.wait(60)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port),
                                                      Handler)
        self.server.block_on_close = False
        self.port = self.server.server_address[1]

    def start(self, status):
        self.status = status
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class HttpPageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.root = Path(temporary.name)
        cls.browser = Chromium()
        cls.addClassCleanup(cls.browser.close)

    def train(self, *arguments):
        run = LiveRun(BINARIES, TRAIN, "--out", self.root / self.id(),
                      *arguments, folder=self.root)
        self.addCleanup(run.end)
        return run

    def open(self, url, width=1280, dark=False):
        # A page that is left does not look for its run while the next is shown.
        self.addCleanup(self.browser.call, "Page.navigate", url="about:blank")
        self.browser.screen(width, 900, dark)
        self.browser.open(url)
        return self.browser.evaluate

    def assert_quiet(self, url):
        self.browser.evaluate("1")  # what was said before is here now
        self.assertEqual(self.browser.complaints(), [])
        self.assertEqual({asked for asked in self.browser.requests()
                          if not asked.startswith("data:")},
                         {url, url + "api/events"})

    def shown(self, evaluate, selector, wanted):
        wait_for(f"{wanted} in {selector}",
                 lambda: wanted in evaluate(text(selector)), 30)

    def test_a_run_is_shown_while_it_runs(self):
        run = self.train(*LONG)
        evaluate = self.open(run.url)
        wait_for("rows of workers", lambda: len(evaluate(ROWS)) == 2)
        run.wait_until_it_learns()
        self.shown(evaluate, "#state", "running")
        self.assertEqual(evaluate(text("#what")),
                         "monsoon train \u00b7 mlp:20 on fashion-mnist \u00b7 "
                         "2 workers \u00b7 1 server \u00b7 batch 500")

        def samples():
            return [int(row[2].replace(",", "")) for row in evaluate(ROWS)]

        def asked():
            return [one["samples"] for one in run.status()["workers"]]

        before = asked()
        wait_for("what is shown to pass what was asked", lambda: all(
            shown > old for shown, old in zip(samples(), before)))
        shown = samples()
        for now, new in zip(shown, asked()):
            self.assertLessEqual(now, new)
        for row, worker in zip(evaluate(ROWS), run.status()["workers"]):
            self.assertEqual((row[0], row[9], row[10]),
                             (str(worker["rank"]), worker["host"],
                              str(worker["pid"])))
            self.assertRegex(row[6],
                             r"^compute \d+ %, exchange \d+ %, data \d+ %$")
        wait_for("curves", lambda: all(chart["points"] > 2 or
                                       chart["id"] == "staleness"
                                       for chart in evaluate(CHARTS)))
        for chart in evaluate(CHARTS):
            self.assertGreater(chart["drawn"], 40, chart)
            self.assertIn("The numbers are in the table below.", chart["label"])
        # It says it to who does not see it, and fits a phone.
        tree = self.browser.call("Accessibility.getFullAXTree")["nodes"]
        roles = {node.get("role", {}).get("value"): node for node in tree}
        self.assertIn("samples", roles["progressbar"]["name"]["value"])
        self.assertEqual(evaluate("""[...document.querySelectorAll(
            "canvas:not([aria-label])")].length"""), 0)
        for width, dark in ((390, False), (390, True)):
            self.browser.screen(width, 900, dark)
            self.assertEqual(evaluate("document.documentElement.scrollWidth"),
                             width)
        self.assertLess(evaluate(
            "parseInt(getComputedStyle(document.body).backgroundColor"
            ".match(/\\d+/)[0])"), 60)
        self.assert_quiet(run.url)

    def test_the_end_of_a_run_is_shown(self):
        run = self.train("--epochs", "3")
        listener = run.events()
        evaluate = self.open(run.url)
        run.finish()
        self.assertEqual(run.code, 0, run.err)
        summary = run.summary()
        self.shown(evaluate, "#state", "done")
        last = messages(listener)[-1]
        self.assertEqual(last["summary"], summary)
        self.assertEqual(float(evaluate(text("#tile-accuracy dd"))),
                         round(summary["test_acc"], 4))
        self.assertEqual(evaluate(text("#done")),
                         "100 %: 180,000 of 180,000 samples")
        for row, worker in zip(evaluate(ROWS), last["workers"], strict=True):
            self.assertEqual(row[:3], [str(worker["rank"]), "done",
                                       f"{worker['samples']:,}"])
            self.assertEqual(float(row[4]), round(worker["loss"], 4))
        self.assertEqual({chart["id"]: chart["points"]
                          for chart in evaluate(CHARTS)}["loss"],
                         len(last["losses"]))
        self.assertTrue(evaluate("document.getElementById('connection').hidden"))
        self.assert_quiet(run.url)

    def test_names_are_text_and_a_lost_connection_is_said(self):
        run = self.train("--epochs", "1")
        page = run.get("")[2]
        listener = run.events()
        status = messages(listener)[-1]
        run.finish()
        status.update(summary=None, state="running")
        bad = copy.deepcopy(status)
        bad["job"]["trainer"] = bad["job"]["model"] = NASTY
        bad["workers"][0].update(host=NASTY, message=NASTY, state="failed",
                                 loss=None, samples_per_s=None)
        bad["workers"][1].update(silent=True, state="running")
        bad["servers"][0].update(host=NASTY, answers=False, cores=None)
        bad["workers"] *= 40
        fake = FakeRun(page)
        self.addCleanup(fake.ended.set)
        fake.start(bad)
        url = f"http://127.0.0.1:{fake.port}/"
        evaluate = self.open(url, width=390)
        self.shown(evaluate, "#title", NASTY)
        rows = evaluate(ROWS)
        self.assertEqual(len(rows), 80)
        self.assertEqual(rows[0][1], "failed: " + NASTY)
        self.assertEqual((rows[0][3], rows[0][4], rows[0][9]),
                         ("\u2013", "\u2013", NASTY))
        self.assertEqual(rows[1][1], "silent")
        self.assertEqual(evaluate("document.querySelectorAll("
                                  "'#workers-table td[data-bad]').length"), 80)
        self.assertEqual(evaluate("document.images.length"), 0)
        self.assertIn("does not answer", evaluate(text("#servers-table")))
        self.assertEqual(evaluate("document.documentElement.scrollWidth"), 390)
        self.assert_quiet(url)
        fake.stop()
        self.shown(evaluate, "#connection", "The connection is lost")
        fake = FakeRun(page, fake.port)
        self.addCleanup(fake.stop)
        fake.start(status)
        wait_for("the connection", lambda: evaluate(
            "document.getElementById('connection').hidden"), 30)
        self.shown(evaluate, "#title", "Monsoon: adag")
        self.assertEqual(len(evaluate(ROWS)), 2)


if __name__ == "__main__":
    unittest.main()
