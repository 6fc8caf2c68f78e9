# SPDX-License-Identifier: Apache-2.0
"""--http: what browsers, scripts, probes and Prometheus get of a real run.

    http_test.py FOLDER_OF_THE_BINARIES
"""

import json
import math
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

from live_run import JOB, LONG, LiveRun, messages
from processes import wait_for

BINARIES = Path(sys.argv.pop()).resolve()
TRAIN = ["monsoon", "train", *JOB, "--batch-size", "500", "--json"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class HttpTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def start(self, command, *arguments):
        run = LiveRun(BINARIES, command, *arguments, folder=self.folder)
        self.addCleanup(run.end)
        return run

    def train(self, *arguments):
        return self.start(TRAIN, "--out", self.folder / "run", *arguments)

    def fails(self, code, message, *arguments):
        failed = subprocess.run([BINARIES / "monsoon", "train", *JOB, "--out",
                                 self.folder / "bad", *arguments],
                                capture_output=True, text=True, timeout=60)
        self.assertEqual(failed.returncode, code, failed.stderr)
        self.assertIn(message, failed.stderr)
        self.assertFalse((self.folder / "bad").exists())

    def scrape(self, run):
        """The URL of a Prometheus server that has scraped the run."""
        port = free_port()
        config = self.folder / "prometheus.yml"
        config.write_text(f"""
global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}
scrape_configs:
  - job_name: monsoon
    static_configs: [{{targets: ["127.0.0.1:{run.port}"]}}]
""")
        server = subprocess.Popen(
            ["prometheus", f"--config.file={config}",
             f"--storage.tsdb.path={self.folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)

        def query(expression):
            url = (f"http://127.0.0.1:{port}/api/v1/query?"
                   + urllib.parse.urlencode({"query": expression}))
            try:
                with urllib.request.urlopen(url, timeout=20) as answer:
                    found = json.load(answer)["data"]["result"]
            except OSError:
                return None  # it is not there yet
            return [(one["metric"], float(one["value"][1])) for one in found]

        return query

    def test_a_run_is_scraped_by_prometheus(self):
        run = self.train(*LONG)
        query = self.scrape(run)
        run.wait_until_it_learns()
        ((_, rate),) = wait_for("a scrape", lambda: query(
            "sum(monsoon_train_samples_per_second) > 0"))
        self.assertGreater(rate, 0)
        self.assertEqual(query("up"), [
            ({"__name__": "up", "instance": f"127.0.0.1:{run.port}",
              "job": "monsoon"}, 1)])
        samples = query("monsoon_train_samples_total")
        self.assertEqual({labels["rank"] for labels, _ in samples}, {"0", "1"})
        self.assertEqual({labels["trainer"] for labels, _ in samples}, {"adag"})
        wait_for("enough for a quantile", lambda: query(
            "histogram_quantile(0.5, monsoon_server_staleness_updates_bucket)"
            " >= 0"))

    def test_everything_that_there_is_to_ask(self):
        run = self.train(*LONG)
        self.assertEqual(run.get("healthz")[::2], (200, "ok\n"))
        before = run.get("readyz")  # it may be quick
        self.assertIn(before[0], (200, 503))
        run.wait_until_it_learns()
        self.assertEqual(run.get("readyz")[::2], (200, "ready\n"))
        code, headers, text = run.get("metrics")
        self.assertEqual((code, headers["Content-Type"]),
                         (200, "text/plain; version=0.0.4; charset=utf-8"))
        checked = subprocess.run(["promtool", "check", "metrics"], input=text,
                                 capture_output=True, text=True, timeout=60)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr),
                         (0, "", ""), text)
        status = run.status()
        self.assertEqual(status["state"], "running")
        self.assertEqual(status["job"]["settings"]["batch_size"], "500")
        self.assertEqual([worker["rank"] for worker in status["workers"]],
                         [0, 1])
        self.assertTrue(all(worker["pid"] == run.process.pid and
                            worker["compute_s"] > 0
                            for worker in status["workers"]))
        self.assertLessEqual(
            sum(worker["samples"] for worker in status["workers"]),
            status["progress"]["samples"])
        self.assertGreater(sum(status["servers"][0]["staleness"].values()), 0)
        self.assertIn("/api/events", run.get("nothing")[2])
        self.assertEqual(run.get("metrics", "POST")[0], 405)
        page = run.get("")[2]
        self.assertNotIn("{{", page.split("<script>")[0])
        self.fails(1, f"--http: cannot listen on 127.0.0.1:{run.port}: ",
                   "--http", f"127.0.0.1:{run.port}")
        for _ in range(3):
            self.addCleanup(run.events().close)  # who never reads
        listener = run.events()
        begin = time.monotonic()
        run.process.send_signal(signal.SIGINT)
        run.finish()
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(run.code, 130, run.err)
        last = messages(listener)[-1]
        self.assertEqual(last["state"], "interrupted")
        self.assertEqual(last["summary"], run.summary())

    def test_bad_addresses(self):
        self.fails(2, '--http: address "8080" has no port', "--http", "8080")
        self.fails(2, "--http: host nowhere.invalid: ", "--http",
                   "nowhere.invalid:80")
        self.fails(2, "--http: cannot listen on 192.0.2.1:80", "--http",
                   "192.0.2.1:80")

    def test_a_run_does_not_mind_a_thousand_connections(self):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE,
                           (min(4096, most[1]), most[1]))
        run = self.train(*LONG)
        listener = run.events()
        run.wait_until_it_learns()
        for i in range(1000):
            one = socket.create_connection(("127.0.0.1", run.port), 60)
            self.addCleanup(one.close)
            try:
                one.sendall([b"", b"GET", b"\0\xff\r\n", b"GET / HTTP/1.1\r\nX: "
                             + b"x" * 20000][i % 4])
            except OSError:
                pass  # it has made room for another
        self.assertEqual(run.get("healthz")[0], 200)
        before = run.status()["progress"]["samples"]
        wait_for("more samples", lambda:
                 run.status()["progress"]["samples"] > before + 60_000)
        files = next(float(line.split()[1])
                     for line in run.get("metrics")[2].splitlines()
                     if line.startswith("process_open_fds "))
        self.assertLess(files, 200)
        begin = time.monotonic()
        run.process.send_signal(signal.SIGINT)
        status = messages(listener)[-1]
        run.finish()
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(run.code, 130, run.err)
        self.assertEqual(run.summary()["samples_refused"], 0)
        self.assertEqual(status["summary"], run.summary())

    def test_launch_shows_all_servers(self):
        run = self.start(["monsoon", "launch", *JOB, "--batch-size", "500",
                          "--servers", "2", "--json"],
                         "--out", self.folder / "run", "--epochs", "2")
        listener = run.events()
        all_of_it = messages(listener)
        run.finish()
        self.assertEqual(run.code, 0, run.err)
        summary = run.summary()
        last = all_of_it[-1]
        self.assertEqual(last["summary"], summary)
        self.assertEqual([server["index"] for server in last["servers"]], [0, 1])
        pids = {one["pid"] for one in last["servers"] + last["workers"]}
        self.assertEqual(len(pids), 4)
        floats = 784 * 20 + 20 + 20 * 10 + 10
        self.assertEqual(sum(server["parameters_bytes"]
                             for server in last["servers"]), 4 * floats)
        self.assertEqual(sum(worker["samples"] for worker in last["workers"]),
                         summary["samples"])
        done = [one["progress"]["samples"] for one in all_of_it
                if one["progress"]]
        self.assertEqual(done, sorted(done))
        self.assertTrue(math.isclose(last["losses"][-1][1],
                                     summary["train_loss"], rel_tol=0.5))

    def test_a_server_shows_the_jobs_that_come(self):
        servers = []
        for _ in range(2):
            server = self.start(["monsoon-server", "--listen", "127.0.0.1:0",
                                 "--port-file",
                                 str(self.folder / f"port-{len(servers)}")])
            wait_for("a server", lambda: server.get("readyz")[0] == 200)
            self.assertEqual(server.status()["state"], "waiting")
            self.assertNotIn("monsoon_train", server.get("metrics")[2])
            servers.append(server)
        ports = [(self.folder / f"port-{i}").read_text().strip()
                 for i in range(2)]
        addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
        arguments = ["--servers", addresses, *JOB, "--batch-size", "500"]
        other = subprocess.Popen(
            [BINARIES / "monsoon-worker", "--rank", "1", *arguments],
            stderr=subprocess.DEVNULL)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        first = self.start(["monsoon-worker", "--rank", "0", *arguments],
                           "--epochs", "2", "--out", self.folder / "run",
                           "--json")
        first.finish()
        self.assertEqual(first.code, 0, first.err)
        for index, server in enumerate(servers):
            status = wait_for("the end of the job", lambda: (
                server.status() if server.status()["state"] == "done" else None))
            self.assertEqual([one["samples"] > 0 for one in status["workers"]],
                             [True, True])
            self.assertEqual(status["progress"]["samples"], 2 * 60_000)
            self.assertIn(f'monsoon_server_up{{server="{index}"}} 1\n',
                          server.get("metrics")[2])
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.finish().code, 143)


if __name__ == "__main__":
    unittest.main()
