#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time to a test accuracy on the real Fashion-MNIST: mlp, batch 64, two cores.

usage: time_to_table.py BINARY grid [--seeds 1]    single, over optimizers and rates
       time_to_table.py BINARY race [--seeds 5] [--single nesterov:0.05,adagrad:0.01]
                                    [--trainers aeasgd]
       either: [--targets 0.85,0.88] [--epochs 8] [--every 6000]

grid: a Markdown row per optimizer and rate. race: trainers with two workers and their
own defaults beside `single` at the best of the grid, seed by seed in turn, so that what
the machine does meanwhile meets all; medians, and each as a part of the fastest
`single`'s. An accuracy counts from the first of the copies, one every so many samples,
that has it. Nothing else may run beside.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile

GRID = ["sgd:0.1", "sgd:0.2", "nesterov:0.02", "nesterov:0.05", "momentum:0.05",
        "adagrad:0.01", "adagrad:0.02", "adagrad:0.04", "adam:0.0005", "adam:0.001"]


def curve(args, *flags):
    """[elapsed_s, samples, accuracy], ... and samples a second."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [args.binary, "train", "--model", "mlp", "--batch-size", "64", "--epochs",
             str(args.epochs), "--eval-every", str(args.every), "--time-to",
             str(args.targets[-1]),
             "--json", "--out", folder + "/run", *flags],
            capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    summary = json.loads(done.stdout.splitlines()[-1])
    return summary["curve"], summary["samples_per_s"]


def first(points, accuracy, column):
    return next((point[column] for point in points if point[2] >= accuracy), math.inf)


def single(args, choice, seed):
    optimizer, rate = choice.split(":")
    return curve(args, "--trainer", "single", "--optimizer", optimizer, "--lr", rate,
                 "--seed", str(seed))


def text(value, digits=1):
    return f"{value:.{digits}f}" if math.isfinite(value) else "not reached"


def grid(args):
    print("| optimizer | rate | samples/s |",
          " | ".join(f"s to {100 * t:.0f} % | thousand samples" for t in args.targets), "|")
    print("|---" * (3 + 2 * len(args.targets)) + "|")
    for choice in GRID:
        runs = [single(args, choice, 1 + i) for i in range(args.seeds)]
        cells = [text(statistics.median(speed for _, speed in runs), 0)]
        for target in args.targets:
            for column, unit in ((0, 1), (1, 1000)):
                cells.append(text(statistics.median(
                    first(points, target, column) / unit for points, _ in runs)))
        print("|", " | ".join([*choice.split(":"), *cells]), "|", flush=True)


def race(args):
    singles = [f"single {choice}" for choice in args.single.split(",")]
    names = singles + args.trainers.split(",")
    times = {name: {target: [] for target in args.targets} for name in names}
    for seed in range(1, args.seeds + 1):
        for name in names:
            if name in singles:
                points, speed = single(args, name.split()[1], seed)
            else:
                points, speed = curve(args, "--trainer", name, "--workers", "2",
                                      "--seed", str(seed))
            for target in args.targets:
                times[name][target].append(first(points, target, 0))
            print(name, "seed", seed, f"{speed:.0f} samples/s",
                  *[text(times[name][target][-1], 2) for target in args.targets],
                  file=sys.stderr, flush=True)
    print("| trainer |", " | ".join(f"s to {100 * t:.0f} % | of single"
                                    for t in args.targets), "|")
    print("|---" * (1 + 2 * len(args.targets)) + "|")
    for name in names:
        cells = []
        for target in args.targets:
            of = sorted(times[name][target])
            base = min(statistics.median(times[one][target]) for one in singles)
            cells.append(f"{text(of[0])} / **{text(statistics.median(of))}** / "
                         f"{text(of[-1])}")
            cells.append(text(statistics.median(of) / base if math.isfinite(base)
                              else math.inf, 2))
        print(f"| {name} |", " | ".join(cells), "|")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("what", choices=["grid", "race"])
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--every", type=int, default=6000)
    parser.add_argument("--targets", default="0.85,0.88")
    parser.add_argument("--single", default="nesterov:0.05,adagrad:0.01")
    parser.add_argument("--trainers", default="aeasgd")
    args = parser.parse_args()
    args.targets = sorted(float(target) for target in args.targets.split(","))
    args.seeds = args.seeds or (1 if args.what == "grid" else 5)
    grid(args) if args.what == "grid" else race(args)


if __name__ == "__main__":
    main()
