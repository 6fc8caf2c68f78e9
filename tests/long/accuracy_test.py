#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The accuracy that the defaults promise, on the real Fashion-MNIST: mlp after
five epochs in one process and in six, cnn after three.

    accuracy_test.py FOLDER_OF_THE_BINARIES
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BINARY = Path(sys.argv.pop()) / "monsoon"
TRAINERS = ["single", "downpour", "aeasgd", "adag"]
EPOCH = 60_000


def run(command, trainer, *arguments):
    workers = "1" if trainer == "single" else "2"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [BINARY, command, "--trainer", trainer, "--workers", workers,
             "--data", "fashion-mnist", "--batch-size", "64", "--seed", "1", "--json",
             "--out", Path(folder) / "run", *arguments],
            capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    print(command, trainer, *arguments, "test_acc", summary["test_acc"], "elapsed_s",
          round(summary["elapsed_s"], 2), flush=True)
    return summary


class Accuracy(unittest.TestCase):
    def test_mlp_in_one_process(self):
        for trainer in TRAINERS:
            with self.subTest(trainer=trainer):
                summary = run("train", trainer, "--model", "mlp", "--epochs", "5")
                self.assertGreaterEqual(summary["test_acc"], 0.86)
                self.assertEqual(summary["samples"], 5 * EPOCH)

    def test_mlp_in_processes(self):
        for trainer in TRAINERS:
            with self.subTest(trainer=trainer):
                summary = run("launch", trainer, "--model", "mlp", "--epochs", "5",
                              "--servers", "2")
                self.assertGreaterEqual(summary["test_acc"], 0.86)
                self.assertEqual(summary["samples"], 5 * EPOCH)

    def test_cnn(self):
        single = run("train", "single", "--model", "cnn", "--epochs", "3")
        self.assertGreaterEqual(single["test_acc"], 0.88)
        for trainer in TRAINERS[1:]:
            with self.subTest(trainer=trainer):
                summary = run("train", trainer, "--model", "cnn", "--epochs", "3")
                self.assertGreaterEqual(summary["test_acc"], single["test_acc"] - 0.015)


if __name__ == "__main__":
    unittest.main()
