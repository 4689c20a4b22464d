"""``validate`` names page, line and fence; ``init`` adds a page that renders; further pages are rendered too."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit import figures_fixture

from reports import pages
from reports.__main__ import main
from reports.fences import PageError
from reports.validate import problems


def found(folder: Path, source: str) -> list[str]:
    path = folder / "tried.md"
    path.write_text(source, encoding="utf-8")
    return [line.removeprefix(f"{path}:") for line in problems("tried", path)]


def test_our_own_pages_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate"]) == 0
    assert capsys.readouterr().out.endswith(" pages, 0 problems\n")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("# A\n\n{{ nobody }}\n", "3: nothing is named 'nobody' here"),
        ("# A\n\n{% for a in b %}\n", "3: Unexpected end of template"),
        ("# A\n\n\n{{ studies | louder }}\n", "4: No filter named 'louder'"),
        ('# A\n\n{% include "lost.html" %}\n', "3: there is no partial 'lost.html'"),
        ("---\ntitle: A\n---\n\n```sql a\nselect 1\nfrom from b\n```\n", "7: the query 'a': Parser Error"),
        ("\n```sql a\nselect {{ nobody }}\n```\n", "3: the query 'a': nothing is named 'nobody' before it"),
        ("```sql a\nselect {{ b }}\n```\n```sql b\nselect 1\n```\n", "2: the query 'a': nothing is named 'b'"),
        ("```sql a\nselect 1; select 2\n```\n", "1: the query 'a' is not one select"),
        ("```sql a\ndrop table b\n```\n", "1: the query 'a' is not one select"),
        ("A\n\n```sql\nselect 1\n```\n", "3: an SQL fence has no name"),
        ("A\n\n```sql a\nselect 1\n", "3: the SQL fence 'a' has no end"),
        ("```sql a\nselect 1\n```\n\n```sql a\nselect 1\n```\n", "5: two SQL fences are named 'a'"),
        ("---\ntitle: A\ncolour: red\n---\n", "3: the front matter says 'colour: red'"),
        ("---\norder: first\n---\n", "2: order is a whole number"),
        ("# A\n\n{{ figures }}\n", "3: nothing is named 'figures' here"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, source: str, told: str) -> None:
    lines = found(tmp_path, source)
    assert len(lines) == 1
    assert lines[0].startswith(told)


def test_every_problem_of_a_page_is_told_in_order(tmp_path: Path) -> None:
    lines = found(tmp_path, "{{ one }}\n\n```sql a\nselekt 1\n```\n\n{{ two }}\n")
    assert [line.split(":")[0] for line in lines] == ["1", "4", "7"]


def test_a_page_of_each_study_may_say_its_words(tmp_path: Path) -> None:
    assert (
        found(tmp_path, "---\neach: study\n---\n\n{{ study }} {{ figures | length }} {{ downloads | length }}\n") == []
    )


def test_validate_fails_on_a_bad_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tried.md").write_text("{{ nobody }}\n")
    assert main(["validate", "--pages", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert f"{tmp_path / 'tried.md'}:1: nothing is named 'nobody' here" in told.err
    assert told.out.endswith("1 problems\n")


def test_init_adds_a_page_that_renders(tmp_path: Path) -> None:
    warehouse = figures_fixture.build(tmp_path / "warehouse.duckdb")
    mine, out = tmp_path / "mine", tmp_path / "site"
    assert main(["init", "regional_view", "--pages", str(mine)]) == 0
    (mine / "more.md").write_text("---\neach: study\n---\n\n# More on {{ study }}\n", encoding="utf-8")
    assert main(["validate", "--pages", str(mine)]) == 0
    given = ["--warehouse", str(warehouse), "--out", str(out), "--pages", str(mine), "--studies", "senate"]
    assert main([*given, "--no-downloads"]) == 0
    page = (out / "regional_view.html").read_text()
    assert "<h1>Regional view</h1>" in page
    assert "<caption>Studies by decision</caption>" in page
    assert '<a href="regional_view.html">Regional view</a>' in (out / "index.html").read_text()
    assert "<h1>More on senate</h1>" in (out / "senate_more.html").read_text()


@pytest.mark.parametrize("name", ["Two Words", "../up", "index", "1st", ""])
def test_init_refuses_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(PageError):
        pages.init(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_page_named_as_a_study_fails_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = figures_fixture.build(tmp_path / "warehouse.duckdb")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "senate.md").write_text("# Senate\n")
    given = ["--warehouse", str(warehouse), "--out", str(tmp_path / "site"), "--pages", str(mine)]
    assert main([*given, "--studies", "senate", "--no-downloads"]) == 1
    assert "senate.md: failed, another page is senate.html: rename it" in capsys.readouterr().err
    assert "Does winning a seat" in (tmp_path / "site" / "senate.html").read_text()
