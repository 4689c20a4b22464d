"""The longest files first, so that two workers that take file after file end together.

A file is one worker's (its fixtures build projects), and xdist gives it the next one while its last two tests run: a
long file near the end keeps the other worker waiting. Seconds are of one run on two busy cores, of every file above 30;
what is not named is short, unless it builds a project.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
BUILDS = 600
SECONDS = {
    "build/test_project.py": 690, "build/test_broken_studies.py": 500, "build/test_gates.py": 140,
    "build/test_site.py": 80, "parity/test_engines.py": 170, "parity/test_statistics.py": 45,
    "unit/test_standstill.py": 140, "unit/test_streamed_bad_input.py": 140, "unit/test_learned.py": 125,
    "unit/test_reports_pages.py": 105, "unit/test_figures_moving.py": 95, "unit/test_tvce.py": 85,
    "unit/test_streamed_linear_learners.py": 60, "unit/test_tvce_panel.py": 60, "unit/test_honest_did.py": 55,
    "unit/test_mediation.py": 55, "unit/test_counterfactual.py": 55, "unit/test_build.py": 50,
    "unit/test_synthetic_control_options.py": 50, "unit/test_other_outcomes.py": 45, "unit/test_scan_weighting.py": 45,
    "unit/test_streamed_did_covariates.py": 40, "unit/test_streamed_did.py": 40, "unit/test_reports_downloads.py": 35,
    "unit/test_streamed_psm.py": 35, "unit/test_streamed_rd.py": 35, "unit/test_build_any_units.py": 35,
}  # fmt: skip


def seconds(name: str) -> int:
    """How long a file takes, by its path under tests/; 0 for a short one."""
    return SECONDS.get(name, BUILDS if name.startswith("build/") else 0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by file, the longest first; short files and the tests of a file keep their order."""
    items.sort(key=lambda item: -seconds(item.path.relative_to(TESTS).as_posix()) if TESTS in item.path.parents else 0)
