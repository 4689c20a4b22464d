"""The data in the artists are the rows' values, and thresholds stand where the rows put them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from unit import figures_designs_fixture, figures_fixture, figures_rows

from figures import registry
from figures.data import StudyRows, connect, load
from figures.style import Drawing, NotDrawn, look, png, svg

Marts = dict[str, StudyRows]


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Marts:
    path = figures_fixture.build(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")
    with connect(path) as connection:
        return {block[0]: load(connection, block[0]) for block in figures_fixture.STUDIES}


def drawn(name: str, rows: StudyRows) -> Drawing:
    one = registry.draw(name, rows)
    assert isinstance(one, Drawing), one
    return one


def upright_lines(axes: Any) -> list[float]:
    """Where lines stand that run from the bottom to the top of the axes."""
    return [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]


def line_named(axes: Any, label: str) -> Any:
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line


def segments(axes: Any) -> list[list[float]]:
    """Ends of the level intervals: y, low, high."""
    found = [c for c in axes.collections if isinstance(c, LineCollection)]
    return [[s[0][1], s[0][0], s[1][0]] for c in found for s in c.get_segments()]


def test_every_figure_is_drawn_or_says_why(marts: Marts) -> None:
    drawn_for = {entry.name: 0 for entry in registry.CATALOGUE}
    for rows in [*marts.values(), *figures_designs_fixture.studies(marts["nsw"])]:
        for entry in registry.CATALOGUE:
            one = registry.draw(entry.name, rows)
            if isinstance(one, NotDrawn):
                assert one.reason
                assert "\n" not in one.reason
            else:
                drawn_for[entry.name] += 1
                assert one.title
                assert "proved" not in (one.title + one.caption).lower()
    assert not {name for name, count in drawn_for.items() if count == 0} - figures_rows.HAND_MADE


def test_love_plot_shows_the_rows(marts: Marts) -> None:
    rows = marts["nsw"]
    one = drawn("covariate_balance", rows)
    (axes,) = one.figure.axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    points = {c.get_label(): c.get_offsets() for c in axes.collections if isinstance(c, PathCollection)}
    raw = {g["subject"]: abs(g["value"]) for g in rows.gates if g["gate"] == "raw_balance"}
    assert {names[int(y)]: x for x, y in points["before weighting"]} == pytest.approx(raw)
    att = {
        g["subject"]: abs(g["value"])
        for g in rows.gates
        if g["gate"] == "balance" and (g["estimator"], g["estimand"]) == ("psm", "ATT")
    }
    assert {names[round(y)]: x for x, y in points["Matching (ATT)"]} == pytest.approx(att)
    assert upright_lines(axes) == [0.1]
    assert "limit 0.1" in [text.get_text() for text in axes.texts]
    assert one.title.startswith("4 of 8 covariates")
    assert one.title.endswith("none does")


def test_love_plot_title_counts_those_beyond_the_limit(marts: Marts) -> None:
    one = drawn("covariate_balance", marts["nsw_cps"])
    beyond = sum(
        abs(g["value"]) >= 0.1
        for g in marts["nsw_cps"].gates
        if g["gate"] == "balance" and (g["estimator"], g["estimand"]) == ("ipw", "ATE")
    )
    assert one.title.endswith(f"inverse probability weighting (ATE), {beyond} do")


def test_overlap_is_mirrored_and_counts_the_support(marts: Marts) -> None:
    rows = marts["nhefs"]
    one = drawn("propensity_overlap", rows)
    (axes,) = one.figure.axes
    series = rows.curve("propensity_histogram", ("scores", "default", "ATE"))
    total = {name: sum(p["y"] for p in points) for name, points in series.items()}
    heights = [patch.get_height() for container in axes.containers for patch in container]
    expected = [100 * p["y"] / total["treated"] for p in series["treated"]]
    expected += [-100 * p["y"] / total["control"] for p in series["control"]]
    assert heights == pytest.approx(expected)
    assert upright_lines(axes) == [0.1, 0.9]
    inside = sum(p["y"] for points in series.values() for p in points if 0.1 <= p["x"] <= 0.9)
    assert one.title.startswith(f"{100 * inside / sum(total.values()):.0f} % of {sum(total.values()):,.0f} units")


def test_overlap_advises_trimming_where_support_is_thin(marts: Marts) -> None:
    assert "Trimming to the region keeps" in drawn("propensity_overlap", marts["nsw_cps"]).caption
    assert "Nothing to trim" in drawn("propensity_overlap", marts["nsw"]).caption


def test_forest_shows_every_estimate_and_refusal(marts: Marts) -> None:
    rows = marts["nsw_cps"]
    one = drawn("estimator_forest", rows)
    (axes,) = one.figure.axes
    overall = [r for r in rows.estimates if r["term"] == "overall"]
    shown = {line.get_gid(): line.get_xdata()[0] for line in axes.lines if line.get_gid()}
    expected = {
        f"{r['estimator']}.{r['specification']}.{r['estimand']}": r["estimate"]
        for r in overall
        if r["estimate"] is not None
    }
    assert shown == pytest.approx(expected)
    ends = sorted([low, high] for _, low, high in segments(axes))
    assert np.allclose(ends, sorted([r["conf_low"], r["conf_high"]] for r in overall if r["conf_low"] is not None))
    refusals = [text.get_text() for text in axes.texts if text.get_text().startswith("refused: ")]
    assert len(refusals) == sum(r["status"] == "refused" for r in overall) == 3
    assert one.title == "The declared primary, Regression adjustment (ATE), was refused"


@pytest.mark.parametrize(("study", "edge", "side"), [("nsw", 500.0, 1), ("prop99", -5.0, -1)])
def test_forest_shades_the_decision_zone(marts: Marts, study: str, edge: float, side: int) -> None:
    (axes,) = drawn("estimator_forest", marts[study]).figure.axes
    zone = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    inner, outer = (zone.x0, zone.x1) if side > 0 else (zone.x1, zone.x0)
    assert inner == pytest.approx(edge)
    assert outer == pytest.approx(axes.get_xlim()[1 if side > 0 else 0])
    assert edge in upright_lines(axes)


def test_forest_tells_the_naive_and_the_primary_apart(marts: Marts) -> None:
    (axes,) = drawn("estimator_forest", marts["nsw"]).figure.axes
    by_id = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    assert by_id["difference_in_means.default.ATE"].get_markerfacecolor() == "white"
    assert by_id["regression_adjustment.default.ATE"].get_marker() == "D"
    assert by_id["ipw.default.ATE"].get_marker() == "o"


def test_event_study_has_both_intervals_and_the_two_reference_lines(marts: Marts) -> None:
    rows = marts["mpdta"]
    one = drawn("event_study", rows)
    (axes,) = one.figure.axes
    curve = rows.curve("event_study", ("did", "default", "ATT"))
    for name in ("pointwise", "simultaneous"):
        (bars,) = [c for c in axes.collections if c.get_label() == f"95 % {name} interval"]
        got = [[s[0][0], s[0][1], s[1][1]] for s in bars.get_segments()]
        assert np.allclose(got, [[p["x"], p["conf_low"], p["conf_high"]] for p in curve[name]])
    after = line_named(axes, "after")
    assert list(after.get_ydata()) == [p["y"] for p in curve["pointwise"] if p["x"] >= 0]
    assert upright_lines(axes) == [-0.5]
    assert [0, 0] in [list(line.get_ydata()) for line in axes.lines]
    assert "−0.040 log points (−0.064 to −0.016)" in one.title
    assert "does not reject" in one.caption


@pytest.mark.parametrize("absent", ["pointwise", "simultaneous"])
def test_event_study_stands_with_one_kind_of_interval(marts: Marts, absent: str) -> None:
    rows = marts["mpdta"]
    left = tuple(p for p in rows.curves if (p["curve"], p["series"]) != ("event_study", absent))
    one = drawn("event_study", dataclasses.replace(rows, curves=left))
    assert f"95 % {absent} interval" not in [text.get_text() for text in one.figure.legends[0].get_texts()]
    svg(one, "x")


def test_rd_plot_has_bins_fit_and_cutoff(marts: Marts) -> None:
    rows = marts["senate"]
    one = drawn("rd_plot", rows)
    (axes,) = one.figure.axes
    run = ("rd", "default", "LATE")
    for side in ("left", "right"):
        for curve, label in (("rd_bins", "bin mean"), ("rd_fit", "fit")):
            line = line_named(axes, f"{label}, {side}")
            assert list(line.get_xdata()) == [p["x"] for p in rows.curve(curve, run)[side]]
            assert list(line.get_ydata()) == [p["y"] for p in rows.curve(curve, run)[side]]
    assert upright_lines(axes) == [0.0]
    assert one.title == "At the cutoff the outcome jumps by +7.5 percentage points (4.1 to 10.9)"


def test_rd_cutoff_is_found_without_a_declaration(marts: Marts) -> None:
    rows = marts["senate"]
    blind = dataclasses.replace(rows, study={**rows.study, "roles": None})
    (axes,) = drawn("rd_plot", blind).figure.axes
    assert upright_lines(axes) == [0.0]


def test_synthetic_control_shows_both_paths_and_all_placebos(marts: Marts) -> None:
    rows = marts["prop99"]
    one = drawn("synthetic_path_and_gap", rows)
    top, bottom = one.figure.axes
    run = ("synthetic_control", "default", "ATT")
    path, gap = rows.curve("synthetic_path", run), rows.curve("synthetic_gap", run)
    for name in ("treated", "synthetic"):
        assert list(line_named(top, name).get_ydata()) == [p["y"] for p in path[name]]
    assert list(line_named(bottom, "treated").get_ydata()) == [p["y"] for p in gap["treated"]]
    faint = [line for line in bottom.lines if line.get_linewidth() < 1 and len(line.get_xdata()) > 2]
    assert len(faint) == sum(name.startswith("placebo") for name in gap) == 8
    assert upright_lines(top) == upright_lines(bottom) == [1989.0]
    assert "−19.5 packs a head" in one.title
    assert "p = 0.077" in one.caption


def test_a_placebo_that_fits_badly_does_not_flatten_the_plot(marts: Marts) -> None:
    rows = marts["prop99"]
    wild = tuple({**r, "y": 500.0} if r["series"] == "placebo:state 0" else r for r in rows.curves)
    one = drawn("synthetic_path_and_gap", dataclasses.replace(rows, curves=wild))
    assert one.figure.axes[1].get_ylim()[1] < 100
    assert "1 placebo with a poor fit runs beyond the plot" in one.caption


def test_evalue_curve_marks_both_evalues_and_the_critical_strength(marts: Marts) -> None:
    rows = marts["nhefs"]
    one = drawn("evalue_sensitivity_curve", rows)
    (axes,) = one.figure.axes
    curve = rows.curve("residual_effect", ("ipw", "default", "ATE"))
    assert list(line_named(axes, "the estimate").get_ydata()) == [p["y"] for p in curve["point"]]
    assert list(line_named(axes, "the interval's nearer end").get_ydata()) == [p["y"] for p in curve["bound"]]
    marked = {line.get_gid(): (line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_gid()}
    assert marked == {"evalue-point": (2.2578, 1), "evalue-bound": (1.4866, 1)}
    assert upright_lines(axes) == [1.4866]
    assert "2.26" in one.title
    assert "1.49" in one.title


def test_counterfactual_comparison_has_five_panels_of_the_rows(marts: Marts) -> None:
    rows = marts["nsw"]
    one = drawn("counterfactual_comparison", rows)
    y0, effects, ates, fit, table = one.figure.axes
    run = ("counterfactual", "default", "ATE")
    for axes, curve in ((y0, "y0_distribution"), (effects, "effect_distribution")):
        for system, points in rows.curve(curve, run).items():
            assert list(line_named(axes, system).get_ydata()) == pytest.approx([100 * p["y"] for p in points])
    terms = [rows.overall(run, f"system={s}") for s in ("linear", "nonlinear", "learned")]
    assert [p.get_height() for p in ates.patches] == [t["estimate"] for t in terms]
    assert [p.get_height() for p in fit.patches] == [0.06, 0.09, 0.31]
    cells = [cell.get_text().get_text() for cell in table.tables[0].get_celld().values()]
    assert "+1,622 USD (367 to 2,876)" in cells
    assert one.title == "3 counterfactual systems put the average effect between +1,580 and +1,634 USD"


def test_missing_numbers_do_not_break_the_forest(marts: Marts) -> None:
    rows = marts["nsw"]
    bare = tuple(
        {**r, "estimate": None, "conf_low": None, "conf_high": None, "status": "failed"} for r in rows.estimates
    )
    card = {**rows.card, "minimum_effect": None, "outcome_unit": None, "effect_unit": None}
    one = drawn("estimator_forest", dataclasses.replace(rows, estimates=bare, card=card))
    assert one.title == "The declared primary, Regression adjustment (ATE), failed"
    assert svg(one, "bare")


def test_saving_is_the_same_twice_and_leaves_the_size_alone(marts: Marts) -> None:
    rows = marts["nsw"]
    first, second = drawn("estimator_forest", rows), drawn("estimator_forest", rows)
    assert svg(first, "a") == svg(second, "a")
    assert png(first, "a") == png(second, "a")
    size = tuple(first.figure.get_size_inches())
    titled, untitled = svg(first, "a"), svg(first, "a", titled=False)
    assert "Regression adjustment (ATE)" in titled
    assert "Regression adjustment (ATE)" not in untitled
    assert tuple(first.figure.get_size_inches()) == size
    assert "<dc:date>" not in titled


def test_no_text_leaves_the_figure(marts: Marts) -> None:
    """Every label that is laid out lies within the figure, also beside long refusals."""
    for study in ("nsw_cps", "nsw", "card"):
        with look():
            figure = drawn("estimator_forest", marts[study]).figure
            figure.canvas.draw()
            (axes,) = figure.axes
            width = figure.bbox.width
            for text in [*axes.texts, *axes.get_yticklabels()]:
                box = text.get_window_extent()
                assert box.x0 >= -1, text.get_text()
                assert box.x1 <= width + 1, text.get_text()
