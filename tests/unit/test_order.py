"""The order of the files: the longest first."""

import subprocess
import sys
from pathlib import Path

import order


def test_files_with_seconds_are_there():
    assert [name for name in order.SECONDS if not (order.TESTS / name).is_file()] == []


def test_longest_files_come_first_and_each_in_one_piece():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/unit/test_balance.py", "tests/unit/test_tvce.py",
         "tests/unit/test_learned.py", "tests/unit/test_folds.py", "tests/build/test_site.py"],
        cwd=order.TESTS.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    files = [line.split("::")[0] for line in done.stdout.splitlines() if "::" in line]
    found = list(dict.fromkeys(files))
    assert len([a for a, b in zip(files, files[1:], strict=False) if a != b]) == len(found) - 1, "a file is in pieces"
    named = [Path(name).relative_to("tests").as_posix() for name in found]
    assert named[:2] == ["unit/test_learned.py", "unit/test_tvce.py"]
    assert named[-2:] == ["unit/test_balance.py", "unit/test_folds.py"]


def test_a_new_file_that_builds_a_project_does_not_come_last():
    assert (
        order.seconds("build/test_new.py") > order.seconds("unit/test_learned.py") > order.seconds("unit/test_new.py")
    )
