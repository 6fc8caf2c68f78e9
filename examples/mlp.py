# SPDX-License-Identifier: Apache-2.0
"""What worker.py computes, in numpy: batches of Fashion-MNIST, gradients of a multilayer perceptron,
and local steps. Knows the job's settings, and nothing of the wire."""

import gzip
import math
import os
import sys
import zlib

import numpy as np

# What this can follow of a job's trainer and settings. Others mean nothing here.
KNOWN = {"trainer": "adag", "model": "mlp", "data": "fashion-mnist", "optimizer": "sgd nesterov",
         "lr_schedule": "constant", "warmup": "0", "weight_decay": "0", "clip_norm": "0",
         "label_smoothing": "0", "precision": "fp32"}


def check(spec, rank):
    """Refuses, with exit code 2, what this cannot be a worker of."""
    job = {**spec.settings, "trainer": spec.trainer}
    wrong = [f"the job's {key} is {job[key]}, this worker knows {known.replace(' ', ' and ')}"
             for key, known in KNOWN.items() if job.get(key, known).split(":")[0] not in known.split()]
    if not 0 < rank < spec.workers:
        wrong.append(f"--rank is {rank}, expected 1 to {spec.workers - 1}")
    if wrong:
        print("worker.py:", *wrong, sep="\n  ", file=sys.stderr)
        sys.exit(2)


def load(folder, expected):
    """The training images [n, 784] and labels [n]; exit code 3 where their hash is not as expected."""
    arrays, found = [], ""
    for name in "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz":
        with gzip.open(os.path.join(folder, name)) as file:
            data = file.read()
        found += "%08x" % zlib.crc32(data)
        count = np.frombuffer(data, ">i4", 1, 4)[0]
        arrays.append(np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(count, -1))
    if found != expected:
        print(f"worker.py: the data in {folder} have hash {found}, the job's {expected}", file=sys.stderr)
        sys.exit(3)
    return arrays[0], arrays[1].ravel()


def batches(examples, settings):
    """The examples of each batch, whether it begins an epoch, and whether it is the last of all. The
    last one of an epoch may be short."""
    size, epochs = int(settings["batch_size"]), int(settings["epochs"])
    for epoch in range(epochs):
        order = np.random.permutation(examples)
        for begin in range(0, len(order), size):
            is_last = epoch == epochs - 1 and begin + size >= len(order)
            yield order[begin:begin + size], begin == 0, is_last


def layers(tensors, flat):
    """Weights [outputs, inputs] and biases, layer by layer, as views of all parameters."""
    ends = np.cumsum([math.prod(tensor.shape) for tensor in tensors])
    parts = np.split(flat, ends[:-1])
    views = [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors)]
    return list(zip(views[::2], views[1::2]))


def gradient(tensors, x, images, labels):
    """The gradient of a batch's mean cross-entropy at the parameters x, and that loss."""
    result, inputs = np.empty_like(x), [images / np.float32(255)]
    for weight, bias in layers(tensors, x):
        scores = inputs[-1] @ weight.T + bias
        inputs.append(np.maximum(scores, 0))  # ReLU, but not behind the last layer
    scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    true, delta = (np.arange(len(labels)), labels), np.exp(scores)
    loss = -float(scores[true].mean())
    if not math.isfinite(loss):
        raise FloatingPointError(f"training diverged: the loss is {loss}; lower --lr")
    delta[true] -= 1
    delta /= len(labels)
    way = list(zip(layers(tensors, x), layers(tensors, result), inputs))
    for (weight, _), (to_weight, to_bias), below in reversed(way):
        to_weight[:], to_bias[:] = delta.T @ below, delta.sum(axis=0)
        delta = (delta @ weight) * (below > 0)
    return result, loss


class LocalSteps:
    """The optimizer of a job: changes the parameters x in place."""

    def __init__(self, settings):
        self.lr, self.velocity = np.float32(settings["lr"]), np.float32(0)
        self.momentum = np.float32(0.9 if settings["optimizer"] == "nesterov" else 0)

    def step(self, x, g):
        self.velocity = self.momentum * self.velocity + g
        x -= self.lr * (g + self.momentum * self.velocity)
