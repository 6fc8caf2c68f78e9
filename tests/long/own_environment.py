# SPDX-License-Identifier: Apache-2.0
"""Runs a test again in a virtual environment with packages from PyPI."""

import importlib.util
import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def has(*modules):
    return all(importlib.util.find_spec(module) for module in modules)


def run_again(packages, script, arguments):
    """The exit status of the script there; the environment goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages],
                       check=True)
        return subprocess.run([python, "-B", script, *arguments],
                              check=False).returncode
