"""Animated and interactive figures: frames, growth, sizes; self-contained pages."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from unit import figures_designs_fixture, figures_fixture

from figures import __main__ as command
from figures import interactive, registry
from figures.animated import FRAMES, Film, gif, shown
from figures.data import StudyRows, connect, load
from figures.style import NotDrawn

FILMS = {
    "ate_animation": "healthcare", "spillover_dynamics": "healthcare", "education_learning_gain": "education",
    "healthcare_trajectory": "healthcare", "finance_portfolio_path": "finance", "ecommerce_lifetime_value": "ecommerce",
}  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return figures_fixture.build(tmp_path_factory.mktemp("moving") / "warehouse.duckdb")


@pytest.fixture(scope="module")
def domains(warehouse: Path) -> dict[str, StudyRows]:
    with connect(warehouse) as connection:
        base = load(connection, "nsw")
    return {rows.name: rows for rows in figures_designs_fixture.studies(base)}


def film(name: str, rows: StudyRows) -> Film:
    one = registry.draw(name, rows)
    assert isinstance(one, Film), one
    return one


@pytest.mark.parametrize("name", FILMS)
def test_each_film_has_thirty_frames_and_is_small(domains: dict[str, StudyRows], name: str) -> None:
    told = gif(film(name, domains[FILMS[name]]))
    assert len(told) < 1_500_000
    assert Image.open(io.BytesIO(told)).n_frames == FRAMES == 30


def test_a_film_is_the_same_twice_and_leaves_its_figure_alone(domains: dict[str, StudyRows]) -> None:
    one = film("healthcare_trajectory", domains["healthcare"])
    size = tuple(one.figure.get_size_inches())
    assert gif(one) == gif(one) == gif(film("healthcare_trajectory", domains["healthcare"]))
    assert tuple(one.figure.get_size_inches()) == size


def test_the_effect_grows_point_by_point_to_the_rows(domains: dict[str, StudyRows]) -> None:
    rows = domains["healthcare"]
    one = film("ate_animation", rows)
    (trace,) = [line for line in one.figure.axes[0].lines if line.get_gid()]
    curve = rows.curve("event_study", ("did", "default", "ATT"))["pointwise"]
    one.step(0)
    assert list(trace.get_ydata()) == [curve[0]["y"]]
    one.step(FRAMES - 1)
    assert list(trace.get_ydata()) == [p["y"] for p in curve]
    assert one.title == "Difference-in-differences (ATT): +1.20 points (0.90 to 1.50)"


def test_finance_adds_the_quarters_up(domains: dict[str, StudyRows]) -> None:
    one = film("finance_portfolio_path", domains["finance"])
    (summed,) = [line for line in one.figure.axes[0].lines if line.get_gid() == "trace-added up"]
    assert list(summed.get_ydata()) == [1.0, 3.0, 6.0]
    assert one.title == "Over 3 quarters the effect adds up to +6.00 points"


def test_spillover_rings_those_who_receive(domains: dict[str, StudyRows]) -> None:
    one = film("spillover_dynamics", domains["healthcare"])
    (rings,) = [line for line in one.figure.axes[0].lines if line.get_gid() == "reached"]
    one.step(0)
    assert list(rings.get_xdata()) == [0.5]
    one.step(FRAMES - 1)
    assert sorted(rings.get_xdata()) == [0.5, 0.8]
    assert one.title == "Spillover reaches 2 of the 5 units drawn"


def test_domain_films_are_of_their_domain_only(domains: dict[str, StudyRows]) -> None:
    for name in (
        "education_learning_gain",
        "healthcare_trajectory",
        "finance_portfolio_path",
        "ecommerce_lifetime_value",
    ):
        for domain, rows in domains.items():
            assert isinstance(registry.draw(name, rows), Film) is (domain == FILMS[name])


def test_shown_begins_with_one_and_ends_with_all() -> None:
    for count in (1, 5, 24, 200):
        steps = [shown(i, count) for i in range(FRAMES)]
        assert steps[0] >= 1
        assert steps[-1] == count
        assert steps == sorted(steps)


def test_interactive_event_study_holds_both_intervals(warehouse: Path) -> None:
    with connect(warehouse) as connection:
        rows = load(connection, "mpdta")
    figure = interactive.event_study(rows)
    curve = rows.curve("event_study", ("did", "default", "ATT"))
    for trace, name in zip(figure.data, ("simultaneous", "pointwise"), strict=True):
        assert list(trace.y) == [p["y"] for p in curve[name]]
        assert list(trace.error_y.array) == pytest.approx([p["conf_high"] - p["y"] for p in curve[name]])
        assert all("log points" in text for text in trace.text)


def test_interactive_forest_holds_every_estimate(warehouse: Path) -> None:
    with connect(warehouse) as connection:
        rows = load(connection, "nsw")
    figure = interactive.estimator_forest(rows)
    shown_values = sorted(x for trace in figure.data for x in trace.x)
    overall = [r["estimate"] for r in rows.estimates if r["term"] == "overall" and r["estimate"] is not None]
    assert shown_values == sorted(overall)
    assert figure.layout.shapes[1].x0 == 500.0
    assert {trace.name for trace in figure.data} == {"primary", "naive", "others"}


def test_a_page_has_plotly_once_and_asks_nothing_of_the_network(warehouse: Path) -> None:
    with connect(warehouse) as connection:
        rows = load(connection, "mpdta")
    page = interactive.study_page(rows)
    assert isinstance(page, str)
    assert page.count(interactive.script()) == 1
    assert "<script src=" not in page
    assert page.count('id="plotly-mpdta-') == 2
    assert interactive.div("event_study", rows) == interactive.div("event_study", rows)


def test_no_event_study_says_so(warehouse: Path) -> None:
    with connect(warehouse) as connection:
        rows = load(connection, "nsw")
    assert isinstance(interactive.div("event_study", rows), NotDrawn)


def test_the_command_writes_all_kinds(warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--study", "mpdta", "--warehouse", str(warehouse), "--out", str(tmp_path)]) == 0
    kinds = {path.suffix for path in (tmp_path / "mpdta").iterdir()}
    assert kinds == {".png", ".svg", ".gif", ".html"}
    told = capsys.readouterr().out
    assert "spillover_effects: not drawn, no spillover" in told
    assert "ate_animation: " in told
