#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The published story of asynchronous trainers, simulated: docs/trainers.md, "The
story, simulated". Each part is a table as Markdown and a figure.

usage: story.py MONSOON FOLDER_OF_FIGURES [windows|workers|staleness|time]...

A cell is `monsoon simulate` with real gradients, once a seed, two at a time, each
some seconds of real time. Drawing needs Debian's python3-matplotlib. The same
arguments give the same tables, byte for byte."""

import concurrent.futures
import json
import statistics
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "monsoon"  # the same bytes each time
from matplotlib import pyplot  # noqa: E402

COMMON = ["--model", "mlp:128", "--servers", "4", "--compute", "lognormal:20ms:0.5",
          "--network", "10gbit:100us", "--json"]
ADAM = ["--optimizer", "adam", "--lr", "0.001"]
SGD = ["--optimizer", "sgd", "--lr", "0.05"]


def trainer(name, *settings, optimizer):
    flags = ["--trainer", name, *optimizer]
    for setting in settings:
        flags += ["--set", setting]
    return flags


def simulate(monsoon, flags):
    """The summary of a run, also of one that diverged."""
    program = subprocess.run([monsoon, "simulate", *flags, *COMMON],
                             capture_output=True, text=True, check=False)
    lines = program.stdout.strip().split("\n")
    if program.returncode not in (0, 1) or not lines[-1].startswith("{"):
        sys.exit(program.stderr)
    summary = json.loads(lines[-1])
    if summary["status"] not in ("done", "diverged"):
        sys.exit(program.stderr)
    return summary


def run_all(monsoon, rows, columns, seeds):
    """(row, column) -> the summaries of the seeds. rows, columns: name -> flags."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {(row, column): [pool.submit(simulate, monsoon,
                                            [*rows[row], *columns[column], "--seed",
                                             str(seed)])
                                for seed in range(1, seeds + 1)]
                for row in rows for column in columns}
        return {cell: [run.result() for run in of_seeds]
                for cell, of_seeds in runs.items()}


def accuracy(summary):
    """In percent; of a run that diverged, that of its last finite center."""
    return 100 * summary["test_acc"]


def print_table(title, rows, columns, cell):
    print(f"\n| {title} | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for row in rows:
        cells = [cell(row, column) for column in columns]
        print(f"| `{row}` | " + " | ".join(cells) + " |", flush=True)


def draw(path, x_label, y_label, lines, **axes):
    """lines: name -> (x, smallest, middle, largest), lists of the same length."""
    figure, axis = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    for marker, (name, (x, low, middle, high)) in zip("osD^vPX", lines.items()):
        axis.errorbar(x, middle, label=name, marker=marker, capsize=3,
                      yerr=([m - l for m, l in zip(middle, low)],
                            [h - m for m, h in zip(middle, high)]))
    axis.set(xlabel=x_label, ylabel=y_label, **axes)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def accuracies(monsoon, path, title, rows, columns, seeds=3):
    """The table and the figure of test accuracy over the columns, numbers."""
    runs = run_all(monsoon, rows, columns, seeds)

    def of_seeds(row, column):
        found = [accuracy(summary) for summary in runs[row, column]]
        return min(found), statistics.median(found), max(found)

    def cell(row, column):
        low, middle, high = of_seeds(row, column)
        diverged = sum(run["status"] == "diverged" for run in runs[row, column])
        return (f"{low:.0f} / **{middle:.0f}** / {high:.0f}" +
                (f" ({diverged} diverged)" if diverged else ""))

    print_table(title, rows, columns, cell)
    lines = {row: ([float(column) for column in columns],
                   *zip(*(of_seeds(row, column) for column in columns)))
             for row in rows}
    draw(path, title, "test accuracy, %", lines, xscale="log", ylim=(0, 92),
         xticks=[float(c) for c in columns], xticklabels=list(columns))
    return runs


def counts(*numbers):
    return {str(n): ["--workers", str(n)] for n in numbers}


def windows(monsoon, path):
    rows = {name: trainer(name, *form, optimizer=ADAM) + one_pass(20)
            for name, *form in (("downpour", "form=delta"), ("adag",), ("aeasgd",))}
    accuracies(monsoon, path, "window, 20 workers", rows,
               {str(w): ["--set", f"window={w}"] for w in (1, 5, 10, 15, 30, 50)})


def one_pass(workers=None):
    flags = ["--epochs", "1", "--batch-size", "16"]
    return flags if workers is None else [*flags, "--workers", str(workers)]


def workers(monsoon, path):
    rows = {
        "downpour, window 5": ("downpour", "window=5", "form=delta"),
        "adag, window 5": ("adag", "window=5"),
        "adag, window 15": ("adag", "window=15"),
        "aeasgd, window 5": ("aeasgd", "window=5"),
    }
    accuracies(monsoon, path, "workers",
               {name: trainer(*of, optimizer=ADAM) + one_pass()
                for name, of in rows.items()}, counts(1, 4, 8, 12, 20, 40, 100))


def staleness(monsoon, path):
    rows = {name: trainer(name, *rest, optimizer=SGD) + one_pass()
            for name, *rest in (("gem",), ("downpour", "window=1"),
                                ("dynsgd", "window=1"), ("staleness_lr",),
                                ("dcasgd",))}
    columns = counts(5, 10, 20, 50, 100)
    runs = accuracies(monsoon, path, "workers, window 1", rows, columns)
    print_table("mean staleness", rows, columns,
                lambda row, column: "{:.0f}".format(statistics.median(
                    summary["staleness_mean"] for summary in runs[row, column])))


def time(monsoon, path):
    rows = {
        "adag": trainer("adag", "window=5", optimizer=ADAM),
        "downpour": trainer("downpour", "window=1", optimizer=SGD),
        "aeasgd": trainer("aeasgd", optimizer=SGD),
        "gem": trainer("gem", optimizer=SGD),
        "sync": trainer("sync", optimizer=SGD),
    }
    rows = {name: [*flags, "--batch-size", "16", "--epochs", "8", "--time-to", "0.85"]
            for name, flags in rows.items()}
    columns = counts(1, 4, 16, 64, 250, 1000)
    runs = run_all(monsoon, rows, columns, 1)
    reached = {cell: found[0]["time_to"] for cell, found in runs.items()}
    print_table("virtual seconds to 85 %, workers", rows, columns,
                lambda row, column: "not" if reached[row, column] is None
                else f"{reached[row, column]:.1f}")
    lines = {}
    for row in rows:
        points = [(int(column), reached[row, column]) for column in columns
                  if reached[row, column] is not None]
        x, y = zip(*points) if points else ((), ())
        lines[row] = (x, y, y, y)
    draw(path, "workers", "virtual seconds to 85 %", lines, xscale="log", yscale="log",
         xticks=[int(c) for c in columns], xticklabels=list(columns))


def main():
    monsoon, folder, *names = sys.argv[1:]
    for name in names or ["windows", "workers", "staleness", "time"]:
        globals()[name](monsoon, Path(folder, f"story_{name}.svg"))


if __name__ == "__main__":
    main()
