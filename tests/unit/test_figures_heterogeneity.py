"""Figures of effects that differ: their data, their thresholds and what their titles dare to say."""

from __future__ import annotations

import pytest
from unit.figures_rows import across, diagnostic, drawn, estimate, labelled, made, point, reason, upright

from figures.style import png, svg

CATE = {"estimator": "cate"}
NAMES = ("cate_distribution", "cate_by_subgroup", "uplift_curve", "qini_curve", "subgroup_forest",
         "gates_sorted_groups", "feature_importance")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_without_rows_says_why(name: str) -> None:
    assert reason(name, made())


def distribution(p: float):
    shares = [0.1, 0.2, 0.4, 0.2, 0.1]
    curve = [point("cate_distribution", "dr", x, y, **CATE) for x, y in zip((-1, 0.5, 2, 3.5, 5), shares, strict=True)]
    notes = [diagnostic("heterogeneity_p", p, "one_sided", **CATE)]
    return made(curves=curve, diagnostics=notes, estimates=[estimate(2.0, 0.5, **CATE)])


def test_predicted_effects_with_average_and_least_effect() -> None:
    one = drawn("cate_distribution", distribution(0.001))
    (axes,) = one.figure.axes
    assert [p.get_height() for p in axes.containers[0]] == pytest.approx([10, 20, 40, 20, 10])
    assert {"average +2.00", "least that matters 2"} <= set(labelled(axes))
    assert sorted(upright(axes)) == [0, 2, 2]
    assert one.title.startswith("Effects differ between units: for 90 % of them")
    # Half of the first bin, which is a tenth of the units, lies below: −1 is its middle and 1.5 its width.
    assert "−1.0 to 5.0 kg" in one.title
    assert "Below zero: 10 % of the units" in one.caption


def test_noise_is_not_called_a_difference() -> None:
    title = drawn("cate_distribution", distribution(0.4)).title
    assert title.startswith("Too imprecise to tell whether effects differ")


def targeting(low: float):
    curves = []
    for share, gain in ((0.0, 0.0), (0.2, 0.8), (0.5, 1.4), (1.0, 2.0)):
        ends = {"conf_low": gain - 0.3, "conf_high": gain + 0.3} if share else {}
        curves += [
            point("uplift", "ranked", share, gain, **ends, **CATE),
            point("uplift", "random", share, 2 * share, **CATE),
            point("qini", "ranked", share, gain - 2 * share, **CATE),
            point("qini", "random", share, 0.0, **CATE),
        ]
    rate = estimate(0.3, 0.3 - low, term="rate", **CATE)
    return made(curves=curves, estimates=[estimate(2.0, 0.5, **CATE), rate])


def test_uplift_tells_gain_and_chance_at_a_fifth() -> None:
    one = drawn("uplift_curve", targeting(0.1))
    lines = labelled(one.figure.axes[0])
    assert list(lines["largest predicted first"].get_xdata()) == [0, 20, 50, 100]
    assert list(lines["at random"].get_ydata()) == [0, 0.4, 1, 2]
    assert "the 20 % of units" in one.title
    assert "+0.80 kg a head, against +0.40 at random" in one.title


def test_qini_title_follows_the_interval_of_the_rate() -> None:
    clear = drawn("qini_curve", targeting(0.1)).title
    assert clear.startswith("Targeting by predicted effect beats chance, at most by")
    imprecise = drawn("qini_curve", targeting(-0.2)).title
    assert imprecise.startswith("Too imprecise to tell whether targeting by predicted effect beats chance")


def sorted_groups(gap: float, half: float):
    curves = [point("gates", "observed", g, float(g), conf_low=g - 1, conf_high=g + 1, **CATE) for g in range(1, 6)]
    curves += [point("gates", "predicted", g, g + 0.2, **CATE) for g in range(1, 6)]
    rows = [estimate(3.0, 0.4, **CATE), estimate(gap, half, term="gates=5-1", **CATE)]
    return made(curves=curves, estimates=rows)


def test_sorted_groups_show_observed_beside_predicted() -> None:
    one = drawn("gates_sorted_groups", sorted_groups(4.0, 1.0))
    (axes,) = one.figure.axes
    lines = labelled(axes)
    assert list(lines["observed, with 95 % interval"].get_ydata()) == [1, 2, 3, 4, 5]
    assert list(lines["predicted"].get_ydata()) == pytest.approx([1.2, 2.2, 3.2, 4.2, 5.2])
    assert 3.0 in across(axes)
    assert one.title == "The most affected fifth gains +4.00 kg (3.00 to 5.00) more than the least affected"
    assert drawn("gates_sorted_groups", sorted_groups(0.5, 1.0)).title.startswith("Too imprecise to tell")


def test_importances_in_order_with_the_rest_together() -> None:
    values = [0.5, 0.2] + [0.025] * 12
    curves = [
        point("feature_importance", "forest", i + 1, v, x_label=f"x{i}", estimator="causal_forest")
        for i, v in enumerate(values)
    ]
    one = drawn("feature_importance", made(curves=curves))
    (axes,) = one.figure.axes
    widths = [bar.get_width() for bar in axes.containers[0]]
    assert widths[:2] == pytest.approx([50, 20])
    assert widths[-1] == pytest.approx(5)
    assert axes.get_yticklabels()[-1].get_text() == "2 others together"
    assert upright(axes) == [pytest.approx(100 / 14)]
    assert one.title.startswith("x0 makes 50 %")
    alone = made(curves=curves[:1])
    assert "one column" in reason("feature_importance", alone)


def groups(p: float):
    rows = [estimate(2.0, 0.3, **CATE), estimate(9.0, 1.0, term="gates=1", **CATE)]
    for label, value in (("-3.5 to -1.25", 1.0), ("-1.25 to 0.5", 2.0), ("0.5 to 4", 3.0)):
        rows.append(estimate(value, 0.4, term=f"age={label}", **CATE))
    rows += [estimate(v, 0.3, term=f"girl={k}", **CATE) for k, v in ((0, 1.9), (1, 2.1))]
    subject = "age=0.5 to 4 - age=-3.5 to -1.25"
    notes = [diagnostic(f"group_contrast{name}", v, subject, **CATE) for name, v in (("_p_holm", p), ("", 2.0))]
    return made(estimates=rows, diagnostics=notes)


def test_panels_hold_the_groups_of_each_modifier_in_order() -> None:
    one = drawn("cate_by_subgroup", groups(0.01))
    age, girl = one.figure.axes
    assert (age.get_xlabel(), girl.get_xlabel()) == ("age", "girl")
    dots = [line for line in age.lines if line.get_marker() == "o"]
    assert list(dots[0].get_ydata()) == [1, 2, 3]
    assert 2.0 in across(age)
    assert one.title.startswith("By age the effect runs from +1.00 (age −3.50 to −1.25) to +3.00 kg")
    assert drawn("cate_by_subgroup", groups(0.3)).title.endswith("too imprecisely to tell them apart")


def test_forest_has_a_line_a_group_and_the_adjusted_p() -> None:
    one = drawn("subgroup_forest", groups(0.01))
    (axes,) = one.figure.axes
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == ["all units", "age", "−3.50 to −1.25", "−1.25 to 0.500", "0.500 to 4", "girl", "0", "1"]
    values = sorted(x for line in axes.lines if line.get_marker() == "o" for x in line.get_xdata())
    assert values == [1.0, 1.9, 2.0, 2.0, 2.1, 3.0]
    assert upright(axes)[-1] == 2.0
    assert any("+3.00 (2.60 to 3.40)  n 100" in text.get_text() for text in axes.texts)
    assert one.title == "The effect differs by +2.00 kg for age 0.500 to 4 against −3.50 to −1.25 (adjusted p = 0.01)"
    assert drawn("subgroup_forest", groups(0.3)).title.startswith("Too imprecise to tell any groups apart")


def test_pictures_are_the_same_twice() -> None:
    for name, rows in (("subgroup_forest", groups(0.01)), ("uplift_curve", targeting(0.1))):
        assert svg(drawn(name, rows), "a") == svg(drawn(name, rows), "a")
        assert png(drawn(name, rows), "a") == png(drawn(name, rows), "a")
