#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The published story of asynchronous trainers, simulated: test accuracy against
the window and against the number of workers, as Markdown.

usage: story_table.py MONSOON [windows|workers|staleness|time]...

Every cell is one run of `monsoon simulate` with real gradients, which takes some
seconds of real time; two run at once. The command of a cell is what CELL says,
with the row's and the column's flags."""

import concurrent.futures
import json
import subprocess
import sys

COMMON = ["--model", "mlp", "--batch-size", "16", "--epochs", "1", "--servers",
          "4", "--compute", "lognormal:20ms:0.5", "--network", "10gbit:100us",
          "--seed", "7", "--json"]
ADAM = ["--optimizer", "adam", "--lr", "0.001"]
TRAINERS = {
    "downpour": ["--trainer", "downpour", "--set", "form=delta", *ADAM],
    "dynsgd": ["--trainer", "dynsgd", *ADAM],
    "adag": ["--trainer", "adag", *ADAM],
    "aeasgd": ["--trainer", "aeasgd", *ADAM],
    "gem": ["--trainer", "gem", "--optimizer", "sgd", "--lr", "0.05"],
}


def simulate(monsoon, flags):
    """The summary of a run, also of one that diverged."""
    program = subprocess.run([monsoon, "simulate", *flags, *COMMON],
                             capture_output=True, text=True, check=False)
    lines = program.stdout.strip().split("\n")
    if program.returncode not in (0, 1) or not lines[-1].startswith("{"):
        sys.exit(program.stderr)
    return json.loads(lines[-1])


def accuracy(summary):
    if summary["status"] != "done":
        return "diverged"
    return f"{summary['test_acc']:.3f}"


def table(monsoon, title, rows, columns, cell=accuracy):
    """rows, columns: name -> flags."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {(row, column): pool.submit(simulate, monsoon,
                                           rows[row] + columns[column])
                for row in rows for column in columns}
        print(f"\n| {title} | " + " | ".join(columns) + " |")
        print("|---|" + "---|" * len(columns))
        for row in rows:
            cells = [cell(runs[row, column].result()) for column in columns]
            print(f"| `{row}` | " + " | ".join(cells) + " |", flush=True)


def windows(monsoon):
    some = {name: TRAINERS[name] for name in ("downpour", "adag", "aeasgd")}
    table(monsoon, "window, 20 workers", some,
          {str(w): ["--workers", "20", "--set", f"window={w}"]
           for w in (1, 5, 15, 30)})


def workers(monsoon):
    some = {name: TRAINERS[name] + ["--set", "window=5"]
            for name in ("downpour", "adag", "aeasgd")}
    table(monsoon, "workers, window 5", some,
          {str(n): ["--workers", str(n)] for n in (1, 4, 12, 40, 100)})


def staleness(monsoon):
    some = {name: TRAINERS[name] + ["--set", "window=1"]
            for name in ("gem", "downpour", "dynsgd")}
    table(monsoon, "workers, window 1 (accuracy; mean staleness)", some,
          {str(n): ["--workers", str(n)] for n in (5, 25, 100)},
          lambda s: f"{accuracy(s)}; {s['staleness_mean']:.0f}")


def time(monsoon):
    def seconds(summary):
        reached = summary["time_to"]
        if isinstance(reached, dict):
            reached = list(reached.values())[0]
        return "not" if reached is None else f"{reached:.1f} s"
    some = {name: TRAINERS[name] + ["--set", "window=5", "--epochs", "3",
                                    "--time-to", "0.8"]
            for name in ("downpour", "adag", "aeasgd")}
    table(monsoon, "virtual time to 80 %, workers", some,
          {str(n): ["--workers", str(n)] for n in (1, 4, 16, 64)}, seconds)


def main():
    monsoon, *names = sys.argv[1:]
    for name in names or ["windows", "workers", "staleness", "time"]:
        globals()[name](monsoon)


if __name__ == "__main__":
    main()
