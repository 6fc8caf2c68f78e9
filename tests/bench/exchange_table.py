#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of exchanges of docs/performance.md: `monsoon bench exchange` for
every transport and size, the median of several runs, as Markdown.

    exchange_table.py BINARY [--runs 5] [--seconds 2]

Runs of all rows alternate, so that a disturbance falls on all alike.
"""

import argparse
import json
import statistics
import subprocess

SIZES = (4096, 1 << 20, 4 << 20, 64 << 20)
# transport, wire, bytes, workers, servers
ROWS = ([("grpc", "fp32", size, 1, 1) for size in SIZES] +
        [("grpc", "bf16", size, 1, 1) for size in SIZES[2:]] +
        [("shm", "fp32", size, 1, 1) for size in SIZES] +
        [("inproc", "fp32", size, 1, 1) for size in SIZES[2:]] +
        [("grpc", "fp32", 16 << 20, workers, servers)
         for servers, workers in ((1, 1), (4, 1), (1, 8), (4, 8))] +
        [("shm", wire, 4 << 20, 1, 1)
         for wire in ("bf16", "fp16", "int8", "onebit", "topk:0.01")])


def run(binary, transport, wire, size, workers, servers, seconds):
    command = [binary, "bench", "exchange", "--transport", transport, "--wire", wire, "--bytes", str(size),
               "--workers", str(workers), "--servers", str(servers), "--seconds", str(seconds),
               "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def size_name(size):
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    arguments = parser.parse_args()
    results = {row: [] for row in ROWS}
    for _ in range(arguments.runs):
        for row in ROWS:
            results[row].append(run(arguments.binary, *row, arguments.seconds))
    print("| transport | wire | model | workers | servers | Mfloat/s | GB/s | p50 ms | p99 ms "
          "| CPU s/GB | limit GB/s | of the limit | of bare gRPC |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for (transport, wire, size, workers, servers), lines in results.items():
        def median(value, lines=lines):
            return statistics.median(value(line) for line in lines)

        echo = ("" if transport != "grpc" else
                f"{median(lambda x: x['bytes_per_s'] / x['grpc_echo_bytes_per_s']):.2f}")
        print(f"| {transport} | {wire} | {size_name(size)} | {workers} | {servers} "
              f"| {median(lambda x: x['params_per_s']) / 1e6:.0f} "
              f"| {median(lambda x: x['bytes_per_s']) / 1e9:.2f} "
              f"| {median(lambda x: x['p50_ms']):.3g} | {median(lambda x: x['p99_ms']):.3g} "
              f"| {median(lambda x: x['cpu_s_per_gb']):.2f} "
              f"| {lines[0]['limit']} {median(lambda x: x['limit_bytes_per_s']) / 1e9:.2f} "
              f"| {median(lambda x: x['fraction']):.2f} | {echo} |")


if __name__ == "__main__":
    main()
