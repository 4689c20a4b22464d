"""Whatever a study is called and whatever its rows hold: each page, figure and download is written or says why."""

from __future__ import annotations

import csv
import json
import random
import re
from pathlib import Path

import pytest
from unit import reports_hostile
from unit.reports_hostile import NAMES, NUMBERS, TEXTS
from unit.test_reports_pages import read

from figures import names
from figures.data import StudyRows, connect, load
from figures.registry import CATALOGUE
from reports import downloads, drawing, making, pages
from reports.__main__ import main
from reports.downloads import latex, slides, tables

FILES = ("card.pdf", "card.png", "card.pptx", "tables.tex", "card.json", "decision_card.csv", "decision_card.parquet")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reports_hostile.build(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")


@pytest.fixture(scope="module")
def site(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every page; the figures and downloads of few of the studies are made by other tests."""
    out = tmp_path_factory.mktemp("around") / "site"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drawing, "CATALOGUE", CATALOGUE[:1])
        given = ["--warehouse", str(warehouse), "--out", str(out), "--manifest", "none", "--no-downloads"]
        assert main([*given, "--workers", "1"]) == 0
    return out


def test_every_study_has_a_page_of_its_own_and_ours_stand(site: Path) -> None:
    listing = json.loads((site / "site.json").read_text())["pages"]
    studies = [*TEXTS, *NUMBERS, "absent", "bare", *NAMES, "card"]
    assert sorted(study for study in listing.values() if study) == sorted(studies)
    assert len({file.lower() for file in listing}) == len(listing) == len(studies) + len(names.PAGES) - 1
    for file, study in listing.items():
        assert (site / file).is_file()
        told = read(site / file).text
        if study in NAMES:
            assert names.shown(study) in told
    assert "What the warehouse answers" in (site / "index.html").read_text()
    assert sorted(path.name for path in site.parent.iterdir()) == ["site"]


def test_the_index_and_the_gallery_lead_to_every_page(site: Path) -> None:
    for page in ("index", "gallery"):
        links = {link.partition("#")[0] for link in read(site / f"{page}.html").links}
        assert all((site / link).is_file() for link in links)
    assert len(links) > len(NAMES)


def test_text_of_a_declaration_is_never_read_as_html(site: Path) -> None:
    for study in ("code", "<b>bold</b>", "index"):
        page = (site / f"{names.stem(study)}.html").read_text()
        assert page.count("<script") == 1
        assert "{{ 7 * 7 }}" in page or study != "code"
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202e\ufffe]", (site / "control.html").read_text())


@pytest.mark.parametrize("study", ["long", "word", "code", "control", "absent", "huge", "nul\x00"])
def test_figures_and_downloads_of_hostile_rows_are_all_written(warehouse: Path, tmp_path: Path, study: str) -> None:
    made = making.make_study(making.task(warehouse, tmp_path), study)
    assert made.problems == ()
    assert {*FILES} <= {Path(one.file).name for one in made.files}
    assert all((tmp_path / one.file).is_file() for one in (*made.files, *made.drawn.shown))
    assert len(made.drawn.shown) + len(made.drawn.absent) == len(CATALOGUE)
    assert {path.name for path in (tmp_path / "downloads").iterdir()} == {names.stem(study), downloads.SCHEMA.name}


def test_a_download_that_breaks_takes_no_other_along(warehouse: Path, tmp_path: Path) -> None:
    made = making.make_study(making.task(warehouse, tmp_path), "bare")
    assert [problem.partition(": ")[0] for problem in made.problems] == ["download card.json"]
    assert "JSONDecodeError" in made.problems[0]
    assert {*FILES} - {"card.json"} <= {Path(one.file).name for one in made.files}
    assert not (tmp_path / "downloads" / "bare" / downloads.MANIFEST).exists()


def test_names_of_files_are_plain_and_told_apart() -> None:
    dice = random.Random(7)
    letters = "aA0_-./\\%~ \"'<&\x00\n\u00e9\u65e5\u202e\ud800" + "index"
    drawn = {"".join(dice.choices(letters, k=dice.randrange(9))) for _ in range(5_000)}
    every = [*drawn, *NAMES, *names.PAGES, *(name.upper() for name in names.PAGES), "nul", "a_b", "nsw", "nsw-index"]
    every += [f"{one}-{names.stem(one)[-12:]}" for one in ("nsw", "index")] + [names.stem(one) for one in NAMES]
    found = {study: names.stem(study) for study in every}
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", stem) and stem not in names.PAGES for stem in found.values())
    assert len(set(found.values())) == len(found) > 3_000


def test_names_of_our_pages_are_kept() -> None:
    assert set(pages.files()) == names.PAGES
    assert [names.stem(name) for name in ("nsw", "nsw_cps", "my-study", "2024")] == [
        "nsw",
        "nsw_cps",
        "my-study",
        "2024",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [("=1+1", "'=1+1"), ("+A1", "'+A1"), ("-A1", "'-A1"), ("@SUM(1)", "'@SUM(1)"), ("\t=1", "'\t=1"), ("\r=1", "'\r=1"),
     (" =1", "' =1"), ("＝1", "'＝1"), ("-4 to 2", "'-4 to 2"), ("-1.5e-3", "-1.5e-3"), ("+7", "+7"), ("a=1", "a=1"),
     ("", ""), (None, None)],
)  # fmt: skip
def test_formulas_are_defused_and_numbers_stay(text: str | None, told: str | None) -> None:
    assert tables.defused(text) == told


def test_every_cell_of_every_csv_is_harmless(warehouse: Path) -> None:
    with connect(warehouse) as connection:
        rows = load(connection, "formula")
        negative = load(connection, "negative")
    for name in tables.NAMES:
        for file, content in tables.files(name, rows):
            if file.endswith(".csv"):
                cells = [cell for line in list(csv.reader(content.decode().splitlines()))[1:] for cell in line]
                assert "'=1+1" in cells
                assert not [cell for cell in cells if cell[:1] in ("=", "+", "@")]
    (content,) = (content for file, content in tables.files("estimates", negative) if file.endswith(".csv"))
    assert {row["estimate"] for row in csv.DictReader(content.decode().splitlines())} == {"-1"}


def test_latex_takes_no_command_from_a_declaration(warehouse: Path) -> None:
    with connect(warehouse) as connection:
        text = latex.tables(load(connection, "code"))
    assert r"\input{" not in text
    assert r"\textbackslash{}input\{/etc/passwd\} \$x\_1\$ {[} {*} \&" in text
    assert latex.escaped("a\tb\rc") == "a b c"


def test_the_slides_title_is_cut_to_what_the_format_takes(warehouse: Path) -> None:
    with connect(warehouse) as connection:
        for study in ("long", "word"):
            rows: StudyRows = load(connection, study)
            assert len(str(rows.card["question"])) > 255
            assert slides.deck(rows)
    assert [len(slides._property(text)) for text in ("w" * 300, "words " * 50, "short")] == [255, 252, 5]
