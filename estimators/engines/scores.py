"""The scores table of a study whose units are on an engine: a query of the engine's own, and no row in Python."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ..overlap import share_by_lot, support_bounds
from ..scan.stream import quoted
from ..scores import SCORED, schema
from ..selection_on_observables.ope import check_clip
from ..streamed.forms import read, treated_share
from ..streamed.problem import Streamed
from ..streamed.propensity import fit_propensity
from .numbers import number
from .source import EngineSource
from .weighting import Rows, robust_scores, weight


def score_frame(problem: Streamed) -> Any:
    """One row a unit, with the columns of `estimators.scores.score_table`, which says what they mean.

    Stratum and the weights of matching and stratification are NULL, as these are not estimated on an engine: their
    gates fail. A score or weight that is not finite is NULL.

    Returns
    -------
    Spark DataFrame or Ibis table
        Computed when it is read; the models are fitted before.

    Raises
    ------
    Refusal
        If a propensity model or an outcome regression cannot be fitted, or an option is out of bounds.
    """
    own, source = problem.for_run("ope", "default"), problem.source
    assert isinstance(source, EngineSource)
    found, clip = read(own, fit_propensity(own), with_outcome=True), check_clip(own.own("clip"))
    rows = Rows(own, found, clip, carry=quoted(own.study.unit))
    query, (ate, att) = robust_scores(rows)
    shift, scale = number(found.frame.shift[-1]), number(found.frame.scale[-1])
    made_from = {"study": own.study.name, "spec_hash": own.study.spec_hash(), "data_hash": own.data_hash()}
    columns = {name: "'" + value.replace("'", "''") + "'" for name, value in made_from.items()} | {
        "unit_id": "carried0", "treatment": "t", "fold": "g" if found.plan.group else "cast(0 as bigint)",
        "propensity": rows.e, "propensity_crossfit": rows.raw,
        "mu0": f"{rows.mu[0]} * {scale} + {shift}", "mu1": f"{rows.mu[1]} * {scale} + {shift}",
        "dr_score": f"{ate} * {scale}",
        "dr_score_att": f"{att} * {number(found.frame.scale[-1] / found.share)}",
        **{f"weight_ipw_{each.lower()}": weight(each, rows.e) for each in ("ATE", "ATT", "ATO")},
        "stratum": "cast(null as bigint)",
    }  # fmt: skip
    low, high = (number(bound) for bound in support_bounds(share_by_lot(own.study, treated_share(own))))
    columns["in_support"] = f"({rows.e} >= {low} and {rows.e} <= {high})"
    texts = {"status": f"'{SCORED}'"} | dict.fromkeys(("status_reason", "remedy", "refusals"), "cast(null as varchar)")
    columns |= texts
    missing = f"nullif({rows.e}, {rows.e})"  # NULL, of a number's type on every engine
    names = schema(pa.string()).names
    listed = ", ".join(f"{columns.get(name, missing)} as {name}" for name in names)
    return source.frame(f"select {listed} from ({query}) as scored")
