"""Figures of rows that hold nothing to draw: each is drawn or says why, and no failed curve is drawn as data."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from unit import figures_fixture
from unit.figures_rows import made, point

from figures import drawable, interactive, registry
from figures.__main__ import main
from figures.data import Row, StudyRows, connect, load
from figures.registry import CATALOGUE, curves_of
from figures.style import Drawing, NotDrawn

TABLES = ("estimates", "diagnostics", "curves", "gates", "sensitivity")
NUMBERS = (
    "estimate",
    "std_error",
    "conf_low",
    "conf_high",
    "p_value",
    "x",
    "y",
    "value",
    "threshold",
    "n_units",
    "seconds",
)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return figures_fixture.build(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")


@pytest.fixture(scope="module")
def studies(warehouse: Path) -> dict[str, StudyRows]:
    with connect(warehouse) as connection:
        return {block[0]: load(connection, block[0]) for block in figures_fixture.STUDIES}


def every_curve() -> StudyRows:
    """A study that has each curve of the catalogue in three series of four points."""
    names = sorted({curve for entry in CATALOGUE for curve in curves_of(entry)})
    points = [point(curve, series, x, 1.0 + x, conf_low=x, conf_high=2.0 + x, x_label="age")
              for curve, series, x in itertools.product(names, ("age=1", "treated", "control"), range(4))]  # fmt: skip
    return made(curves=points, roles={"time": "year", "covariates": ["age"], "outcome": "y", "treatment": "d"})


def changed(rows: StudyRows, change: Callable[[Row], Row | None]) -> StudyRows:
    tables = {name: tuple(found for row in getattr(rows, name) if (found := change(dict(row))) is not None)
              for name in TABLES}  # fmt: skip
    return replace(rows, card=change(dict(rows.card)) or rows.card, **tables)


def with_all(keys: tuple[str, ...], value: Any) -> Callable[[Row], Row]:
    return lambda row: {**row, **{key: value for key in keys if key in row}}


def every_other() -> Callable[[Row], Row | None]:
    turn = itertools.count()
    return lambda row: row if "question" in row or next(turn) % 2 else None


CHANGES: dict[str, Callable[[], Callable[[Row], Row | None]]] = {
    "no y": lambda: with_all(("y",), None),
    "no x": lambda: with_all(("x",), None),
    "no intervals": lambda: with_all(("conf_low", "conf_high"), None),
    "half an interval": lambda: with_all(("conf_high",), None),
    "no estimates": lambda: with_all(("estimate",), None),
    "no values": lambda: with_all(("value", "threshold"), None),
    "no names": lambda: with_all(("series", "subject", "x_label", "reason", "term"), None),
    "nan": lambda: with_all(NUMBERS, float("nan")),
    "infinite": lambda: with_all(NUMBERS, float("inf")),
    "Stata's missing": lambda: with_all(NUMBERS, 9e307),
    "large": lambda: with_all(NUMBERS, 9e99),
    "tiny": lambda: with_all(NUMBERS, 1e-170),
    "zero": lambda: with_all(NUMBERS, 0.0),
    "negative": lambda: with_all(NUMBERS, -1.0),
    "every other row": every_other,
    "the card alone": lambda: lambda row: row if "question" in row or "desired_direction" in row else None,
    "an empty card": lambda: lambda row: {"study": row["study"]} if "desired_direction" in row else row,
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_figure_is_drawn_or_says_why(studies: dict[str, StudyRows], change: str) -> None:
    for rows in (studies["nsw"], studies["mpdta"], every_curve()):
        bad = changed(rows, CHANGES[change]())
        for entry in CATALOGUE:
            found = registry.draw(entry.name, bad)
            assert isinstance(found, Drawing) or found.reason
        interactive.study_page(bad, "plotly.js")


def test_what_cannot_be_drawn_is_left_out_and_the_rest_stays() -> None:
    rows = [point("a", "s", 1, 2.0), point("a", "s", 2, float("nan")), point("a", "s", 3, 9e307),
            {**point("a", "s", 4, 5.0), "x": None}, point("a", None, 5, 6.0, conf_low=1.0),  # type: ignore[arg-type]
            {**point("policy_matrix", "s", 4, 5.0), "x": None}]  # fmt: skip
    found = drawable.curves(rows)
    assert [(row["x"], row["y"]) for row in found] == [(1.0, 2.0), (5.0, 6.0), (None, 5.0)]
    assert (found[1]["series"], found[1]["conf_low"]) == ("", None)
    card = drawable.card({"study": "s", "effect_unit": "w" * 300, "estimate": float("inf"), "minimum_effect": 1e-200})
    assert card == {"study": "s", "effect_unit": "w" * 59 + "…", "estimate": None, "minimum_effect": 0.0}
    estimates = [{"estimate": 1.0, "status": "estimated"}, {"estimate": float("nan"), "status": "estimated"},
                 {"estimate": None, "status": "refused"}]  # fmt: skip
    assert [row["status"] for row in drawable.estimates(estimates)] == ["estimated", "refused"]


def test_rows_of_the_demo_kind_pass_unchanged(studies: dict[str, StudyRows]) -> None:
    rows = studies["mpdta"]
    assert rows.for_figures.curves == rows.curves
    assert rows.for_figures.card == rows.card


@pytest.mark.parametrize("study", ["mpdta", "senate", "prop99", "nsw"])
def test_the_catalogue_names_every_curve_that_a_figure_asks_for(
    studies: dict[str, StudyRows], study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    runs, curve = StudyRows.runs, StudyRows.curve
    monkeypatch.setattr(StudyRows, "runs", lambda self, name: asked.add(name) or runs(self, name))
    monkeypatch.setattr(StudyRows, "curve", lambda self, name, run: asked.add(name) or curve(self, name, run))
    for entry in CATALOGUE:
        asked.clear()
        registry.draw(entry.name, studies[study])
        assert asked <= set(curves_of(entry)), entry.name


def failed(path: Path, *curves: str) -> Path:
    """The fixture in which these curves of mpdta could not be computed; their points of before are still there."""
    figures_fixture.build(path)
    with duckdb.connect(str(path)) as connection:
        held = [name for name, *_ in connection.execute("describe marts.curves").fetchall()]
        if "status" not in held:
            connection.execute("alter table marts.curves add column status text default 'drawn'")
            connection.execute("alter table marts.curves add column status_reason text")
        for curve in curves:
            connection.execute(
                "insert into marts.curves (study, estimator, specification, curve, series, status, status_reason)"
                " values ('mpdta', 'scores', 'default', ?, 'failed', 'failed', 'it needs more memory than there is')",
                [curve],
            )
    return path


def test_a_curve_that_failed_is_told_and_never_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = failed(tmp_path / "warehouse.duckdb", "event_study", "residual_quantiles")
    with connect(path) as connection:
        rows, other = load(connection, "mpdta"), load(connection, "prop99")
    assert [row["curve"] for row in rows.failed_curves] == ["event_study", "residual_quantiles"]
    assert not [row for row in rows.curves if row["status"] == "failed"]
    told = "the curve event_study could not be computed: it needs more memory than there is"
    for name in ("event_study", "placebo_tests", "ate_animation"):
        assert registry.draw(name, rows) == NotDrawn(told)
    assert isinstance(registry.draw("estimator_forest", rows), Drawing)
    assert interactive.div("event_study", rows) == NotDrawn(told)
    assert isinstance(registry.draw("synthetic_path_and_gap", other), Drawing)
    assert main(["--study", "mpdta", "--warehouse", str(path), "--out", str(tmp_path / "out")]) == 0
    assert f"event_study: not drawn, {told}" in capsys.readouterr().out


def test_a_figure_that_breaks_stops_no_other(
    warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from figures import __main__ as command

    whole = command.draw
    monkeypatch.setattr(command, "CATALOGUE", CATALOGUE[:3])

    def breaks(name: str, rows: StudyRows) -> Any:
        if name == "estimator_forest":
            raise StopIteration
        return whole(name, rows)

    monkeypatch.setattr(command, "draw", breaks)
    assert main(["--study", "senate", "--warehouse", str(warehouse), "--out", str(tmp_path)]) == 1
    assert "estimator_forest: failed, StopIteration" in capsys.readouterr().err
    assert (tmp_path / "senate" / "rd_plot.svg").exists()
