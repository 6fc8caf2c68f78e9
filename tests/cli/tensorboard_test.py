# SPDX-License-Identifier: Apache-2.0
"""The event files of a run hold what its metrics and its summary say.

    tensorboard_test.py FOLDER_OF_THE_BINARIES
"""

import json
import math
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import small_data
from processes import Program

BINARIES = Path(sys.argv.pop())
ROOT = Path(__file__).resolve().parents[2]


def schema(folder):
    """Our schema as a module."""
    subprocess.run(["protoc", f"--proto_path={ROOT}", f"--python_out={folder}",
                    ROOT / "proto" / "tensorboard.proto"], check=True)
    sys.path.insert(0, str(folder))
    from proto import tensorboard_pb2
    return tensorboard_pb2


def masked_crc(data):
    """CRC-32C bit by bit, and masked: slow, and not the code under test."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8 & 0xFFFFFFFF


def records(path):
    data = path.read_bytes()
    while data:
        size, of_size = struct.unpack_from("<QI", data)
        payload = data[12:12 + size]
        (of_payload,) = struct.unpack_from("<I", data, 12 + size)
        assert of_size == masked_crc(data[:8]), f"{path}: length"
        assert of_payload == masked_crc(payload), f"{path}: payload"
        yield payload
        data = data[16 + size:]


class Events:
    """What one event file holds."""

    def __init__(self, module, folder):
        (path,) = folder.glob("*tfevents*")
        self.scalars, self.tensors = {}, {}
        events = [module.Event.FromString(one) for one in records(path)]
        assert events[0].file_version == "brain.Event:2"
        for event in events:
            for value in event.summary.value:
                if value.WhichOneof("what") == "simple_value":
                    self.scalars.setdefault(value.tag, []).append(
                        (event.wall_time, event.step, value.simple_value))
                else:
                    self.tensors[value.tag] = value

    def last(self, tag):
        return self.scalars[tag][-1][2]


class TensorBoardTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.module = schema(cls.folder)
        data = small_data.write(cls.folder / "data", train=6000, test=100)
        cls.data = ["--data", f"fashion-mnist:{data}"]

    def finish(self, command, *words):
        run = self.folder / command
        program = Program(
            [BINARIES / "monsoon", command, "--json", "--out", run, "--model",
             "mlp:64", "--batch-size", "4", "--workers", "2", *self.data, *words],
            self.folder)
        self.addCleanup(program.end)
        program.finish()
        self.assertEqual(program.code, 0, program.err)
        return run / "tensorboard", program.summary()

    def same(self, found, expected):
        self.assertTrue(math.isclose(found, expected, rel_tol=1e-6),
                        f"{found}, expected {expected}")

    def check_results(self, events, summary):
        for tag, key in (("test/accuracy", "test_acc"),
                         ("test/loss", "test_loss"),
                         ("run/elapsed_s", "elapsed_s"),
                         ("run/samples_per_second", "samples_per_s"),
                         ("ps/staleness_mean", "staleness_mean"),
                         ("train/loss", "train_loss")):
            self.same(events.last(tag), summary[key])
            self.assertEqual(events.scalars[tag][-1][1], summary["samples"])

    def test_train(self):
        folder, summary = self.finish("train", "--epochs", "20",
                                      "--eval-every", "30000")
        job = Events(self.module, folder)
        self.check_results(job, summary)
        # Every point of the metrics that is of the same moment.
        lines = map(json.loads,
                    (folder.parent / "metrics.jsonl").read_text().splitlines())
        losses = {line["samples"]: line["loss"] for line in lines}
        both = [point for point in job.scalars["train/loss"]
                if losses.get(point[1]) is not None]
        self.assertGreaterEqual(len(both), 2)
        for _, step, value in both:
            self.same(value, losses[step])
        # The curve, at the time and the step of each of its points.
        curve = summary["curve"]
        self.assertGreaterEqual(len(curve), 3)
        points = job.scalars["test/accuracy"]
        self.assertEqual(len(points), len(curve))
        start = points[-1][0] - summary["elapsed_s"]
        for (elapsed_s, samples, accuracy), point in zip(curve, points):
            self.assertAlmostEqual(point[0], start + elapsed_s, places=5)
            self.assertEqual(point[1], samples)
            self.same(point[2], accuracy)
        self.check_histograms(job, summary["staleness"])
        for rank in range(2):
            worker = Events(self.module, folder / f"worker-{rank}")
            shares = [worker.last(f"time/{what}_share")
                      for what in ("compute", "exchange", "data")]
            self.assertAlmostEqual(sum(shares), 1, places=5)
            self.assertGreater(worker.last("perf/samples_per_second"), 0)

    def check_histograms(self, job, staleness):
        def total(tag):
            return sum(job.tensors[tag].tensor.double_val[2::3])

        self.assertEqual(total("weights/fc1.weight"), 784 * 64)
        self.assertEqual(total("weights/fc2.bias"), 10)
        self.assertEqual(total("ps/staleness"), sum(
            sum(shard.values()) for shard in staleness["shards"].values()))

    def test_launch(self):
        # Written by the worker of rank 0, which has the folder.
        folder, summary = self.finish("launch", "--servers", "2")
        self.check_results(Events(self.module, folder), summary)
        self.assertEqual(sorted(path.name for path in folder.glob("worker-*")),
                         ["worker-0", "worker-1"])


if __name__ == "__main__":
    unittest.main()
