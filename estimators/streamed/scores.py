"""The scores table of a streamed study: each unit's row computed while the units pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import Refusal
from ..overlap import in_support, share_by_lot, support_bounds
from ..scan.columns import is_fraction, literal
from ..scan.doubly_robust import scores
from ..scan.strata import Strata
from ..scan.stream import quoted
from ..scan.weighting import ESTIMANDS, Rows
from ..scan.writer import stream
from ..scores import CROSSFITTED, SCORED, Refusals, schema, weight_column
from ..selection_on_observables.ipw import balancing_weights
from ..selection_on_observables.ope import check_clip
from ..selection_on_observables.stratification import NARROWER, NOTHING_BESIDE
from .forms import Read, read, treated_share
from .ipw import entropy_in_memory
from .matched import with_matching
from .problem import Streamed
from .propensity import fit_propensity, propensity_strata, whole_propensity

WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
WIDE = ("UBIGINT", "HUGEINT", "UHUGEINT")
# DuckDB's and Arrow's name of each type that a unit's id may have.
UNIT_TYPES = {
    "bigint": pa.int64(), "ubigint": pa.uint64(), "decimal(38, 0)": pa.decimal128(38), "varchar": pa.string(),
}  # fmt: skip


def score_stream(problem: Streamed, matched: bool = True) -> Any:
    """One row a unit, with the columns, names and types of `estimators.scores.score_table`, which says what they mean.

    Only the texts that all rows share (study and hashes) are ENUMs here, which SQL compares and joins as VARCHAR.

    All models are fitted and all matches found before it returns, from the cache where the estimators have run. What
    it gives back is a relation: the rows are computed when a query reads it, block by block (`scan.writer.stream`), so
    that neither Python nor DuckDB holds them; a second reading is an error.

    Parameters
    ----------
    problem : Streamed
        Of a binary treatment.
    matched : bool
        Whether to match for the matching's weights, which are else NULL: on large units half of the time.

    Returns
    -------
    duckdb.DuckDBPyRelation
        On the problem's connection. A score or weight that is not finite is NULL, and so is a weight whose estimator
        refuses. The matching's scratch tables last until the rows are read, or the relation is dropped.

    Raises
    ------
    Refusal
        If a propensity model or an outcome regression cannot be fitted, or an option is out of bounds.
    """
    if problem.source.engine is not None:
        from ..engines.scores import score_frame

        return score_frame(problem)
    problem = problem.for_run("ope", "default")
    kind = _unit_type(problem)
    whole = schema(UNIT_TYPES[kind])
    made_from = {"study": problem.study.name, "spec_hash": problem.study.spec_hash()}
    given = {name: _repeated(value) for name, value in {**made_from, "data_hash": problem.data_hash()}.items()}
    told = Refusals()
    blocks, refused = _blocks(problem, f"{quoted(problem.study.unit)}::{kind}", matched, told)
    given |= {name: f"null::{'bigint' if name in ('fold', 'stratum') else 'double'}" for name in refused}
    given |= {"status": _repeated(SCORED), "status_reason": "null::varchar", "remedy": "null::varchar"}
    why = told.text()
    given["refusals"] = "null::varchar" if why is None else _repeated(why)
    streamed = pa.schema([field for field in whole if field.name not in given])
    cqox_score_stream = stream(streamed, blocks)  # noqa: F841 (DuckDB finds it by its name)
    listed = ", ".join(f"{given[name]} as {name}" if name in given else name for name in whole.names)
    return problem.source.connection.sql(f"select {listed} from cqox_score_stream")


def _blocks(problem: Streamed, unit: str, matched: bool, told: Refusals) -> tuple[Iterator[dict[str, Any]], list[str]]:
    """The streamed columns, block by block, once everything is fitted; and those whose estimator refuses."""
    model, clip = whole_propensity(problem), problem.own("clip")
    found = _crossfitted(problem, told) or read(problem, model, with_outcome=False)
    bounds = support_bounds(share_by_lot(problem.study, treated_share(problem)))
    by_strata = problem.for_run("stratification", "default")
    told.pool(model.pooled)
    strata = _strata(by_strata, told)
    # Last, because what cannot be fitted need not be matched.
    by_match = problem.for_run("psm", "default")
    source, weights = with_matching(by_match, told) if matched else (by_match.source, {})
    units = dataclasses.replace(by_match, source=source)
    names = {f"weight_psm_{estimand.lower()}": weights.get(estimand) for estimand in ("ATE", "ATT")}
    carried = {name: sql for name, sql in names.items() if sql is not None}

    def blocks() -> Iterator[dict[str, Any]]:
        # The units hold the matching's tables for as long as this runs.
        for rows in found.rows(units, carry=(unit, *carried.values())):
            yield {**_columns(rows, found, clip, strata, bounds), **dict(zip(carried, rows.carried[1:], strict=True))}

    by_entropy = problem.for_run("ipw", "default").own("method") == "entropy"
    # Entropy balancing refuses streamed rows.
    without = ("weight_ipw_ate", "weight_ipw_att") if by_entropy else ()
    for name in without:
        told.note(name, entropy_in_memory(problem.n))
    if not strata:
        without = (*without, "stratum", "weight_stratification_ate", "weight_stratification_att")
    crossfitted = () if found.forms.crossfitted is not None else CROSSFITTED
    return blocks(), [*(name for name in names if name not in carried), *without, *crossfitted]


def _crossfitted(problem: Streamed, told: Refusals) -> Read | None:
    """What the doubly robust scores are read with; None, and why, where nothing can be cross-fitted."""
    try:
        check_clip(problem.own("clip"))
        return read(problem, fit_propensity(problem), with_outcome=True)
    except Refusal as refusal:
        told.note("dr_score", refusal)
        return None


def _strata(problem: Streamed, told: Refusals) -> dict[str, Strata]:
    """The strata of each estimand; none where the option is out of bounds."""
    strata = {}
    for estimand in ("ATE", "ATT"):
        try:
            strata[estimand] = own = propensity_strata(problem, problem.own("strata"), estimand)
            if poor := own.poor(1):
                raise Refusal(f"{'; '.join(poor)}: {NOTHING_BESIDE}", NARROWER)
        except Refusal as refusal:
            told.note(weight_column("stratification", estimand), refusal)
    return strata


def _columns(
    rows: Rows, found: Read, clip: float, strata: dict[str, Strata], bounds: tuple[float, float]
) -> dict[str, Any]:
    e, arm, shift, scale = rows.e, (rows.t == 1).astype(np.intp), found.frame.shift[-1], found.frame.scale[-1]
    out = {
        "unit_id": rows.carried[0], "treatment": rows.t, "propensity": e, "in_support": in_support(e, bounds),
    }  # fmt: skip
    if found.forms.crossfitted is not None:
        raw, mu0, mu1 = rows.crossfitted()
        ate, att = scores(rows, np.clip(raw, clip, 1 - clip), mu0, mu1)
        out |= {
            "fold": rows.own.astype(np.int64),
            "propensity_crossfit": raw, "mu0": mu0 * scale + shift, "mu1": mu1 * scale + shift,
            "dr_score": ate * scale, "dr_score_att": att * (scale / found.share),
        }  # fmt: skip
    out |= {f"weight_ipw_{estimand.lower()}": balancing_weights(rows.t, e, estimand) for estimand in ESTIMANDS}
    for estimand, own in strata.items():
        place = own.place(e)
        out[f"weight_stratification_{estimand.lower()}"] = own.weights(estimand)[place, arm]
        if estimand == "ATE":
            out["stratum"] = place + 1
    return out


def _repeated(text: str) -> str:
    """SQL of a text that every row has: an ENUM of one, as compressing texts row by row is a third of the writing."""
    return f"{literal(text)}::enum({literal(text)})"


def _unit_type(problem: Streamed) -> str:
    """The narrowest of `UNIT_TYPES` that holds every id, as `estimators.scores` chooses it."""
    kind, name = problem.types[problem.study.unit], quoted(problem.study.unit)
    if kind in WHOLE:
        return "bigint"
    if kind not in WIDE and not is_fraction(kind):
        return "varchar"
    whole, most = problem.source.one(f"bool_and({name} = trunc({name})), max({name})")
    if not whole:
        return "varchar"
    return "bigint" if most < 2**63 else "ubigint" if most < 2**64 else "decimal(38, 0)"
