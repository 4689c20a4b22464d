"""Figures of outcomes, residuals, covariates and paths over time: their data and what their titles say."""

from __future__ import annotations

import numpy as np
import pytest
from unit.figures_rows import diagnostic, drawn, estimate, gate, labelled, made, point, reason, upright

from figures.outcomes import local_regression
from figures.paths import trend

NAMES = ("distribution_compare", "quantile_effects", "scatter_regression", "residual_diagnostics", "vif_diagnostics",
         "parallel_trends", "timeseries_panel")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_without_rows_says_why(name: str) -> None:
    assert reason(name, made())


def arms(p: float):
    curves = [point("outcome_ks", "p_value", 4.0, p)]
    for arm, shift in (("treated", 2.0), ("control", 0.0)):
        curves += [point("outcome_cdf", arm, 10 * q + shift, q) for q in np.linspace(0, 1, 101)]
        curves += [point("outcome_histogram", arm, b + 0.5, 0.1) for b in range(10)]
        curves.append(point("outcome_ks", arm, 4.0, 0.4 - shift / 10))
    return curves


def test_distributions_with_the_widest_gap() -> None:
    one = drawn("distribution_compare", made(curves=arms(0.01)))
    top, low = one.figure.axes
    assert list(labelled(top)["control"].get_ydata()) == pytest.approx([10] * 10)
    assert list(labelled(low)["treated"].get_xdata())[:1] == [2.0]
    (gap,) = [c for c in low.collections if c.get_gid() == "widest gap"]
    assert gap.get_segments()[0][:, 1] == pytest.approx([20, 40])
    assert one.title == (
        "The arms' distributions of weight differ: at most 20.0 percentage points apart (Kolmogorov–Smirnov p = 0.01)"
    )
    assert drawn("distribution_compare", made(curves=arms(0.3))).title.startswith("Too imprecise to tell the arms'")


def quantiles() -> list[dict]:
    return [point("quantile_effects", "effect", q / 20, q / 10, conf_low=q / 10 - 0.5, conf_high=q / 10 + 0.5)
            for q in range(1, 20)]  # fmt: skip


def test_quantile_effects_with_the_average() -> None:
    one = drawn("quantile_effects", made(curves=[*quantiles(), *arms(0.1)]))
    lines = labelled(one.figure.axes[0])
    assert list(lines["effect on the quantile"].get_xdata()) == pytest.approx([5.0 * q for q in range(1, 20)])
    assert lines["average effect +3.00"].get_ydata()[0] == 3.0
    assert one.title == (
        "The effect is +0.20 at the lowest tenth of outcomes, +1.00 at the median and +1.80 kg at the highest tenth"
    )


def test_no_quantiles_of_few_values_or_refused_weights() -> None:
    few = [point("outcome_cdf", "treated", float(q > 0.5), q) for q in np.linspace(0, 1, 101)]
    assert "2 values: too few" in reason("quantile_effects", made(curves=[*quantiles(), *few]))
    refused = [estimate(None, None, estimator="ipw", status="refused", status_reason="overlap gate")]
    assert reason("quantile_effects", made(curves=quantiles(), estimates=refused)).endswith("refused: overlap gate")


def test_scatter_has_units_and_a_local_regression_an_arm() -> None:
    grid = np.arange(40.0)
    curves = [point("outcome_by_covariate", "treated", v, 2 * v + 5, x_label="age") for v in grid]
    curves += [point("outcome_by_covariate", "control", v, 2 * v, x_label="age") for v in grid]
    one = drawn("scatter_regression", made(curves=curves))
    (axes,) = one.figure.axes
    line = labelled(axes)["control"]
    assert np.allclose(line.get_ydata(), 2 * line.get_xdata())
    assert {c.get_gid() for c in axes.collections} == {"units treated", "units control"}
    assert axes.get_xlabel() == "age"
    assert one.title.startswith("weight rises with age (correlation 0.99")


def test_local_regression_follows_a_line_and_a_mass_of_ties() -> None:
    x = np.linspace(0, 1, 50)
    assert np.allclose(local_regression(x, 3 * x + 1, np.array([0.0, 0.3, 1.0])), [1, 1.9, 4])
    heap = np.r_[np.zeros(40), np.ones(10)]
    assert local_regression(heap, heap + 2, np.array([0.0]))[0] == pytest.approx(2.0)


def test_residuals_tell_tails_and_spread() -> None:
    z = np.round(np.arange(-2.8, 2.9, 0.2), 1)
    curves = [point("residual_quantiles", "residuals", v, v if v < 2.5 else 2 * v) for v in z]
    for series in ("mean", "units"):
        curves += [point("residual_fitted", series, v, 0.0) for v in range(12)]
        curves += [point("residual_spread", series, v, 0.5 + 0.1 * v) for v in range(12)]
    one = drawn("residual_diagnostics", made(curves=curves))
    first, _, third = one.figure.axes
    assert list(first.lines[1].get_ydata())[:2] == pytest.approx([-2.8, -2.6])
    assert list(third.lines[0].get_ydata()) == pytest.approx([0.5 + 0.1 * v for v in range(12)])
    assert one.title == (
        "Residuals: the upper tail is longer than a normal law's; the spread grows with the prediction"
    )


def test_inflation_with_limit_and_correlations() -> None:
    gates = [gate("collinearity", "quit", 1.2, 10.0), gate("covariate_collinearity", "age", 12.0, 10.0),
             gate("covariate_collinearity", "sex", 1.5, 10.0)]  # fmt: skip
    names = ("age", "sex")
    curves = [point("covariate_correlation", a, j + 1, 1.0 if a == b else -0.3, x_label=b)
              for a in names for j, b in enumerate(names)]  # fmt: skip
    one = drawn("vif_diagnostics", made(gates=gates, curves=curves))
    axes, heat = one.figure.axes[:2]
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == ["quit (treatment)", "sex", "age"]
    assert upright(axes) == [10.0]
    assert heat.images[0].get_array().tolist() == [[1.0, -0.3], [-0.3, 1.0]]
    assert one.title == (
        "Covariates hardly foretell the treatment quit (variance inflation 1.2); of 2 covariate columns 1 exceeds 10"
    )


def paths() -> list[dict]:
    curves = []
    for name, level in (("never treated", 1.0), ("treated from 2004", 2.0)):
        curves += [point("cohort_path", name, year, level + (year >= 2004) * (level - 1), conf_low=0.0, conf_high=3.0)
                   for year in range(2001, 2007)]  # fmt: skip
    return curves


def test_paths_by_cohort_with_the_start_of_treatment() -> None:
    notes = [diagnostic("pre_trends_p", 0.3)]
    one = drawn("parallel_trends", made(curves=paths(), diagnostics=notes, roles={"time": "year"}))
    (axes,) = one.figure.axes
    assert list(labelled(axes)["treated from 2004"].get_ydata()) == [2, 2, 2, 3, 3, 3]
    assert upright(axes) == [2003.5]
    assert axes.get_xlabel().startswith("year")
    assert one.title == "Parallel trends before treatment are not rejected (joint test p = 0.30)"
    rejected = drawn("parallel_trends", made(curves=paths(), diagnostics=[diagnostic("pre_trends_p", 0.01)]))
    assert "are rejected" in rejected.title
    assert "no test of it" in drawn("parallel_trends", made(curves=paths())).title


def test_series_with_trend_and_season() -> None:
    t = np.arange(1, 49)
    curves = [point("outcome_series", "all units", v, v + 5 * ((v - 1) % 4 == 0) + 50 * (v > 40)) for v in t]
    roles = {"time": "quarter", "intervention_time": 41, "options": {"its": {"harmonics": 1, "season": 4}}}
    one = drawn("timeseries_panel", made(curves=curves, roles=roles))
    axes, season = one.figure.axes
    assert np.nanmax(labelled(axes)["trend"].get_ydata()[:30]) < 40
    heights = [bar.get_height() for bar in season.containers[0]]
    assert heights[0] - heights[1] == pytest.approx(5, abs=1.5)
    assert 40.5 in upright(axes)
    # Four quarters centred: from period 3 to 38, one unit each, and nothing of what came after treatment.
    assert one.title == "The trend of weight rises by 35.0 kg from 3 to 38, before treatment"
    plain = drawn("timeseries_panel", made(curves=curves[:10]))
    assert len(plain.figure.axes) == 1


def test_seasonal_trend_is_a_centred_mean_of_a_year() -> None:
    x = np.arange(12.0)
    out = trend(x, x + np.tile([3.0, -1, -1, -1], 3), 4)
    assert np.isnan(out[[0, 1, -1, -2]]).all()
    assert np.allclose(out[2:-2], x[2:-2])


def test_paths_and_series_of_dates() -> None:
    """x is a year with decimals; cohorts and the intervention are told as dates."""
    curves = [
        point("cohort_path", name, 2001 + month / 12, 1.0 + (month >= 6), conf_low=0.0, conf_high=3.0)
        for name in ("never treated", "treated from 2001-07-02") for month in range(12)
    ]  # fmt: skip
    (axes,) = drawn("parallel_trends", made(curves=curves, roles={"time": "day"})).figure.axes
    assert upright(axes) == [pytest.approx(2001 + 182 / 365 - 1 / 24, abs=1e-9)]
    series = [point("outcome_series", "all units", 2001 + month / 12, float(month)) for month in range(24)]
    roles = {"time": "day", "intervention_time": "2002-01-01"}
    (axes,) = drawn("timeseries_panel", made(curves=series, roles=roles)).figure.axes
    assert any(at == pytest.approx(2002 - 1 / 24) for at in upright(axes))


def test_limits_are_those_of_the_gates() -> None:
    notes = [diagnostic("pre_trends_p", 0.08)]
    plain = drawn("parallel_trends", made(curves=paths(), diagnostics=notes))
    strict = drawn(
        "parallel_trends", made(curves=paths(), diagnostics=notes, gates=[gate("pre_trends", "overall", 0.08, 0.1)])
    )
    assert "are not rejected" in plain.title
    assert "are rejected" in strict.title
