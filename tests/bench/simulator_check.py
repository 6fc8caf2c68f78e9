#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the simulator predicts for 1, 2 and 4 workers beside what real processes do
on this machine, as Markdown.

usage: simulator_check.py MONSOON [--rounds N]

A round takes jobs one after the other: one that exchanges nothing, for the time of
a step; one that exchanges after every step, for what an exchange adds; the job that
exchanges after every fifth; the first two again, as the machine may have changed.
Then it simulates the job with the means of what was measured around it."""

import argparse
import json
import subprocess
import sys
import tempfile

ALONE = ["--trainer", "ensemble"]
EVERY_STEP = ["--trainer", "adag", "--set", "window=1"]
TRAINER = ["--trainer", "adag", "--set", "window=5"]
BATCH = 64


def run(monsoon, *words):
    program = subprocess.run([monsoon, *map(str, words)], capture_output=True,
                             text=True, check=False)
    if program.returncode != 0:
        sys.exit(program.stderr)
    return json.loads(program.stdout.strip().split("\n")[-1])


def step_ms(monsoon, trainer, job, workers):
    """Of a job of real processes, what exchanges take in it."""
    with tempfile.TemporaryDirectory() as folder:
        done = run(monsoon, "launch", *trainer, *job, "--transport", "shm", "--out",
                   f"{folder}/job")
    return 1e3 * BATCH * workers / done["samples_per_s"]


def measure(monsoon, workers):
    job = ["--model", "mlp", "--batch-size", BATCH, "--epochs", 2, "--optimizer",
           "sgd", "--lr", 0.1, "--workers", workers, "--json"]
    order = (ALONE, EVERY_STEP, TRAINER, EVERY_STEP, ALONE)
    times = [step_ms(monsoon, trainer, job, workers) for trainer in order]
    step = (times[0] + times[4]) / 2
    exchange = (times[1] + times[3]) / 2 - step
    simulated = run(monsoon, "simulate", *TRAINER, *job, "--gradients",
                    "quadratic", "--compute", f"{step:.3f}ms",
                    "--network", f"1000gbit:{500 * exchange:.0f}us")
    measured = 1e3 * BATCH * workers / times[2]
    predicted = simulated["samples_per_s"]
    print(f"| {workers} | {step:.2f} | {exchange:.2f} | {measured:,.0f} | "
          f"{predicted:,.0f} | {predicted / measured:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("monsoon")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| workers | step, ms | exchange, ms | measured, samples/s | predicted "
          "| predicted / measured |\n|---|---|---|---|---|---|")
    for _ in range(arguments.rounds):
        for workers in (1, 2, 4):
            measure(arguments.monsoon, workers)


if __name__ == "__main__":
    main()
