"""A test that stands still with the GIL held fails, names itself and shows its stack, in a worker of xdist too."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
# ctypes.PyDLL keeps the GIL while it calls.
STILL = """
import ctypes

def test_that_stands_still():
    ctypes.PyDLL(None).sleep(600)
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1", "--max-worker-restart", "0"]], ids=["alone", "worker"])
def test_a_test_that_stands_still_fails_with_its_stack(tmp_path, workers):
    (tmp_path / "test_still.py").write_text(STILL)
    options = ["-p", "watchdog", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "--timeout", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *workers, "test_still.py"],
        cwd=tmp_path, env={"PYTHONPATH": str(TESTS), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Timeout (0:00:02)!" in done.stderr
    assert "in test_that_stands_still" in done.stderr
    if workers:
        assert "FAILED test_still.py::test_that_stands_still - worker 'gw0' crashed" in done.stdout
