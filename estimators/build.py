"""The three tables of a study: scores, design and effects, each total: bad input gives rows with a reason."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import json
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from . import clusters, failures, gating, thresholds, warehouse
from .assemble import assemble
from .attrition.told import with_losses
from .covariates import without
from .errors import Refusal, StudyError
from .examine import examined
from .fingerprint import made_from
from .imports import load
from .outcomes import for_outcome
from .problem import Nuisances, Problem, crossfit_key, nuisance_key
from .rare import diagnostics as pooled_levels
from .registry import BY_NAME, ESTIMATORS, NAIVE, Estimator
from .result import (
    DESIGN_SCHEMA,
    EFFECTS_SCHEMA,
    Diagnostic,
    Estimate,
    Result,
    SensitivityRow,
    as_json,
    clean,
    table,
)
from .roles import unused
from .scores import WEIGHTS, no_scores, score_table
from .soundness import sound
from .study import Study, hash_of_block


@warehouse.handed_back
def score(name: str, block: Mapping[str, Any] | None, units: Any, session: Any = None) -> Any:
    """The scores table of a study with a binary treatment: one row a unit.

    Parameters
    ----------
    name, block
        The study and its declaration.
    units : duckdb relation, Spark DataFrame, Ibis table, Arrow table or mapping of arrays
        One row a unit.
    session : DuckDB connection or SparkSession, optional
        What dbt hands a model; with DuckDB's, units above the study's ``row_budget`` are streamed and never held.

    Returns
    -------
    pyarrow.Table, or a DuckDB relation of streamed units; a Spark DataFrame where the session is Spark's
        Where the declaration, the data or the propensity model fails: one row without a unit, whose ``status_reason``
        and ``remedy`` say why there are none. The gates quote it.
    """
    try:
        problem, _ = assemble(Study.declare(name, block), units, session)
        if problem.kind != "binary":
            return no_scores(name, *_no_arms(problem.study))
        if not isinstance(problem, Problem):
            from .streamed.scores import score_stream

            return score_stream(problem)
        return score_table(problem)
    except Exception as bad:  # whatever it is: the gates and the effects quote it
        status = "refused" if isinstance(bad, (Refusal, StudyError)) else "failed"
        return no_scores(name, *failures.told(bad, name, "the scores"), status)


def _no_arms(study: Study) -> tuple[str, str]:
    reason = f"treatment '{study.treatment}' is a dose, and propensities are of two arms"
    if study.treatment is None:
        reason = "no treatment is declared, and propensities are of two arms"
    return reason, "Leave the scores out of the study's gates file, or recode the treatment to 0 and 1"


@warehouse.handed_back
def design(name: str, block: Mapping[str, Any] | None, units: Any, session: Any = None, scores: Any = None) -> pa.Table:
    """The design table: one row a diagnostic, from outcome-free or pre-period data.

    Parameters
    ----------
    name, block
        The study and its declaration.
    units : duckdb relation, Spark DataFrame, Ibis table, Arrow table or mapping of arrays
    session : DuckDB connection or SparkSession, optional
        What dbt hands a model; with DuckDB's, large or wide units are streamed and never held.
    scores : relation or table, optional
        What `score` gave: the balance under its weights is measured.

    Returns
    -------
    pyarrow.Table, or a Spark DataFrame where the session is Spark's
        What the design asks (`examine.DESIGN_CHECKS`), and for a study with covariates and a treatment the rows
        ``smd`` and ``vif`` of `estimators.covariates`. A diagnostic that cannot be computed is a row with a NULL value
        and the reason; the gate on it fails. Empty where the declaration or the data break a contract.
    """
    try:
        study = Study.declare(name, block)
        problem, _ = assemble(study, units, session, for_design=True)
        rows = list(examined(problem, scores))
    except StudyError:
        return table([], DESIGN_SCHEMA)
    except Exception as crash:  # the gates must still be judged, and tell what happened
        rows = without(
            study, "binary", [(None, None), *WEIGHTS], Refusal(*failures.told(crash, name, "the design table"))
        )
    return table(({"study": name, **clean(row)} for row in rows), DESIGN_SCHEMA)


@warehouse.handed_back
def estimate(
    name: str,
    block: Mapping[str, Any] | None,
    units: Any,
    scores: Any = None,
    gates: Any = None,
    session: Any = None,
    edges: Any = None,
) -> pa.Table:
    """The effects table: one row an estimator, specification, estimand and term.

    Parameters
    ----------
    name, block
        The study and its declaration.
    units : duckdb relation, Spark DataFrame, Ibis table, Arrow table or mapping of arrays
    scores : relation or table, optional
        What `score` gave; its nuisances are used rather than fitted again.
    gates : relation, table or list of rows, optional
        The judged gates; what they block is a refusal row. None means that nothing is blocked.
    session : DuckDB connection or SparkSession, optional
        What dbt hands a model; with DuckDB's, units above the study's ``row_budget`` are streamed and never held.
    edges : relation or table with the columns source and target, optional
        The network that the role ``edges`` names.

    Returns
    -------
    pyarrow.Table, or a Spark DataFrame where the session is Spark's
        Never empty: a broken declaration is one ``failed`` row, broken data a ``refused`` row an estimator. Exactly one
        row is the decision's (``is_primary``).
    """
    try:
        study = Study.declare(name, block)
    except StudyError as bad:
        return table([_declaration_row(name, block, bad)], EFFECTS_SCHEMA)
    try:
        problem, dropped = assemble(study, units, session, edges=edges)
    except StudyError as bad:
        return table(_refuse_all(study, bad), EFFECTS_SCHEMA)
    judged = [] if gates is None else warehouse.rows(gates)
    _reuse(problem, scores)
    with thresholds.judged_by(judged):
        return _estimated(problem, dropped, units, gates, judged, session)


def _estimated(
    problem: Any, dropped: int, units: Any, gates: Any, judged: list[dict[str, Any]], session: Any
) -> pa.Table:
    """The rows of all estimators, whose thresholds are those of the gates."""
    study = problem.study
    kind = problem.kind
    hashes = {"spec_hash": study.spec_hash(), "code_hash": code_hash(), "data_hash": problem.data_hash()}
    stamp = {**hashes, "engine": warehouse.engine_name(units), "estimated_at": _now()}
    stamp |= made_from(session, units, gates)
    rows: list[dict[str, Any]] = []
    for estimator in ESTIMATORS:
        if estimator.suits(study, kind):
            for run in _runs(problem, estimator, judged, dropped):
                rows += [{**row, **stamp} for row in run]
        elif estimator.name == study.decision.primary:
            rows += [{**row, **stamp} for row in _refuse(study, estimator, str(_unsuited(study, estimator, kind)))]
    _tell_unused(study, rows)
    rows += [{**_of_other_outcome(problem, outcome, judged), **stamp} for outcome in study.other_outcomes()]
    return table(rows, EFFECTS_SCHEMA)


def _tell_unused(study: Study, rows: list[dict[str, Any]]) -> None:
    """Put what no estimator uses beside the decision's run."""
    # One that is refused tells so in its own row.
    told = unused(study, [row["estimator"] for row in rows])
    rule = study.decision
    run = (rule.primary, rule.specification, rule.estimand)
    first = next((row for row in rows if (row["estimator"], row["specification"], row["estimand"]) == run), None)
    if told and first is not None:
        first["diagnostics"] = as_json([*(Diagnostic(**one) for one in json.loads(first["diagnostics"])), *told])


def _reuse(problem: Any, scores: Any) -> None:
    """Put the nuisances of a scores table into the cache, if it was made from this declaration and these data."""
    names = ["unit_id", "spec_hash", "data_hash", "fold", "propensity_crossfit", "mu0", "mu1"]
    if not isinstance(problem, Problem) or scores is None or not set(names) <= set(warehouse.available(scores)):
        return
    own = problem.for_run("ope", "default")
    got = warehouse.read(scores, names, ["unit_id"], problem.study.name)
    made_from = (problem.study.spec_hash(), problem.data_hash())
    whole = all(np.isfinite(got[name].astype(float)).all() for name in names[4:])  # NULL where cross-fitting refused
    if set(zip(got["spec_hash"], got["data_hash"], strict=True)) == {made_from} and len(got["fold"]) == own.n and whole:
        shared = Nuisances(got["fold"].astype(np.int64), got["propensity_crossfit"], got["mu0"], got["mu1"])
        own.cache[nuisance_key(own.options)] = shared
        own.cache[crossfit_key(own.options)] = shared.propensity


def _runs(problem: Any, estimator: Estimator, gates: list[Any], dropped: int) -> Iterable[list[dict[str, Any]]]:
    study = problem.study
    for specification in study.specification_names():
        if study.runs(specification, estimator.name):
            for estimand in estimator.estimands:
                started = time.perf_counter()
                result = _run(problem.for_run(estimator.name, specification), estimator, estimand, gates)
                result = _with_weightless(result, problem.weightless)
                if dropped and estimator.reads != "panel_with_gaps":
                    result = _with_dropped(result, dropped, is_panel=study.time is not None)
                if _is_decisive(study, estimator.name, specification, estimand):
                    result = _with_losses(problem, result)
                yield _rows(study, estimator.name, specification, result, time.perf_counter() - started)


def _unsuited(study: Study, estimator: Estimator, kind: str | None) -> Refusal:
    reason = f"{estimator.name} needs a {estimator.treatment} treatment, and '{study.treatment}' is {kind}"
    return Refusal(reason, "Choose another primary")


def _of_other_outcome(problem: Any, outcome: str, gates: list[Any]) -> dict[str, Any]:
    """The row of a secondary outcome or guardrail: the decision's estimator, estimand and term, by default options."""
    study, rule, started = problem.study, problem.study.decision, time.perf_counter()
    estimator = BY_NAME[rule.primary]
    try:
        if not estimator.suits(study, problem.kind):
            raise _unsuited(study, estimator, problem.kind)
        own, dropped = for_outcome(problem, outcome)
        result = _run(own, estimator, rule.estimand, gates, is_analysed=False)
        if dropped and estimator.reads != "panel_with_gaps":
            result = _with_dropped(result, dropped, is_panel=study.time is not None)
    except (Refusal, StudyError) as bad:
        result = _refusal(rule.estimand, "refused", str(bad))
    except Exception as crash:  # the other outcomes' rows must still be written
        result = _refusal(
            rule.estimand, "failed", failures.sentence(crash, study.name, f"{rule.primary} of '{outcome}'")
        )
    estimates, place = _of_term(study, result.estimates)
    row = _row(study, rule.primary, "default", estimates[place], time.perf_counter() - started)
    lost = _with_losses(problem, Result(estimates), outcome)
    told = {"diagnostics": as_json(lost.diagnostics), "sensitivity": as_json(lost.sensitivity)}
    return {**row, **told, "outcome": outcome}


def _run(problem: Any, estimator: Estimator, estimand: str, gates: list[Any], is_analysed: bool = True) -> Result:
    try:
        failed = gating.blocking(gates, estimator.name, estimand)
        if failed:
            return _refusal(estimand, "refused", gating.reason(failed))
        _supported(problem, estimator)
        clusters.check(problem)
        result = sound(_function(problem, estimator)(problem, estimand), problem)
        told = pooled_levels(problem.pooled())
        result = dataclasses.replace(result, diagnostics=(*result.diagnostics, *told))
        if is_analysed and _is_analysed(problem, estimator):
            result = _with_sensitivity(problem, result)
        return result
    except Refusal as refusal:
        return _refusal(estimand, refusal.status, str(refusal))
    except Exception as crash:  # the other estimators' rows must still be written, and this one tells what happened
        step = f"{estimator.name} ({estimand})"
        return _refusal(estimand, "failed", failures.sentence(crash, problem.study.name, step))


def _function(problem: Any, estimator: Estimator) -> Callable[[Any, str], Result]:
    """The estimator for rows in memory, or its namesake that streams."""
    if isinstance(problem, Problem):
        return estimator.load()
    if not estimator.streams:
        budget = problem.study.row_budget
        reason = f"{estimator.name} holds its rows in memory, and {problem.n} are more than the row_budget of {budget}"
        raise Refusal(reason, "Raise row_budget, or narrow the population in the units")
    if problem.source.engine is not None:
        from .engines.problem import streams

        return streams(problem, estimator)
    return estimator.load_streamed()


def _with_dropped(result: Result, dropped: int, is_panel: bool) -> Result:
    """Rows with missing values count as trimmed; panel estimators have counted the units that lack a row themselves."""
    told = Diagnostic("rows_dropped_missing", "overall", float(dropped))
    extra = 0 if is_panel else dropped
    estimates = tuple(
        dataclasses.replace(one, n_trimmed=(one.n_trimmed or 0) + extra) if one.status == "estimated" else one
        for one in result.estimates
    )
    return dataclasses.replace(result, estimates=estimates, diagnostics=(*result.diagnostics, told))


def _with_losses(problem: Any, result: Result, outcome: str | None = None) -> Result:
    try:
        return with_losses(problem, result, outcome)
    except Exception as crash:  # the estimate must still be written, and says that its losses are not told
        told = f"the rows lost by arm could not be told: {type(crash).__name__}: {crash}"
        row = SensitivityRow("lee_bounds", "bounds" if outcome is None else f"{outcome}: bounds", None, told)
        return dataclasses.replace(result, sensitivity=(*result.sensitivity, row))


def _with_weightless(result: Result, weightless: int) -> Result:
    """Rows of weight zero are counted: they stand for nobody, so nothing is trimmed."""
    if not weightless:
        return result
    told = Diagnostic("rows_weight_zero", "overall", float(weightless))
    return dataclasses.replace(result, diagnostics=(*result.diagnostics, told))


def _with_sensitivity(problem: Any, result: Result) -> Result:
    where = "sensitivity.analyse" if isinstance(problem, Problem) else "streamed.sensitivity"
    try:
        found = load(f"estimators.{where}").analyse(problem, result)
    except Refusal:  # a benchmark that cannot be computed takes nothing from the estimate
        return result
    return dataclasses.replace(
        result, sensitivity=(*result.sensitivity, *found.rows), curves=(*result.curves, *found.curves)
    )


def _is_analysed(problem: Any, estimator: Estimator) -> bool:
    # A panel is compared within units: what least squares of all its rows could hide says nothing of that.
    of_units = estimator.treatment is not None and not estimator.reads.startswith("panel")
    return estimator.name not in NAIVE and of_units and problem.specification == "default"


def _supported(problem: Any, estimator: Estimator) -> None:
    for role in ("weight", "cluster"):
        if problem.study.has(role) and not getattr(estimator, f"{role}s"):
            reason = f"{estimator.name} does not use the declared {role}"
            raise Refusal(reason, f"Drop the role '{role}' or read the other estimators")


def _refusal(estimand: str, status: str, reason: str) -> Result:
    return Result((Estimate(estimand, status=status, status_reason=reason),))


def _rows(study: Study, estimator: str, specification: str, result: Result, seconds: float) -> list[dict[str, Any]]:
    rows = []
    estimates, decisive = _decisive(study, estimator, specification, result.estimates)
    for i, one in enumerate(estimates):
        row = {**_row(study, estimator, specification, one, seconds), "is_primary": i == decisive}
        # What belongs to the run and not to a term is told once, with its first row.
        row["diagnostics"] = as_json(result.diagnostics if i == 0 else ())
        row["curves"] = as_json(result.curves if i == 0 else ())
        row["sensitivity"] = as_json(result.sensitivity if i == 0 else ())
        rows.append(row)
    return rows


def _row(study: Study, estimator: str, specification: str, one: Estimate, seconds: float) -> dict[str, Any]:
    row = {"study": study.name, "estimator": estimator, "specification": specification, **clean(one)}
    row |= {"outcome": study.outcome, "treatment": study.treatment or study.cohort or study.running}
    row |= {"engine": "duckdb", "seconds": seconds, "is_primary": False}
    return row | dict.fromkeys(("diagnostics", "curves", "sensitivity"), as_json(()))


def _decisive(
    study: Study, estimator: str, specification: str, estimates: tuple[Estimate, ...]
) -> tuple[tuple[Estimate, ...], int | None]:
    """The rows of a run, and which one the decision reads: that of its term, a whole refusal, or one that says so."""
    if not _is_decisive(study, estimator, specification, estimates[0].estimand):
        return estimates, None
    return _of_term(study, estimates)


def _is_decisive(study: Study, estimator: str, specification: str, estimand: str) -> bool:
    rule = study.decision
    return (estimator, specification, estimand) == (rule.primary, rule.specification, rule.estimand)


def _of_term(study: Study, estimates: tuple[Estimate, ...]) -> tuple[tuple[Estimate, ...], int]:
    """The rows, and which one is of the decision's term: a whole refusal, or a further one, where none is."""
    rule = study.decision
    terms = [one.term for one in estimates]
    if rule.term in terms:
        return estimates, terms.index(rule.term)
    if all(one.status != "estimated" for one in estimates):
        return estimates, 0
    reason = f"the decision's term '{rule.term}' is not among {', '.join(terms)}. Mend decision.term"
    return (*estimates, Estimate(rule.estimand, rule.term, status="refused", status_reason=reason)), len(estimates)


def _declaration_row(name: str, block: Mapping[str, Any] | None, bad: StudyError) -> dict[str, Any]:
    block = block if isinstance(block, Mapping) else {}
    row = clean(Estimate("none", status="failed", status_reason=str(bad)))
    return {
        "study": name, "estimator": "declaration", "specification": "default", **row,
        **{role: None if block.get(role) is None else str(block[role]) for role in ("outcome", "treatment")},
        "engine": "duckdb",
        "is_primary": True, "seconds": 0.0, "estimated_at": _now(), "code_hash": code_hash(),
        "spec_hash": hash_of_block(name, block),
        "diagnostics": "[]", "curves": "[]", "sensitivity": "[]",
    }  # fmt: skip


def _refuse_all(study: Study, bad: StudyError) -> list[dict[str, Any]]:
    """A refusal row for every estimator whose roles are declared: the breach, not the gates that fail with it."""
    kinds = {"experiment": "binary", "observational": "binary"}
    kind = kinds.get(study.design, "continuous") if study.treatment else None
    stamp = {"spec_hash": study.spec_hash(), "code_hash": code_hash(), "estimated_at": _now()}
    rows: list[dict[str, Any]] = []
    for estimator in ESTIMATORS:
        if estimator.suits(study, kind) or estimator.name == study.decision.primary:
            rows += [{**row, **stamp} for row in _refuse(study, estimator, str(bad))]
    refusal, rule = Estimate(study.decision.estimand, status="refused", status_reason=str(bad)), study.decision
    for outcome in study.other_outcomes():
        rows.append({**_row(study, rule.primary, "default", refusal, 0.0), "outcome": outcome, **stamp})
    return rows


def _refuse(study: Study, estimator: Estimator, reason: str) -> list[dict[str, Any]]:
    """A refusal row for each run of one estimator."""
    rows: list[dict[str, Any]] = []
    for specification in study.specification_names():
        if study.runs(specification, estimator.name):
            for estimand in estimator.estimands:
                rows += _rows(study, estimator.name, specification, _refusal(estimand, "refused", reason), 0.0)
    return rows


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


@functools.cache
def code_hash() -> str:
    """SHA-256 of the package's own source."""
    digest = hashlib.sha256()
    for path in sorted(pathlib.Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


__all__ = ["BY_NAME", "code_hash", "design", "estimate", "score"]
