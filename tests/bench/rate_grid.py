#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test accuracy of trainers over local optimizers and rates: how the defaults
were chosen (docs/trainers.md).

usage: rate_grid.py BINARY --model mlp --epochs 5 [--trainers a,b]
                    [--optimizers sgd,nesterov] [--rates 0.05,0.1,0.2]
                    [--batch-size 64] [--set window=12] [--seed 1]

Prints a Markdown row per trainer and optimizer, a column per rate.
"""

import argparse
import json
import subprocess
import sys
import tempfile


def accuracy(args, trainer, optimizer, rate):
    with tempfile.TemporaryDirectory() as folder:
        command = [args.binary, "train", "--model", args.model, "--trainer", trainer,
                   "--workers", "1" if trainer == "single" else "2", "--batch-size",
                   str(args.batch_size), "--epochs", str(args.epochs), "--seed",
                   str(args.seed), "--optimizer", optimizer, "--lr", rate, "--json",
                   "--out", folder + "/run"]
        for setting in args.set:
            command += ["--set", setting]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        return done.stderr.strip().splitlines()[-1]
    summary = json.loads(done.stdout.splitlines()[-1])
    if summary["status"] != "done":
        return summary["status"]
    return f"{summary['test_acc']:.4f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--trainers", default="single,downpour,aeasgd,adag")
    parser.add_argument("--optimizers", default="sgd,nesterov")
    parser.add_argument("--rates", default="0.02,0.05,0.1,0.2")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rates = args.rates.split(",")
    print("| trainer | optimizer |", " | ".join(rates), "|")
    print("|---|---|" + "---|" * len(rates))
    for trainer in args.trainers.split(","):
        for optimizer in args.optimizers.split(","):
            cells = [accuracy(args, trainer, optimizer, rate) for rate in rates]
            print(f"| {trainer} | {optimizer} |", " | ".join(cells), "|", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
