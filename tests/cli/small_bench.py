# SPDX-License-Identifier: Apache-2.0
"""A small real bench for the tests of reports, three runs of which have failed."""

import json
import subprocess


def run(binaries, *arguments, **more):
    return subprocess.run([binaries / "monsoon", *map(str, arguments)],
                          text=True, capture_output=True, timeout=300, **more)


def checked(binaries, *arguments, **more):
    done = run(binaries, *arguments, **more)
    assert done.returncode == 0, done.stderr
    return done


def rows_of(folder):
    return [json.loads(line) for line in
            (folder / "results.jsonl").read_text().splitlines()]


def failed(row):
    """What is left of a run that crashed."""
    return {**row, "status": "failed", "test_acc": None, "elapsed_s": 0.0,
            "samples_per_s": None}


def make(binaries, folder):
    """3 trainers x 2 batch sizes x 2 seeds in the new `folder`; its rows. Of
    adag at batch 1000 both runs have failed, of single at batch 500 one."""
    checked(binaries, "bench", "--models", "mlp:32", "--trainers",
            "single,adag,aeasgd", "--batches", "500,1000", "--repeat", "2",
            "--warm-up-runs", "0",
            "--out", folder)
    rows = [failed(row) if (row["trainer"], row["batch_size"]) == ("adag", 1000)
            or (row["trainer"], row["batch_size"], row["seed"]) ==
            ("single", 500, 1) else row for row in rows_of(folder)]
    assert [row["status"] for row in rows].count("failed") == 3
    assert [row["status"] for row in rows].count("done") == 9
    (folder / "results.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows))
    return rows
