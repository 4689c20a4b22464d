"""A study whose rows are not of its data, declaration and code as they are now is never shown as a result."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest
from unit import figures_fixture
from unit.test_reports_pages import read

from figures.__main__ import main as draw_one
from figures.data import EARLIER, NotCurrent, connect, currency, declaration, load
from reports.__main__ import main

REASON = "its data file changed after the build of 3 June: run `make build`"
# The numbers, decisions and readings of nsw in the fixture, in every way that a page could say them.
RESULTS = ("1,676", "1676", "349", "3,003", "1,794", "Extend", "extend", "Moderate", "Run the trial longer",
           "holds the least effect", "445", "Regression adjustment", "estimator_forest", "a1" * 6)  # fmt: skip


def prepared(path: Path, view: str | None) -> Path:
    """The fixture with another view of what is current; None: without any."""
    figures_fixture.build(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("drop view marts.currency")
        if view:
            connection.execute(f"create view marts.currency as {view}")
    return path


NSW_OLD = (
    f"select study, study <> 'nsw' as is_current, case when study = 'nsw' then '{REASON}' end as reason"
    " from marts.decision_cards"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site in which nsw was current, and then is not."""
    folder = tmp_path_factory.mktemp("around")
    given = ["--out", str(folder / "site"), "--manifest", "none", "--workers", "1", "--studies", "nsw,card"]
    whole = figures_fixture.build(folder / "whole.duckdb")
    assert main(["--warehouse", str(whole), *given]) == 0
    assert "1,676" in (folder / "site" / "nsw.html").read_text()
    old = prepared(folder / "old.duckdb", NSW_OLD)
    assert main(["--warehouse", str(old), *given]) == 1
    return folder / "site"


def test_its_page_holds_the_reason_and_the_declaration_alone(site: Path) -> None:
    page = (site / "nsw.html").read_text()
    text = " ".join(read(site / "nsw.html").text.split())
    assert "Not current: Its data file changed after the build of 3 June: run make build." in text
    assert "Does job training raise earnings in 1978?" in text
    assert '"outcome": "re78"' in text
    assert "<svg" not in page
    assert "<figure" not in page
    body = page[page.index("<main") :]
    assert [told for told in RESULTS if told in body] == []


def test_the_index_says_so_and_counts_it_apart(site: Path) -> None:
    page = (site / "index.html").read_text()
    (line,) = re.findall(r'<li data-decision="not_current".*?</li>', page, re.DOTALL)
    assert "Not current: Its data file changed" in line
    assert "Does job training" in line
    assert [told for told in RESULTS if told in line] == []
    assert "<b>1</b> not current" in page
    assert "2 studies" in page
    assert "<b>0</b> extend" in page
    assert '<option value="not_current">Not current</option>' in page


def test_no_other_page_shows_anything_of_it(site: Path) -> None:
    for name in ("gallery", "lineage", "methods"):
        assert not re.search(r"\bnsw\b", (site / f"{name}.html").read_text())
    assert "card" in read(site / "gallery.html").text


def test_its_figures_and_downloads_are_gone(site: Path) -> None:
    assert not (site / "figures" / "nsw").exists()
    (statement,) = (site / "downloads" / "nsw").iterdir()
    assert statement.read_text() == f"nsw: not current: {REASON}\n"
    assert (site / "downloads" / "card" / "card.pdf").exists()
    assert json.loads((site / "site.json").read_text())["pages"]["nsw.html"] == "nsw"


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (None, EARLIER),
        ("select study, false as is_current, null::text as reason from marts.decision_cards", "no reason was given"),
        ("select study, null::boolean as is_current, 'x' as reason from marts.decision_cards", "x"),
        ("select 'card' as study, true as is_current, null::text as reason", "marts.currency has no row of it"),
        ("select study, unnest([true, false]) as is_current, 'two' as reason from marts.decision_cards", "two"),
        ("select study, 'yes' as current from marts.decision_cards", "marts.currency cannot be read"),
    ],
)  # fmt: skip
def test_whatever_the_view_lacks_is_not_current(tmp_path: Path, view: str | None, told: str) -> None:
    path = prepared(tmp_path / "warehouse.duckdb", view)
    with connect(path) as connection:
        found = currency(connection)
        assert told in str(found["nsw"])
        with pytest.raises(NotCurrent, match="nsw is not current: "):
            load(connection, "nsw")
        assert declaration(connection, "nsw")["design"] == "experiment"
        assert set(found) == {block[0] for block in figures_fixture.STUDIES}


def test_a_study_without_a_card_is_shown_with_its_reason(tmp_path: Path) -> None:
    path = prepared(tmp_path / "warehouse.duckdb", "select 'new' as study, true as is_current, null::text as reason")
    with duckdb.connect(str(path)) as connection:
        connection.execute("delete from marts.decision_cards")
    given = ["--warehouse", str(path), "--out", str(tmp_path / "site"), "--manifest", "none", "--workers", "1"]
    assert main(given) == 1
    assert "Not current: It has no decision card" in " ".join(read(tmp_path / "site" / "new.html").text.split())
    assert "0 studies" not in (tmp_path / "site" / "index.html").read_text()


def test_an_own_page_of_each_study_is_replaced_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prepared(tmp_path / "warehouse.duckdb", NSW_OLD)
    (tmp_path / "mine").mkdir()
    source = "---\neach: study\n---\n{{ found[0].estimate }}\n\n```sql found\nselect * from marts.decision_cards where study = {{ study }}\n```\n"  # noqa: E501
    (tmp_path / "mine" / "bare.md").write_text(source)
    given = ["--warehouse", str(path), "--out", str(tmp_path / "site"), "--manifest", "none", "--workers", "1"]
    assert main([*given, "--pages", str(tmp_path / "mine"), "--studies", "nsw,card", "--no-downloads"]) == 1
    assert "1676" not in (page := (tmp_path / "site" / "nsw_bare.html").read_text())
    assert "Not current" in page
    assert "0.1315" in (tmp_path / "site" / "card_bare.html").read_text()
    assert f"nsw: not current: {REASON}" in capsys.readouterr().err
    assert not (tmp_path / "site" / "downloads").exists()


def test_figures_alone_refuse_it_with_the_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prepared(tmp_path / "warehouse.duckdb", NSW_OLD)
    assert draw_one(["--study", "nsw", "--warehouse", str(path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.strip() == f"figures: nsw is not current: {REASON}"
    assert not (tmp_path / "out").exists()
