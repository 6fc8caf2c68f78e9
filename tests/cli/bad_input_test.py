# SPDX-License-Identifier: Apache-2.0
"""What a person gets for bad input: the exit code, and a message that names
what was found, what is accepted and what to do.

    bad_input_test.py FOLDER_OF_THE_BINARIES
"""

import gzip
import json
import os
import signal
import socket
import sys
import tempfile
import time
import unittest
from pathlib import Path

import small_data
from processes import Program

BINARIES = Path(sys.argv.pop())
USAGE, DATA, FAILED = 2, 3, 1
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


class BadInputTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.run_folder = self.folder / "run"

    def run_binary(self, binary, *words):
        return Program([BINARIES / binary, *map(str, words)],
                       self.folder).finish()

    def train(self, *words):
        return self.run_binary("monsoon", "train", "--model", "mlp:8", "--out",
                               self.run_folder, *words)

    def assert_refused(self, program, code, *parts):
        self.assertEqual(program.code, code, program.err)
        self.assertEqual(program.out, "")
        for part in parts:
            self.assertIn(str(part), program.err)
        self.assertFalse(self.run_folder.exists(), "nothing was begun")

    def small_data(self, **how):
        folder = small_data.write(self.folder / "data", **how)
        return f"fashion-mnist:{folder}"

    # ---- Names and numbers ----------------------------------------------

    def test_unknown_command(self):
        self.assert_refused(self.run_binary("monsoon", "trian"), USAGE,
                            '"trian"', "accepted:", '"train"?')

    def test_no_command(self):
        self.assert_refused(self.run_binary("monsoon"), USAGE, "Usage:",
                            "trainers")

    def test_unknown_trainer(self):
        self.assert_refused(
            self.train("--trainer", "adga"), USAGE,
            'unknown trainer "adga"; accepted: adag, adag_distance, aeasgd, ',
            'did you mean "adag"?')

    def test_a_trainer_of_one_memory_says_so(self):
        self.assert_refused(
            self.train("--trainer", "hogwild", "--servers", 2), USAGE,
            "--servers 2: trainer hogwild works in the memory of the center "
            "itself, expected 1")
        self.assert_refused(
            self.train("--trainer", "hogwild", "--transport", "grpc"), USAGE,
            "--transport grpc: trainer hogwild", "expected inproc")
        self.assert_refused(
            self.run_binary("monsoon", "launch", "--trainer", "hogwild"), USAGE,
            "--trainer hogwild", "expected one process", "monsoon train")

    def test_servers_on_a_gpu_stay_in_their_process(self):
        on_gpu = ("--server-device", "cuda")
        self.assert_refused(
            self.train("--transport", "grpc", *on_gpu), USAGE,
            "--server-device cuda: found --transport grpc, expected "
            "--transport inproc", "within a process", "--server-device cpu")
        self.assert_refused(
            self.train("--wire", "int8", *on_gpu), USAGE,
            "--server-device cuda: found --wire int8, expected --wire fp32",
            "leave --wire out")
        self.assert_refused(
            self.train("--trainer", "hogwild", *on_gpu), USAGE,
            "--server-device cuda: found --trainer hogwild",
            "expected another")
        worker = ("monsoon-worker", "--servers", "127.0.0.1:1", "--rank", 0)
        for words in (("monsoon", "launch"), worker):
            with self.subTest(words):
                self.assert_refused(
                    self.run_binary(*words, "--server-device", "gpuu"), USAGE,
                    '--server-device: unknown device "gpuu"')
                self.assert_refused(
                    self.run_binary(*words, *on_gpu), USAGE,
                    "--server-device cuda: found ",
                    "expected --transport inproc", "use monsoon train")
        self.assert_refused(
            self.run_binary("monsoon", "simulate", *on_gpu), USAGE,
            '--server-device: found "cuda"', "simulator", "use cpu")
        self.assert_refused(
            self.train("--transport", "grpc", "--server-device", "gpuu"), USAGE,
            '--server-device: unknown device "gpuu"')

    def test_bounds_of_staleness_and_of_keys(self):
        self.assert_refused(
            self.train("--trainer", "aeasgd", "--max-staleness", 3), USAGE,
            "--max-staleness 3: trainer aeasgd", "none is stale")
        self.assert_refused(
            self.train("--trainer", "sync", "--max-lead", 3), USAGE,
            "--max-lead 3: trainer sync waits for all workers")
        self.assert_refused(
            self.train("--trainer", "gem", "--set", "clamp_min=6"), USAGE,
            "clamp_min=6", "clamp_max=5", "at most clamp_max")
        self.assert_refused(
            self.train("--trainer", "eamsgd", "--optimizer", "adam"), USAGE,
            "plain local steps", "--optimizer sgd")
        self.assert_refused(
            self.train("--trainer", "sync", "--set", "backups=2"), USAGE,
            "backups=2: expected less than --workers, 2")

    def test_unknown_model(self):
        self.assert_refused(self.train("--model", "cmn"), USAGE,
                            'unknown model "cmn"',
                            "cnn, mlp, resnet20, unet", '"cnn"?')

    def test_model_for_other_labels(self):
        wanted = ("model unet", "28x28 pixels", "use another model")
        self.assert_refused(self.train("--model", "unet"), USAGE, *wanted)
        self.assert_refused(
            self.run_binary("monsoon", "bench", "--models", "unet", "--out",
                            self.run_folder), USAGE, *wanted)

    def test_sizes_of_a_model_that_are_none(self):
        program = self.train("--model", "mlp:many")
        self.assert_refused(program, USAGE, '"many"', "mlp:500,500")
        self.assertEqual(program.err.count("error"), 1)

    def test_unknown_optimizer(self):
        self.assert_refused(self.train("--optimizer", "nestrov"), USAGE,
                            'unknown optimizer "nestrov"', "adagrad",
                            '"nesterov"?')

    def test_unknown_data_set(self):
        self.assert_refused(self.train("--data", "fashion-minst"), USAGE,
                            'unknown data set "fashion-minst"',
                            '"fashion-mnist"?')

    def test_unknown_flag(self):
        self.assert_refused(self.train("--bach-size", "64"), USAGE,
                            'unknown flag "--bach-size"', '"--batch-size"?')

    def test_unknown_flag_of_the_worker(self):
        self.assert_refused(
            self.run_binary("monsoon-worker", "--severs", "a:1", "--rank", 0),
            USAGE, 'unknown flag "--severs"', '"--servers"?')

    def test_key_that_the_trainer_does_not_have(self):
        self.assert_refused(self.train("--trainer", "adag", "--set",
                                       "windwo=5"), USAGE, "--set windwo=5",
                            "trainer adag", 'did you mean "window"?')

    def test_value_of_a_key_out_of_range(self):
        self.assert_refused(self.train("--set", "window=0"), USAGE,
                            "--set window=0", "1 or more")

    def test_unknown_key_in_the_config_file(self):
        config = self.folder / "run.toml"
        config.write_text('trainer = "adag"\nworker = 2\n')
        self.assert_refused(self.train("--config", config), USAGE,
                            f'{config}:2: unknown key "worker"', '"workers"?')

    def test_config_file_that_is_no_toml(self):
        config = self.folder / "run.toml"
        config.write_text("trainer = \n")
        self.assert_refused(self.train("--config", config), USAGE,
                            f"{config}:1:")

    def test_config_file_that_is_missing(self):
        self.assert_refused(self.train("--config", "/nowhere.toml"), USAGE,
                            "--config", "/nowhere.toml")

    def test_zero_of_anything(self):
        for flag in ("workers", "servers", "batch-size", "epochs", "lr",
                     "threads", "connect-timeout"):
            with self.subTest(flag):
                self.assert_refused(self.train(f"--{flag}", "0"), USAGE,
                                    f'--{flag}: found "0", expected a ')

    def test_number_that_is_none(self):
        for value in ("two", "2.5", "-1", "99999999999999999999"):
            with self.subTest(value):
                self.assert_refused(self.train(f"--workers={value}"), USAGE,
                                    f'--workers: found "{value}"',
                                    "a whole number, at least 1")

    def test_flag_without_its_value(self):
        for words in (["--epochs"], ["--epochs="]):
            with self.subTest(words):
                self.assert_refused(self.train(*words), USAGE,
                                    "--epochs: found no value, expected E")

    def test_single_with_two_workers(self):
        self.assert_refused(
            self.train("--trainer", "single", "--workers", "2"), USAGE,
            "trainer single runs with one worker, found --workers 2",
            "--workers 1")

    def test_what_this_build_does_not_have(self):
        # Built without CUDA, or with it; GPU 97 is nowhere.
        self.assert_refused(self.train("--device", "cuda:97"), USAGE,
                            "--device: cuda:97: ")
        self.assert_refused(self.train("--server-device", "cuda:97"), USAGE,
                            "--server-device: cuda:97: ")
        self.assert_refused(self.train("--server-device", "gpu"), USAGE,
                            '--server-device: unknown device "gpu"')
        self.assert_refused(self.train("--transport", "shm"), USAGE, "shm",
                            "between processes", "inproc", "monsoon launch")

    def test_folder_of_a_finished_run(self):
        (self.folder / "old").mkdir()
        (self.folder / "old" / "summary.json").write_text("{}\n")
        self.assert_refused(self.train("--out", self.folder / "old"), USAGE,
                            self.folder / "old", "name another")

    # ---- Data -----------------------------------------------------------

    def test_batch_larger_than_the_smallest_part(self):
        self.assert_refused(
            self.train("--data", self.small_data(train=61), "--workers", 2,
                       "--batch-size", 31), USAGE, "--batch-size 31", "has 30")

    def test_more_workers_than_samples(self):
        self.assert_refused(
            self.train("--data", self.small_data(train=3), "--workers", 4,
                       "--batch-size", 1), USAGE, "--workers 4",
            "3 training samples")

    def test_data_folder_that_is_missing(self):
        self.assert_refused(self.train("--data", "fashion-mnist:/nowhere"),
                            DATA, "/nowhere", "dataset-fashion-mnist")

    def test_file_that_is_missing(self):
        data = self.small_data()
        (self.folder / "data" / "train-labels-idx1-ubyte.gz").unlink()
        self.assert_refused(self.train("--data", data), DATA,
                            "train-labels-idx1-ubyte", "dataset-fashion-mnist")

    def test_file_that_is_truncated(self):
        whole = gzip.compress(small_data.images(60), 1)
        self.assert_refused(
            self.train("--data", self.small_data(
                train_images=whole[:len(whole) // 2])),
            DATA, "train-images-idx3-ubyte.gz", "dataset-fashion-mnist")

    def test_images_that_are_fewer_than_announced(self):
        self.assert_refused(
            self.train("--data", self.small_data(train_images=gzip.compress(
                small_data.images(60)[:-1]))),
            DATA, "train-images-idx3-ubyte.gz", "expected")

    def test_wrong_magic(self):
        self.assert_refused(
            self.train("--data", self.small_data(train_images=gzip.compress(
                small_data.images(60, magic=0x903)))),
            DATA, "train-images-idx3-ubyte.gz", "903", "803")

    def test_images_and_labels_of_different_counts(self):
        self.assert_refused(
            self.train("--data", self.small_data(
                train_labels=gzip.compress(small_data.labels(59)))),
            DATA, "train-labels-idx1-ubyte.gz", "59", "60")

    def test_bad_gzip(self):
        damaged = bytearray(gzip.compress(small_data.images(60), 1))
        damaged[len(damaged) // 2] ^= 0xFF
        self.assert_refused(
            self.train("--data", self.small_data(train_images=damaged)), DATA,
            "train-images-idx3-ubyte.gz")

    def test_test_set_that_is_broken(self):
        # Found only after the training: the model must not be lost with it.
        program = self.train("--data",
                             self.small_data(t10k_images=b"no gzip, no IDX"),
                             "--batch-size", 8)
        self.assertEqual(program.code, DATA, program.err)
        self.assertIn("t10k-images-idx3-ubyte.gz", program.err)
        model = self.run_folder / "checkpoints" / "final.safetensors"
        self.assertTrue(model.exists())

    def test_model_file_that_is_none(self):
        (self.folder / "model").write_bytes(b"no model at all")
        self.assert_refused(
            self.run_binary("monsoon", "evaluate", "--model-file",
                            self.folder / "model"), DATA, "safetensors")
        self.assert_refused(
            self.run_binary("monsoon", "evaluate", "--model-file", "/nowhere"),
            DATA, "/nowhere")

    # ---- Servers --------------------------------------------------------

    def test_address_that_is_none(self):
        self.assert_refused(
            self.run_binary("monsoon-worker", "--servers", "here", "--rank", 0),
            USAGE, '"here"', "HOST:PORT")

    def test_rank_that_is_none(self):
        self.assert_refused(
            self.run_binary("monsoon-worker", "--servers", "a:1", "--rank",
                            "first"), USAGE, '--rank: found "first"')

    def test_rank_that_is_not_below_workers(self):
        self.assert_refused(
            self.run_binary("monsoon-worker", "--servers", "127.0.0.1:1",
                            "--rank", 2, "--workers", 2), USAGE, "--rank 2",
            "--workers")

    def test_server_that_cannot_be_reached(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            begin = time.monotonic()
            program = self.run_binary("monsoon-worker", "--servers", address,
                                      "--rank", 0, "--connect-timeout", 1,
                                      "--out", self.run_folder)
            self.assertLess(time.monotonic() - begin, 10)
        self.assert_refused(program, FAILED, address, "monsoon-server")

    def test_signal_while_a_server_is_awaited(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            program = Program(
                [BINARIES / "monsoon-worker", "--servers", address, "--rank",
                 "0", "--connect-timeout", "60", "--out", self.run_folder],
                self.folder)
            time.sleep(1)  # by then it waits
            begin = time.monotonic()
            os.kill(program.process.pid, signal.SIGINT)
            program.finish(30)
            self.assertLess(time.monotonic() - begin, 2)
        self.assert_refused(program, 130, "interrupted", address)

    # ---- Ends -----------------------------------------------------------

    def test_divergence_is_an_outcome(self):
        program = self.train("--lr", "1e30", "--batch-size", 500, "--json")
        self.assertEqual(program.code, FAILED)
        for part in ("diverged", "worker", "step", "lower --lr", "adag"):
            self.assertIn(part, program.err)
        summary = program.summary()
        self.assertEqual(summary["status"], "diverged")
        self.assertLess(summary["steps"], 100)
        # The last finite center is kept, and is as good as it says.
        evaluated = self.run_binary(
            "monsoon", "evaluate", "--json", "--model-file",
            self.run_folder / "checkpoints" / "final.safetensors")
        self.assertEqual(evaluated.code, 0, evaluated.err)
        self.assertEqual(evaluated.summary()["test_acc"], summary["test_acc"])

    def test_signals_leave_a_checkpoint(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                folder = self.folder / f"run-{number}"
                program = Program(
                    [BINARIES / "monsoon", "train", "--model", "mlp:8",
                     "--epochs", "100000", "--json", "--out", folder], folder)
                program.wait_until_training()
                pid, takes = program.threads_that_take(number)
                self.assertEqual(len(takes), 1)
                self.assertNotEqual(takes, [pid])  # nobody who computes
                os.kill(program.process.pid, number)
                program.finish(30)
                self.assertEqual(program.code, 128 + number, program.err)
                self.assertEqual(program.summary()["status"], "interrupted")
                self.assertEqual(
                    json.loads((folder / "summary.json").read_text()),
                    program.summary())
                evaluated = self.run_binary(
                    "monsoon", "evaluate", "--model-file",
                    folder / "checkpoints" / "final.safetensors")
                self.assertEqual(evaluated.code, 0, evaluated.err)


class RunTest(unittest.TestCase):
    """Good input: what a run leaves can be used again."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def run_monsoon(self, *words):
        program = Program([BINARIES / "monsoon", *map(str, words)],
                          self.folder).finish()
        self.assertEqual(program.code, 0, program.err)
        return program

    def test_config_of_a_run_repeats_it_and_evaluate_agrees(self):
        first = self.run_monsoon(
            "train", "--model", "mlp:8", "--trainer", "single", "--batch-size",
            500, "--seed", 3, "--lr", 0.3, "--json", "--out",
            self.folder / "first").summary()
        second = self.run_monsoon(
            "train", "--config", self.folder / "first" / "config.toml",
            "--json", "--out", self.folder / "second").summary()
        times = ("elapsed_s", "samples_per_s", "startup_s", "peak_rss_bytes")
        for summary in (first, second):
            for key in times:
                self.assertGreater(summary.pop(key), 0)
        self.assertEqual(first, second)
        evaluated = self.run_monsoon(
            "evaluate", "--json", "--model-file",
            self.folder / "first" / "checkpoints" / "final.safetensors",
            "--data", f"fashion-mnist:{DEBIAN}").summary()
        self.assertEqual(evaluated["test_acc"], first["test_acc"])
        self.assertEqual(evaluated["test_loss"], first["test_loss"])

    def test_every_trainer_and_transport_counts_every_sample(self):
        listed = json.loads(self.run_monsoon("trainers", "--json").out)
        for trainer in listed:
            if trainer["one_process"]:  # tested in its own way
                continue
            for transport in ("inproc", "grpc"):
                with self.subTest((trainer["trainer"], transport)):
                    summary = self.run_monsoon(
                        "train", "--model", "mlp:8", "--trainer",
                        trainer["trainer"], "--servers", 2, "--transport",
                        transport, "--batch-size", 128, "--json", "--out",
                        self.folder / f"{trainer['trainer']}-{transport}"
                    ).summary()
                    self.assertEqual(summary["samples"], 60_000)
                    self.assertEqual(summary["status"], "done")
                    self.assertEqual(summary["transport"], transport)

    def test_a_trainer_of_one_memory_trains(self):
        summary = self.run_monsoon(
            "train", "--model", "mlp:32", "--trainer", "hogwild", "--batch-size",
            64, "--json", "--out", self.folder / "hogwild").summary()
        self.assertEqual(summary["samples"], 60_000)
        self.assertGreater(summary["test_acc"], 0.5)

    def test_what_is_beyond_a_bound_is_said(self):
        warned = self.run_monsoon(
            "train", "--model", "mlp:8", "--trainer", "aeasgd", "--set",
            "alpha=0.9", "--batch-size", 128, "--out", self.folder / "warned")
        self.assertEqual(warned.code, 0)
        self.assertIn("warning: trainer aeasgd: alpha=0.9 with 2 workers: "
                      "alpha*(workers + 1) is 2.7, expected below 2", warned.err)

    def test_an_ensemble_is_saved_and_evaluated_as_it_was(self):
        folder = self.folder / "ensemble"
        summary = self.run_monsoon(
            "train", "--model", "mlp:8", "--trainer", "ensemble", "--workers",
            3, "--batch-size", 128, "--json", "--out", folder).summary()
        evaluated = self.run_monsoon(
            "evaluate", "--model-file", folder / "checkpoints" /
            "final.safetensors", "--json").summary()
        self.assertEqual(evaluated["test_acc"], summary["test_acc"])
        self.assertEqual(evaluated["test_loss"], summary["test_loss"])

    def test_version(self):
        self.assertRegex(
            self.run_monsoon("--version").out,
            r"\Amonsoon 0\.1\.0\n"
            r"cuda: (none|\d+\.\d+ \(cuBLAS [\d.]+, cuDNN [\d.]+\))\n\Z")


if __name__ == "__main__":
    unittest.main()
