"""The report in a real browser (Debian's chromium, headless): it loads, answers, fits, prints and is accessible."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit import figures_fixture

from reports.__main__ import main
from reports.render import PAGE_BYTES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install .[test]")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium")
PAGES = ["index", "nsw", "nsw_cps", "prop99", "gallery", "methods", "calibration", "lineage", "glossary"]
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixture's studies with the seed of methods, so that every page has its table."""
    import duckdb

    warehouse = figures_fixture.build(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema seeds")
        seed = Path(__file__).resolve().parents[2] / "seeds" / "estimator_catalogue.csv"
        catalogue = f"select * from read_csv('{seed}', sample_size = -1)"
        connection.execute(f"create table seeds.estimator_catalogue as {catalogue}")
    out = tmp_path_factory.mktemp("site")
    assert main(["--warehouse", str(warehouse), "--out", str(out), "--workers", "1", "--manifest", "none"]) == 0
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as held:
        found = held.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site in which nsw is not current, a figure of card is broken, and the page of methods cannot be written."""
    import duckdb

    from reports import drawing

    folder = tmp_path_factory.mktemp("troubled")
    warehouse = figures_fixture.build(folder / "warehouse.duckdb")
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("drop view marts.currency")
        connection.execute(
            "create view marts.currency as select study, study <> 'nsw' as is_current,"
            " case when study = 'nsw' then 'its data file has changed since: run `make build`' end as reason"
            " from marts.decision_cards"
        )
        connection.execute("create schema seeds")
        connection.execute("create table seeds.estimator_catalogue as select 1 as other")
    whole = drawing.draw

    def breaks(name: str, rows: Any) -> Any:
        if (name, rows.name) == ("estimator_forest", "card"):
            raise ValueError("no room for the labels")
        return whole(name, rows)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drawing, "draw", breaks)
        given = ["--warehouse", str(warehouse), "--out", str(folder / "site"), "--workers", "1", "--manifest", "none"]
        assert main([*given, "--studies", "nsw,card"]) == 1
    return folder / "site"


class Opened:
    """A page, and what its console complained of."""

    def __init__(self, browser: Any, site: Path, name: str, width: int = 1440, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type in ("error", "warning") else 0)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto((site / f"{name}.html").as_uri())

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_pages_load_without_an_error_and_fit(browser: Any, site: Path, name: str) -> None:
    for width in (1440, 375):
        with Opened(browser, site, name, width) as opened:
            assert opened.errors == []
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
            assert opened.page.locator("main h1").count() == 1
            hurried = opened.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            assert hurried < 3000  # under 1 s where the machine has nothing else to do


@pytest.mark.parametrize("name", PAGES)
def test_pages_stay_small_and_their_files_wait_until_they_are_seen(browser: Any, site: Path, name: str) -> None:
    page = (site / f"{name}.html").read_text()
    assert len(page.encode()) < 800_000
    figures = [len(one) for one in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    assert sum(figures) < 1.3 * PAGE_BYTES  # ids of their own make them a little longer than their files
    with Opened(browser, site, name) as opened:
        for image in opened.page.locator("img").all():
            assert (image.get_attribute("loading"), image.get_attribute("decoding")) == ("lazy", "async")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, site: Path, name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    with Opened(browser, site, name, color_scheme=scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        found = axe.Axe().run(opened.page).response["violations"]
        told = [(one["id"], one["nodes"][0]["html"][:160]) for one in found if one["impact"] in SERIOUS]
        assert told == []


@pytest.mark.parametrize("name", ["index", "nsw", "card", "methods"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_that_tell_of_trouble_are_whole_pages(browser: Any, troubled: Path, name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    told = {"index": "1 not current", "nsw": "its data file has changed since", "methods": "could not be written",
            "card": "no room for the labels"}  # fmt: skip
    for width in (1440, 375):
        with Opened(browser, troubled, name, width, color_scheme=scheme) as opened:
            assert opened.errors == []
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
            assert opened.page.locator("main h1").count() == 1
            assert told[name].lower() in opened.page.locator("main").inner_text().lower()
            found = axe.Axe().run(opened.page).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"][:160]) for one in found if one["impact"] in SERIOUS] == []


def test_the_index_filters_what_is_not_current(browser: Any, troubled: Path) -> None:
    with Opened(browser, troubled, "index") as opened:
        opened.page.get_by_label("Decision", exact=True).select_option("not_current")
        shown = opened.page.locator("#study-list > li:visible")
        assert shown.count() == 1
        assert "Does job training raise earnings" in shown.inner_text()


def test_the_index_searches_and_filters(browser: Any, site: Path) -> None:
    with Opened(browser, site, "index") as opened:
        page = opened.page
        shown = page.locator("#study-list > li:visible")
        assert shown.count() == 7
        page.get_by_label("Search").fill("earnings")
        assert shown.count() == 1
        assert "Does job training raise earnings" in shown.inner_text()
        assert page.get_by_role("status").inner_text() == "1 of 7 studies"
        page.get_by_label("Search").fill("")
        page.get_by_label("Decision", exact=True).select_option("cannot_answer")
        assert shown.count() == 1
        page.get_by_label("Design", exact=True).select_option("panel")
        assert shown.count() == 0
        assert page.get_by_role("status").inner_text() == "0 of 7 studies"
        assert opened.errors == []


def test_the_gallery_filters_by_study(browser: Any, site: Path) -> None:
    with Opened(browser, site, "gallery") as opened:
        shown = opened.page.locator("#figure-list > li:visible")
        whole = shown.count()
        opened.page.get_by_label("Study", exact=True).select_option("prop99")
        assert 0 < shown.count() < whole
        assert all("prop99" in text for text in shown.all_inner_texts())
        assert opened.page.evaluate(
            "[...document.images].filter((one) => one.complete).every((one) => one.naturalWidth > 0)"
        )


def test_tables_sort_by_keyboard_and_say_so(browser: Any, site: Path) -> None:
    with Opened(browser, site, "methods") as opened:
        table = opened.page.locator("main table").first
        names = table.locator("tbody th")
        header = table.locator("thead th").first
        header.get_by_role("button").focus()
        opened.page.keyboard.press("Enter")
        up = [text.split("\n")[0] for text in names.all_inner_texts()]
        assert header.get_attribute("aria-sort") == "ascending"
        assert up == sorted(up, key=str.casefold)
        opened.page.keyboard.press("Enter")
        assert header.get_attribute("aria-sort") == "descending"
        assert [text.split("\n")[0] for text in names.all_inner_texts()] == up[::-1]


def test_numbers_sort_as_numbers_within_their_estimand(browser: Any, site: Path) -> None:
    with Opened(browser, site, "nsw") as opened:
        table = opened.page.locator("table.estimates")
        table.get_by_role("button", name="Effect").click()
        for body in table.locator("tbody").all():
            assert body.locator("tr").first.get_attribute("class") == "group"
            cells = body.locator("tr:not(.group) td:nth-child(2)").all_inner_texts()
            values = [float(text.replace(",", "").replace("\N{MINUS SIGN}", "-")) for text in cells]
            assert values == sorted(values)


def test_rows_filter(browser: Any, site: Path) -> None:
    with Opened(browser, site, "methods") as opened:
        rows = opened.page.locator("main table tbody tr:visible")
        whole = rows.count()
        opened.page.get_by_label("Filter rows").first.fill("instrument")
        assert 0 < rows.count() < whole
        assert f"{rows.count()} of {whole} rows" in opened.page.locator(".filter-line").first.inner_text()


def test_the_sql_of_a_number_shows(browser: Any, site: Path) -> None:
    with Opened(browser, site, "nsw") as opened:
        held = opened.page.locator("details.sql", has_text="(estimates)")
        assert not held.locator("pre").is_visible()
        held.locator("summary").press("Enter")
        assert held.locator("pre").is_visible()
        assert "from marts.estimates" in held.locator("pre").inner_text()


def test_the_skip_link_comes_first_and_leads_to_the_content(browser: Any, site: Path) -> None:
    with Opened(browser, site, "nsw") as opened:
        opened.page.keyboard.press("Tab")
        focused = opened.page.locator(":focus")
        assert focused.inner_text() == "Skip to the content"
        box = focused.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        opened.page.keyboard.press("Enter")
        assert opened.page.evaluate("document.activeElement.id") == "content"


def test_print_gives_the_card(browser: Any, site: Path) -> None:
    with Opened(browser, site, "nsw", color_scheme="dark") as opened:
        opened.page.emulate_media(media="print")
        assert opened.page.locator("article.card").is_visible()
        for left_out in ("header.bar", "#estimates", "#figures", "table.estimates", "details.sql"):
            assert not opened.page.locator(left_out).first.is_visible()
        assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        pdf = opened.page.pdf(format="A4")
        assert pdf.count(b"/Type /Page\n") == 1


def test_the_policy_stops_a_foreign_script(browser: Any, site: Path, tmp_path: Path) -> None:
    page = (site / "index.html").read_text()
    (tmp_path / "tried.html").write_text(page.replace("</main>", "<script>document.title = 'taken'</script></main>"))
    with Opened(browser, tmp_path, "tried") as opened:
        assert opened.page.title() == "Studies · CQOx"
        assert any("Content Security Policy" in error for error in opened.errors)


def test_every_download_of_a_study_is_there(browser: Any, site: Path) -> None:
    with Opened(browser, site, "nsw") as opened:
        links = opened.page.locator(".downloads a").all()
        names = [link.get_attribute("href") for link in links]
        assert len(names) >= 16
        assert all((site / name).is_file() for name in names if name)


@pytest.mark.parametrize("beside", [True, False])
def test_the_interactive_page_runs_under_a_policy_that_stops_others(
    browser: Any, site: Path, tmp_path: Path, beside: bool
) -> None:
    """As the report has it, with plotly.js beside, and as ``python -m figures`` writes it, whole."""
    from figures import interactive
    from figures.data import connect, load

    with connect(figures_fixture.build(tmp_path / "warehouse.duckdb")) as connection:
        rows = load(connection, "mpdta")
    page = interactive.study_page(rows, "plotly.js" if beside else "")
    assert isinstance(page, str)
    assert page.count("Content-Security-Policy") == 1
    if beside:
        assert (site / "figures/mpdta/interactive.html").read_text() == page.replace("plotly.js", "../plotly.js")
        (tmp_path / "plotly.js").write_text(interactive.script())
    (tmp_path / "whole.html").write_text(page)
    (tmp_path / "tried.html").write_text(page.replace("</main>", "<script>document.title = 'taken'</script></main>"))
    with Opened(browser, tmp_path, "whole") as opened:
        opened.page.locator(".point").first.wait_for(state="attached", timeout=20_000)
        assert opened.page.locator(".js-plotly-plot .main-svg").count() >= 2
        assert opened.errors == []
    with Opened(browser, tmp_path, "tried") as opened:
        assert opened.page.title() == rows.card["question"]
        assert any("Content Security Policy" in error for error in opened.errors)


def test_interactive_plots_answer(browser: Any, site: Path) -> None:
    with Opened(browser, site, "mpdta") as opened:
        opened.page.locator("#f-event_study").get_by_role("link", name="Point, zoom and pan").click()
        plot = opened.page.locator("#plotly-mpdta-event_study")
        plot.locator(".point").first.wait_for(state="attached", timeout=20_000)
        assert plot.locator(".hovertext").count() == 0
        plot.locator(".point").nth(2).hover(force=True)
        plot.locator(".hovertext").first.wait_for(timeout=5_000)
        assert opened.errors == []
