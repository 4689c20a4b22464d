"""The scores table: folds, propensities, outcome regressions, doubly robust scores and weights of each unit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from .errors import Refusal
from .overlap import in_support, share_by_lot, support_bounds
from .problem import Problem
from .rare import Pooled
from .result import table

# Estimator and estimand of each weight; macros/gates/gate_balance.sql has the same list.
WEIGHTS = (
    ("ipw", "ATE"), ("ipw", "ATT"), ("ipw", "ATO"), ("psm", "ATE"), ("psm", "ATT"), ("stratification", "ATE"),
    ("stratification", "ATT"),
)  # fmt: skip


def weight_column(estimator: str, estimand: str) -> str:
    """The column of an estimator's weights."""
    return f"weight_{estimator}_{estimand.lower()}"


# NULL where nothing can be cross-fitted.
CROSSFITTED = ("fold", "propensity_crossfit", "mu0", "mu1", "dr_score", "dr_score_att")
_COLUMNS = (
    "propensity", "propensity_crossfit", "mu0", "mu1", "dr_score", "dr_score_att",
    *(weight_column(*weight) for weight in WEIGHTS),
)  # fmt: skip


def schema(unit: pa.DataType) -> pa.Schema:
    """The columns of the scores table; the unit keeps its own type."""
    return pa.schema(
        [("study", pa.string()), ("spec_hash", pa.string()), ("data_hash", pa.string())]
        + [("unit_id", unit), ("treatment", pa.float64()), ("fold", pa.int64())]
        + [(name, pa.float64()) for name in _COLUMNS]
        + [("stratum", pa.int64()), ("in_support", pa.bool_())]
        + [(name, pa.string()) for name in ("status", "status_reason", "remedy", "refusals")]
    )


# Before the name of a column whose level is pooled.
POOLED = "pooled: "
# The status of a row that has a unit.
SCORED = "scored"
SCORES_SCHEMA = schema(pa.string())


def score_table(problem: Problem) -> pa.Table:
    """One row a unit of a study with a binary treatment.

    ``dr_score`` averages to the doubly robust ATE of any group of units, ``dr_score_att`` of all units to the ATT
    (Robins, Rotnitzky & Zhao 1994; Chernozhukov et al. 2018). ``propensity`` is fitted on all rows and drives the
    weights (but those of ``ipw: {method: entropy}``); ``propensity_crossfit``, ``mu0`` and ``mu1`` come from the other
    folds. A weight is NULL where its estimator refuses (a stratum without both arms): its gate then fails, as do the
    doubly robust scores where nothing can be cross-fitted. ``refusals`` tells why: JSON of the column to reason and
    mend. ``stratum`` is that of the ATE; the ATT has strata of its own. ``in_support``: see `estimators.overlap`. The
    hashes tell `estimate` whether the scores are of the declaration and the data at hand. ``status`` is ``scored``; of
    a study without scores there is one row, without a unit (`no_scores`).
    """
    from .selection_on_observables import psm, stratification

    problem = own = problem.for_run("ope", "default")
    t = problem.t
    fit = own.propensity()
    e, pooled = fit.probability, fit.pooled
    told = Refusals()
    columns: dict[str, np.ndarray | None] = {"propensity": e, **told.crossfitted(lambda: _crossfitted(own))}
    by_weight, by_match = problem.for_run("ipw", "default"), problem.for_run("psm", "default")
    for estimand in ("ATE", "ATT", "ATO"):
        columns[weight_column("ipw", estimand)] = told.weight("ipw", estimand, _ipw_weights, by_weight, e, estimand)
    by_strata = problem.for_run("stratification", "default")
    strata: dict[str, np.ndarray | None] = {}
    for estimand in ("ATE", "ATT"):
        columns[weight_column("psm", estimand)] = told.weight("psm", estimand, psm.matching_weights, by_match, estimand)
        place = told.weight("stratification", estimand, stratification.strata_of, by_strata, estimand)
        strata[estimand] = place
        if place is not None:
            columns[weight_column("stratification", estimand)] = told.weight(
                "stratification", estimand, stratification.stratum_weights, t, place, estimand
            )
    made_from: dict[str, str | None] = {"study": problem.study.name, "spec_hash": problem.study.spec_hash()}
    made_from |= {"data_hash": problem.data_hash(), "status": SCORED}
    told.pool(pooled)
    made_from["refusals"] = told.text()
    ids = problem.columns[problem.study.unit].tolist()
    kind = _unit_type(ids)
    rows = zip(
        ids,
        t.tolist(),
        _listed(columns.pop("fold", None), len(ids)),
        _listed(strata["ATE"], len(ids)),
        in_support(e, support_bounds(share_by_lot(problem.study, float(t.mean())))).tolist(),
        strict=True,
    )
    plain = {name: _listed(v, len(ids)) for name, v in columns.items()}
    return table(
        (
            {**made_from, "unit_id": i, "treatment": arm, "fold": k, "stratum": s, "in_support": ok,
             **{name: values[j] for name, values in plain.items()}}
            for j, (i, arm, k, s, ok) in enumerate(rows)
        ),
        schema(kind),
    )  # fmt: skip


def _ipw_weights(problem: Problem, e: np.ndarray, estimand: str) -> np.ndarray:
    """Weights of ipw's own method, sampling weights left out; ATO weights are the propensity's, as entropy has none."""
    from .selection_on_observables.entropy import entropy_balance
    from .selection_on_observables.ipw import balancing_weights

    if problem.own("method") != "entropy" or estimand == "ATO":
        return balancing_weights(problem.t, e, estimand)
    omega = entropy_balance(problem, estimand, problem.own("moments")).omega
    return np.divide(omega, problem.w, out=np.zeros(problem.n), where=problem.w > 0)


def _unit_type(ids: list[Any]) -> pa.DataType:
    """The narrowest type that holds all ids; hashes need more than 63 bits."""
    if isinstance(ids[0], str):
        return pa.string()
    if max(ids) < 2**63:
        return pa.int64()
    return pa.uint64() if max(ids) < 2**64 else pa.decimal128(38)


def _listed(values: np.ndarray | None, n: int) -> list[Any]:
    return [None] * n if values is None else values.tolist()


def _crossfitted(own: Problem) -> dict[str, np.ndarray | None]:
    """Folds, nuisances and doubly robust scores of each unit."""
    from .selection_on_observables import ope

    found = own.nuisances()
    return {
        "fold": found.fold, "propensity_crossfit": found.propensity, "mu0": found.mu0, "mu1": found.mu1,
        "dr_score": ope.scores(own, "ATE"), "dr_score_att": ope.scores(own, "ATT"),
    }  # fmt: skip


class Refusals:
    """Why columns of the scores are NULL: reason and mend by column."""

    def __init__(self) -> None:
        self._told: dict[str, list[str]] = {}

    def note(self, column: str, refusal: Refusal) -> None:
        """One column's refusal."""
        self._told[column] = [refusal.reason, refusal.mend]

    def weight(self, estimator: str, estimand: str, compute: Callable[..., np.ndarray], *of: Any) -> np.ndarray | None:
        """What an estimator's weights, or their strata, come to; None where it refuses."""
        try:
            return compute(*of)
        except Refusal as refusal:
            self.note(weight_column(estimator, estimand), refusal)
            return None

    def crossfitted(self, compute: Callable[[], dict[str, np.ndarray | None]]) -> dict[str, np.ndarray | None]:
        """The cross-fitted columns; None each where there are none."""
        try:
            return compute()
        except Refusal as refusal:
            self.note("dr_score", refusal)
            return {}

    def pool(self, pooled: Sequence[Pooled]) -> None:
        """Levels that the propensity of all rows pools; balance under its weights is asked of the others."""
        for one in pooled:
            self._told[f"{POOLED}{one.column}"] = [str(one), ""]

    def text(self) -> str | None:
        """JSON, or None where nothing is refused."""
        return json.dumps(self._told, ensure_ascii=False, sort_keys=True) if self._told else None


def no_scores(study: str, reason: str, mend: str, status: str = "refused") -> pa.Table:
    """The scores table of a study that has none: one row without a unit, and why.

    An average over groups of units is what it was: the row joins no unit, and its numbers are NULL.
    """
    row = {"study": study, "status": status, "status_reason": reason, "remedy": mend or None}
    return table([row], SCORES_SCHEMA)


def why_without(scores: Any) -> dict[str, tuple[str, str | None]]:
    """Why scores, or columns of them, are not there: reason and mend by column, under "" where it holds for all.

    Parameters
    ----------
    scores : relation or table, or None
        What `estimators.score` gave; tables of other makers may lack the columns that tell.
    """
    from . import warehouse

    if scores is None or not {"status", "status_reason", "remedy", "refusals"} <= set(warehouse.available(scores)):
        return {}
    if isinstance(scores, Mapping):
        scores = warehouse.as_table({name: values[:1] for name, values in scores.items()}, list(scores), "")
    if "arrow_scan" in getattr(scores, "sql_query", str)():  # a stream, which can be read but once
        return {}
    rows = warehouse.rows(scores.slice(0, 1) if isinstance(scores, pa.Table) else scores.limit(1))
    if not rows:
        return {}
    if rows[0]["status"] != SCORED:
        return {"": (rows[0]["status_reason"], rows[0]["remedy"])}
    return {
        column: (reason, mend or None) for column, (reason, mend) in json.loads(rows[0]["refusals"] or "{}").items()
    }


def words_without(
    told: Mapping[str, tuple[str, str | None]], estimator: str | None, estimand: str | None
) -> tuple[str, str | None] | None:
    """Reason and mend in a gate's words, of the scores or one estimator's weights; None where nothing is told.

    macros/gates/scores_told.sql has the same.
    """
    if "" in told:
        reason, mend = told[""]
        return f"there are no scores: {reason}", mend
    if estimator is None or (column := weight_column(estimator, str(estimand))) not in told:
        return None
    reason, mend = told[column]
    return f"{estimator} has no weights for the {estimand}: {reason}", mend
