# SPDX-License-Identifier: Apache-2.0
"""Every element function (base/element.h) is known to GPUs."""

import re

from repository import files, text

ELEMENT = re.compile(r"^struct (\w+) \{(?:(?!^\};).)*?"
                     r"MONSOON_ELEMENT void operator\(\)",
                     re.MULTILINE | re.DOTALL)
REGISTERED = re.compile(r"RegisterElement<(\w+)>")


def elements(root):
    """(name, file) of every element function in a header."""
    return [(name, path) for path in files(root, ".h")
            if path.name.endswith("elements.h")
            for name in ELEMENT.findall(text(root, path))]


def violations(root):
    registered = {name for path in files(root, ".cu")
                  for name in REGISTERED.findall(text(root, path))}
    return [f"{path}: no .cu file has RegisterElement<{name}>"
            for name, path in elements(root) if name not in registered]
