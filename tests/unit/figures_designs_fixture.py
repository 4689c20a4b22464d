"""Hand-made rows of every design: a study that has them all, under the names of the four domains."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from figures.data import Row, StudyRows

DOMAINS = ("healthcare", "education", "finance", "ecommerce")
NODES = {"1": (0.1, 0.2, "treated, no neighbour treated"), "2": (0.5, 0.9, "untreated, some neighbour treated"),
         "3": (0.8, 0.3, "untreated, some neighbour treated"), "4": (0.3, 0.6, "untreated, no neighbour treated"),
         "5": (0.6, 0.1, "treated, some neighbour treated")}  # fmt: skip
# The one that names receives: 2 and 3 from 1, 3 and 5 not from 4.
EDGES = {"2 -> 1": 0.5, "3 -> 1": 0.25, "3 -> 4": 0.0, "5 -> 4": 0.0}


def point(estimator: str, estimand: str, curve: str, series: str, x: float | None, y: float,
          label: str | None = None, half: float | None = None) -> Row:  # fmt: skip
    """One point of a curve of the default specification; ``half`` is half its interval."""
    ends = {"conf_low": None if half is None else y - half, "conf_high": None if half is None else y + half}
    return {"study": "all", "estimator": estimator, "specification": "default", "estimand": estimand, "curve": curve,
            "series": series, "x": x, "x_label": label, "y": y, **ends}  # fmt: skip


def study(base: StudyRows, name: str = "healthcare", **card: Any) -> StudyRows:
    """A study with rows of every design, made from another's; ``card`` overrides fields of its card."""
    roles = {"outcome": "y", "treatment": "d", "covariates": ["a", "b"], "instruments": ["z"], "mediator": "m",
             "unit": "id", "time": "t", "running": "r", "cutoff": 0.0, "dose": None}  # fmt: skip
    told = {"study": name, "outcome": "y", "outcome_unit": "points", "effect_unit": "points", "estimator": "ope",
            "specification": "default", "estimand": "ATE", "estimate": 2.0, "std_error": 0.5, "conf_low": 1.02,
            "conf_high": 2.98, "minimum_effect": 1.0, "desired_direction": "more", "decision": "ship",
            "value_per_unit": 10.0, "cost_per_unit": 5.0, "n_units": 400, "n_agreeing": 3, "n_estimated": 4,
            "sensitivity_reading": "A bias of 1 would do.", "next_step": "Act."}  # fmt: skip
    return dataclasses.replace(
        base,
        study={**base.study, "study": name, "roles": json.dumps(roles)},
        card={**base.card, "flip_reading": None, **told, **card},
        estimates=tuple(_estimates(base.estimates[0])),
        diagnostics=tuple(_diagnostics()),
        curves=tuple(_curves()),
        gates=tuple(_gates(base.gates[0])),
    )


def studies(base: StudyRows) -> list[StudyRows]:
    """One study with all rows for each domain."""
    return [study(base, name) for name in DOMAINS]


def _estimates(model: Row) -> Iterator[Row]:
    rows = (
        ("ope", "ATE", "overall", 2.0, 0.98, True), ("network", "DIRECT", "overall", 1.8, 0.2, False),
        ("network", "INDIRECT", "overall", 0.6, 0.2, False), ("network", "TOTAL", "overall", 2.4, 0.3, False),
        ("mediation", "ACME", "overall", 0.4, 0.1, False), ("mediation", "ADE", "overall", 0.1, 0.3, False),
        ("mediation", "SHARE", "overall", 0.8, 0.1, False), ("its", "ATT", "overall", 1.5, 0.2, False),
        ("its", "ATT", "level_change", 1.0, 0.1, False), ("did", "ATT", "overall", 1.2, 0.3, False),
        ("twfe", "ATT", "overall", 0.9, 0.2, False), ("synthetic_control", "ATT", "overall", 3.0, 1.0, False),
        ("synthetic_control", "ATT", "time=3", 3.0, 1.0, False),
        ("transportability", "ATE", "overall", 2.5, 0.5, False),
        ("transportability", "ATE", "population=study", 2.0, 0.4, False),
    )  # fmt: skip
    for estimator, estimand, term, value, half, primary in rows:
        yield {**model, "study": "all", "estimator": estimator, "specification": "default", "estimand": estimand,
               "term": term, "estimate": value, "conf_low": value - half, "conf_high": value + half,
               "status": "estimated", "is_primary": primary, "seconds": 0.4, "n_units": 400}  # fmt: skip


def _diagnostics() -> Iterator[Row]:
    rows = (
        ("iv", "LATE", "first_stage_f", "d", 25.0), ("iv", "LATE", "effective_f", "d", 8.0),
        ("iv", "LATE", "ar_low", "d", 0.5), ("iv", "LATE", "ar_high", "d", 3.5),
        ("transportability", "ATE", "covariate_shift", "a", 0.6),
        ("transportability", "ATE", "covariate_shift", "b", 0.02),
        ("transportability", "ATE", "covariate_shift_weighted", "a", 0.03),
        ("transportability", "ATE", "covariate_shift_weighted", "b", 0.01),
        ("transportability", "ATE", "share_outside_support", "target", 0.2),
        ("synthetic_control", "ATT", "donor_weight", "Utah", 0.6),
        ("synthetic_control", "ATT", "donor_weight", "Ohio", 0.35),
        ("synthetic_control", "ATT", "donor_weight", "Iowa", 0.05), ("network", "DIRECT", "exposure", "mean", 0.41),
        ("ope", "policy_value", "share_treated", "threshold", 0.7),
        ("ope", "policy_value", "net_benefit", "threshold", 9.0),
        ("ope", "policy_value", "net_benefit", "treat_all", 8.0),
    )  # fmt: skip
    for estimator, estimand, metric, subject, value in rows:
        yield {"study": "all", "estimator": estimator, "specification": "default", "estimand": estimand,
               "metric": metric, "subject": subject, "value": value, "threshold": None, "is_passing": None}  # fmt: skip


def _gates(model: Row) -> Iterator[Row]:
    for gate, value, ok in (("density", 0.38, True), ("overlap", 0.99, True), ("balance", 0.2, False)):
        yield {**model, "study": "all", "gate": gate, "value": value, "threshold": 0.05, "is_passing": ok}


def _curves() -> Iterator[Row]:
    yield from _design_points()
    yield from _network_points()
    yield from _policy_points()
    for i, b in enumerate((0.0, 1.0, 2.0)):
        for j in range(4):
            yield point("causal_forest", "ATE", "cate_landscape", f"b={b:g}", float(j), 0.5 * i + 0.4 * j, "a")


def _design_points() -> Iterator[Row]:
    for i in range(4):
        yield point("rd", "LATE", "running_density", "left", -0.5 - i, 20.0 - i)
        yield point("rd", "LATE", "running_density", "right", 0.5 + i, 19.0 - i)
    for t in range(6):
        yield point("its", "ATT", "its_path", "observed", float(t), t + (1.5 if t >= 4 else 0.0))
        yield point("its", "ATT", "its_path", "fitted", float(t), t + (1.4 if t >= 4 else 0.0))
        if t >= 4:
            yield point("its", "ATT", "its_path", "counterfactual", float(t), float(t), half=0.2)
        gaps = {"treated": 3.0 if t >= 3 else 1.0, "placebo:Utah": 8.0 if t >= 3 else 2.0, "placebo:Ohio": 1.0}
        for series, gap in gaps.items():
            yield point("synthetic_control", "ATT", "synthetic_gap", series, float(t), gap)
    for k in range(-2, 3):
        yield point("did", "ATT", "event_study", "pointwise", float(k), 0.0 if k < 0 else 1.0 + k, half=0.3)
        yield point("did", "ATT", "event_study", "simultaneous", float(k), 0.0 if k < 0 else 1.0 + k, half=0.4)
    for d in range(5):
        yield point("dose_response", "DOSE_RESPONSE", "dose_response", "E[Y(d)]", float(d), 3.0 + d, half=0.4)
        yield point("dose_response", "DOSE_RESPONSE", "dose_response", "derivative", float(d), 1.0, half=0.5 * d)
    for kind, x, y, label in (("treated v never treated", 0.7, 1.1, "4 v never"), ("later v already treated", 0.2, 0.2,
                              "6 v 4"), ("earlier v later treated", 0.1, 0.6, "4 v 6")):  # fmt: skip
        yield point("twfe", "ATT", "bacon_decomposition", kind, x, y, label)
    paths = (("a", 0.8, "d -> m"), ("b", 0.5, "m -> y"), ("c", 1.0, "d -> y"), ("c_prime", 0.1, "d -> y, not m"))
    for x, (name, y, label) in enumerate(paths):
        yield point("mediation", "ACME", "mediation_paths", name, float(x), y, label, 0.3)
    for n, half in ((100, 3.0), (200, 2.1), (300, 1.5), (400, 1.2)):
        yield point("sequential", "ATE", "sequential", "estimate", float(n), 2.0, half=half)


def _network_points() -> Iterator[Row]:
    for i, (name, (x, y, series)) in enumerate(NODES.items()):
        yield point("network", "DIRECT", "network_nodes", series, x, y, name)
        direct = 1.8 if series.startswith("treated") else 0.0
        yield point("network", "DIRECT", "network_node_effect", series, float(i), direct, name)
    for series, weight in EDGES.items():
        for end in series.split(" -> "):
            yield point("network", "DIRECT", "network_edges", series, NODES[end][0], NODES[end][1], end)
        yield point("network", "DIRECT", "network_edge_spillover", series, None, weight)
    for arm, level in (("untreated", 4.0), ("treated", 6.0)):
        for k, n in ((0, 90), (1, 60), (2, 5)):
            yield point("network", "DIRECT", "outcome_by_treated_neighbours", arm, float(k), level + 0.5 * k,
                        f"n = {n}", 0.3)  # fmt: skip


def _policy_points() -> Iterator[Row]:
    worth = {"treat_none": 0.0, "threshold": 1.5, "treat_all": 2.0}
    for a in worth:
        for b in worth:
            if a != b:
                yield point("ope", "policy_value", "policy_matrix", a, None, worth[a] - worth[b], b, 0.6)
    for share, gain in ((0.0, 0.0), (0.25, 0.9), (0.5, 1.4), (0.75, 1.7), (1.0, 1.8)):
        yield point("cate", "ATE", "uplift", "ranked", share, gain, half=0.3)
        yield point("cate", "ATE", "uplift", "random", share, 1.8 * share)
