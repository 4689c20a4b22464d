"""What a study gives to take along: every file holds the study's rows, the same bytes for the same rows."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet
import pytest
import typst
from pptx import Presentation
from unit import figures_fixture

from figures.data import StudyRows, connect, load
from reports import downloads, making
from reports.downloads import document, facts, latex, schema, slides, tables, typeset
from reports.drawing import Drawn, figures, rows_hash


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return figures_fixture.build(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")


@pytest.fixture(scope="module")
def studies(warehouse: Path) -> dict[str, StudyRows]:
    with connect(warehouse) as connection:
        return {block[0]: load(connection, block[0]) for block in figures_fixture.STUDIES}


@pytest.fixture(scope="module")
def written(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, making.Made]:
    site = tmp_path_factory.mktemp("site")
    return site, making.make_study(making.task(warehouse, site), "nsw")


def test_every_file_is_there_and_named(written: tuple[Path, making.Made]) -> None:
    site, made = written
    assert made.problems == ()
    names = [Path(one.file).name for one in made.files]
    for name in ("card.pdf", "card.png", "card.pptx", "tables.tex", "card.json", "decision_card.schema.json",
                 "estimates.csv", "estimates.parquet", "gates.csv", "curves.parquet"):  # fmt: skip
        assert name in names
    assert all((site / one.file).stat().st_size > 100 for one in made.files)
    assert (site / "downloads/nsw/card.pdf").read_bytes().startswith(b"%PDF")
    assert (site / "downloads/nsw/card.png").read_bytes().startswith(b"\x89PNG")


def test_unchanged_studies_are_not_made_again(warehouse: Path, written: tuple[Path, making.Made]) -> None:
    site, made = written
    times = {path: path.stat().st_mtime_ns for path in site.rglob("*.*")}
    again = making.make_study(making.task(warehouse, site), "nsw")
    assert again.drawn.unchanged
    assert (again.files, again.drawn.shown, again.drawn.absent) == (made.files, made.drawn.shown, made.drawn.absent)
    assert times == {path: path.stat().st_mtime_ns for path in site.rglob("*.*")}


def test_a_missing_file_is_made_again(warehouse: Path, written: tuple[Path, making.Made]) -> None:
    site, made = written
    lost = site / made.drawn.shown[0].file
    content = lost.read_bytes()
    lost.unlink()
    assert not making.make_study(making.task(warehouse, site), "nsw").drawn.unchanged
    assert lost.read_bytes() == content


def test_the_hash_is_of_the_rows_and_not_of_the_times(studies: dict[str, StudyRows]) -> None:
    rows = studies["nsw"]
    later = StudyRows(
        rows.study, {**rows.card, "estimated_at": None}, tuple({**row, "seconds": 9.0} for row in rows.estimates),
        rows.diagnostics, rows.curves, rows.gates, rows.sensitivity,
    )  # fmt: skip
    other = StudyRows(
        rows.study, {**rows.card, "estimate": 1.0}, rows.estimates, rows.diagnostics, rows.curves, rows.gates,
        rows.sensitivity,
    )  # fmt: skip
    assert rows_hash(later) == rows_hash(rows) != rows_hash(other)
    assert rows_hash(later, without=()) != rows_hash(rows, without=())


def test_figures_to_point_at_share_one_library(written: tuple[Path, making.Made]) -> None:
    site, made = written
    live = {one.name: one.live for one in made.drawn.shown if one.live.endswith(".html")}
    assert live["estimator_forest"] == "figures/nsw/interactive.html"
    page = (site / live["estimator_forest"]).read_text()
    assert '<script src="../plotly.js"></script>' in page
    assert len(page) < 200_000 < (site / "figures" / "plotly.js").stat().st_size


def test_a_figure_whose_code_breaks_is_told(
    studies: dict[str, StudyRows], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports import drawing

    whole = drawing.draw

    def breaks(name: str, rows: StudyRows) -> Any:
        if name == "rd_plot":
            raise ValueError("no bins")
        return whole(name, rows)

    monkeypatch.setattr(drawing, "draw", breaks)
    drawn = figures(studies["senate"], tmp_path)
    assert [(one.name, one.reason) for one in drawn.failed] == [("rd_plot", "its code failed: ValueError: no bins")]
    assert drawn.shown
    assert not figures(studies["senate"], tmp_path).unchanged


@pytest.mark.parametrize("study", [block[0] for block in figures_fixture.STUDIES])
def test_the_json_is_as_its_schema_says(studies: dict[str, StudyRows], study: str) -> None:
    published = json.loads(downloads.SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(published)
    given = json.loads(document.text(studies[study]))
    jsonschema.validate(given, published)
    assert given["card"]["estimate"] == studies[study].card["estimate"]
    assert len(given["gates"]) == len(studies[study].gates)


def test_other_outcomes_are_taken_along(studies: dict[str, StudyRows]) -> None:
    rows = studies["nhefs"]
    assert [row["outcome"] for row in rows.other_estimates] == ["died"]
    assert "died" not in [row["outcome"] for row in rows.estimates]
    given = json.loads(document.text(rows))
    assert given["card"]["other_outcomes"] == [{"outcome": "died", "role": "guardrail", "verdict": "held"}]
    assert [row["outcome_role"] for row in given["estimates"]].count("guardrail") == 1
    written = dict(tables.files("estimates", rows))
    assert written["estimates.csv"].decode().count('"died"') == 1
    assert dict(facts.further(rows))["Guardrails"] == "'died': held. A rise of more than 0.05 is ruled out."
    told = dict(facts.further(rows))["Secondary outcomes"]
    assert told == "'systolic': too imprecise to tell which way it goes. 'pulse': clear of zero."
    assert not {"Guardrails", "Secondary outcomes"} & set(dict(facts.further(studies["nsw"])))


def test_the_published_schema_is_of_the_contract() -> None:
    assert downloads.SCHEMA.read_text() == schema.text(), "python -m reports schema"


def test_the_schema_tells_every_column_of_the_card() -> None:
    described = schema.schema()["properties"]["card"]["properties"]
    assert set(schema.REQUIRED) <= set(described)
    assert described["decision"]["enum"] == ["ship", "do_not_ship", "extend", "cannot_answer", None]
    assert described["estimate"]["type"] == ["number", "null"]
    assert all(len(one["description"]) > 3 for one in described.values())


@pytest.mark.parametrize("study", ["nsw", "nsw_cps", "prop99"])
def test_the_card_on_paper_is_two_pages_with_its_words(studies: dict[str, StudyRows], study: str) -> None:
    rows = studies[study]
    pdf, pages = typeset.card(rows, None)
    assert len(pages) == 2
    assert pdf == typeset.card(rows, None)[0]
    told = typeset.content(rows, None)
    assert told["question"] == rows.card["question"]
    assert told["decision"] in ("Extend", "Cannot answer")
    if study == "nsw_cps":
        assert told["effect"] == ""
        assert told["interval"].startswith("Refused. Overlap gate") or "overlap gate" in told["interval"]


def test_long_and_hostile_text_stays_text_and_on_two_pages(studies: dict[str, StudyRows]) -> None:
    rows = studies["nsw"]
    nasty = '#panic("x") $a_b$ *bold* <label> "quoted" \\ [open ' + "many words " * 90
    card = {**rows.card, "next_step": nasty, "declared_rule": nasty, "rule_fired": nasty[:200]}
    long = StudyRows(rows.study, card, rows.estimates, rows.diagnostics, rows.curves, rows.gates, rows.sensitivity)
    assert len(typeset.card(long, None)[1]) == 2


def test_the_template_itself_says_nothing_of_a_study() -> None:
    with pytest.raises(typst.TypstError):
        typst.compile(typeset.TEMPLATE.read_bytes(), sys_inputs={"card": "{}"})


def test_the_slides_say_the_decision_and_the_numbers(studies: dict[str, StudyRows]) -> None:
    content = slides.deck(studies["nsw"])
    assert content == slides.deck(studies["nsw"])
    shown = Presentation(io.BytesIO(content))
    text = "\n".join(
        frame.text
        for slide in shown.slides
        for shape in slide.shapes
        if shape.has_text_frame
        for frame in [shape.text_frame]
    )
    assert len(shown.slides) == 4
    for told in ("Does job training raise earnings in 1978?", "Extend", "+1,676 USD", "95 % interval 349 to 3,003",
                 "Next step: Run the trial longer.", "Rule declared beforehand: Ship if the whole"):  # fmt: skip
        assert told in text
    tables = [shape.table for slide in shown.slides for shape in slide.shapes if shape.has_table]
    assert tables[0].cell(1, 0).text == "Regression adjustment (ATE) (primary)"
    assert tables[0].cell(1, 1).text == "+1,676"


def test_latex_tables_are_whole_and_escaped(studies: dict[str, StudyRows]) -> None:
    text = latex.tables(studies["nsw_cps"])
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 2
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 2
    assert r"95 \% interval" in text
    assert "Refused" in text
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {4}
    assert latex.escaped("a_b & 5 % of $x^2$ {#1} ~ \\") == (
        r"a\_b \& 5 \% of \$x\textasciicircum{}2\$ \{\#1\} \textasciitilde{} \textbackslash{}"
    )


def test_the_rows_are_all_of_them(written: tuple[Path, making.Made], studies: dict[str, StudyRows]) -> None:
    folder = written[0] / "downloads" / "nsw"
    for name in ("estimates", "gates", "diagnostics", "curves"):
        rows = getattr(studies["nsw"], name)
        assert pyarrow.parquet.read_table(folder / f"{name}.parquet").to_pylist() == [dict(row) for row in rows]
        with (folder / f"{name}.csv").open() as file:
            assert len(list(csv.DictReader(file))) == len(rows)


def test_facts_leave_out_what_does_not_apply(studies: dict[str, StudyRows]) -> None:
    labels = [label for label, _ in facts.facts(studies["nsw"])]
    assert "Net benefit" not in labels
    assert facts.failed({"n_gates": 4, "n_gates_failed": 1, "gates_failed": "overlap"}) == (
        "Overlap. 1 of 4 gate checks failed."
    )


def test_worst_gates_put_the_failed_first(studies: dict[str, StudyRows]) -> None:
    rows = facts.worst_gates(studies["nsw_cps"])
    assert facts.verdict(rows[0]) == "Blocks"
    balance = [row for row in rows if row["gate"] == "balance" and row["estimand"] == "ATE"]
    assert len(balance) == 1
    assert abs(balance[0]["value"]) == pytest.approx(2.43 * 0.45)


def test_the_primary_s_gates_come_first_on_paper(studies: dict[str, StudyRows]) -> None:
    rows = facts.worst_gates(studies["nhefs"], of_primary_first=True)
    spoken = [row["estimator"] in (None, "ipw") and row["estimand"] in (None, "ATE") for row in rows]
    assert spoken == sorted(spoken, reverse=True)


def test_the_card_shows_no_figure_of_another_design(written: tuple[Path, making.Made]) -> None:
    site, made = written
    wide = next(one for one in made.drawn.shown if downloads._picture(Drawn("x", (one,), ()), site))
    named = Drawn("x", (replace(wide, name="event_study"),), ())
    assert downloads._picture(named, site, "ope") is None
    assert downloads._picture(named, site, "did") is not None


def test_slides_set_much_text_smaller() -> None:
    assert slides._fitting(["short"] * 5, 11.9, 5.3) == 16
    much = slides._fitting(["a word " * 35] * 12, 11.9, 5.3)
    assert 10 <= much < 16


def test_the_card_s_picture_is_wide_enough(written: tuple[Path, making.Made]) -> None:
    site, made = written
    assert downloads._picture(Drawn("x", (), ()), Path()) is None
    found = downloads._picture(made.drawn, site)
    assert found is not None
    assert found[1] in [one.title for one in made.drawn.shown]
