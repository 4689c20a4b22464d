"""The jobs that are timed, by name. A job takes the path of the units and returns its estimates.

A peer is one more function here and one more line in JOBS, with the modules that are imported before the clock starts;
what it needs stands in benchmarks/requirements-peers.txt.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.floor import floor
from benchmarks.generate import CLUSTER, COVARIATES, INSTRUMENTS, OUTCOME, TREATMENT, UNIT

FOLDS, SEED = 5, 20240229
Numbers = dict[str, float]


@dataclass(frozen=True)
class Job:
    """What is timed, and the modules that it imports (the whole process is timed too)."""

    run: Callable[[Path], Numbers]
    imports: tuple[str, ...] = ("duckdb",)


def _floor(path: Path) -> Numbers:
    floor(path)
    return {}


def _source(path: Path):  # type: ignore[no-untyped-def]
    import duckdb

    from estimators.scan import columns
    from estimators.scan.stream import Source

    source = Source.of(duckdb.connect(), path)
    return source, columns.fold(UNIT, source.types()[UNIT], FOLDS, SEED)


def _moments(path: Path, fold: str | None = None) -> Numbers:
    from estimators.scan import columns, moments_scan
    from estimators.scan.stream import Plan

    source, md5 = _source(path)
    everything = columns.columns(source, (OUTCOME, TREATMENT, *INSTRUMENTS, *COVARIATES, UNIT, CLUSTER))
    got = moments_scan.scan(source, Plan(everything, group=fold or md5, n_groups=FOLDS))
    return {"rows": float(got.moments.rows.sum())}


def _moments_ready(path: Path) -> Numbers:
    """The same with a fold that costs nothing: what a units model with a fold column would pay."""
    return _moments(path, f"{UNIT} % {FOLDS}")


def _linear(path: Path, fold: str | None = None) -> Numbers:
    """OLS with HC1, PLR in five folds, 2SLS with robust errors, VIF, SMD and robustness value: two scans."""
    import numpy as np

    from estimators.scan import columns, hc, moments_scan, solve
    from estimators.scan.stream import Plan
    from estimators.sensitivity.robustness_value import robustness_value

    source, md5 = _source(path)
    read = columns.columns(source, (OUTCOME, TREATMENT, *INSTRUMENTS, *COVARIATES))
    grouped = f"({fold or md5}) * 2 + {TREATMENT}::utinyint"
    found = moments_scan.scan(source, Plan(read, group=grouped, n_groups=2 * FOLDS))
    by_fold, arms = found.moments.merged(np.arange(2 * FOLDS) // 2), found.moments.merged(np.arange(2 * FOLDS) % 2)
    ols = solve.least_squares(by_fold, OUTCOME, [TREATMENT, *COVARIATES])
    plr = solve.partially_linear(by_fold, OUTCOME, TREATMENT, COVARIATES)
    iv = solve.two_stage(by_fold, OUTCOME, TREATMENT, INSTRUMENTS, COVARIATES)
    plan = Plan(read, group=fold or md5, n_groups=FOLDS)
    scores = [ols.score(TREATMENT), plr.score, iv.score]
    robust = hc.robust(found.source, plan, by_fold, scores)
    t = ols.coefficient(TREATMENT) / ols.classical(TREATMENT)
    smd = solve.differences(arms.only(1), arms.only(0))
    vif = [solve.inflation(by_fold, name, [o for o in COVARIATES if o != name]) for name in COVARIATES]
    return {
        "ols": ols.coefficient(TREATMENT) + robust[0].correction, "ols_se": robust[0].variance**0.5,
        "plr": plr.coef, "plr_se": robust[1].variance**0.5, "iv": iv.coef, "iv_se": robust[2].variance**0.5,
        "vif": solve.inflation(by_fold, TREATMENT, COVARIATES), "max_vif": max(vif),
        "max_smd": float(np.abs(smd[by_fold.names.index(COVARIATES[0]) :]).max()),
        "rv": robustness_value(abs(t) / (ols.rows - len(ols.at)) ** 0.5),
    }  # fmt: skip


def _linear_ready(path: Path) -> Numbers:
    return _linear(path, f"{UNIT} % {FOLDS}")


def _propensity(path: Path, fold: str | None = None, written: bool = True) -> Numbers:
    """Logistic propensity, five-fold cross-fitting, IPW, AIPW, stratification and the table of scores on disk."""
    import duckdb
    import numpy as np

    from estimators.scan import columns, logistic, moments_scan, weighting
    from estimators.scan.strata import Watch
    from estimators.scan.stream import Plan
    from estimators.scan.writer import Table

    source, md5 = _source(path)
    fold = fold or md5
    y, t, *x = columns.columns(source, (OUTCOME, TREATMENT, *COVARIATES))
    read = Plan((*x, y), group=f"({fold}) * 2 + {TREATMENT}::utinyint", n_groups=2 * FOLDS)
    found = moments_scan.scan(source, read)
    arms = tuple(found.moments.only(*range(a, 2 * FOLDS, 2)) for a in (0, 1))
    treated = np.column_stack([arm.cross[:, 0, 0] for arm in arms])
    plan = Plan(tuple(x), group=fold, n_groups=FOLDS, carry=(UNIT,))
    watch = Watch(5)
    logit = logistic.fit(found.source, t, plan, found.moments, treated, watch)
    places = {e: places for e in ("ATE", "ATT") if (places := watch.strata(e))}
    nuisances = weighting.Nuisances.of(logit, arms, OUTCOME, plan.names)
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(os.path.join(folder, "scores.duckdb"))
        connection.execute("set memory_limit = '1GB'")
        to = Table(connection, "scores") if written else None
        got = weighting.weigh(found.source, y, t, plan, found.moments, nuisances, clip=0.01, strata=places, table=to)
        connection.close()
    by_stratum = got.stratification["ATE"]
    return {
        "scans": float(logit.scans + 2), "slope_x1": float(logit.coef[0, 1]),
        **{f"ipw_{k}": v.estimate for k, v in got.ipw.items()}, "ipw_se": got.ipw["ATE"].std_error,
        **{f"aipw_{k}": v.estimate for k, v in got.aipw.items()}, "aipw_se": got.aipw["ATE"].std_error,
        "stratification": by_stratum.estimate, "stratification_se": by_stratum.std_error,
    }  # fmt: skip


def _propensity_ready(path: Path) -> Numbers:
    return _propensity(path, f"{UNIT} % {FOLDS}")


def _propensity_unwritten(path: Path) -> Numbers:
    """Without the table, of which DuckDB's own writing is the larger part."""
    return _propensity(path, f"{UNIT} % {FOLDS}", written=False)


SCAN = tuple(f"estimators.scan.{name}" for name in ("hc", "logistic", "moments_scan", "solve", "weighting", "writer"))
OWN = ("duckdb", "estimators.sensitivity.robustness_value", *SCAN)
JOBS: dict[str, Job] = {
    "floor": Job(_floor),
    "moments": Job(_moments, OWN),
    "moments_fold_column": Job(_moments_ready, OWN),
    "linear": Job(_linear, OWN),
    "linear_fold_column": Job(_linear_ready, OWN),
    "propensity": Job(_propensity, OWN),
    "propensity_fold_column": Job(_propensity_ready, OWN),
    "propensity_no_table": Job(_propensity_unwritten, OWN),
}
# What the issue asks: the most that a job may take, as a multiple of the floor.
TARGETS = {"moments": 3.0, "linear": 8.0, "propensity": 30.0}


def main() -> None:
    """Run one job in this process and print its numbers and costs as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("path", type=Path)
    asked = parser.parse_args()
    for module in JOBS[asked.job].imports:
        importlib.import_module(module)
    began, cpu = time.perf_counter(), time.process_time()
    numbers = JOBS[asked.job].run(asked.path)
    costs = {
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps({"job": asked.job, **costs, "numbers": numbers}))


if __name__ == "__main__":
    main()
