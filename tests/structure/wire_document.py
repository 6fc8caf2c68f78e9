# SPDX-License-Identifier: Apache-2.0
"""docs/wire.md has every field and enum value of the schema in the table of its
message, in no other, and nothing that the schema has not; and every status that
a server can answer with."""

import re

from repository import files, text

SCHEMA, DOCUMENT = "proto/monsoon.proto", "docs/wire.md"
BLOCK = re.compile(r"\s*(?:message|enum) (\w+) \{(\})?")
MEMBER = re.compile(r"\s*(?:(?:repeated |optional )?(?:map<[^>]+>|\w+) )?(\w+) = \d+;")
HEADING = re.compile(r"#+ (.*)")
CELL = re.compile(r"\| ((?:`\w+`(?:, )?)+) \|")
# Where the answers of a server come from.
ANSWERS = ("server/", "proto/", "transport/grpc_server.cc",
           "transport/grpc_message.cc")
STATUS = re.compile(r"\babsl::(\w+)Error\(")
# Those of a process that does not start.
NEVER_SENT = {"server/main.cc"}


def schema(source):
    """message or enum, with those around it -> its fields or values."""
    found, around = {}, []
    for line in re.sub(r"//.*", "", source).splitlines():
        block, member = BLOCK.match(line), MEMBER.match(line)
        if block:
            around.append(block.group(1))
            found[".".join(around)] = set()
            if block.group(2):
                around.pop()
        elif member and around:
            found[".".join(around)].add(member.group(1))
        elif line.strip() == "}" and around:
            around.pop()
    return found


def document(source):
    """heading -> what the first cells of its tables name."""
    found, heading, before = {}, "", ""
    for line in source.splitlines():
        if HEADING.match(line):
            heading = HEADING.match(line).group(1)
            found[heading] = set()
        elif CELL.match(line) and before.startswith("|"):  # inside a table
            found[heading].update(re.findall(r"\w+", CELL.match(line).group(1)))
        before = line
    return found


def statuses(root):
    """(file, code) of what a server's code answers with."""
    for path in files(root, ".cc"):
        if not path.as_posix().startswith(ANSWERS):
            continue
        for name in STATUS.findall(text(root, path)):
            code = re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()
            if path.as_posix() not in NEVER_SENT:
                yield path, code


def violations(root):
    found = []
    described = document(text(root, DOCUMENT))
    for name, members in schema(text(root, SCHEMA)).items():
        if name not in described:
            found.append(f"{DOCUMENT}: no section {name}, of {SCHEMA}")
            continue
        for member in sorted(members - described[name]):
            found.append(f"{DOCUMENT}: {name} lacks {member} of {SCHEMA}")
        for member in sorted(described[name] - members):
            found.append(f"{DOCUMENT}: {name} has {member}, which {SCHEMA} has not")
    errors = described.get("Errors", set())
    for path, code in sorted(set(statuses(root))):
        if code not in errors:
            found.append(f"{DOCUMENT}: Errors lacks {code} of {path}")
    return found
