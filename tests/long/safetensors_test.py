#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Opens a saved model with the reference safetensors package.

    safetensors_test.py FILE [NAME=SHAPE ...]
    safetensors_test.py final.safetensors dense1.weight=1000,784

Compares names, shapes and values with our own reading of the header, and with
the tensors named on the command line where there are any. Installs numpy and
safetensors from PyPI in a temporary virtual environment unless they can be
imported. Exits with 1 where something differs.
"""

import json
import struct
import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def tensors_by_hand(path):
    """Names to (shape, floats), and the metadata, from the bytes alone."""
    data = Path(path).read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        count = (end - begin) // 4
        floats = struct.unpack_from(f"<{count}f", data, 8 + size + begin)
        tensors[name] = (entry["shape"], floats)
    return tensors, metadata


def differences(path, expected):
    """What the package sees otherwise, as lines."""
    import numpy
    from safetensors import safe_open

    tensors, metadata = tensors_by_hand(path)
    with safe_open(path, framework="numpy") as file:
        theirs = {name: file.get_tensor(name) for name in file.keys()}
        if (file.metadata() or {}) != metadata:
            yield f"metadata is {file.metadata()}, expected {metadata}"
    if metadata.get("format") != "pt":
        yield f"format is {metadata.get('format')}, expected pt"
    if set(theirs) != set(tensors):
        yield f"names are {sorted(theirs)}, expected {sorted(tensors)}"
    for name in sorted(set(theirs) & set(tensors)):
        shape, floats = tensors[name]
        if list(theirs[name].shape) != shape:
            yield f"{name} is {theirs[name].shape}, expected {shape}"
        ours = numpy.array(floats, dtype=numpy.float32)
        if (theirs[name].dtype != numpy.float32 or
                theirs[name].tobytes() != ours.tobytes()):
            yield f"{name} has other values than its bytes say"
    for name, shape in expected.items():
        found = list(theirs[name].shape) if name in theirs else None
        if found != shape:
            yield f"{name} is {found}, expected {shape}"
    if expected and set(theirs) != set(expected):
        yield f"names are {sorted(theirs)}, expected {sorted(expected)}"


def compare(path, arguments):
    expected = {}
    for argument in arguments:
        name, _, shape = argument.partition("=")
        expected[name] = [int(extent) for extent in shape.split(",") if extent]
    found = list(differences(path, expected))
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"{path}: safetensors reads the same")
    return 1 if found else 0


def in_new_environment(arguments):
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet",
                        "numpy", "safetensors"], check=True)
        return subprocess.run([python, __file__, *arguments]).returncode


def main(arguments):
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        import numpy  # noqa: F401
        import safetensors  # noqa: F401
    except ImportError:
        return in_new_environment(arguments)
    return compare(arguments[0], arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
