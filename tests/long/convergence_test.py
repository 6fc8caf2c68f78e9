#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every trainer on the real Fashion-MNIST: mlp, four workers, batch 64, its own
defaults, beside `single` after as many passes over the data.

    convergence_test.py [--long] FOLDER_OF_THE_BINARIES

Two seeds of one epoch; with --long, five seeds of five. Prints the table of
docs/trainers.md.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BINARY = Path(sys.argv.pop()) / "monsoon"
IS_LONG = "--long" in sys.argv
EPOCHS, SEEDS = (5, 5) if IS_LONG else (1, 2)

# What single has to reach, in percent.
FLOOR = 85.0 if IS_LONG else 80.0
# Points of accuracy below single's that are no defect.
# After one epoch a last step may lose three points again, single's as well.
USUAL = 1.0 if IS_LONG else 6.0
# More than that, each with its reason in docs/trainers.md, "Convergence".
EXPLAINED = ({"staleness_lr": 8.0, "dynsgd": 3.0, "ssp": 2.0} if IS_LONG else
             {"staleness_lr": 15.0})


def measure():
    """The test accuracies of every trainer, in percent."""
    listed = subprocess.run([BINARY, "trainers", "--json"], capture_output=True,
                            text=True, check=True).stdout
    trainers = [trainer["trainer"] for trainer in json.loads(listed)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [BINARY, "bench", "--trainers", ",".join(trainers), "--models", "mlp",
             "--batches", "64", "--workers", "4", "--epochs", str(EPOCHS), "--repeat",
             str(SEEDS), "--out", folder + "/bench"],
            capture_output=True, text=True, check=False)
        print(done.stderr, flush=True)
        assert done.returncode == 0, done.stderr
        lines = Path(folder, "bench", "results.jsonl").read_text().splitlines()
    accuracies = {trainer: [] for trainer in trainers}
    for row in map(json.loads, lines):
        assert row["samples"] == EPOCHS * 60_000, row
        accuracies[row["trainer"]].append(100 * row["test_acc"])
    return accuracies


def print_table(accuracies):
    single = statistics.mean(accuracies["single"])
    print("| trainer | mean | smallest | largest | beside `single` |\n|---|---|---|---|---|")
    for trainer, of_seeds in sorted(accuracies.items()):
        mean = statistics.mean(of_seeds)
        print(f"| `{trainer}` | {mean:.2f} | {min(of_seeds):.2f} | {max(of_seeds):.2f} | "
              f"{mean - single:+.2f} |", flush=True)


class Convergence(unittest.TestCase):
    def test_every_trainer_is_near_single(self):
        accuracies = measure()
        print_table(accuracies)
        single = statistics.mean(accuracies["single"])
        self.assertGreaterEqual(single, FLOOR)
        for trainer, of_seeds in accuracies.items():
            self.assertEqual(len(of_seeds), SEEDS)
            behind = single - statistics.mean(of_seeds)
            with self.subTest(trainer=trainer):
                self.assertLessEqual(behind, EXPLAINED.get(trainer, USUAL))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
