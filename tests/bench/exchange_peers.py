#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exchanges of Monsoon beside PyTorch's RPC on one host, as a Markdown table.

Both send a vector to another process, add it there to one that stays, and get that back: `rpc_sync` of a function that does so, through
the shared memory that TensorPipe picks on one host ("shm") or over TCP, and `monsoon bench exchange`. In turn; medians over the rounds.
Give the interpreter of an environment that has torch:

    tests/bench/exchange_peers.py build/release/bin/monsoon --torch ENV/bin/python
"""
import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

SIZES = [4 << 20, 64 << 20]
CHANNELS = {"shm": {}, "grpc": {"_transports": ["uv"], "_channels": ["basic"]}}
CENTERS = {}


def add_and_get(update):
    if "center" not in CENTERS:
        CENTERS["center"] = update * 0
    return CENTERS["center"].add_(update)


def torch_process(rank, transport, port, size, seconds):
    """One of the two processes; the first prints its bytes a second, both ways."""
    import torch
    from torch.distributed import rpc

    torch.set_num_threads(1)
    # Each at its best: a core of its own for PyTorch's processes, for ours the system's choice.
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    options = rpc.TensorPipeRpcBackendOptions(num_worker_threads=4, init_method=f"tcp://127.0.0.1:{port}", **CHANNELS[transport])
    rpc.init_rpc(f"w{rank}", rank=rank, world_size=2, rpc_backend_options=options)
    if rank == 0:
        update = torch.full((size // 4,), 1e-6)
        for duration in (seconds / 4, seconds):  # the first warms up
            done, begin = 0, time.perf_counter()
            while time.perf_counter() - begin < duration:
                rpc.rpc_sync("w1", add_and_get, args=(update,))
                done += 1
            rate = 2 * size * done / (time.perf_counter() - begin)
        print(rate)
    rpc.shutdown()


def torch_rate(python, transport, size, seconds):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = dict(os.environ, TP_SOCKET_IFNAME="lo")
    command = [python, "-W", "ignore", __file__, "--size", str(size), "--transport", transport, "--port", str(port), "--seconds", str(seconds)]
    processes = [subprocess.Popen([*command, "--rank", str(rank)], env=environment, stdout=subprocess.PIPE, text=True) for rank in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("the exchange of PyTorch failed")
    return float(outputs[0])


def our_rate(monsoon, transport, size, seconds):
    command = [monsoon, "bench", "exchange", "--transport", transport, "--bytes", str(size), "--seconds", str(seconds), "--json"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return json.loads(output.splitlines()[-1])["bytes_per_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("monsoon", nargs="?")
    parser.add_argument("--torch", help="a python that has torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--transport", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rank is not None:
        return torch_process(arguments.rank, arguments.transport, arguments.port, arguments.size, arguments.seconds)
    if not arguments.monsoon or not arguments.torch:
        parser.error("expected the path of monsoon, and --torch")
    rows = {}
    for _ in range(arguments.rounds):
        for transport in CHANNELS:
            for size in SIZES:
                rates = rows.setdefault((transport, size), ([], []))
                rates[0].append(our_rate(arguments.monsoon, transport, size, arguments.seconds))
                rates[1].append(torch_rate(arguments.torch, transport, size, arguments.seconds))
    print("| transport | model | Monsoon GB/s | PyTorch RPC GB/s | Monsoon by PyTorch |\n|---|---|---|---|---|")
    for (transport, size), (ours, theirs) in rows.items():
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        print(f"| {transport} | {size >> 20} MiB | {statistics.median(ours) / 1e9:.2f} | {statistics.median(theirs) / 1e9:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
