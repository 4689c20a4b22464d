"""The pages that are written: complete, self-contained, escaped, and honest about what failed."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest
from unit import figures_fixture

from reports.__main__ import main

NASTY = '<script>alert("x")</script> & {{ 7 * 7 }} **bold** [a](javascript:alert(1))'
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Tree(HTMLParser):
    """Checks that tags close in order, and gathers ids, tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.refs: list[str] = []
        self.tags: list[str] = []
        self.external: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        self.refs += (given.get("aria-labelledby") or "").split()
        for key in ("src", "href", "xlink:href"):
            target = given.get(key) or ""
            if key in given and (key == "src" or re.match(r"(?:https?:)?//|data:", target)):
                self.external.append(target)
            if target.startswith("#"):
                self.refs.append(target[1:])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without its beginning"
        assert self.open.pop() == tag, f"</{tag}> out of order"

    def handle_data(self, data: str) -> None:
        self.text += data


def read(path: Path) -> Tree:
    tree = Tree()
    tree.feed(path.read_text())
    assert tree.open == []
    return tree


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seven studies, one with hostile text, and an eighth that failed to build."""
    path = figures_fixture.build(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")
    failed = {
        "study": "broken", "question": "Is anything left?", "design": "observational", "decision": "cannot_answer",
        "confidence": "low", "status": "failed", "status_reason": "the model broken_units failed: column y is missing",
        "rule_fired": "the primary estimate is failed", "n_gates": 1, "n_gates_failed": 1, "gates_failed": "build",
    }  # fmt: skip
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "update marts.decision_cards set question = ?, next_step = ? where study = 'card'", [NASTY] * 2
        )
        figures_fixture.insert(connection, "decision_cards", [failed])
    return path


@pytest.fixture(scope="module")
def site(warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    assert main(["--warehouse", str(warehouse), "--out", str(out)]) == 0
    return out


STUDIES = [block[0] for block in figures_fixture.STUDIES]


@pytest.mark.parametrize("name", [*STUDIES, "broken", "index"])
def test_pages_are_whole_and_stand_alone(site: Path, name: str) -> None:
    tree = read(site / f"{name}.html")
    assert tree.external == []
    assert "script" not in tree.tags
    assert "link" not in tree.tags
    assert len(tree.ids) == len(set(tree.ids)), "an id stands twice"
    assert set(tree.refs) <= set(tree.ids), "something refers to an id that is not there"
    assert tree.tags.count("main") == tree.tags.count("h1") == tree.tags.count("footer") == 1
    assert tree.tags.count("table") == tree.tags.count("caption")
    assert "\ue000" not in tree.text
    assert "{{" not in tree.text.replace(NASTY, "")
    assert "None" not in tree.text


def test_the_index_lists_every_study_with_its_decision_and_effect(site: Path) -> None:
    tree = read(site / "index.html")
    page = (site / "index.html").read_text()
    for name, question, *_ in figures_fixture.STUDIES:
        assert f'href="{name}.html"' in page
        assert name == "card" or question in tree.text
    assert "+1,676 USD" in tree.text
    assert "95 % interval 349 to 3,003" in tree.text
    assert "+0.132 log points per year of school" in tree.text
    assert "Cannot answer" in tree.text
    assert "19 of 33 gate checks failed" in tree.text
    assert "the model broken_units failed: column y is missing" in tree.text


def test_values_are_never_read_as_html_markdown_or_jinja(site: Path) -> None:
    for name in ("card", "index"):
        page = (site / f"{name}.html").read_text()
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
        assert "<strong>bold" not in page
        assert 'href="javascript' not in page
        assert "{{ 7 * 7 }}" in page


def test_a_study_page_tells_the_decision_and_its_grounds(site: Path) -> None:
    text = " ".join(read(site / "nsw.html").text.split())
    for told in (
        "Does job training raise earnings in 1978?", "Extend", "The interval holds the least effect that matters.",
        "Ship if the whole 95 % interval is at least 500 USD more.", "+1,676 USD", "445, of them 185 treated",
        "5 of 6 estimates", "+1,794 USD", "Run the trial longer.", "Moderate", "a1" * 32, "Show SQL",
    ):  # fmt: skip
        assert told in text, told


def test_refusals_keep_their_whole_reason(site: Path) -> None:
    text = " ".join(read(site / "nsw_cps.html").text.split())
    assert "less than 80 %. Ask for the ATT." in text
    assert "The declared primary, Regression adjustment (ATE), was refused" in text


def test_a_failed_study_has_a_page_with_its_reason(site: Path) -> None:
    text = " ".join(read(site / "broken.html").text.split())
    assert "Failed. The model broken_units failed: column y is missing." in text
    assert "There are no rows to draw from." in text
    assert "No estimator ran." in text


def test_failed_gates_stand_first(site: Path) -> None:
    page = (site / "nsw_cps.html").read_text()
    table = page[page.index('<table class="gates">') :]
    verdicts = re.findall(r'class="(ok|bad|warn)">(\w+)', table[: table.index("</table>")])
    words = [word for _, word in verdicts]
    assert words[0] == "Blocks"
    assert words == sorted(words, key=lambda w: w == "Passed")
    assert "Ask for the ATT." in table


def test_figures_are_inline_with_a_name_and_a_guide(site: Path) -> None:
    page = (site / "prop99.html").read_text()
    assert page.count("<svg ") == 2
    assert re.search(r'<svg[^>]* id="fig-rd_plot"', page) is None
    assert re.search(r'<svg[^>]* id="fig-synthetic_path_and_gap" role="img"[^>]*><title>The treated unit differs', page)
    assert page.count("How to read it.") == 2
    assert "no running variable" in page
    assert "*{stroke-linejoin" not in page.replace(" *{stroke-linejoin", "")


def test_the_sql_that_is_shown_gives_the_rows_that_are_shown(site: Path, warehouse: Path) -> None:
    page = (site / "nsw.html").read_text()
    shown = re.findall(r"<pre><code>((?:select|with).*?)</code></pre>", page, re.DOTALL)
    assert len(shown) == 8
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for sql in shown:
            text = sql.replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"')
            assert "'nsw'" in text
            connection.execute(text)
        counts = connection.execute(
            "select count(*) from marts.estimates where study = 'nsw' and term = 'overall'"
        ).fetchone()
    assert counts is not None
    table = page[page.index('<table class="estimates"') :]
    rows = re.findall(r'<tr role="row" class="(?:primary)?">', table[: table.index("</table>")])
    assert len(rows) == counts[0]


def test_one_line_a_page(warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--warehouse", str(warehouse), "--out", str(tmp_path), "--studies", "senate,mpdta"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == ["mpdta", "senate", "index"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "mpdta.html", "senate.html"]
    assert "2 figures, 6 without rows" in lines[0]
    assert "nsw.html" not in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("prepare", "told"),
    [("none", "there is no warehouse at"), ("bare", "has no marts.studies"), ("empty", "no study has been built")],
)
def test_a_missing_or_empty_warehouse_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prepare: str, told: str
) -> None:
    path = tmp_path / "warehouse.duckdb"
    if prepare == "bare":
        duckdb.connect(str(path)).close()
    if prepare == "empty":
        with duckdb.connect(str(figures_fixture.build(path))) as connection:
            connection.execute("delete from marts.decision_cards")
    assert main(["--warehouse", str(path), "--out", str(tmp_path / "site")]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("reports: ")
    assert told in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "site").exists()


def test_an_unknown_study_is_told(warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--warehouse", str(warehouse), "--out", str(tmp_path), "--studies", "nsw,nowhere"]) == 2
    assert "no study named nowhere" in capsys.readouterr().err


def test_a_page_that_fails_does_not_take_the_others_along(
    warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports import __main__ as command
    from reports.fences import PageError

    whole = command.study_page
    errors = {"mpdta": PageError("the query 'cards' failed: no such column"), "nsw": KeyError("x")}

    def breaks(connection: duckdb.DuckDBPyConnection, study: str, studies: list[str]) -> tuple[str, int, int]:
        if study in errors:
            raise errors[study]
        return whole(connection, study, studies)

    monkeypatch.setattr(command, "study_page", breaks)
    assert main(["--warehouse", str(warehouse), "--out", str(tmp_path), "--studies", "senate,mpdta,nsw"]) == 1
    told = capsys.readouterr().err
    assert "mpdta: failed, the query 'cards' failed" in told
    assert "nsw: failed, KeyError: 'x'" in told
    assert (tmp_path / "senate.html").exists()
