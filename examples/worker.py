#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
r"""One worker of a Monsoon job, in Python, from the published schema alone.

    protoc -I proto --python_out=OUT --grpc_python_out=OUT proto/monsoon.proto \
        --plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin
    PYTHONPATH=OUT examples/worker.py --servers HOST:PORT,... --rank 1

Another worker, rank 0, brings the job and collects its result. This one can follow the trainer adag
on an mlp and Fashion-MNIST. docs/wire.md says what is sent when, and why, and what to install."""
import argparse
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import mlp
import monsoon_pb2 as pb
import monsoon_pb2_grpc
import numpy as np

LOST = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}  # served, or not
LOST_OR_EARLY = LOST | {grpc.StatusCode.NOT_FOUND}  # rank 0 has not come to this server yet
PATIENCE = 60  # seconds for a call and its repeats
OPTIONS = [("grpc.max_receive_message_length", (4 << 20) + (64 << 10)), ("grpc.enable_retries", 0)]
STATES = {grpc.StatusCode.ABORTED: pb.INTERRUPTED, grpc.StatusCode.OUT_OF_RANGE: pb.DIVERGED}


def retry(call, codes=LOST):
    """Repeats a call as it is: a push keeps its number, and so is applied once."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() not in codes or time.monotonic() > end:
                raise
        time.sleep(0.1)


class Worker:
    def __init__(self, addresses, rank):
        self.servers = [monsoon_pb2_grpc.ParameterServerStub(grpc.insecure_channel(address, OPTIONS))
                        for address in addresses]
        while (job := self.job()).over:  # that was the last one; the next may come
            time.sleep(0.1)
        self.spec, self.lease_s, self.sequence, self.told = job.spec, job.lease_s, 0, 0
        self.ids = dict(job_id=job.job_id, worker=rank,
                        incarnation=1 + int.from_bytes(os.urandom(7), "big"))
        self.report = pb.WorkerReport(host=os.uname().nodename, pid=os.getpid())
        self.pool = ThreadPoolExecutor(4 * len(addresses))  # exchanges in flight

    def job(self):
        return retry(lambda: self.servers[0].GetJob(pb.GetJobRequest(), timeout=10), LOST_OR_EARLY)

    def join(self):
        for index, server in enumerate(self.servers):
            request = pb.JoinRequest(spec=self.spec, server_index=index, **self.ids)
            retry(lambda: server.Join(request, timeout=10), LOST_OR_EARLY)
        threading.Thread(target=self.live, daemon=True).start()
        while len((job := self.job()).members) < self.spec.workers and not job.stop:
            time.sleep(0.05)  # all start together

    def live(self):  # says so, however long a training step takes
        while True:
            for server in self.servers:
                server.Report.future(pb.ReportRequest(**self.ids), timeout=self.lease_s)
            time.sleep(self.lease_s / 4)

    def tell(self, servers, state=pb.RUNNING, message=""):
        self.report.state, self.report.message, self.told = state, message, time.monotonic()
        request = pb.ReportRequest(report=self.report, **self.ids)
        for server in servers:
            retry(lambda: server.Report(request, timeout=10))

    def exchange(self, update=None, **work):
        """Pulls, or pushes and pulls: one call for each shard. Returns the new center."""
        work.update(kind=pb.ExchangeRequest.PULL, max_lead=-1)
        if update is not None:
            self.sequence += 1  # one count for all shards, as every push goes to each
            work.update(kind=pb.ExchangeRequest.PUSH_PULL, sequence=self.sequence, weight=1)

        def call(index):
            shard = self.spec.shards[index]
            request = pb.ExchangeRequest(shard=index, **self.ids, **work)
            if update is not None:
                request.values = update[shard.offset:shard.offset + shard.size].astype("<f4").tobytes()
            return retry(lambda: self.servers[shard.server].Exchange(request, timeout=10))
        replies = list(self.pool.map(call, range(len(self.spec.shards))))
        center = np.frombuffer(b"".join(reply.values for reply in replies), "<f4")
        self.report.pulls += 1
        self.report.bytes_down += center.nbytes
        for reply in replies if update is not None else []:
            self.report.staleness[reply.staleness] += 1
        return center

    def train(self, images, labels):
        """adag: some local steps, then the way that they went, divided by their number."""
        report, local = self.report, mlp.LocalSteps(self.spec.settings)
        own = range(self.ids["worker"], len(labels), self.spec.workers)
        center = self.exchange()
        x, steps, samples = center.copy(), 0, 0
        for rows, begins_epoch, is_last in mlp.batches(own, self.spec.settings):
            if begins_epoch:  # the losses are those of one
                report.loss_sum = report.loss_samples = 0
            g, loss = mlp.gradient(self.spec.tensors, x, images[rows], labels[rows])
            local.step(x, g)
            steps, samples = steps + 1, samples + len(rows)
            report.steps, report.samples = report.steps + 1, report.samples + len(rows)
            report.loss_sum += loss * len(rows)
            report.loss_samples += len(rows)
            if steps == int(self.spec.hyper["window"]) or is_last:
                update = (x - center) / steps
                center = self.exchange(update, local_steps=steps, samples=samples)
                x, steps, samples = center.copy(), 0, 0
                report.pushes, report.bytes_up = report.pushes + 1, report.bytes_up + update.nbytes
            if time.monotonic() > self.told + 1:
                self.tell(self.servers[:1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", required=True, metavar="HOST:PORT,...")
    parser.add_argument("--rank", required=True, type=int)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist", metavar="FOLDER")
    flags = parser.parse_args()
    worker = Worker(flags.servers.split(","), flags.rank)
    mlp.check(worker.spec, flags.rank)
    data = mlp.load(flags.data, worker.spec.data_hash)
    try:
        worker.join()
        worker.train(*data)
        end = pb.DONE, ""
    except KeyboardInterrupt:
        end = pb.INTERRUPTED, "interrupted"
    except FloatingPointError as error:
        end = pb.DIVERGED, str(error)
    except grpc.RpcError as error:
        end = STATES.get(error.code(), pb.FAILED), error.details()
    print("worker.py:", pb.WorkerState.Name(end[0]), end[1], file=sys.stderr)
    worker.tell(worker.servers, *end)
    sys.exit(0 if end[0] == pb.DONE else 1)


if __name__ == "__main__":
    main()
