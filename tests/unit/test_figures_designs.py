"""Figures by design, of networks and in three dimensions: their artists hold the rows' values."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyArrowPatch
from unit import figures_designs_fixture, figures_fixture
from unit.figures_designs_fixture import EDGES, NODES

from figures import designs_planning, overview_radar, registry, surfaces
from figures.data import StudyRows, connect, load
from figures.designs_common import finding
from figures.style import Drawing, NotDrawn, png, svg


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> StudyRows:
    path = figures_fixture.build(tmp_path_factory.mktemp("designs") / "warehouse.duckdb")
    with connect(path) as connection:
        return load(connection, "nsw")


@pytest.fixture(scope="module")
def rows(base: StudyRows) -> StudyRows:
    return figures_designs_fixture.study(base)


def drawn(name: str, rows: StudyRows) -> Drawing:
    one = registry.draw(name, rows)
    assert isinstance(one, Drawing), one
    return one


def reason(name: str, rows: StudyRows) -> str:
    one = registry.draw(name, rows)
    assert isinstance(one, NotDrawn)
    return one.reason


def named(axes: Any, label: str) -> Any:
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line


def by_gid(axes: Any, gid: str) -> Any:
    (one,) = [a for a in axes.get_children() if a.get_gid() == gid]
    return one


def bar_widths(axes: Any) -> list[float]:
    return [patch.get_width() for patch in axes.patches]


BARE = ("density_test", "first_stage", "bacon_decomposition", "transport_shift", "placebo_in_space", "its_path",
        "dose_response_curve", "donor_weights", "mediation_paths", "sequential_monitor", "spillover_effects",
        "network_interference_graph", "policy_evaluation_matrix", "causal_surface_3d", "policy_manifold_3d",
        "network_spillover_3d", "cate_landscape_3d")  # fmt: skip


@pytest.mark.parametrize("name", BARE)
def test_without_rows_there_is_a_reason_in_one_line(base: StudyRows, name: str) -> None:
    bare = dataclasses.replace(base, curves=(), diagnostics=(), estimates=())
    told = reason(name, bare)
    assert 10 < len(told) < 110
    assert "\n" not in told


@pytest.mark.parametrize(
    "name", [*BARE, "power_curve", "decision_flip_points", "cas_radar_chart", "domain_network_graph"]
)
def test_each_is_drawn_saved_and_the_same_twice(rows: StudyRows, name: str) -> None:
    first, second = drawn(name, rows), drawn(name, rows)
    assert svg(first, name) == svg(second, name)
    assert png(first, name)[:4] == b"\x89PNG"
    assert "proved" not in (first.title + first.caption).lower()


def test_density_counts_each_side(rows: StudyRows) -> None:
    one = drawn("density_test", rows)
    (axes,) = one.figure.axes
    heights = [p.get_height() for container in axes.containers for p in container]
    assert heights == [17, 18, 19, 20, 19, 18, 17, 16]
    assert one.title == "At the cutoff no jump of the density is seen (p = 0.38, limit 0.05)"


def test_a_jumping_density_is_said(rows: StudyRows) -> None:
    gates = tuple({**g, "value": 0.01, "is_passing": False} for g in rows.gates)
    assert "the density jumps (p = 0.01" in drawn("density_test", dataclasses.replace(rows, gates=gates)).title


def test_first_stage_bars_and_the_limit(rows: StudyRows) -> None:
    one = drawn("first_stage", rows)
    (axes,) = one.figure.axes
    assert bar_widths(axes) == [25.0, 8.0]
    assert [line.get_xdata()[0] for line in axes.lines] == [10]
    assert one.title == "The first stage is strong enough: F 25.0 against 10 (z)"
    assert "0.50 to 3.50 points" in one.caption


def test_bacon_points_stand_at_weight_and_estimate(rows: StudyRows) -> None:
    one = drawn("bacon_decomposition", rows)
    (axes,) = one.figure.axes
    found = {c.get_label(): c.get_offsets().tolist() for c in axes.collections}
    assert found["later v already treated"] == [[20.0, 0.2]]
    assert named(axes, "two-way estimate +0.900").get_ydata()[0] == 0.9
    assert one.title.startswith("20 % of the two-way estimate")


def test_transport_shift_before_and_after(rows: StudyRows) -> None:
    one = drawn("transport_shift", rows)
    (axes,) = one.figure.axes
    found = {c.get_label(): [x for x, _ in c.get_offsets()] for c in axes.collections if len(c.get_offsets()) == 2}
    assert found == {"as they are": [0.6, 0.02], "after weighting": [0.03, 0.01]}
    assert one.title.startswith("1 of 2 covariates differ")
    assert one.title.endswith("after weighting none does")
    assert "20 % of the target" in one.caption


def test_placebos_are_ranked_by_their_rise(rows: StudyRows) -> None:
    one = drawn("placebo_in_space", rows)
    (axes,) = one.figure.axes
    assert bar_widths(axes) == pytest.approx([4.0, 3.0, 1.0])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["Utah", "treated", "Ohio"]
    assert one.title == "The treated unit's misfit grows 3.0-fold after treatment, rank 2 of 3"
    assert "0.67" in one.caption


def test_its_path_breaks_at_the_intervention(rows: StudyRows) -> None:
    one = drawn("its_path", rows)
    (axes,) = one.figure.axes
    assert list(named(axes, "fitted").get_xdata()) == [0, 1, 2, 3]
    assert list(named(axes, "without intervention").get_ydata()) == [4, 5]
    assert one.title == "From 4 on the mean difference from the earlier trend is +1.500 points (1.300 to 1.700)"
    assert "at once the level changes by +1.000 points" in one.caption.lower()


def test_dose_response_has_level_and_slope(rows: StudyRows) -> None:
    one = drawn("dose_response_curve", rows)
    top, bottom = one.figure.axes
    assert list(named(top, "estimate").get_ydata()) == [3, 4, 5, 6, 7]
    assert list(named(bottom, "estimate").get_ydata()) == [1] * 5
    assert one.title == "From dose 0 to 4 the mean outcome rises from 3.00 to 7.00 points"
    assert "40 % of the doses" in one.caption


def test_donor_weights_are_bars_in_order(rows: StudyRows) -> None:
    one = drawn("donor_weights", rows)
    assert bar_widths(one.figure.axes[0]) == pytest.approx([60, 35, 5])
    assert one.title == "2 donors make up 90 % of the synthetic unit; the largest is Utah with 60 %"


def test_mediation_arrows_dash_where_zero_is_held(rows: StudyRows) -> None:
    one = drawn("mediation_paths", rows)
    (axes,) = one.figure.axes
    arrows = {p.get_gid(): p.get_linestyle() for p in axes.patches if isinstance(p, FancyArrowPatch)}
    assert arrows["path-a"] == "-"
    assert arrows["path-c_prime"] != "-"
    assert one.title == "80 % of the effect runs through m (70 % to 90 %)"
    assert "too imprecise to tell" in one.caption or "no effect that matters" in one.caption


def test_sequential_monitor_marks_the_first_clear_look(rows: StudyRows) -> None:
    one = drawn("sequential_monitor", rows)
    (axes,) = one.figure.axes
    assert by_gid(axes, "stop").get_xdata()[0] == 300
    assert one.title.startswith("From 300 units on")


def test_power_is_four_fifths_at_the_detectable_effect(rows: StudyRows) -> None:
    one = drawn("power_curve", rows)
    assert designs_planning.power(2.8016 * 0.5, 0.5) == pytest.approx(0.8, abs=1e-4)
    assert one.title == "With 80 % chance the study sees an effect of 1.40 points or more"
    assert "785 units" in one.caption or "784 units" in one.caption or "786 units" in one.caption
    assert "400 units (as now)" in [line.get_label() for line in one.figure.axes[0].lines]


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ({}, "would change if an effect above 1.02 points were asked for"),
        ({"minimum_effect": 2.0, "decision": "extend"}, "would become ship if an effect of 1.02 points sufficed"),
        ({"minimum_effect": 4.0, "decision": "do_not_ship"}, "would change if an effect of 2.98 points sufficed"),
        ({"desired_direction": "less", "estimate": -2.0, "conf_low": -2.98, "conf_high": -1.02},
         "would change if an effect below −1.02 points were asked for"),
    ],
)  # fmt: skip
def test_flip_points_are_the_ends_of_the_interval(base: StudyRows, card: dict[str, Any], told: str) -> None:
    one = drawn("decision_flip_points", figures_designs_fixture.study(base, **card))
    assert told in one.title
    effects, cost = one.figure.axes
    edges = sorted(line.get_xdata()[0] for line in effects.lines if line.get_gid() is None)
    least = card.get("conf_low", 1.02), card.get("conf_high", 2.98)
    assert edges == pytest.approx(list(least))
    assert by_gid(cost, "declared").get_xdata()[0] == 5.0


def test_spillover_shows_the_three_effects_and_leaves_small_means_out(rows: StudyRows) -> None:
    one = drawn("spillover_effects", rows)
    top, bottom = one.figure.axes
    at = {g: by_gid(top, f"effect-{g}").get_xdata()[0] for g in ("DIRECT", "INDIRECT", "TOTAL")}
    assert at == {"DIRECT": 1.8, "INDIRECT": 0.6, "TOTAL": 2.4}
    assert list(named(bottom, "treated").get_ydata()) == [6.0, 6.5]
    assert one.title == "Having treated neighbours changes the outcome by +0.60 points (0.40 to 0.80)"


def test_the_graph_has_every_node_and_edge(rows: StudyRows) -> None:
    one = drawn("network_interference_graph", rows)
    (axes,) = one.figure.axes
    (lines,) = [c for c in axes.collections if isinstance(c, LineCollection)]
    assert len(lines.get_segments()) == len(EDGES)
    places = [tuple(p) for c in axes.collections if c is not lines for p in c.get_offsets()]
    assert sorted(places) == sorted((x, y) for x, y, _ in NODES.values())
    assert one.title == "3 of the 5 units drawn have a treated neighbour"
    assert "41 %" in one.caption


def test_policy_matrix_tells_each_difference(rows: StudyRows) -> None:
    one = drawn("policy_evaluation_matrix", rows)
    (axes,) = one.figure.axes
    cells = {t.get_position(): t for t in axes.texts if "(" in t.get_text()}
    assert len(cells) == 6
    assert cells[(0, 2)].get_text().startswith("+2.00")
    assert cells[(1, 2)].get_style() == "italic"
    assert cells[(0, 2)].get_style() == "normal"
    assert one.title == "Treating all beats treating nobody by +2.00 points (1.40 to 2.60) a unit"


def test_landscape_is_the_grid_of_the_rows(rows: StudyRows) -> None:
    land = surfaces.landscape(rows)
    assert isinstance(land, surfaces.Landscape)
    assert np.allclose(land.z, 0.5 * np.arange(3)[:, None] + 0.4 * np.arange(4)[None, :])
    assert (land.x_name, land.y_name) == ("a", "b")
    assert land.low is None
    assert drawn("causal_surface_3d", rows).title == "The effect runs from 0.0 to +2.2 points over a and b"
    assert drawn("cate_landscape_3d", rows).title.startswith("In 58 % of the landscape")


def test_sheets_are_drawn_where_cells_have_intervals(rows: StudyRows) -> None:
    wide = tuple(
        {**p, "conf_low": p["y"] - 1, "conf_high": p["y"] + 1} if p["curve"] == "cate_landscape" else p
        for p in rows.curves
    )
    one = drawn("causal_surface_3d", dataclasses.replace(rows, curves=wide))
    assert len(one.figure.axes[0].collections) == 3
    assert "Translucent sheets" in one.caption


def test_a_covariate_and_its_square_are_no_surface(rows: StudyRows) -> None:
    renamed = tuple({**p, "series": p["series"].replace("b=", "a^2=")} for p in rows.curves)
    assert "one covariate" in reason("causal_surface_3d", dataclasses.replace(rows, curves=renamed))


def test_policy_manifold_finds_the_best_share(rows: StudyRows) -> None:
    one = drawn("policy_manifold_3d", rows)
    # At a cost of 5 and a worth of 10: gains 0, 9, 14, 17, 18 less 0, 1.25, 2.5, 3.75, 5.
    assert one.title == "At a cost of 5 treating 75 % brings most: 13.2 value a head"
    ridge = [line for line in one.figure.axes[0].lines if line.get_label() == "best share at each cost"]
    assert ridge[0].get_data_3d()[0][0] == 100


def test_network_in_space_adds_what_each_unit_receives(rows: StudyRows) -> None:
    one = drawn("network_spillover_3d", rows)
    assert one.title == "2 of 5 units drawn receive spillover, +0.375 points on average"


def test_radar_scores_follow_their_formulas(rows: StudyRows) -> None:
    found = overview_radar.scores(rows)
    assert found["validity"] == pytest.approx(2 / 3)
    assert found["precision"] == pytest.approx(2 / 2.98)
    assert found["robustness"] == 0.75
    assert found["interpretability"] == 1.0
    assert found["scalability"] == pytest.approx(0.5)
    one = drawn("cas_radar_chart", rows)
    radar, beside = one.figure.axes
    assert list(by_gid(radar, "scores").get_ydata()) == pytest.approx([*found.values(), found["validity"]])
    assert set(overview_radar.FORMULAS) <= {t.get_text() for t in beside.texts}


def test_roles_become_groups_and_arrows(rows: StudyRows) -> None:
    one = drawn("domain_network_graph", rows)
    arrows = {p.get_gid() for p in one.figure.axes[0].patches}
    causes = {"causes-mediator", "mediator-outcome", "causes-outcome", "instruments-causes"}
    assert arrows == causes | {"covariates-causes", "covariates-outcome"}
    assert one.title == "The study asks what d does to y, with 8 columns in play"


@pytest.mark.parametrize(
    ("low", "high", "told"), [(0.2, 1.8, "+1.00"), (-0.5, 0.9, "no effect that matters"), (-2.0, 4.0, "too imprecise")]
)
def test_no_effect_and_too_imprecise_differ(rows: StudyRows, low: float, high: float, told: str) -> None:
    row = {"estimate": (low + high) / 2, "conf_low": low, "conf_high": high}
    assert finding(rows, row).startswith(told)
