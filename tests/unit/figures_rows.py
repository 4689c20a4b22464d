"""Hand-made rows of one study for the tests of single figures."""

from __future__ import annotations

import json
from typing import Any

from figures import registry
from figures.data import StudyRows
from figures.style import Drawing, NotDrawn

Row = dict[str, Any]
RUN = {"estimator": "ope", "specification": "default", "estimand": "ATE"}
CARD = {
    "study": "made", "outcome": "weight", "outcome_unit": "kg", "effect_unit": "kg", "treatment": "quit",
    "estimator": "ope", "specification": "default", "estimand": "ATE", "minimum_effect": 2.0,
    "desired_direction": "more", "estimate": 3.0, "std_error": 0.5, "conf_low": 2.0, "conf_high": 4.0,
}  # fmt: skip

# Figures whose rows the shared warehouse of tests lacks: test_figures_{heterogeneity,robustness,outcomes} draw them.
HAND_MADE = frozenset(
    {
        "cate_distribution", "cate_by_subgroup", "uplift_curve", "qini_curve", "subgroup_forest",
        "gates_sorted_groups", "feature_importance", "evalue_magnitude", "confounding_contours",
        "rosenbaum_bounds", "placebo_tests", "falsification_checks", "specification_curve",
        "ate_distribution", "distribution_compare", "quantile_effects", "scatter_regression",
        "residual_diagnostics", "vif_diagnostics", "parallel_trends", "timeseries_panel",
    }
)  # fmt: skip


def made(*, roles: Row | None = None, card: Row | None = None, **tables: list[Row]) -> StudyRows:
    """The rows of a study; absent tables are empty."""
    names = ("estimates", "diagnostics", "curves", "gates", "sensitivity")
    given = {name: tuple(tables.get(name, ())) for name in names}
    return StudyRows({"roles": json.dumps(roles or {})}, {**CARD, **(card or {})}, **given)


def point(curve: str, series: str, x: float, y: float, **more: Any) -> Row:
    """A point of a curve."""
    base = {**RUN, "curve": curve, "series": series, "x": float(x), "y": float(y)}
    return {**base, "x_label": None, "conf_low": None, "conf_high": None, **more}


def estimate(value: float | None, half: float | None = None, **more: Any) -> Row:
    """An estimate with a symmetric interval."""
    ends = {"conf_low": None if half is None else value - half, "conf_high": None if half is None else value + half}
    base = {**RUN, "term": "overall", "estimate": value, "status": "estimated", "is_primary": False, "n_units": 100,
            "p_value": 0.01, "status_reason": None}  # fmt: skip
    return {**base, **ends, **more}


def diagnostic(metric: str, value: float, subject: str = "overall", **more: Any) -> Row:
    """A diagnostic."""
    return {**RUN, "metric": metric, "subject": subject, "value": value, "threshold": None, "is_passing": None, **more}


def gate(name: str, subject: str, value: float | None, threshold: float | None, **more: Any) -> Row:
    """A gate."""
    base = {"gate": name, "subject": subject, "estimand": None, "estimator": None, "value": value}
    return {**base, "threshold": threshold, "is_passing": None, "blocks": False, **more}


def sensitive(method: str, subject: str, value: float | None, **more: Any) -> Row:
    """A row of sensitivity."""
    return {**RUN, "method": method, "subject": subject, "value": value, "reading": None, **more}


def drawn(name: str, rows: StudyRows) -> Drawing:
    """The figure, which must be drawn."""
    one = registry.draw(name, rows)
    assert isinstance(one, Drawing), one
    return one


def reason(name: str, rows: StudyRows) -> str:
    """Why the figure is not drawn, in one line."""
    one = registry.draw(name, rows)
    assert isinstance(one, NotDrawn), one
    assert one.reason
    assert "\n" not in one.reason
    return one.reason


def by_gid(axes: Any) -> dict[str, Any]:
    """Lines of the axes by their id."""
    return {line.get_gid(): line for line in axes.lines if line.get_gid()}


def labelled(axes: Any) -> dict[str, Any]:
    """Lines of the axes by their label."""
    return {line.get_label(): line for line in axes.lines if not str(line.get_label()).startswith("_")}


def upright(axes: Any) -> list[float]:
    """Where lines stand that run from the bottom to the top."""
    return [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]


def across(axes: Any) -> list[float]:
    """Where lines lie that run from side to side."""
    return [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
