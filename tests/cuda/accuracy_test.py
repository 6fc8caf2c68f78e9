# SPDX-License-Identifier: Apache-2.0
"""Training on a GPU comes to the accuracy that the processor does: for a machine
that has one (./dev test-gpu).

    accuracy_test.py PROGRAM [NAME:DIR of the data]
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

DATA = sys.argv.pop() if len(sys.argv) > 2 else "fashion-mnist"
PROGRAM = sys.argv.pop()


class Accuracy(unittest.TestCase):
    def accuracy(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [PROGRAM, "train", "--trainer", "single", "--workers", "1", "--epochs", "3",
                 "--batch-size", "128", "--lr-schedule", "cosine",  # comes to rest
                 "--data", DATA, "--json", "--out",
                 Path(folder) / "run", *arguments],
                capture_output=True, text=True, timeout=550, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout.splitlines()[-1])["test_acc"]

    def test_three_epochs_on_both_devices(self):
        for model in ("mlp", "cnn"):
            here = self.accuracy("--model", model, "--device", "cpu",
                                 "--threads", str(min(8, os.cpu_count())))
            self.assertGreater(here, 0.8)
            for precision in ("fp32", "tf32", "bf16"):
                with self.subTest(model=model, precision=precision):
                    there = self.accuracy("--model", model, "--device", "cuda",
                                          "--precision", precision)
                    print(f"{model} {precision}: {there:.4f}, the processor {here:.4f}")
                    self.assertAlmostEqual(there, here, delta=0.005)


if __name__ == "__main__":
    unittest.main()
