# SPDX-License-Identifier: Apache-2.0
"""What the structure checks know of the repository: its files and its trainers."""

import re
import subprocess
from pathlib import Path


def files(root, *suffixes):
    """Paths, relative to root, of the files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root, check=True, capture_output=True, text=True).stdout
    paths = [Path(line) for line in listed.splitlines()]
    return [p for p in paths
            if (not suffixes or p.suffix in suffixes) and (root / p).is_file()]


def text(root, path):
    return (root / path).read_text(encoding="utf-8", errors="replace")


def trainers(root):
    """(name, file) of every registered trainer, tests aside."""
    pattern = re.compile(r'^REGISTER_TRAINER\(\s*"([\w.-]+)"', re.MULTILINE)
    return [(name, path) for path in files(root, ".h", ".cc")
            if path.parts[0] != "tests"
            for name in pattern.findall(text(root, path))]
