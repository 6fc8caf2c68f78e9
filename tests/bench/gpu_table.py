#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a GPU makes of training steps and exchanges, as Markdown tables: steps beside PyTorch's on the same GPU where
--torch names a Python that has it, and beside cuBLAS's own rate for the same products, measured in the same run.

    tests/bench/gpu_table.py build/release/bin/monsoon --torch ENV/bin/python

PyTorch steps plain SGD over noise that lies on the GPU, gathered there by index: "eager" as it is written, "graph" with the
whole step in a CUDA graph; images in channels-last order. All take turns; medians over the rounds.
"""
import argparse
import json
import statistics
import subprocess
import sys

# model, batch, precision, the ways of PyTorch to compare with
CELLS = [("mlp", 128, "fp32", ("eager", "graph")), ("mlp", 128, "tf32", ("eager", "graph")),
         ("mlp", 512, "tf32", ("eager", "graph")), ("mlp", 4096, "tf32", ("eager", "graph")),
         ("mlp", 4096, "bf16", ("eager", "graph")),
         ("cnn", 128, "fp32", ("eager",)), ("cnn", 128, "bf16", ("eager",)), ("cnn", 512, "tf32", ("eager",)),
         ("cnn", 512, "bf16", ("eager",))]
EXAMPLES = 60000


def torch_network(model):
    from torch import nn

    if model == "cnn":
        return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
                             nn.Flatten(), nn.Linear(4608, 225), nn.ReLU(), nn.Linear(225, 10))
    return nn.Sequential(nn.Linear(784, 1000), nn.ReLU(), nn.Linear(1000, 250), nn.ReLU(), nn.Linear(250, 10))


def torch_rate(model, batch, precision, way, seconds):
    """Samples a second."""
    import torch
    from torch import nn

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    shape = (1, 28, 28) if model == "cnn" else (784,)
    data = torch.randint(0, 256, (EXAMPLES, *shape), dtype=torch.uint8, device="cuda")
    labels = torch.randint(0, 10, (EXAMPLES,), device="cuda")
    network = torch_network(model).cuda()
    if model == "cnn":
        network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, fused=True)
    loss_of = nn.CrossEntropyLoss()
    rows = torch.randint(0, EXAMPLES, (batch,), device="cuda")

    def step():
        x = data[rows].float() / 255
        if model == "cnn":
            x = x.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=way != "graph")
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            loss = loss_of(network(x), labels[rows])
        loss.backward()
        optimizer.step()

    run = step
    if way == "graph":
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        run = graph.replay

    def timed(steps):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(steps):
            run()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1000

    timed(50)
    steps = max(50, int(seconds / (timed(50) / 50)))
    return steps * batch / timed(steps)


def monsoon(arguments, *flags):
    command = [arguments.monsoon, *flags, "--device", "cuda", "--json"]
    run = subprocess.run(command, text=True, capture_output=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{run.stderr}")
    return json.loads(run.stdout.splitlines()[-1])


def kernels(arguments, model, batch, precision):
    return monsoon(arguments, "bench", "kernels", "--model", model, "--batch-size", str(batch), "--precision", precision,
                   "--optimizer", "sgd", "--seconds", str(arguments.seconds))


def torch(arguments, *cell):
    command = [arguments.torch, __file__, "--rate", *map(str, cell), str(arguments.seconds)]
    run = subprocess.run(command, text=True, capture_output=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{run.stderr}")
    return json.loads(run.stdout.splitlines()[-1])


def steps_table(arguments):
    found = {}
    for _ in range(arguments.rounds):
        for model, batch, precision, ways in CELLS:
            line = kernels(arguments, model, batch, precision)
            found.setdefault((model, batch, precision, "monsoon"), []).append(line["samples_per_s"])
            found.setdefault((model, batch, precision, "fraction"), []).append(line["fraction"])
            for way in ways if arguments.torch else ():
                found.setdefault((model, batch, precision, way), []).append(
                    torch(arguments, model, batch, precision, way))
    print("| model | batch | precision | samples/s | of cuBLAS's rate | PyTorch eager | x | PyTorch graph | x |")
    print("|---|---|---|---|---|---|---|---|---|")
    for cell in CELLS:
        model, batch, precision, _ = cell
        own = statistics.median(found[model, batch, precision, "monsoon"])
        text = f"| `{model}` | {batch} | {precision} | {own:,.0f} | "
        text += f"{statistics.median(found[model, batch, precision, 'fraction']):.2f} | "
        for way in ("eager", "graph"):
            rates = found.get((model, batch, precision, way))
            text += f"{statistics.median(rates):,.0f} | {own / statistics.median(rates):.2f} | " if rates else "| | "
        print(text.rstrip())


def runs_table(arguments):
    """Whole runs on Fashion-MNIST."""
    print("\n| run | seconds an epoch | seconds to 88 % | test accuracy |")
    print("|---|---|---|---|")
    for flags in (["--batch-size", "128", "--epochs", "10"],
                  ["--batch-size", "128", "--epochs", "10", "--precision", "tf32"]):
        lines = [monsoon(arguments, "train", "--trainer", "single", "--model", "mlp", "--time-to", "0.88",
                         "--data", arguments.data, *flags)
                 for _ in range(arguments.rounds)]
        reached = [line["time_to"] for line in lines]
        print(f"| `single` `mlp` {' '.join(flags)} | {statistics.median(l['elapsed_s'] / l['epochs'] for l in lines):.3f} | "
              f"{reached} | {statistics.median(l['test_acc'] for l in lines):.4f} |")


def exchanges_table(arguments):
    """64 MB between a GPU and servers in the same process."""
    print("\n| servers | wire | GB/s | of page-locked copies | p50 ms |")
    print("|---|---|---|---|---|")
    for server in ("cpu", "cuda"):
        for wire in ("fp32", "bf16", "int8") if server == "cpu" else ("fp32",):
            lines = [monsoon(arguments, "bench", "exchange", "--transport", "inproc", "--bytes", "64000000",
                             "--seconds", str(arguments.seconds), "--server-device", server, "--wire", wire)
                     for _ in range(arguments.rounds)]
            median = {key: statistics.median(line[key] for line in lines) if lines[0][key] is not None else None
                      for key in ("bytes_per_s", "fraction", "p50_ms")}
            fraction = "" if median["fraction"] is None else f"{median['fraction']:.2f}"
            print(f"| {server} | {wire} | {median['bytes_per_s'] * 1e-9:.1f} | {fraction} | {median['p50_ms']:.2f} |")


def main():
    if sys.argv[1:2] == ["--rate"]:
        model, batch, precision, way, seconds = sys.argv[2:]
        print(json.dumps(torch_rate(model, int(batch), precision, way, float(seconds))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("monsoon", help="the binary")
    parser.add_argument("--torch", help="a Python with torch for CUDA")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", default="fashion-mnist", help="of the runs, NAME[:DIR]")
    parser.add_argument("--no-runs", action="store_true", help="steps and exchanges alone, which need no data set")
    arguments = parser.parse_args()
    steps_table(arguments)
    exchanges_table(arguments)
    if not arguments.no_runs:
        runs_table(arguments)


if __name__ == "__main__":
    main()
