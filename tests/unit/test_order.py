"""The order of the files: the longest first."""

import itertools
import subprocess
import sys
from pathlib import Path

import order

UNIT = "tests/unit"


def test_files_with_seconds_are_there():
    assert [name for name in order.SECONDS if not (order.TESTS / name).is_file()] == []


def test_longest_files_come_first_and_each_in_one_piece():
    asked = [f"{UNIT}/test_{name}.py" for name in ("balance", "tvce", "learned", "folds")]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *asked]
    done = subprocess.run(command, cwd=order.TESTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    files = [line.split("::")[0] for line in done.stdout.splitlines() if "::" in line]
    pieces = [name for name, _ in itertools.groupby(files)]
    assert [Path(name).stem for name in pieces] == ["test_learned", "test_tvce", "test_balance", "test_folds"]


def test_a_new_file_that_builds_a_project_does_not_come_last():
    new, long, short = (
        order.seconds(f"{name}.py") for name in ("build/test_new", "unit/test_learned", "unit/test_new")
    )
    assert new > long > short
