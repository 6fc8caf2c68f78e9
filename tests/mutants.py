#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts every defect of base/mutant.h back, one after the other, and fails unless
a test catches each.

usage: mutants.py BINARY...    tests of the build with MONSOON_MUTANTS

Without a mutant all tests must pass. The mutants are what the sources say, so
that none can be forgotten here."""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# One that hangs is caught when this is over.
LIMIT_S = 60
DEFINITION = ROOT / "base" / "mutant.h"
NAMED = re.compile(r'\bMutant\(\s*"([a-z0-9-]+)"\s*\)')
USED = re.compile(r"\bMutant\(")
CASE = re.compile(r'<TestCase name="([^"]*)"')


def find_mutants():
    """The names in the sources, sorted."""
    names = []
    for path in sorted(ROOT.glob("*/**/*")):
        folder = path.relative_to(ROOT).parts[0]
        if (path.suffix not in (".h", ".cc", ".cu") or path == DEFINITION
                or folder in ("build", "tests")):
            continue
        code = path.read_text(encoding="utf-8")
        here = NAMED.findall(code)
        if len(here) != len(USED.findall(code)):
            sys.exit(f"{path.relative_to(ROOT)}: a Mutant without a literal "
                     "name; expected Mutant(\"lower-case-words\")")
        names += here
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        sys.exit(f"mutants that are in the sources twice: {sorted(twice)}")
    return sorted(names)


def first_failure(binary, mutant):
    """The test that failed first, or None; how it did where it did not end."""
    environment = dict(os.environ)
    environment.pop("MONSOON_MUTANT", None)
    if mutant is not None:
        environment["MONSOON_MUTANT"] = mutant
    command = [binary, "--abort", "--reporter", "xml"]
    how = ""
    try:
        done = subprocess.run(command, env=environment, timeout=LIMIT_S,
                              capture_output=True, check=False)
        output, code = done.stdout, done.returncode
        if code == 0:
            return None
        if code < 0:
            how = f", signal {-code}"
    except subprocess.TimeoutExpired as expired:
        output, how = expired.stdout or b"", f", not over after {LIMIT_S} s"
    cases = CASE.findall(output.decode("utf-8", "replace"))
    # --abort: the last that began is the one.
    return f'"{cases[-1] if cases else "?"}"{how}'


def failures(binaries, mutant):
    return [f"{os.path.basename(binary)}: {failure}" for binary in binaries
            if (failure := first_failure(binary, mutant)) is not None]


def main():
    binaries = sys.argv[1:]
    if not binaries:
        sys.exit(__doc__)
    mutants = find_mutants()
    healthy = failures(binaries, None)
    if healthy:
        sys.exit("without a mutant these fail: " + "; ".join(healthy))
    survivors = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda name: failures(binaries, name), mutants)
        for name, caught in zip(mutants, results):
            print(f"{name}: " + ("; ".join(caught) or "NOT CAUGHT"), flush=True)
            if not caught:
                survivors.append(name)
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants caught")
    if survivors:
        sys.exit("no test fails with: " + ", ".join(survivors))


if __name__ == "__main__":
    main()
