# SPDX-License-Identifier: Apache-2.0
"""A worker in another language, from nothing but the published schema.

Generates Python code from proto/monsoon.proto, starts the real monsoon-server
on a free port, registers a job of its own, trains one epoch of softmax
regression on Fashion-MNIST, and meanwhile sends what no worker should.

Usage: python_client_test.py SERVER_BINARY SCHEMA DATA_FOLDER
"""

import contextlib
import gzip
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import grpc
import numpy as np

from schema_code import generate

SERVER, SCHEMA, DATA = sys.argv[1:4]
IMAGE, CLASSES, BATCH, LR = 784, 10, 64, 0.1
PARAMETERS = IMAGE * CLASSES + CLASSES
SHARDS = [(0, 4000), (4000, PARAMETERS - 4000)]


def read_idx(name):
    with gzip.open(os.path.join(DATA, name)) as file:
        data = file.read()
    dimensions = data[3]
    shape = np.frombuffer(data, ">i4", dimensions, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(
        shape)


def load(part):
    images = read_idx(part + "-images-idx3-ubyte.gz").reshape(-1, IMAGE)
    return images, read_idx(part + "-labels-idx1-ubyte.gz")


def logits(parameters, images):
    weight = parameters[:IMAGE * CLASSES].reshape(IMAGE, CLASSES)
    return images / np.float32(255) @ weight + parameters[IMAGE * CLASSES:]


def gradient(parameters, images, labels):
    scores = logits(parameters, images)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    scores[np.arange(len(labels)), labels] -= 1
    scores /= len(labels)
    inputs = images / np.float32(255)
    return np.concatenate(
        [(inputs.T @ scores).ravel(), scores.sum(axis=0)]).astype("<f4")


@contextlib.contextmanager
def server(folder):
    """The address of a fresh server; checks how it ends."""
    port_file = os.path.join(folder, "port")
    process = subprocess.Popen([SERVER, "--listen", "127.0.0.1:0",
                                "--port-file", port_file])
    try:
        deadline = time.monotonic() + 10
        while not os.path.exists(port_file):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        with open(port_file) as file:
            yield "127.0.0.1:%d" % int(file.read())
        assert process.poll() is None, "the server ended on its own"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


class Worker:
    """Rank 0 of a job of one worker."""

    def __init__(self, pb, pb_grpc, channel):
        self.pb = pb
        self.stub = pb_grpc.ParameterServerStub(channel)
        self.ids = {"job_id": random.getrandbits(64) | 1, "worker": 0,
                    "incarnation": random.getrandbits(64) | 1}
        self.sequence = [0] * len(SHARDS)

    def spec(self):
        return self.pb.JobSpec(
            trainer="downpour",
            hyper={"window": "1", "form": "gradient",
                   "server_optimizer": "sgd", "server_lr": str(LR)},
            tensors=[
                self.pb.Tensor(name="weight", shape=[IMAGE, CLASSES]),
                self.pb.Tensor(name="bias", shape=[CLASSES],
                               kind=self.pb.Tensor.NO_DECAY)],
            shards=[self.pb.Shard(offset=o, size=n) for o, n in SHARDS],
            servers=1, workers=1, samples=60000,
            settings={"model": "softmax", "batch_size": str(BATCH)})

    def join(self, **changes):
        fields = dict(self.ids, spec=self.spec())
        fields.update(changes)
        return self.stub.Join(self.pb.JoinRequest(**fields), timeout=10)

    def request(self, kind, shard, values=None, **changes):
        fields = dict(self.ids, kind=kind, shard=shard, max_lead=-1)
        if values is not None:
            fields.update(values=np.asarray(values, "<f4").tobytes())
        fields.update(changes)
        return self.pb.ExchangeRequest(**fields)

    def exchange(self, *args, **changes):
        return self.stub.Exchange(self.request(*args, **changes), timeout=10)

    def push(self, shard, values, sequence, **changes):
        return self.exchange(
            self.pb.ExchangeRequest.PUSH, shard, values, sequence=sequence,
            weight=1, local_steps=1, **changes)

    def pull(self, shard, **changes):
        return self.exchange(self.pb.ExchangeRequest.PULL, shard, **changes)

    def push_pull(self, update, samples):
        """A step: both shards in flight at once; returns the new center."""
        futures = []
        for shard, (offset, size) in enumerate(SHARDS):
            self.sequence[shard] += 1
            futures.append(self.stub.Exchange.future(
                self.request(self.pb.ExchangeRequest.PUSH_PULL, shard,
                             update[offset:offset + size],
                             sequence=self.sequence[shard], weight=1,
                             local_steps=1, samples=samples), timeout=10))
        return join_replies([future.result() for future in futures])

    def center(self):
        return join_replies([self.pull(s) for s in range(len(SHARDS))])


def join_replies(replies):
    return np.concatenate([np.frombuffer(r.values, "<f4") for r in replies])


class PythonClientTest(unittest.TestCase):

    def refused(self, code, words, call, *args, **kwargs):
        with self.assertRaises(grpc.RpcError) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.code(), code,
                         caught.exception.details())
        for word in words:
            self.assertIn(word, caught.exception.details())

    def test_a_worker_made_from_the_schema_trains_a_model(self):
        with tempfile.TemporaryDirectory() as folder:
            pb, pb_grpc = generate(SCHEMA, folder)
            with server(folder) as address:
                with grpc.insecure_channel(address) as channel:
                    worker = Worker(pb, pb_grpc, channel)
                    self.begin(worker)
                    self.send_what_is_wrong(worker, channel)
                    self.repeat_a_push(worker)
                    self.train(worker)
                    self.end(worker)

    def begin(self, worker):
        kind = worker.pb.ExchangeRequest
        self.refused(grpc.StatusCode.NOT_FOUND, ["no job"],
                     worker.stub.GetJob, worker.pb.GetJobRequest())
        worker.join()
        job = worker.stub.GetJob(worker.pb.GetJobRequest())
        self.assertEqual(job.job_id, worker.ids["job_id"])
        self.assertEqual(job.spec, worker.spec())
        self.refused(grpc.StatusCode.FAILED_PRECONDITION, ["initial center"],
                     worker.push, 0, np.zeros(SHARDS[0][1]), 1)
        for shard, (_, size) in enumerate(SHARDS):
            worker.exchange(kind.INITIALIZE, shard, np.zeros(size))
            # The second initial center is not kept.
            worker.exchange(kind.INITIALIZE, shard, np.ones(size))
        self.assertFalse(worker.center().any())

    def send_what_is_wrong(self, worker, channel):
        code = grpc.StatusCode
        size = SHARDS[1][1]
        good = np.ones(size, "<f4")
        self.refused(code.INVALID_ARGUMENT, ["worker 0, shard 1", "has 12 bytes"],
                     worker.push, 1, [1, 2, 3], 1)
        self.refused(code.INVALID_ARGUMENT, ["worker 0, shard 1", "has 0 bytes"],
                     worker.push, 1, [], 1)
        self.refused(code.NOT_FOUND, ["worker 0", "shard 7"],
                     worker.push, 7, good, 1)
        self.refused(code.NOT_FOUND, ["shard -1"], worker.pull, -1)
        for bad in [np.nan, np.inf, -np.inf]:
            values = good.copy()
            values[17] = bad
            self.refused(code.INVALID_ARGUMENT,
                         ["worker 0, shard 1", "value 17", str(abs(bad))],
                         worker.push, 1, values, 1)
        self.refused(code.FAILED_PRECONDITION, ["expected 1"],
                     worker.push, 1, good, 5)
        self.refused(code.FAILED_PRECONDITION, ["job"],
                     worker.push, 1, good, 1, job_id=1)
        self.refused(code.FAILED_PRECONDITION, ["newer process"],
                     worker.push, 1, good, 1, incarnation=1)
        self.refused(code.FAILED_PRECONDITION, ["worker 3", "joined"],
                     worker.push, 1, good, 1, worker=3)
        other = worker.spec()
        other.hyper["server_lr"] = "0.5"
        self.refused(code.FAILED_PRECONDITION, ["server_lr", "0.5"],
                     worker.join, spec=other)
        self.refused(code.ALREADY_EXISTS, ["rank 0"],
                     worker.join, incarnation=1)
        self.send_bytes(worker, channel)
        # Nothing of all that was applied, and the server goes on.
        for shard in range(len(SHARDS)):
            reply = worker.pull(shard)
            self.assertEqual(reply.version, 0)
            self.assertFalse(np.frombuffer(reply.values, "<f4").any())

    def send_bytes(self, worker, channel):
        code = grpc.StatusCode
        raw = channel.unary_unary("/monsoon.v1.ParameterServer/Exchange")
        push = worker.request(worker.pb.ExchangeRequest.PUSH, 1, sequence=1,
                              weight=1)
        self.refused(code.INVALID_ARGUMENT, ["no exchange message"],
                     raw, b"\xff" * 1000, timeout=10)
        push.values = b"x" * 4001
        self.refused(code.INVALID_ARGUMENT, ["4001 bytes"],
                     raw, push.SerializeToString(), timeout=10)
        push.values = b"\0" * 4000
        self.refused(code.INVALID_ARGUMENT, ["no exchange message"],
                     raw, push.SerializeToString()[:-5], timeout=10)
        push.values = b"\0" * (5 << 20)
        self.refused(code.RESOURCE_EXHAUSTED, [],
                     raw, push.SerializeToString(), timeout=10)

    def repeat_a_push(self, worker):
        update = np.full(SHARDS[1][1], 2, "<f4")
        for _ in range(3):
            self.assertEqual(worker.push(1, update, 1).version, 1)
        center = np.frombuffer(worker.pull(1).values, "<f4")
        self.assertTrue((center == np.float32(-LR) * update).all())
        # Back to where it was.
        worker.push(1, -update, 2)
        worker.sequence[1] = 2
        self.assertFalse(worker.center().any())

    def train(self, worker):
        images, labels = load("train")
        order = np.random.default_rng(1).permutation(len(labels))
        x = worker.center()
        for start in range(0, len(order), BATCH):
            batch = order[start:start + BATCH]
            x = worker.push_pull(gradient(x, images[batch], labels[batch]),
                                 len(batch))
        images, labels = load("t10k")
        observed = join_replies([worker.pull(s, worker=-1, incarnation=0)
                                 for s in range(len(SHARDS))])
        self.assertTrue((observed == x).all())
        accuracy = (logits(observed, images).argmax(axis=1) == labels).mean()
        print("test accuracy %.4f" % accuracy)
        self.assertGreaterEqual(accuracy, 0.78)

    def end(self, worker):
        report = worker.pb.WorkerReport(state=worker.pb.DONE, samples=60000)
        reply = worker.stub.Report(
            worker.pb.ReportRequest(report=report, **worker.ids), timeout=10)
        self.assertEqual(reply.stop, "")
        job = worker.stub.GetJob(worker.pb.GetJobRequest(), timeout=10)
        self.assertEqual(job.samples_applied, 60000)
        self.assertEqual(job.members[0].report.state, worker.pb.DONE)
        self.assertGreater(job.elapsed_s, 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
