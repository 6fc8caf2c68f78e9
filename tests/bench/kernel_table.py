#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/performance.md: `monsoon bench kernels` for every model and
batch size, the median of several runs, as Markdown.

    kernel_table.py BINARY [--runs 5] [--seconds 3] [--table steps|workers|bf16]

Runs of all rows alternate, so that a disturbance falls on all alike.
"""

import argparse
import json
import statistics
import subprocess

STEPS = ([("mlp", batch, "sgd") for batch in (16, 32, 64, 128, 512, 1024)] +
         [("cnn", batch, "sgd") for batch in (16, 32, 64, 128, 512)] +
         [("mlp", batch, rule) for rule in ("momentum", "nesterov")
          for batch in (16, 64, 512)] +
         [("cnn", 32, rule) for rule in ("momentum", "nesterov")] +
         [("resnet20", 32, "sgd"), ("unet", 32, "sgd")])
WORKERS = [("mlp", 32, "sgd"), ("mlp", 128, "sgd"), ("mlp", 512, "sgd"),
           ("cnn", 32, "sgd")]
BF16 = [("mlp", 64, "sgd"), ("mlp", 256, "sgd"), ("mlp", 512, "sgd"),
        ("cnn", 32, "sgd"), ("cnn", 256, "sgd")]
EXAMPLES = {"resnet20": "3x32x32"}


def run(binary, model, batch, rule, seconds, extra):
    command = [binary, "bench", "kernels", "--model", model, "--batch-size", str(batch),
               "--optimizer", rule, "--threads", "1", "--seconds", str(seconds),
               "--example", EXAMPLES.get(model, "1x28x28"), "--json", *extra]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(arguments, rows, extra):
    results = {row: [] for row in rows}
    for _ in range(arguments.runs):
        for row in rows:
            results[row].append(run(arguments.binary, *row, arguments.seconds, extra))
    return results


def median(lines, key):
    return statistics.median(line[key] for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--table", choices=["steps", "workers", "bf16"], default="steps")
    arguments = parser.parse_args()
    if arguments.table == "steps":
        print("| model | batch | optimizer | samples/s | GFLOP/s | sgemm | fraction |")
        print("|---|---|---|---|---|---|---|")
        for row, lines in measure(arguments, STEPS, []).items():
            print(f"| `{row[0]}` | {row[1]} | {row[2]} "
                  f"| {median(lines, 'samples_per_s'):,.0f} "
                  f"| {median(lines, 'gflops'):.1f} | {median(lines, 'gemm_gflops'):.1f} "
                  f"| {median(lines, 'fraction'):.2f} |")
        return
    if arguments.table == "bf16":
        print("| model | batch | bf16, samples/s | fp32 | ratio |")
        print("|---|---|---|---|---|")
        full = measure(arguments, BF16, [])
        for row, lines in measure(arguments, BF16, ["--precision", "bf16"]).items():
            ours = median(lines, "samples_per_s")
            theirs = median(full[row], "samples_per_s")
            print(f"| `{row[0]}` | {row[1]} | {ours:,.0f} | {theirs:,.0f} "
                  f"| {ours / theirs:.2f} |")
        return
    print("| model | batch | two workers, samples/s | two processes | ratio |")
    print("|---|---|---|---|---|")
    for row, lines in measure(arguments, WORKERS, ["--workers", "2"]).items():
        print(f"| `{row[0]}` | {row[1]} | {median(lines, 'samples_per_s'):,.0f} "
              f"| {median(lines, 'independent_samples_per_s'):,.0f} "
              f"| {median(lines, 'scaling'):.2f} |")


if __name__ == "__main__":
    main()
