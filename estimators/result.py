"""The rows that estimators return, and the only place that knows the columns of the effects table."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Diagnostic:
    """One number that tells how far an estimate can be trusted.

    Attributes
    ----------
    metric, subject : str
        What was measured (``effective_sample_size``) and on what (a covariate, an arm, ``overall``).
    value : float or None
        The number, in the metric's own unit; None where it could not be computed.
    threshold : float or None
        What it is held against, if anything.
    is_passing : bool or None
        None where nothing is at stake, and where a number that is not finite would pass: it says nothing.
    """

    metric: str
    subject: str
    value: float | None
    threshold: float | None = None
    is_passing: bool | None = None

    def __post_init__(self) -> None:
        """Nothing passes on a number that is none."""
        if self.is_passing and number(self.value) is None:
            object.__setattr__(self, "is_passing", None)


@dataclass(frozen=True)
class CurvePoint:
    """One point of a curve that a figure or a BI tool draws; x and y in the units of the study."""

    curve: str
    series: str
    x: float | None
    y: float | None
    x_label: str | None = None
    conf_low: float | None = None
    conf_high: float | None = None


@dataclass(frozen=True)
class SensitivityRow:
    """One answer to 'how wrong would the assumptions have to be?', with its reading in words."""

    method: str
    subject: str
    value: float | None
    reading: str


@dataclass(frozen=True)
class DesignRow:
    """One diagnostic of a design, from data that hold no outcome after treatment; the gates judge it.

    Attributes
    ----------
    estimator : str or None
        The estimator that stands or falls with it; None where it holds for all.
    metric, subject : str
        ``first_stage_f`` of ``educ``, ``pre_trends_p`` of ``overall``, ...
    value : float or None
        None where it could not be computed; the gate then fails.
    reason : str
        One sentence that gives the figure's meaning, or why there is none.
    estimand : str or None
        Where the diagnostic is that of an estimator's weights for one estimand; None where it holds for all.
    remedy : str or None
        Where the value could not be computed: what would mend that.
    """

    estimator: str | None
    metric: str
    subject: str
    value: float | None
    reason: str
    estimand: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Estimate:
    """One effect: an estimator, an estimand and a term.

    Attributes
    ----------
    estimand : str
        ATE, ATT, ATO, LATE, ...
    term : str
        ``overall``, ``event_time=-2``, ``cohort=2004``, ...
    estimate, std_error, conf_low, conf_high : float or None
        In units of the outcome (a unit of treatment, where that is continuous).
    degrees_of_freedom : float or None
        Of the t reference; None means the normal.
    n_units, n_treated, n_clusters, n_trimmed : int or None
        Units used, of them treated, clusters, and units left out by trimming, calipers or missing values.
    variance_estimator : str or None
        Its usual name: HC2, cluster, influence_function, ...
    status : str
        estimated, refused, not_identified or failed; numbers are None unless estimated.
    """

    estimand: str
    term: str = "overall"
    contrast: str = "1 - 0"
    estimate: float | None = None
    std_error: float | None = None
    statistic: float | None = None
    degrees_of_freedom: float | None = None
    p_value: float | None = None
    conf_low: float | None = None
    conf_high: float | None = None
    conf_level: float = 0.95
    n_units: int | None = None
    n_treated: int | None = None
    n_clusters: int | None = None
    n_trimmed: int | None = None
    effective_sample_size: float | None = None
    variance_estimator: str | None = None
    status: str = "estimated"
    status_reason: str | None = None


@dataclass(frozen=True)
class Result:
    """All that one run of an estimator for one estimand gives back."""

    estimates: tuple[Estimate, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    curves: tuple[CurvePoint, ...] = ()
    sensitivity: tuple[SensitivityRow, ...] = field(default=())


_TEXT, _REAL, _WHOLE = pa.string(), pa.float64(), pa.int64()

EFFECTS_SCHEMA = pa.schema(
    [
        ("study", _TEXT), ("estimator", _TEXT), ("specification", _TEXT), ("estimand", _TEXT),
        ("outcome", _TEXT), ("treatment", _TEXT), ("contrast", _TEXT), ("term", _TEXT),
        ("estimate", _REAL), ("std_error", _REAL), ("statistic", _REAL), ("degrees_of_freedom", _REAL),
        ("p_value", _REAL), ("conf_low", _REAL), ("conf_high", _REAL), ("conf_level", _REAL),
        ("n_units", _WHOLE), ("n_treated", _WHOLE), ("n_clusters", _WHOLE), ("n_trimmed", _WHOLE),
        ("effective_sample_size", _REAL), ("variance_estimator", _TEXT), ("engine", _TEXT),
        ("status", _TEXT), ("status_reason", _TEXT), ("is_primary", pa.bool_()), ("seconds", _REAL),
        ("spec_hash", _TEXT), ("code_hash", _TEXT), ("data_hash", _TEXT), ("estimated_at", pa.timestamp("us")),
        ("units_hash", _TEXT), ("gates_hash", _TEXT),
        # Nested rows travel as JSON text: STRUCT columns do not survive an attached Postgres.
        ("diagnostics", _TEXT), ("curves", _TEXT), ("sensitivity", _TEXT),
    ]
)  # fmt: skip

DESIGN_SCHEMA = pa.schema(
    [
        ("study", _TEXT), ("estimator", _TEXT), ("estimand", _TEXT), ("metric", _TEXT), ("subject", _TEXT),
        ("value", _REAL), ("reason", _TEXT), ("remedy", _TEXT),
    ]
)  # fmt: skip


def number(value: Any) -> float | None:
    """A finite float, or None: NaN and infinities never reach a table."""
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else None


def clean(row: Any) -> dict[str, Any]:
    """A result dataclass as a dictionary whose floats are finite or None."""
    values = dataclasses.asdict(row)
    return {k: number(v) if isinstance(v, float) else v for k, v in values.items()}


def as_json(rows: Iterable[Any]) -> str:
    """Rows as JSON text; Python prints floats so that they read back to the same bits."""
    return json.dumps([clean(row) for row in rows], default=_plain, allow_nan=False)


def _plain(value: Any) -> Any:
    """NumPy scalars as Python's own."""
    value = value.item()
    return number(value) if isinstance(value, float) else value


def table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as an Arrow table with exactly the schema's columns; absent ones are NULL."""
    rows = list(rows)
    arrays = [pa.array([_cell(row.get(f.name), f.type) for row in rows], type=f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _cell(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_floating(kind):
        return number(value)
    if pa.types.is_integer(kind) and value is not None:
        return int(value)
    if pa.types.is_boolean(kind) and value is not None:
        return bool(value)
    return value
