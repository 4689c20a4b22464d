"""Fences, queries, filters and inlining, each by itself."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from unit import figures_fixture

from figures.data import connect
from reports import filters, queries
from reports.fences import Fence, PageError, parse, to_html
from reports.inline import inline
from reports.render import document


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path: Path = figures_fixture.build(tmp_path_factory.mktemp("marts") / "warehouse.duckdb")
    with connect(path) as found:
        yield found


def test_fences_are_taken_out_and_shown_where_they_stood() -> None:
    text, fences = parse("Before\n\n```sql first\nselect 1\n```\n\nAfter\n\n```sql second\nselect 2\n```\n")
    assert fences == [Fence("first", "select 1"), Fence("second", "select 2")]
    assert text.index("Before") < text.index('shown_sql("first")') < text.index("After")
    assert "select 1" not in text


@pytest.mark.parametrize(
    ("source", "told"),
    [("```sql a\nselect 1\n```\n```sql a\nselect 2\n```\n", "two SQL fences are named 'a'"),
     ("```sql a-b\nselect 1\n```\n", "is no identifier"), ("```sql\nselect 1\n```\n", "has no name"),
     ("```sql a\nselect 1\n", "the SQL fence 'a' has no end"),
     ("```sql a maybe\nselect 1\n```\n", "only 'optional' may follow")],
)  # fmt: skip
def test_bad_fences_are_told(source: str, told: str) -> None:
    with pytest.raises(PageError, match=told):
        parse(source)


def test_other_fences_stay_code() -> None:
    text, fences = parse("```python\nprint(1)\n```\n")
    assert fences == []
    assert "<code" in to_html(text)


def test_markdown_leaves_jinja_alone() -> None:
    html = to_html(
        '# A *b*\n\nIt is {{ x | f("a_b*c*") }} and **bold**.\n\n{% for a in b %}\n- {{ a }}\n{% endfor %}\n'
    )
    assert "<h1>A <em>b</em></h1>" in html
    assert '{{ x | f("a_b*c*") }}' in html
    assert "<strong>bold</strong>" in html
    assert "<p>{% for" not in html


def test_values_in_sql_are_bound_and_cannot_break_out(connection: duckdb.DuckDBPyConnection) -> None:
    evil = "nsw' or '1' = '1"
    sql, values = queries.bound("select * from marts.studies where study = {{ study }}", {"study": evil})
    assert sql.endswith("study = $1")
    assert values == [evil]
    assert queries.run(connection, Fence("s", "select study from marts.studies where study = {{ study }}"),
                       {"study": evil}) == []  # fmt: skip


def test_constants_and_lists_in_sql_are_bound_too(connection: duckdb.DuckDBPyConnection) -> None:
    fence = Fence("s", "select study, {{ 'a' }} as a from marts.studies where list_contains({{ names }}, study)")
    rows = queries.run(connection, fence, {"names": ["nsw", "card"]})
    assert sorted(row["study"] for row in rows) == ["card", "nsw"]
    assert {row["a"] for row in rows} == {"a"}


@pytest.mark.parametrize(
    ("value", "text"),
    [("it's", "'it''s'"), (None, "null"), (True, "true"), (1.5, "1.5"), (["a", 2], "['a', 2]")],
)
def test_literals(value: Any, text: str) -> None:
    assert queries.literal(value) == text
    (row,) = duckdb.execute(f"select {text}").fetchall() if not isinstance(value, list) else [(value,)]
    assert row[0] == value


def test_the_shown_sql_runs_as_it_stands(connection: duckdb.DuckDBPyConnection) -> None:
    text = queries.readable("select study from marts.studies where study = {{ study }}", {"study": "nsw"})
    assert connection.execute(text).fetchall() == [("nsw",)]


def test_a_failing_query_names_its_fence(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(PageError, match="the query 'lost' failed"):
        queries.run(connection, Fence("lost", "select nothing from marts.nowhere"), {})


def test_an_optional_query_has_no_rows_without_its_table(connection: duckdb.DuckDBPyConnection) -> None:
    assert queries.run(connection, Fence("s", "select * from seeds.nowhere", optional=True), {}) == []
    with pytest.raises(PageError, match="the query 's' failed"):
        queries.run(connection, Fence("s", "select nothing from marts.studies", optional=True), {})


def test_a_table_of_any_rows(connection: duckdb.DuckDBPyConnection) -> None:
    source = (
        "```sql found\nselect 'a<b' as name, -1234.5 as amount, true as is_it, null as nothing, 1234 as n\n```\n\n"
        '{{ table(found, "All of it") }}\n'
    )
    page = document(connection, source, {})
    assert "<caption>All of it</caption>" in page
    row = '<th scope="row">a&lt;b</th><td class="num">\N{MINUS SIGN}1,234</td><td>yes</td><td>–</td>'
    assert f'{row}<td class="num">1,234</td>' in page


def test_an_unknown_word_is_an_error(connection: duckdb.DuckDBPyConnection) -> None:
    for source in ("{{ missing }}", "```sql a\nselect {{ missing }}\n```\n"):
        with pytest.raises(PageError, match="missing"):
            document(connection, source, {"study": "nsw", "cards": [{"question": "?"}]})


def test_a_query_sees_the_rows_of_an_earlier_one(connection: duckdb.DuckDBPyConnection) -> None:
    source = (
        "```sql cards\nselect study, question from marts.studies where study = 'nsw'\n```\n\n"
        "```sql again\nselect n_units from marts.studies where study = {{ cards[0].study }}\n```\n\n"
        "{{ again[0].n_units }} units\n"
    )
    assert "<p>445 units</p>" in document(connection, source, {})


def test_inlined_figures_share_no_ids() -> None:
    svg = (
        '<?xml version="1.0"?>\n<svg width="1pt" height="2pt" viewBox="0 0 1 2"><defs><style type="text/css">'
        '*{stroke-linejoin: round}</style><path id="m1"/></defs><use xlink:href="#m1" clip-path="url(#p)"/>'
        "<text style=\"font-size: 9px; font-family: 'DejaVu Sans'; fill: #000\">a</text></svg>"
    )
    page = inline(svg, "fig-a", "Risk < 2 & more")
    assert page.startswith("<svg")
    assert '<svg id="fig-a" role="img" viewBox="0 0 1 2"><title>Risk &lt; 2 &amp; more</title>' in page
    assert '<path id="fig-a-m1"/>' in page
    assert 'href="#fig-a-m1" clip-path="url(#fig-a-p)"' in page
    assert "<style" not in page
    assert "DejaVu" not in page
    assert "font-size: 9px; fill: #000" in page


CARD = {"estimate": 10.0, "conf_low": 5.0, "conf_high": 15.0, "minimum_effect": 4.0, "desired_direction": "more",
        "n_estimated": 4, "n_agreeing": 3, "n_refused": 1, "consensus_estimate": 9.0, "range_low": 2.0,
        "range_high": 11.0, "outcome_unit": "kg", "naive_estimate": 12.3}  # fmt: skip


def test_the_strip_places_zero_zone_and_interval() -> None:
    bar = filters.strip(CARD)
    assert bar is not None
    # From 0 to 15 with 12 % of that on either side.
    assert bar.zero == pytest.approx(100 * 1.8 / 18.6, abs=0.01)
    assert bar.estimate == pytest.approx(100 * 11.8 / 18.6, abs=0.01)
    assert (bar.zone_from, bar.zone_to) == (pytest.approx(100 * 5.8 / 18.6, abs=0.01), 100.0)


def test_the_strip_of_less_has_its_zone_on_the_left() -> None:
    bar = filters.strip({**CARD, "estimate": -10.0, "conf_low": None, "conf_high": None, "desired_direction": "less"})
    assert bar is not None
    assert bar.zone_from == 0.0
    assert bar.estimate < bar.zone_to < bar.zero
    assert bar.low is None


def test_no_estimate_has_no_strip() -> None:
    assert filters.strip({"estimate": None}) is None


def test_agreement_in_words() -> None:
    assert filters.agreement(CARD) == (
        "3 of 4 estimates lie in the primary's interval; they run from +2.0 to +11.0 kg, with the median at +9.0. "
        "1 estimate was refused."
    )
    assert filters.agreement({**CARD, "n_estimated": 0}).startswith("No estimate of this effect stands.")
    assert filters.agreement({**CARD, "n_estimated": 1}).startswith("One method alone")


def test_small_words() -> None:
    assert filters.naive(CARD) == "+12.3 kg"
    which = [{"estimator": "ipw", "estimate": 12.3}, {"estimator": "twfe", "estimate": 12.3}]
    assert filters.naive(CARD, which).startswith("+12.3 kg: two-way fixed effects, as if the effect were the same")
    assert filters.naive({"naive_estimate": None}) == "No naive contrast exists for this design."
    assert filters.decision("do_not_ship") == "Do not ship"
    assert filters.decision("something_else") == "Something else"
    assert filters.listed("overlap, balance") == ["overlap", "balance"]
    assert filters.listed(["overlap"]) == ["overlap"]
    assert filters.listed(None) == []
    assert filters.stamp(datetime.datetime(2026, 11, 3, 6, 5)) == "3 November 2026, 06:05 UTC"
    assert filters.p_short(1e-9) == "< 0.001"
    assert filters.p_short(0.0168) == "0.017"
    assert filters.p_short(None) == "–"
    assert filters.gates_line({"n_gates": 1, "n_gates_failed": 0}) == "The one gate check passed"
    assert filters.gates_line({"n_gates": 5, "n_gates_failed": 2}) == "2 of 5 gate checks failed"
    assert filters.pretty("not json") == "not json"
