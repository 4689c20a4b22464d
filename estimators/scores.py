"""The scores table: folds, propensities, outcome regressions, doubly robust scores and weights of each unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from .errors import Refusal
from .problem import Problem
from .result import table

# Estimator and estimand of each weight; macros/gates/gate_balance.sql has the same list.
WEIGHTS = (
    ("ipw", "ATE"), ("ipw", "ATT"), ("ipw", "ATO"), ("psm", "ATE"), ("psm", "ATT"), ("stratification", "ATE"),
    ("stratification", "ATT"),
)  # fmt: skip


def weight_column(estimator: str, estimand: str) -> str:
    """The column of an estimator's weights."""
    return f"weight_{estimator}_{estimand.lower()}"


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
    )


SCORES_SCHEMA = schema(pa.string())


def score_table(problem: Problem) -> pa.Table:
    """One row a unit of a study with a binary treatment.

    ``dr_score`` averages to the doubly robust ATE of any group of units, ``dr_score_att`` of all units to the ATT
    (Robins, Rotnitzky & Zhao 1994; Chernozhukov et al. 2018). ``propensity`` is fitted on all rows and drives the
    weights (but those of ``ipw: {method: entropy}``); ``propensity_crossfit``, ``mu0`` and ``mu1`` come from the other
    folds. A weight is NULL where its estimator refuses (a stratum without both arms): its gate then fails. ``stratum``
    is that of the ATE; the ATT has strata of its own. The hashes tell `estimate` whether the scores are of the
    declaration and the data at hand.
    """
    from .selection_on_observables import ope, psm, stratification

    problem = own = problem.for_run("ope", "default")
    t = problem.t
    e = own.propensity().probability
    nuisances = own.nuisances()
    columns: dict[str, np.ndarray | None] = {
        "propensity": e,
        "propensity_crossfit": nuisances.propensity,
        "mu0": nuisances.mu0,
        "mu1": nuisances.mu1,
        "dr_score": ope.scores(own, "ATE"),
        "dr_score_att": ope.scores(own, "ATT"),
    }
    for estimand in ("ATE", "ATT", "ATO"):
        columns[f"weight_ipw_{estimand.lower()}"] = _or_none(
            lambda estimand=estimand: _ipw_weights(problem.for_run("ipw", "default"), e, estimand)
        )
    by_strata = problem.for_run("stratification", "default")
    strata = {estimand: stratification.strata_of(by_strata, estimand) for estimand in ("ATE", "ATT")}
    for estimand in ("ATE", "ATT"):
        columns[f"weight_psm_{estimand.lower()}"] = _or_none(
            lambda estimand=estimand: psm.matching_weights(problem.for_run("psm", "default"), estimand)
        )
        columns[f"weight_stratification_{estimand.lower()}"] = _or_none(
            lambda estimand=estimand: stratification.stratum_weights(t, strata[estimand], estimand)
        )
    made_from = {"study": problem.study.name, "spec_hash": problem.study.spec_hash()}
    made_from["data_hash"] = problem.data_hash()
    ids = problem.columns[problem.study.unit].tolist()
    kind = _unit_type(ids)
    rows = zip(
        ids,
        t.tolist(),
        nuisances.fold.tolist(),
        strata["ATE"].tolist(),
        ((e >= 0.1) & (e <= 0.9)).tolist(),
        strict=True,
    )
    plain = {name: [None] * len(ids) if v is None else v.tolist() for name, v in columns.items()}
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


def _or_none(compute):  # type: ignore[no-untyped-def]
    try:
        return compute()
    except Refusal:
        return None
