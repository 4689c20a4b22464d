"""Our jobs, by name. A job takes the path of the data and returns its estimates.

`moments`, `linear` and `propensity` read the fold from the file, as a study does whose units model has it; ``_md5``
computes it anew in every scan. Peers are in benchmarks/peers.py.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.design import (
    CLUSTER,
    COVARIATES,
    FOLD,
    FOLDS,
    INSTRUMENTS,
    OUTCOME,
    PANEL,
    SEED,
    TREATMENT,
    UNIT,
    data_folder,
)
from benchmarks.floor import floor
from benchmarks.job import Job, Numbers


def _connection(database: str = ":memory:") -> Any:
    """DuckDB as a warehouse would run it: a limit, and a folder to spill into."""
    import duckdb

    connection = duckdb.connect(database)
    connection.execute(f"set memory_limit = '{os.environ.get('CQOX_MEMORY_LIMIT', '4GB')}'")
    connection.execute(f"set temp_directory = '{data_folder() / 'cqox_spill'}'")
    for setting in (
        "allocator_background_threads = true",
        "allocator_flush_threshold = '16MB'",
        "allocator_bulk_deallocation_flush_threshold = '32MB'",
        "enable_external_file_cache = false",
    ):
        connection.execute(f"set {setting}")
    return connection


def _source(path: Path) -> Any:
    from estimators.scan.stream import Source

    return Source.of(_connection(), path)


def _md5(source: Any) -> str:
    from estimators.scan import columns

    return columns.fold(UNIT, source.types()[UNIT], FOLDS, SEED)


def _moments(path: Path, md5: bool = False) -> Numbers:
    from estimators.scan import columns, moments_scan
    from estimators.scan.stream import Plan

    source = _source(path)
    everything = columns.columns(source, (OUTCOME, TREATMENT, *INSTRUMENTS, *COVARIATES, UNIT, CLUSTER))
    got = moments_scan.scan(source, Plan(everything, group=_md5(source) if md5 else FOLD, n_groups=FOLDS))
    return {"rows": float(got.moments.rows.sum())}


def _linear(path: Path, md5: bool = False) -> Numbers:
    """Two scans: the cross-products, and the squared residuals of the three robust errors."""
    import numpy as np

    from estimators.scan import columns, hc, moments_scan, solve
    from estimators.scan.stream import Plan
    from estimators.sensitivity.robustness_value import robustness_value

    source = _source(path)
    fold = _md5(source) if md5 else FOLD
    read = columns.columns(source, (OUTCOME, TREATMENT, *INSTRUMENTS, *COVARIATES))
    grouped = f"({fold}) * 2 + {TREATMENT}::utinyint"
    found = moments_scan.scan(source, Plan(read, group=grouped, n_groups=2 * FOLDS))
    by_fold, arms = found.moments.merged(np.arange(2 * FOLDS) // 2), found.moments.merged(np.arange(2 * FOLDS) % 2)
    ols = solve.least_squares(by_fold, OUTCOME, [TREATMENT, *COVARIATES])
    plr = solve.partially_linear(by_fold, OUTCOME, TREATMENT, COVARIATES)
    iv = solve.two_stage(by_fold, OUTCOME, TREATMENT, INSTRUMENTS, COVARIATES)
    plan = Plan(read, group=fold, n_groups=FOLDS)
    robust = hc.robust(found.source, plan, by_fold, [ols.score(TREATMENT), plr.score, iv.score])
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


# A study of the generated units, streamed whatever its rows.
_STUDY: dict[str, Any] = {
    "question": "Does the treatment raise y?", "design": "observational", "outcome": OUTCOME, "treatment": TREATMENT,
    "unit": UNIT, "covariates": list(COVARIATES), "instruments": list(INSTRUMENTS), "fold": FOLD, "row_budget": 10,
    "decision": {"primary": "ope", "estimand": "ATE", "desired_direction": "more", "minimum_effect": 1},
}  # fmt: skip


def _streamed(connection: Any, path: Path, block: dict[str, Any]) -> Any:
    """What the estimators of a streamed study are handed."""
    from estimators import Study
    from estimators.assemble import assemble

    return assemble(Study.declare("benchmark", block), connection.read_parquet(str(path)), connection)[0]


def _numbers(name: str, row: Any) -> Numbers:
    """An estimate and its standard error."""
    return {name: float(row.estimate), f"{name}_se": float(row.std_error)}


def _propensity(path: Path, md5: bool = False, written: bool = True, matched: bool = False) -> Numbers:
    """As a study shares its fits: the estimators first, then the table of scores, into a warehouse on disk."""
    from estimators.registry import BY_NAME
    from estimators.streamed.scores import score_stream

    left_out = ("instruments", "fold") if md5 else ("instruments",)
    block = {key: value for key, value in _STUDY.items() if key not in left_out} | {"seed": SEED, "folds": FOLDS}
    out: Numbers = {}
    with tempfile.TemporaryDirectory(dir=data_folder()) as folder:
        connection = _connection(os.path.join(folder, "warehouse.duckdb"))
        declared = time.perf_counter()
        problem = _streamed(connection, path, block)
        began = time.perf_counter()
        for name in ("ipw", "ope", "stratification"):
            run, estimator = problem.for_run(name, "default"), BY_NAME[name].load_streamed()
            for estimand in BY_NAME[name].estimands:
                row = estimator(run, estimand).estimates[0]
                out |= _numbers(f"{name}_{estimand.lower()}", row)
        estimated = time.perf_counter()
        if written:
            connection.register("scores_stream", score_stream(problem, matched))
            connection.execute("create table scores as select * from scores_stream")
            connection.unregister("scores_stream")
        written_at = time.perf_counter()
        connection.close()
    parts = {"contracts_s": began - declared, "estimates_s": estimated - began, "table_s": written_at - estimated}
    return {**out, **parts}


def _psm(path: Path, variance: str = "abadie_imbens") -> Numbers:
    """The propensity is fitted first and timed by itself, as a study shares it."""
    from estimators.streamed.propensity import fit_propensity
    from estimators.streamed.psm import psm

    block = {key: value for key, value in _STUDY.items() if key not in ("fold", "instruments")}
    block |= {"folds": 1, "options": {"psm": {"variance": variance}}}
    problem = _streamed(_connection(), path, block).for_run("psm", "default")
    began = time.perf_counter()
    fit_propensity(problem)
    fitted = time.perf_counter()
    row = psm(problem, "ATT").estimates[0]
    matched = time.perf_counter()
    return {**_numbers("psm", row), "fit_s": fitted - began, "match_s": matched - fitted}


def _did(path: Path) -> Numbers:
    """Group-time effects, their averages, standard errors, the pre-trends test and the simultaneous band."""
    from estimators.streamed.did import did

    block = {
        "question": "Does the treatment raise y?", "design": "panel", "outcome": PANEL.outcome, "unit": PANEL.unit,
        "time": PANEL.time, "cohort": PANEL.cohort, "never": 0, "row_budget": 10,
        "options": {"did": {"honest": False}},  # neither peer gives robust intervals in the same run
        "decision": {"primary": "did", "estimand": "ATT", "desired_direction": "more", "minimum_effect": 1},
    }  # fmt: skip
    result = did(_streamed(_connection(), path, block).for_run("did", "default"), "ATT")
    row = next(one for one in result.estimates if one.term == "overall")
    return {**_numbers("did", row), "terms": float(len(result.estimates))}


def _study(path: Path) -> Numbers:
    """Every estimator that the roles allow; how many rows each gave, and its seconds."""
    from estimators import estimate

    connection = _connection()
    rows = estimate("benchmark", _STUDY, connection.read_parquet(str(path)), session=connection).to_pylist()
    out: Numbers = {f"rows_{status}": 0.0 for status in ("estimated", "refused", "failed")}
    for row in rows:
        out[f"rows_{row['status']}"] += 1
        if row["status"] == "estimated":
            out[f"{row['estimator']}_{row['estimand'].lower()}_s"] = row["seconds"]
    return out


MOMENTS = ("duckdb", "estimators.scan.columns", "estimators.scan.moments_scan")
LINEAR = (*MOMENTS, "estimators.scan.hc", "estimators.scan.solve", "estimators.sensitivity.robustness_value")
STREAMED = (*LINEAR, "estimators.assemble", "estimators.streamed.problem", "estimators.registry")
WEIGHING = (*STREAMED, *(f"estimators.streamed.{name}" for name in ("ipw", "ope", "stratification", "scores")))
MATCHING = (*STREAMED, "estimators.streamed.psm", "estimators.streamed.matching_score")
PATHS = (*STREAMED, "estimators.streamed.did")

JOBS: dict[str, Job] = {
    "floor": Job(floor, "DuckDB's plain sums of the columns"),
    "moments": Job(_moments, "cross-products of 24 columns in five folds", MOMENTS),
    "moments_md5": Job(lambda path: _moments(path, md5=True), "the same, the md5 fold computed in the scan", MOMENTS),
    "linear": Job(_linear, "OLS + HC1, PLR in five folds, 2SLS robust, VIF, SMD, robustness value", LINEAR),
    "linear_md5": Job(lambda path: _linear(path, md5=True), "the same, the md5 fold computed in each scan", LINEAR),
    "propensity": Job(_propensity, "logit, all rows and five folds; IPW, AIPW, strata; scores table", WEIGHING),
    "propensity_md5": Job(lambda path: _propensity(path, md5=True), "the same, the md5 fold in each scan", WEIGHING),
    "propensity_matched": Job(
        lambda path: _propensity(path, matched=True), "the same, the matchings' weights in the table too", WEIGHING
    ),
    "propensity_no_table": Job(lambda path: _propensity(path, written=False), "the same without the table", WEIGHING),
    "psm": Job(_psm, "logit, then nearest-neighbour matching for the ATT, its error as if e were known", MATCHING),
    "psm_estimated": Job(
        lambda path: _psm(path, "estimated_propensity"), "the same with the error of an estimated propensity", MATCHING
    ),
    "did": Job(_did, "Callaway–Sant'Anna, all group-time effects and averages", PATHS, data="panel"),
    "study": Job(_study, "estimate() of the whole streamed study", STREAMED),
}
