#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One server and two workers on three hosts: network namespaces on a bridge.

usage: namespaces_test.py FOLDER_OF_BINARIES

Needs root and ip netns; where those are missing it says so and exits with 77.
"""

import json
import os
import subprocess
import sys
import tempfile

TAG = f"monsoon{os.getpid()}"
HOSTS = ["server", "w0", "w1"]


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def namespace(host):
    return f"{TAG}-{host}"


def build_network():
    """A switch and three hosts: 10.77.0.1.. and fd77::1.. in that order."""
    for host in ["switch", *HOSTS]:
        ip("netns", "add", namespace(host))
        ip("-n", namespace(host), "link", "set", "lo", "up")
    switch = namespace("switch")
    ip("-n", switch, "link", "add", "bridge", "type", "bridge")
    ip("-n", switch, "link", "set", "bridge", "up")
    for number, host in enumerate(HOSTS, start=1):
        ip("-n", switch, "link", "add", f"p{number}", "type", "veth", "peer",
           "name", "eth0", "netns", namespace(host))
        ip("-n", switch, "link", "set", f"p{number}", "master", "bridge", "up")
        ip("-n", namespace(host), "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
        ip("-n", namespace(host), "addr", "add", f"fd77::{number}/64", "dev", "eth0",
           "nodad")
        ip("-n", namespace(host), "link", "set", "eth0", "up")


def remove_network():
    for host in ["switch", *HOSTS]:
        subprocess.run(["ip", "netns", "del", namespace(host)], capture_output=True)


def start(host, *command):
    return subprocess.Popen(["ip", "netns", "exec", namespace(host), *command],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(name, process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, f"{name}: exit {process.returncode}\n{out}\n{err}"
    return out


def train(binaries, folder, listen, address):
    """Workers first, the last rank first: any order will do."""
    worker = os.path.join(binaries, "monsoon-worker")
    common = [worker, "--servers", address, "--data", "fashion-mnist"]
    second = start("w1", *common, "--rank", "1")
    first = start("w0", *common, "--rank", "0", "--workers", "2", "--trainer", "adag",
                  "--model", "mlp", "--batch-size", "128", "--epochs", "1", "--json",
                  "--out", folder)
    server = start("server", os.path.join(binaries, "monsoon-server"), "--listen",
                   listen, "--advertise", address)
    try:
        summary = json.loads(finish("worker 0", first).splitlines()[-1])
        finish("worker 1", second)
    finally:
        server.terminate()
        server.communicate(timeout=20)
    assert summary["status"] == "done", summary
    assert summary["samples"] == 60000, summary
    assert summary["test_acc"] > 0.7, summary
    print(f"{address}: {summary['samples']} samples in {summary['elapsed_s']:.2f} s, "
          f"test accuracy {summary['test_acc']:.4f}")


def main():
    binaries = sys.argv[1]
    try:
        build_network()
    except (subprocess.CalledProcessError, OSError) as error:
        remove_network()
        print("not run: three network namespaces need root and ip netns:",
              getattr(error, "stderr", error))
        return 77
    try:
        with tempfile.TemporaryDirectory() as folder:
            train(binaries, os.path.join(folder, "v4"), "0.0.0.0:7001", "10.77.0.1:7001")
            train(binaries, os.path.join(folder, "v6"), "[::]:7001", "[fd77::1]:7001")
    finally:
        remove_network()
    return 0


if __name__ == "__main__":
    sys.exit(main())
