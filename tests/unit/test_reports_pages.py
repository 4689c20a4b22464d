"""The pages that are written: whole, with nothing from elsewhere, escaped, and honest about what failed."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest
from unit import figures_fixture

from figures.registry import CATALOGUE
from reports.__main__ import main
from reports.pages import Page

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
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        self.refs += (given.get("aria-labelledby") or "").split()
        for key in ("src", "href", "xlink:href"):
            target = given.get(key) or ""
            if key in given and re.match(r"(?:https?:)?//|data:", target):
                self.external.append(target)
            elif key == "href" and target and not target.startswith("#"):
                self.links.append(target)
            if target.startswith("#"):
                self.refs.append(target[1:])
            if key == "src" and target:
                self.links.append(target)
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
        if not self.open or self.open[-1] not in ("script", "style"):
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
    assert main(["--warehouse", str(warehouse), "--out", str(out), "--workers", "1", "--manifest", "none"]) == 0
    return out


STUDIES = [block[0] for block in figures_fixture.STUDIES]


PAGES = ["index", "gallery", "methods", "calibration", "lineage", "glossary"]


@pytest.mark.parametrize("name", [*STUDIES, "broken", *PAGES])
def test_pages_are_whole_and_stand_alone(site: Path, name: str) -> None:
    tree = read(site / f"{name}.html")
    assert tree.external == []
    assert tree.tags.count("script") == tree.tags.count("style") == 1
    assert "link" not in tree.tags
    for link in tree.links:
        assert (site / link.partition("#")[0]).is_file(), link
    assert len(tree.ids) == len(set(tree.ids)), "an id stands twice"
    assert set(tree.refs) <= set(tree.ids), "something refers to an id that is not there"
    assert tree.tags.count("main") == tree.tags.count("h1") == tree.tags.count("footer") == 1
    assert tree.tags.count("table") == tree.tags.count("caption")
    assert "\ue000" not in tree.text
    assert "{{" not in tree.text.replace(NASTY, "")
    assert re.search(r"\bNone\b(?! of)", tree.text) is None


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
        assert page.count("<script") == 1
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


def test_other_outcomes_stand_on_the_card_and_nowhere_else(site: Path) -> None:
    page = html.unescape((site / "nhefs.html").read_text(encoding="utf-8"))
    assert "<dt>Guardrails</dt>" in page
    assert "'died': held. A rise of more than 0.05 is ruled out." in page
    assert "<dt>Secondary outcomes</dt>" in page
    assert page.count("'pulse': clear of zero") == 1
    assert "0.0123" not in page
    other = (site / "nsw.html").read_text(encoding="utf-8")
    assert "Guardrails" not in other
    assert "Secondary outcomes" not in other


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
    assert re.search(r'<svg[^>]* id="fig-rd_plot"', page) is None
    assert re.search(r'<svg[^>]* id="fig-synthetic_path_and_gap" role="img"[^>]*><title>The treated unit differs', page)
    assert page.count("How to read it.") == page.count("<figure ") >= 2
    assert "no running variable" in page
    assert "*{stroke-linejoin" not in page


def test_the_policy_names_the_script_and_the_style_sheet(site: Path) -> None:
    for name in ("nsw", "index"):
        page = (site / f"{name}.html").read_text()
        policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1])  # type: ignore[index]
        for tag in ("script", "style"):
            (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
            assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy.split("style-src ")[0]


def test_the_gallery_has_every_figure_with_its_guide_and_studies(site: Path) -> None:
    page = (site / "gallery.html").read_text()
    assert page.count('<article aria-labelledby="g-') == len(CATALOGUE)
    text = " ".join(read(site / "gallery.html").text.split())
    assert CATALOGUE[0].guide in text
    assert 'href="nsw.html#f-estimator_forest"' in page
    assert 'id="f-estimator_forest"' in (site / "nsw.html").read_text()


def test_pages_without_their_seed_say_so(site: Path) -> None:
    assert "The warehouse has no seeds.estimator_catalogue" in read(site / "methods.html").text
    assert "This warehouse has no calibration: make calibrate" in read(site / "calibration.html").text


def test_methods_and_calibration_show_their_seeds(warehouse: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_bytes(warehouse.read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema seeds")
        connection.execute(
            "create table seeds.estimator_catalogue as select 'ipw' as estimator, 'Weighting' as title,"
            " 'outcome treatment' as needs, 'binary' as treatment, 'ATE ATT' as estimands, 'overlap' as assumptions,"
            " 'propensities near 0' as when_not, 'Li 2018' as source, false as is_naive"
        )
        connection.execute(
            "create table seeds.calibration as select 'ipw' as estimator, 'ATE' as estimand, 'overall' as term,"
            " unnest(['linear', 'curved', 'weak']) as process, 1000 as n, 1000 as estimated, 0.01 as bias,"
            " unnest([0.951, 0.9, 0.8]) as coverage, unnest([true, true, false]) as is_judged,"
            " unnest([true, false, null]) as is_covered"
        )
    given = ["--warehouse", str(path), "--out", str(tmp_path / "site"), "--studies", "senate", "--no-downloads"]
    assert main([*given, "--workers", "1"]) == 0
    methods = " ".join(read(tmp_path / "site" / "methods.html").text.split())
    for told in ("1 method, with", "Weighting", "outcome, treatment", "Propensities near 0.", "Li 2018", "1 refused"):
        assert told in methods
    calibration = " ".join(read(tmp_path / "site" / "calibration.html").text.split())
    assert "1 of 2 judged rows cover the truth as often as they say." in calibration
    assert calibration.index("Curved") < calibration.index("Linear")
    assert "95.1 %Covers" in calibration
    assert "Shown only" in calibration


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


def test_the_chosen_studies_alone(warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--warehouse", str(warehouse), "--out", str(tmp_path), "--studies", "senate,mpdta", "--no-downloads"]
    assert main(given) == 0
    told = capsys.readouterr().out
    assert "figures 2/2 " in told
    assert sorted(path.stem for path in tmp_path.glob("*.html")) == sorted([*PAGES, "mpdta", "senate"])
    assert "nsw.html" not in (tmp_path / "index.html").read_text()
    assert "No downloads were written." in (tmp_path / "senate.html").read_text()


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
    from reports import publish
    from reports.fences import PageError

    whole = publish.document
    errors = {"mpdta": PageError("the query 'cards' failed: no such column"), "nsw": KeyError("x")}

    def breaks(connection: duckdb.DuckDBPyConnection, page: Page, known: dict[str, Any], site: Path) -> str:
        if known.get("study") in errors and "failed" not in known:
            raise errors[known["study"]]
        return whole(connection, page, known, site)

    monkeypatch.setattr(publish, "document", breaks)
    given = ["--warehouse", str(warehouse), "--out", str(tmp_path), "--studies", "senate,mpdta,nsw", "--workers", "1"]
    assert main([*given, "--no-downloads"]) == 1
    told = capsys.readouterr().err
    assert "mpdta.html: failed, the query 'cards' failed" in told
    assert "nsw.html: failed, KeyError: 'x'" in told
    assert "How wrong would the assumptions" in (tmp_path / "senate.html").read_text()
    page = read(tmp_path / "mpdta.html").text
    assert "This page could not be written" in page
    assert "The query 'cards' failed: no such column." in page
