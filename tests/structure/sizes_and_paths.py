# SPDX-License-Identifier: Apache-2.0
"""No source file above 500 lines, and no path of somebody's machine."""

import re

from repository import files, text

MOST_LINES = 500
SOURCES = {".h", ".cc", ".cu", ".py", ".sh", ".proto", ".cmake"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|farm|home/\w+)/")


def violations(root):
    found = []
    for path in files(root):
        lines = text(root, path).splitlines()
        is_source = path.suffix in SOURCES or path.name in ("dev", "run")
        if is_source and len(lines) > MOST_LINES:
            found.append(f"{path}: {len(lines)} lines, {MOST_LINES} at most")
        for number, line in enumerate(lines, 1):
            if MACHINE_PATH.search(line):
                found.append(f"{path}:{number}: names a path of one machine: "
                             f"{line.strip()}")
    return found
