# SPDX-License-Identifier: Apache-2.0
"""monsoon doctor on this machine, and on servers that are well and ill.

    doctor_test.py FOLDER_OF_THE_BINARIES SCHEMA
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent import futures
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "transport"))
import small_data
from processes import Program, wait_for
from schema_code import generate

SCHEMA = sys.argv.pop()
BINARIES = Path(sys.argv.pop()).resolve()
FIELDS = ["section", "name", "verdict", "found", "expected", "advice"]


class DoctorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.root = Path(temporary.name)
        code = cls.root / "code"
        code.mkdir()
        cls.pb, cls.pb_grpc = generate(SCHEMA, code)
        cls.small = small_data.write(cls.root / "small", train=2000)

    def run_doctor(self, *flags):
        return subprocess.run([BINARIES / "monsoon", "doctor", *map(str, flags)],
                              capture_output=True, text=True, timeout=60)

    def doctor(self, *flags, code=None):
        """The checks, by section and name; with the code, if it is given."""
        # A port that is free, lest somebody's server be in the way.
        if "--listen" not in flags:
            flags += ("--listen", "127.0.0.1:0")
        if "--data" not in flags:
            flags += ("--data", f"fashion-mnist:{self.small}")
        done = self.run_doctor("--json", *flags)
        answer = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(list(answer), ["checks", "bad"])
        found = {}
        for check in answer["checks"]:
            self.assertEqual(list(check), FIELDS)
            self.assertIn(check["verdict"], ("good", "note", "bad"))
            self.assertTrue(check["found"], check)
            self.assertEqual(check["advice"] == "", check["verdict"] == "good",
                             check)
            found[check["section"], check["name"]] = check
        self.assertEqual(len(found), len(answer["checks"]), "names are unique")
        bad = [check for check in found.values() if check["verdict"] == "bad"]
        self.assertEqual(answer["bad"], len(bad))
        self.assertEqual(done.returncode, 1 if bad else 0, bad)
        if code is not None:
            self.assertEqual(done.returncode, code, bad)
        self.assertEqual(done.stderr, "")
        return found

    def assert_check(self, check, verdict, *words):
        self.assertEqual(check["verdict"], verdict, check)
        for word in words:
            self.assertIn(str(word), check["found"] + check["advice"])

    @contextlib.contextmanager
    def server(self):
        """A monsoon-server: its process and address."""
        with tempfile.TemporaryDirectory() as folder:
            port = Path(folder, "port")
            process = subprocess.Popen(
                [BINARIES / "monsoon-server", "--listen", "127.0.0.1:0",
                 "--port-file", port], stderr=subprocess.DEVNULL)
            try:
                wait_for("the port", lambda: port.exists() and port.read_text())
                yield process, f"127.0.0.1:{int(port.read_text())}"
                self.assertIsNone(process.poll(), "the server is alive")
            finally:
                process.kill()
                process.wait()

    # ---- This machine ---------------------------------------------------

    def test_a_machine_on_which_the_tests_run_is_well(self):
        found = self.doctor("--data", "fashion-mnist", code=0)
        self.assertEqual(
            list(dict.fromkeys(section for section, _ in found)),
            ["processor", "memory", "limits", "clock", "gpu", "data", "ports",
             "versions"])
        cores = found["processor", "cores"]["found"]
        self.assertTrue(cores.startswith(f"{len(os.sched_getaffinity(0))} of "),
                        cores)
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self.assertIn(f" of {total / 2**30:.1f} GiB",
                      found["memory", "available"]["found"])
        version = subprocess.run([BINARIES / "monsoon", "--version"], text=True,
                                 capture_output=True).stdout.split()[1]
        self.assertEqual(found["versions", "monsoon"]["found"], version)
        for name in ("grpc", "protobuf", "onednn", "compiler"):
            self.assertRegex(found["versions", name]["found"], r"\d+\.\d+")
        self.assertIn("60000 examples",
                      found["data", "fashion-mnist train"]["found"])
        self.assertRegex(found["data", "fashion-mnist test"]["found"],
                         "10000 examples .* hash [0-9a-f]{16}")

    def test_what_a_person_reads_says_the_same(self):
        done = self.run_doctor("--listen", "127.0.0.1:0", "--servers",
                               "127.0.0.1:1")
        self.assertEqual(done.returncode, 1)
        lines = done.stdout.splitlines()
        (at,) = [i for i, line in enumerate(lines)
                 if line.split()[:2] == ["bad", "connection"]]
        self.assertIn("server 127.0.0.1:1", lines)
        self.assertIn("refused", lines[at])
        self.assertIn("expected:", lines[at + 1])
        self.assertIn("do: start monsoon-server", lines[at + 2])
        self.assertRegex(lines[-1], r"^\d+ good, \d+ to note, 1 bad$")

    def test_limits_of_this_process_are_seen(self):
        done = subprocess.run(
            ["bash", "-c", 'ulimit -n 40; exec "$@"', "-", BINARIES / "monsoon",
             "doctor", "--json"], capture_output=True, text=True, timeout=60)
        (check,) = [check for check in json.loads(done.stdout)["checks"]
                    if check["name"] == "open files"]
        self.assert_check(check, "note", "40:", "8 workers", "ulimit -n")

    def test_bad_flags_are_exit_2_with_what_is_accepted(self):
        for flags, words in [
                (["--servers", "host1"], ["--servers", '"host1"', "HOST:PORT"]),
                (["--servers", "host1:0"], ["--servers", "port 0"]),
                (["--servers", "host1:1,"], ["--servers", "HOST:PORT"]),
                (["--listen", "7001"], ["--listen", "HOST:PORT"]),
                (["--connect-timeout", "0"], ["--connect-timeout", "0.1"]),
                (["--data", "mnist"], ["--data", '"mnist"', "fashion-mnist"]),
                (["--data", "fashion-mnist:"], ["--data", "colon"]),
                (["--server", "a:1"], ['"--servers"?']),
                (["stray"], ["stray"])]:
            with self.subTest(flags):
                done = self.run_doctor(*flags)
                self.assertEqual(done.returncode, 2)
                self.assertEqual(done.stdout, "")
                for word in words:
                    self.assertIn(word, done.stderr)

    def test_missing_and_broken_data(self):
        found = self.doctor("--data", "fashion-mnist:/no/such/folder", code=1)
        for split in ("train", "test"):
            self.assert_check(
                found["data", f"fashion-mnist:/no/such/folder {split}"], "bad",
                "/no/such/folder", "apt-get install dataset-fashion-mnist")
        folder = small_data.write(self.root / "broken", t10k_labels=b"torn")
        found = self.doctor("--data", f"fashion-mnist:{folder}", code=1)
        self.assert_check(found["data", f"fashion-mnist:{folder} train"], "good",
                          "60 examples")
        self.assert_check(found["data", f"fashion-mnist:{folder} test"], "bad",
                          "t10k-labels", "fetch the file again")

    def test_a_taken_port_is_bad_and_names_who_has_it(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            where = "127.0.0.1:%d" % taken.getsockname()[1]
            found = self.doctor("--listen", where, code=1)
            self.assert_check(found["ports", where], "bad", "taken by",
                              f"(pid {os.getpid()})", "--listen")
        self.assert_check(self.doctor("--listen", where, code=0)["ports", where],
                          "good", "free")
        # TEST-NET-1 of RFC 5737: no machine has it.
        found = self.doctor("--listen", "192.0.2.1:7001", code=1)
        self.assert_check(found["ports", "192.0.2.1:7001"], "bad", "0.0.0.0")

    # ---- Servers --------------------------------------------------------

    def test_an_idle_server_is_measured_and_stays_as_it_is(self):
        with self.server() as (process, address):
            section = f"server {address}"
            found = self.doctor("--servers", address, code=0)
            checks = {name: check for (of, name), check in found.items()
                      if of == section}
            self.assertEqual(
                list(checks),
                ["name", "connection", "answer", "health", "job", "version",
                 "round trip", "bandwidth there", "bandwidth back"])
            self.assert_check(checks["health"], "good", "SERVING")
            self.assert_check(checks["job"], "good", "none")
            self.assert_check(checks["version"], "good",
                              found["versions", "monsoon"]["found"],
                              f"pid {process.pid} on {socket.gethostname()}")
            for way in ("there", "back"):
                rate = float(checks[f"bandwidth {way}"]["found"].split()[0])
                self.assertGreater(rate, 1)
            # No job was left there, nor has one been.
            with grpc.insecure_channel(address) as channel:
                stub = self.pb_grpc.ParameterServerStub(channel)
                with self.assertRaises(grpc.RpcError) as caught:
                    stub.GetJob(self.pb.GetJobRequest(), timeout=10)
                self.assertEqual(caught.exception.code(),
                                 grpc.StatusCode.NOT_FOUND)

    def test_a_running_job_is_left_alone(self):
        with self.server() as (_, address):
            worker = Program(
                [BINARIES / "monsoon-worker", "--servers", address, "--rank", "0",
                 "--workers", "1", "--trainer", "adag", "--model", "mlp:64",
                 "--data", f"fashion-mnist:{self.small}", "--epochs", "100", "--out",
                 self.root / "run", "--json"], self.root / "run")
            self.addCleanup(worker.end)
            worker.wait_until_training()
            found = self.doctor("--servers", address, code=0)
            self.assertIsNone(worker.process.poll(), "the job still runs")
            section = f"server {address}"
            self.assert_check(found[section, "job"], "good",
                              "adag with 1 of 1 workers runs")
            # Beside a job it may be long, and is a note then.
            trip = found[section, "round trip"]
            median_ms = float(trip["found"].split(" ms (median of")[0])
            self.assertEqual(trip["expected"], "at most 5ms")
            self.assertEqual(trip["verdict"], "good" if median_ms <= 5 else "note",
                             trip)
            for way in ("there", "back"):
                self.assert_check(found[section, f"bandwidth {way}"], "note",
                                  "not measured: a job runs there")
            worker.finish()
            self.assertEqual(worker.code, 0, worker.err)
            self.assertEqual(worker.summary()["status"], "done")
            self.assertEqual(worker.summary()["samples"], 100 * 2000)
            found = self.doctor("--servers", address, code=0)
            self.assert_check(found[section, "job"], "good", "has ended")
            self.assert_check(found[section, "bandwidth back"], "good", "MB/s")

    def test_servers_that_cannot_be_reached_are_told_apart_in_seconds(self):
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            silent = "127.0.0.1:%d" % full.getsockname()[1]
            waiting = []
            for _ in range(4):  # until its backlog takes no more
                one = socket.socket()
                self.addCleanup(one.close)
                one.setblocking(False)
                one.connect_ex(full.getsockname())
                waiting.append(one)
            time.sleep(0.1)
            names = ["127.0.0.1:1", "no-such-host.invalid:7001", silent]
            start = time.monotonic()
            found = self.doctor("--servers", ",".join(names),
                                "--connect-timeout", 1, code=1)
            self.assertLess(time.monotonic() - start, 10)
            refused, unknown, dropped = (f"server {name}" for name in names)
            self.assert_check(found[refused, "connection"], "bad", "refused",
                              "start monsoon-server")
            self.assert_check(found[unknown, "name"], "bad",
                              "no-such-host.invalid", "DNS")
            self.assert_check(found[dropped, "connection"], "bad",
                              "no answer within 1 s", "firewall")

    def test_what_is_no_server_is_bad(self):
        with socket.socket() as mute, grpc_server() as (other, strange):
            other.start()
            mute.bind(("127.0.0.1", 0))
            mute.listen(8)  # takes connections, and says nothing
            where = "127.0.0.1:%d" % mute.getsockname()[1]
            found = self.doctor("--servers", f"{where},{strange}",
                                "--connect-timeout", 1, code=1)
            self.assert_check(found[f"server {where}", "answer"], "bad",
                              "no monsoon-server answered", "--listen")
            self.assert_check(found[f"server {strange}", "answer"], "bad",
                              "is no monsoon-server", "--listen")

    def test_another_version_is_bad_and_so_is_one_that_does_not_say(self):
        class Fake(self.pb_grpc.ParameterServerServicer):
            def GetJob(self, request, context):
                context.abort(grpc.StatusCode.NOT_FOUND, "no job")

        class Newer(Fake):
            def Probe(fake, request, context):
                return self.pb.ProbeReply(version="9.9.9", host="there", pid=7,
                                          values=bytes(request.reply_bytes))

        with grpc_server() as (server, newer), grpc_server() as (past, older):
            add = self.pb_grpc.add_ParameterServerServicer_to_server
            add(Newer(), server)
            add(Fake(), past)
            server.start()
            past.start()
            found = self.doctor("--servers", f"{newer},{older}", code=1)
        self.assert_check(found[f"server {newer}", "version"], "bad", "9.9.9",
                          "pid 7 on there", "same version")
        self.assertEqual(found[f"server {newer}", "version"]["expected"],
                         found["versions", "monsoon"]["found"])
        self.assert_check(found[f"server {newer}", "health"], "note", "older")
        self.assert_check(found[f"server {older}", "version"], "bad",
                          "does not say", "same version")

    def test_a_job_that_comes_while_it_measures_has_way(self):
        asked = []

        class Busy(self.pb_grpc.ParameterServerServicer):
            def GetJob(fake, request, context):
                asked.append(time.monotonic())
                if len(asked) < 4:
                    context.abort(grpc.StatusCode.NOT_FOUND, "no job")
                return self.pb.JobStatus(job_id=1)

            def Probe(fake, request, context):
                return self.pb.ProbeReply(values=bytes(request.reply_bytes))

        with grpc_server() as (server, address):
            self.pb_grpc.add_ParameterServerServicer_to_server(Busy(), server)
            server.start()
            found = self.doctor("--servers", address)
        for way in ("there", "back"):
            self.assert_check(found[f"server {address}", f"bandwidth {way}"],
                              "note", "a job runs there")


@contextlib.contextmanager
def grpc_server():
    """A gRPC server of this process, not begun, and its address."""
    server = grpc.server(futures.ThreadPoolExecutor(8),
                         options=[("grpc.max_receive_message_length", 8 << 20)])
    address = "127.0.0.1:%d" % server.add_insecure_port("127.0.0.1:0")
    try:
        yield server, address
    finally:
        server.stop(0).wait()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
