"""Figures of sensitivity and robustness: their data, their thresholds and their titles."""

from __future__ import annotations

import numpy as np
import pytest
from unit.figures_rows import (
    across,
    by_gid,
    diagnostic,
    drawn,
    estimate,
    gate,
    labelled,
    made,
    point,
    reason,
    sensitive,
    upright,
)

NAMES = ("evalue_magnitude", "confounding_contours", "rosenbaum_bounds", "placebo_tests", "falsification_checks",
         "specification_curve")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_without_rows_says_why(name: str) -> None:
    assert reason(name, made())


def test_evalues_of_every_run_of_the_estimand() -> None:
    other = {"estimator": "ipw"}
    rows = [sensitive("e_value", "point", 2.3), sensitive("e_value", "bound", 1.9)]
    rows += [sensitive("e_value", "point", 2.0, **other), sensitive("e_value", "bound", 1.0, **other)]
    rows += [sensitive("e_value", "point", 9.0, estimator="psm", estimand="ATT")]
    one = drawn("evalue_magnitude", made(sensitivity=rows))
    (axes,) = one.figure.axes
    shown = {gid: line.get_xdata()[0] for gid, line in by_gid(axes).items()}
    assert shown == {"point.ope.default.ATE": 2.3, "bound.ope.default.ATE": 1.9,
                     "point.ipw.default.ATE": 2.0, "bound.ipw.default.ATE": 1.0}  # fmt: skip
    assert upright(axes) == [1]
    assert one.title.endswith("risk ratio 2.30, its interval 1.90")


def contours(strength: float):
    lines = []
    for name, k in (("estimate=3", 0.004), ("estimate=2", 0.01), ("estimate=0", strength**2 / (1 - strength))):
        x = np.linspace(k / (1 + k), 0.99, 30)
        lines += [point("confounding_contours", name, a, k * (1 - a) / a) for a in x]
    marks = [point("confounding_benchmarks", "age", 0.02, 0.05), point("confounding_benchmarks", "sex", 0.01, 0.001)]
    return made(curves=lines + marks, sensitivity=[sensitive("robustness_value", "q=1", strength)])


def test_contours_with_benchmarks_and_the_strength_that_leaves_nothing() -> None:
    one = drawn("confounding_contours", contours(0.18))
    (axes,) = one.figure.axes
    marks = by_gid(axes)
    assert [marks["benchmark-age"].get_xdata()[0], marks["benchmark-age"].get_ydata()[0]] == pytest.approx([2, 5])
    assert marks["robustness"].get_xdata()[0] == pytest.approx(18)
    nothing = labelled(axes)["nothing left"]
    x, y = nothing.get_xdata() / 100, nothing.get_ydata() / 100
    k = 0.18**2 / 0.82
    assert np.allclose(y, k * (1 - x) / x)
    assert "2.00 left (least that matters)" in labelled(axes)
    assert "18.0 % of treatment and outcome; one like age explains 2.0 % and 5.0 %" in one.title


def bounds(gamma: float | None):
    grid = np.linspace(1, 2, 11)
    curves = [point("rosenbaum_p", "upper", g, 10 ** (-8 + 7.5 * (g - 1))) for g in grid]
    curves += [point("rosenbaum_effect", "bounds", g, 3.0, conf_low=3 - 2 * (g - 1), conf_high=3 + 2 * (g - 1))
               for g in grid]  # fmt: skip
    rows = [] if gamma is None else [sensitive("rosenbaum", "gamma", gamma)]
    return made(curves=curves, sensitivity=rows)


def test_bounds_mark_where_the_finding_ends() -> None:
    one = drawn("rosenbaum_bounds", bounds(1.74))
    top, low = one.figure.axes
    assert across(top) == [0.05]
    assert upright(top) == upright(low) == [1.74]
    curve = top.lines[0]
    assert curve.get_ydata()[0] == pytest.approx(1e-6)
    assert curve.get_ydata()[-1] == pytest.approx(10**-0.5)
    assert one.title.endswith("within a pair by 1.74")
    assert "stands for every hidden bias shown" in drawn("rosenbaum_bounds", bounds(None)).title
    assert drawn("rosenbaum_bounds", bounds(1.0)).title.startswith("Even without hidden bias")


def test_refused_bounds_give_the_estimators_reason() -> None:
    rows = [sensitive("rosenbaum", "gamma", None, reading="clusters are not pairs")]
    assert reason("rosenbaum_bounds", made(sensitivity=rows)) == "no Rosenbaum bounds: clusters are not pairs"


DID = {"estimator": "did", "estimand": "ATT"}


def event_study(shift: float):
    values = ((-3, 0.1), (-2, -0.2 + shift), (-1, 0.0), (0, 1.0))
    curves = [point("event_study", "simultaneous", t, v, conf_low=v - 0.5, conf_high=v + 0.5, **DID) for t, v in values]
    return made(curves=curves, estimates=[estimate(1.0, 0.3, **DID)])


def test_placebos_before_treatment_stand_beside_the_real_effect() -> None:
    one = drawn("placebo_tests", event_study(0.0))
    marks = by_gid(one.figure.axes[0])
    assert marks["real"].get_xdata()[0] == 1.0
    assert marks["placebo.3 periods before"].get_xdata()[0] == 0.1
    assert len(marks) == 4
    assert one.title == "None of 3 placebo effects before treatment can be told from zero"
    assert drawn("placebo_tests", event_study(1.0)).title.startswith("1 of 3 placebo effects before treatment differs")


def test_placebo_units_are_counted_against_the_real_one() -> None:
    run = {"estimator": "synthetic_control", "estimand": "ATT"}
    curves = []
    for name, gap in (("treated", -4.0), ("placebo:a", 1.0), ("placebo:b", 5.0), ("placebo:c", -1.0)):
        curves += [point("synthetic_gap", name, year, 0.0 if year < 3 else gap, **run) for year in range(1, 5)]
    rows = [estimate(-4.0, None, **run), estimate(-4.0, None, term="time=3", **run)]
    notes = [diagnostic("placebo_time_effect", 0.5, **run), diagnostic("placebo_rank", 2.0, **run),
             diagnostic("placebo_p", 0.5, **run)]  # fmt: skip
    one = drawn("placebo_tests", made(curves=curves, estimates=rows, diagnostics=notes))
    marks = by_gid(one.figure.axes[0])
    assert sorted(marks["crowd"].get_xdata()) == [-1.0, 1.0, 5.0]
    assert marks["placebo.treatment backdated"].get_xdata()[0] == 0.5
    assert one.title == "Of 3 placebos, 1 is as large as the real effect of −4.00 kg"
    assert "ranks 2 (p = 0.50)" in one.caption


def test_checks_have_their_own_levels() -> None:
    gates = [gate("pre_trends", "overall", 0.02, 0.05), gate("omnibus_balance", "overall", 0.02, 0.01),
             gate("sample_ratio", "overall", None, 0.001)]  # fmt: skip
    notes = [diagnostic("hansen_j_p", 0.3, threshold=0.05), diagnostic("pre_trends_p", 0.02, threshold=0.05)]
    one = drawn("falsification_checks", made(gates=gates, diagnostics=notes))
    (axes,) = one.figure.axes
    shown = {gid.removeprefix("check."): line.get_xdata()[0] for gid, line in by_gid(axes).items()}
    assert shown == {"parallel trends before treatment": 0.02, "arms balanced on all covariates": 0.02,
                     "instruments agree with each other": 0.3}  # fmt: skip
    assert any("(level 0.01)" in text.get_text() for text in axes.texts)
    assert one.title == "1 of 3 checks rejects the design: parallel trends before treatment"
    fine = drawn("falsification_checks", made(gates=gates[1:], diagnostics=notes[:1]))
    assert fine.title == "None of 2 checks rejects the design"


def several() -> list[dict]:
    return [
        estimate(3.0, 0.5, is_primary=True), estimate(2.5, 0.5, estimator="ipw"),
        estimate(0.2, 0.5, estimator="psm", estimand="ATT"), estimate(9.0, 0.1, estimator="difference_in_means"),
        estimate(2.8, 0.5, specification="trimmed"),
        estimate(None, None, estimator="tvce", status="refused"), estimate(7.0, 1.0, estimand="policy_value"),
    ]  # fmt: skip


def test_specifications_in_order_with_their_choices() -> None:
    one = drawn("specification_curve", made(estimates=several()))
    top, low = one.figure.axes
    order = [gid for gid, _ in sorted(by_gid(top).items(), key=lambda item: item[1].get_xdata()[0])]
    assert order == ["psm.default.ATT", "ipw.default.ATE", "ope.trimmed.ATE", "ope.default.ATE",
                     "difference_in_means.default.ATE"]  # fmt: skip
    labels = [tick.get_text() for tick in low.get_yticklabels()]
    assert labels == ["ATE", "ATT", "naive", "weighting", "matching or strata", "doubly robust or learned",
                      "as declared", "trimmed"]  # fmt: skip
    held = {gid.removeprefix("choice.") for gid in by_gid(low)}
    assert {"1.0", "3.1", "7.2", "6.3", "2.4"} <= held
    assert "7.3" not in held
    assert 2.0 in across(top)
    assert one.title == "Of 4 estimates from 0.20 to 3.00 kg, 3 clearly above zero, 1 too imprecise to tell"
    assert "1 estimate refused" in one.caption


def test_specification_curve_needs_three_beside_the_naive() -> None:
    assert "there are 2" in reason("specification_curve", made(estimates=several()[:2] + several()[3:4]))


def test_estimates_distribution_has_the_normal_curve_and_the_others() -> None:
    one = drawn("ate_distribution", made(estimates=several()))
    (axes,) = one.figure.axes
    curve = axes.lines[0]
    x, y = np.array(curve.get_xdata()), np.array(curve.get_ydata())
    assert x[y.argmax()] == pytest.approx(3.0)
    assert np.interp(3.5, x, y) == pytest.approx(np.exp(-0.5), abs=1e-3)
    assert sorted(by_gid(axes)["others"].get_xdata()) == [2.5, 2.8]
    assert one.title == "The effect on weight is +3.00 kg (2.00 to 4.00)"
    unsure = drawn("ate_distribution", made(card={"conf_low": -1.0, "conf_high": 7.0}))
    assert unsure.title.startswith("Too imprecise to tell from no effect")
    assert "no standard error" in reason("ate_distribution", made(card={"std_error": None}))
