# SPDX-License-Identifier: Apache-2.0
"""Small data sets in the files of Fashion-MNIST, whole and broken."""

import gzip
import struct
from pathlib import Path

SIDE = 28


def images(count, magic=0x803):
    """An image file; example i shows i everywhere."""
    header = struct.pack(">IIII", magic, count, SIDE, SIDE)
    return header + b"".join(bytes([i % 256]) * SIDE**2 for i in range(count))


def labels(count):
    return struct.pack(">II", 0x801, count) + bytes(
        i % 10 for i in range(count))


def write(folder, train=60, test=20, **replaced):
    """Writes the four files into the new `folder`. `replaced` gives the bytes
    of a file in place of the right ones: train_images=b"...". """
    folder = Path(folder)
    folder.mkdir()
    contents = {
        "train-images-idx3-ubyte.gz": images(train),
        "train-labels-idx1-ubyte.gz": labels(train),
        "t10k-images-idx3-ubyte.gz": images(test),
        "t10k-labels-idx1-ubyte.gz": labels(test),
    }
    for name, right in contents.items():
        key = name.split("-idx")[0].replace("-", "_")
        (folder / name).write_bytes(
            replaced.get(key, gzip.compress(right, 1)))
    return folder
