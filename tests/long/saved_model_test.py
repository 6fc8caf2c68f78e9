#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A model that `monsoon train` saved opens with the safetensors package from
PyPI, under the names, shapes and values that were written.

    saved_model_test.py FOLDER_OF_THE_BINARIES
"""

import subprocess
import sys
import tempfile
from pathlib import Path

MLP = ["fc1.weight=1000,784", "fc1.bias=1000", "fc2.weight=250,1000", "fc2.bias=250",
       "fc3.weight=10,250", "fc3.bias=10"]

with tempfile.TemporaryDirectory() as folder:
    run = Path(folder) / "run"
    subprocess.run([Path(sys.argv[1]) / "monsoon", "train", "--trainer", "single",
                    "--batch-size", "500", "--out", run], check=True)
    sys.exit(subprocess.run(
        [sys.executable, "-B", Path(__file__).with_name("safetensors_test.py"),
         run / "checkpoints" / "final.safetensors", *MLP], check=False).returncode)
