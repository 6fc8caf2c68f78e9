#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Training steps of Monsoon beside PyTorch's and TensorFlow's, as a Markdown table.

All three compute the same networks with plain SGD on one core, on noise in memory, in turn; medians over the rounds. Give the
interpreters of environments that have the packages (torch; tensorflow-cpu):

    tests/bench/peers.py build/release/bin/monsoon --torch ENV/bin/python --tensorflow ENV/bin/python
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

CELLS = [("mlp", b) for b in (16, 32, 64, 128, 512, 1024)] + [("cnn", b) for b in (16, 32, 64, 128, 512)]
EXAMPLES = 20000


def rate(step, batch, seconds):
    """Samples a second of step(rows), with rows drawn without repetition in an epoch."""
    import numpy

    rows = numpy.random.default_rng(1).permutation(EXAMPLES)
    starts = range(0, EXAMPLES - batch + 1, batch)

    def run(duration):
        done, begin = 0, time.perf_counter()
        while True:
            for start in starts:
                step(rows[start:start + batch])
                done += batch
                passed = time.perf_counter() - begin
                if passed > duration:
                    return done / passed

    run(seconds / 2)  # warm-up
    return run(seconds)


def noise(model):
    import numpy

    random = numpy.random.default_rng(2)
    shape = (1, 28, 28) if model == "cnn" else (784,)
    return (random.random((EXAMPLES, *shape), dtype=numpy.float32), random.integers(0, 10, EXAMPLES))


def torch_rates(model, batch, seconds):
    """Eager, fused update; for images in both memory orders."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    x, y = (torch.from_numpy(array) for array in noise(model))
    loss_of = nn.CrossEntropyLoss()
    orders = [torch.contiguous_format] + ([torch.channels_last] if model == "cnn" else [])
    for order in orders:
        if model == "cnn":
            network = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
                                    nn.Flatten(), nn.Linear(4608, 225), nn.ReLU(), nn.Linear(225, 10))
            network, x = network.to(memory_format=order), x.contiguous(memory_format=order)
        else:
            network = nn.Sequential(nn.Linear(784, 1000), nn.ReLU(), nn.Linear(1000, 250), nn.ReLU(), nn.Linear(250, 10))
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, fused=True)

        def step(rows):
            index = torch.from_numpy(rows)
            optimizer.zero_grad(set_to_none=True)
            loss_of(network(x[index]), y[index]).backward()
            optimizer.step()

        yield rate(step, batch, seconds)


def tensorflow_rates(model, batch, seconds):
    """A step as one graph, without and with XLA."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    layers = tf.keras.layers
    images, labels = noise(model)
    if model == "cnn":
        images = images.transpose(0, 2, 3, 1)
    x, y = tf.constant(images), tf.constant(labels)
    for xla in (False, True):
        if model == "cnn":
            body = [layers.Conv2D(32, 3, activation="relu"), layers.Conv2D(32, 3, activation="relu"), layers.MaxPool2D(2),
                    layers.Flatten(), layers.Dense(225, activation="relu"), layers.Dense(10)]
        else:
            body = [layers.Dense(1000, activation="relu"), layers.Dense(250, activation="relu"), layers.Dense(10)]
        network = tf.keras.Sequential([layers.Input(images.shape[1:]), *body])
        variables = network.trainable_variables

        @tf.function(jit_compile=xla)
        def update(bx, by):
            with tf.GradientTape() as tape:
                logits = network(bx, training=True)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=by, logits=logits))
            for variable, gradient in zip(variables, tape.gradient(loss, variables)):
                variable.assign_sub(0.01 * gradient)

        def step(rows):
            update(tf.gather(x, rows), tf.gather(y, rows))

        yield rate(step, batch, seconds)


def best_of(kind, arguments, model, batch):
    if kind == "monsoon":
        command = [arguments.monsoon, "bench", "kernels", "--model", model, "--batch-size", str(batch), "--optimizer", "sgd",
                   "--threads", "1", "--seconds", str(2 * arguments.seconds), "--json"]
    else:
        command = [getattr(arguments, kind), __file__, "--rates", kind, model, str(batch), str(arguments.seconds)]
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    run = subprocess.run(["taskset", "-c", "0", *command], env=environment, text=True, capture_output=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{run.stderr}")
    answer = json.loads(run.stdout.splitlines()[-1])
    return answer["samples_per_s"] if kind == "monsoon" else max(answer)


def main():
    if sys.argv[1:2] == ["--rates"]:
        kind, model, batch, seconds = sys.argv[2:]
        rates = {"torch": torch_rates, "tensorflow": tensorflow_rates}[kind]
        print(json.dumps(list(rates(model, int(batch), float(seconds)))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("monsoon", help="the binary")
    parser.add_argument("--torch", help="a Python with torch")
    parser.add_argument("--tensorflow", help="a Python with tensorflow")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    peers = [kind for kind in ("torch", "tensorflow") if getattr(arguments, kind)]
    kinds = ["monsoon", *peers]
    found = {}
    for _ in range(arguments.rounds):
        for cell in CELLS:
            for kind in kinds:
                found.setdefault((cell, kind), []).append(best_of(kind, arguments, *cell))
    print("| model | batch | " + " | ".join(kinds) + " | to the better one |")
    print("|" + "---|" * (len(kinds) + 3))
    for cell in CELLS:
        rates = [statistics.median(found[cell, kind]) for kind in kinds]
        ratio = f"{rates[0] / max(rates[1:]):.2f}" if peers else ""
        print(f"| `{cell[0]}` | {cell[1]} | " + " | ".join(f"{r:,.0f}" for r in rates) + f" | {ratio} |")


if __name__ == "__main__":
    main()
