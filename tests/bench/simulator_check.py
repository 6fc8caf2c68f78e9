#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the simulator predicts for 1, 2 and 4 workers beside what real processes do
on this machine, as Markdown.

usage: simulator_check.py MONSOON [--rounds N]

A round takes, one after the other: the time of a step, from a job that exchanges
nothing; that of an exchange, from `bench exchange`; the job; and its simulation."""

import argparse
import json
import subprocess
import sys
import tempfile

PARAMETERS = 1_037_760
TRAINER = ["--trainer", "adag", "--set", "window=5"]


def run(monsoon, *words):
    program = subprocess.run([monsoon, *map(str, words)], capture_output=True,
                             text=True, check=False)
    if program.returncode != 0:
        sys.exit(program.stderr)
    return json.loads(program.stdout.strip().split("\n")[-1])


def measure(monsoon, workers, folder):
    job = ["--model", "mlp", "--batch-size", 64, "--epochs", 2, "--optimizer",
           "sgd", "--lr", 0.1, "--workers", workers, "--json"]
    real = [*job, "--transport", "shm", "--out"]
    alone = run(monsoon, "launch", "--trainer", "ensemble", *real,
                f"{folder}/alone")
    exchange = run(monsoon, "bench", "exchange", "--transport", "shm", "--bytes",
                   4 * PARAMETERS, "--workers", workers, "--seconds", 2, "--json")
    launched = run(monsoon, "launch", *TRAINER, *real, f"{folder}/job")
    step_s = 64 * workers / alone["samples_per_s"]
    half_us = exchange["p50_ms"] * 500
    simulated = run(monsoon, "simulate", *TRAINER, *job, "--gradients",
                    "quadratic", "--compute", f"{step_s * 1e3:.3f}ms",
                    "--network", f"1000gbit:{half_us:.0f}us")
    measured, predicted = launched["samples_per_s"], simulated["samples_per_s"]
    print(f"| {workers} | {step_s * 1e3:.2f} | {exchange['p50_ms']:.2f} | "
          f"{measured:,.0f} | {predicted:,.0f} | {predicted / measured:.2f} |",
          flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("monsoon")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| workers | step, ms | exchange, ms | measured, samples/s | predicted "
          "| predicted / measured |\n|---|---|---|---|---|---|")
    for _ in range(arguments.rounds):
        for workers in (1, 2, 4):
            with tempfile.TemporaryDirectory() as folder:
                measure(arguments.monsoon, workers, folder)


if __name__ == "__main__":
    main()
