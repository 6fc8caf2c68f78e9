# SPDX-License-Identifier: Apache-2.0
"""monsoon bench kernels, as a person and a script meet it.

    bench_kernels_test.py FOLDER_OF_THE_BINARIES
"""

import json
import subprocess
import sys
import unittest
from pathlib import Path

BINARY = Path(sys.argv.pop()) / "monsoon"
KEYS = ["model", "batch_size", "threads", "workers", "precision", "samples_per_s", "gflops",
        "gemm_gflops", "fraction", "independent_samples_per_s", "scaling", "optimizer", "device"]
# Multiply-adds of a step for one example: forward, weight gradients, and input
# gradients of all layers but the first.
MLP = 784 * 1000 * 2 + (1000 * 250 + 250 * 10) * 3


def kernels(*arguments):
    return subprocess.run([BINARY, "bench", "kernels", "--seconds", "0.2", *arguments],
                          capture_output=True, text=True, timeout=120, check=False)


class BenchKernels(unittest.TestCase):
    def line(self, *arguments):
        done = kernels("--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        line = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(list(line), KEYS)
        return line

    def test_one_worker(self):
        line = self.line("--model", "mlp", "--batch-size", "16", "--optimizer", "momentum")
        self.assertEqual((line["model"], line["batch_size"], line["optimizer"]),
                         ("mlp", 16, "momentum"))
        self.assertAlmostEqual(line["gflops"] * 1e9, 2 * MLP * line["samples_per_s"],
                               delta=1e-6 * line["gflops"] * 1e9)
        self.assertAlmostEqual(line["fraction"], line["gflops"] / line["gemm_gflops"])
        self.assertGreater(line["fraction"], 0.05)
        self.assertIsNone(line["scaling"])

    def test_two_workers(self):
        line = self.line("--model", "mlp:50", "--workers", "2")
        self.assertEqual(line["workers"], 2)
        self.assertGreater(line["independent_samples_per_s"], 0)
        self.assertAlmostEqual(
            line["scaling"], line["samples_per_s"] / line["independent_samples_per_s"])

    def test_every_model_has_a_row(self):
        for model in ("cnn", "resnet20", "unet"):
            with self.subTest(model=model):
                line = self.line("--model", model, "--batch-size", "4")
                self.assertGreater(line["gflops"], 0)

    def test_the_choice_of_ways_is_shown(self):
        done = kernels("--model", "cnn", "--batch-size", "4", "--verbose")
        self.assertIn("conv1: narrow", done.stderr)
        self.assertRegex(done.stderr, r"conv2: \w+ \(an image takes winograd \d+ us")
        self.assertIn("of the limit", done.stdout)

    def test_bf16_where_the_processor_has_it(self):
        done = kernels("--json", "--precision", "bf16", "--batch-size", "4")
        if "avx512_bf16" in Path("/proc/cpuinfo").read_text():
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["precision"], "bf16")
        else:
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("--precision bf16: this processor", done.stderr)

    def test_bad_input(self):
        for arguments, names in [(["--example", "28x28"], ["--example", "28x28", "CHANNELS"]),
                                 (["--seconds", "0"], ["--seconds", "\"0\"", "0.1"]),
                                 (["--model", "mpl"], ["mpl", "mlp"]),
                                 (["--batch-size", "0"], ["--batch-size", "0"]),
                                 (["--trainer", "adag"], ["--trainer"])]:
            with self.subTest(arguments=arguments):
                done = kernels(*arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                for name in names:
                    self.assertIn(name, done.stderr)


if __name__ == "__main__":
    unittest.main()
