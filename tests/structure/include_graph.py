# SPDX-License-Identifier: Apache-2.0
"""Which folder may include which, and what server, worker and sim may know."""

import re

from repository import files, text, trainers

MAY_INCLUDE = {
    "base": "",
    "cuda": "base",
    "proto": "base",
    "data": "base",
    "models": "base cuda",
    "trainers": "base cuda",
    "transport": "base proto",
    "server": "base proto trainers transport watch",
    "watch": "base proto transport",
    "worker": "base cuda proto trainers models data transport watch",
    "sim": "server worker trainers models data transport base",
    "report": "base proto",
    "cli": "base cuda proto data models trainers transport server watch worker sim "
           "report",
    "tests": "base cuda proto data models trainers transport server watch worker "
             "sim report cli",
}
KNOW_NO_ALGORITHM = ("server", "worker", "sim")
# Names of trainers that are English words: only a string may not hold them.
ENGLISH = {"single"}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def includes(root):
    """file -> what it includes in quotes."""
    return {path.as_posix(): INCLUDE.findall(text(root, path))
            for path in files(root, ".h", ".cc", ".cu")
            if path.parts[0] in MAY_INCLUDE}


def wrong_arrows(graph):
    for source, targets in graph.items():
        folder = source.split("/")[0]
        allowed = MAY_INCLUDE[folder].split() + [folder]
        for target in targets:
            if "/" not in target:
                yield f'{source}: "{target}" does not start at the root'
            elif target.split("/")[0] in MAY_INCLUDE:
                if target.split("/")[0] not in allowed:
                    yield (f'{source}: {folder}/ may not include "{target}"; '
                           f"it may include: {', '.join(allowed)}")


def cycles(graph):
    done, path = set(), []

    def visit(source):
        if source in path:
            yield " -> ".join(path[path.index(source):] + [source])
        elif source not in done:
            path.append(source)
            for target in graph.get(source, ()):
                yield from visit(target)
            path.pop()
            done.add(source)

    for source in graph:
        for cycle in visit(source):
            yield f"files include each other: {cycle}"


def named_algorithms(root, graph):
    registered = trainers(root)
    headers = {p.with_suffix(".h").as_posix() for _, p in registered}
    for source, targets in graph.items():
        if source.split("/")[0] not in KNOW_NO_ALGORITHM:
            continue
        for target in headers.intersection(targets):
            yield f'{source}: includes the trainer "{target}"'
        code = text(root, source)
        for name, _ in registered:
            word = f'"{name}"' if name in ENGLISH else rf"\b{name}\b"
            if re.search(word, code, re.IGNORECASE):
                yield f"{source}: names the trainer {name}"


def violations(root):
    graph = includes(root)
    return [*wrong_arrows(graph), *cycles(graph),
            *named_algorithms(root, graph)]
