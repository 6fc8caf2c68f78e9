# SPDX-License-Identifier: Apache-2.0
"""Links between documents lead to files that exist."""

import re

from repository import files, text

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def violations(root):
    found = []
    for path in files(root, ".md"):
        for target in LINK.findall(text(root, path)):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (root / path.parent / target).exists():
                found.append(
                    f"{path}: links to {target}, which does not exist")
    return found
