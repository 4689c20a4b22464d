"""Renders pages: queries first, then Markdown, then Jinja2 with every value escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from markupsafe import Markup

from figures.data import load
from figures.registry import CATALOGUE, draw
from figures.style import NotDrawn, svg

from . import queries
from .fences import PageError, parse, to_html
from .filters import FILTERS, GLOBALS
from .inline import inline

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Shown:
    """One figure on a page."""

    name: str
    title: str
    guide: str
    caption: str
    reads: str
    svg: Markup


@dataclass(frozen=True)
class Absent:
    """One figure that is not on a page, and why."""

    name: str
    reason: str


def environment() -> Environment:
    """Jinja2 over templates and partials: escaping on, an unknown word is an error."""
    found = Environment(
        loader=FileSystemLoader([HERE / "templates", HERE / "partials"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(FILTERS)
    found.globals.update(GLOBALS)
    return found


def study_page(connection: duckdb.DuckDBPyConnection, study: str, studies: list[str]) -> tuple[str, int, int]:
    """The HTML of one study's page, how many figures are on it, and how many are not.

    Raises
    ------
    PageError
        Where a query or a template fails.
    """
    shown, absent = figures_of(connection, study)
    context = {"study": study, "studies": studies, "figures": shown, "absent": absent}
    return page(connection, "study.md", context), len(shown), len(absent)


def index_page(connection: duckdb.DuckDBPyConnection, studies: list[str]) -> str:
    """The HTML of the page that lists the studies."""
    return page(connection, "index.md", {"studies": studies})


def page(connection: duckdb.DuckDBPyConnection, name: str, context: Mapping[str, Any]) -> str:
    """One page of ``reports/pages`` as a whole HTML document."""
    source = (HERE / "pages" / name).read_text()
    return document(connection, source, context)


def document(connection: duckdb.DuckDBPyConnection, source: str, context: Mapping[str, Any]) -> str:
    """A page's source as a whole HTML document; its queries' rows stand under their names."""
    jinja = environment()
    text, fences = parse(source)
    known: dict[str, Any] = dict(context)
    statements: dict[str, str] = {}
    try:
        for fence in fences:
            statements[fence.name] = queries.readable(fence.sql, known)
            known[fence.name] = queries.run(connection, fence, known)
        partial = jinja.get_template("sql.html")
        jinja.globals["shown_sql"] = lambda name: Markup(partial.render(name=name, sql=statements[name]))
        body = jinja.from_string(to_html(text)).render(**known)
        return jinja.get_template("base.html").render(body=Markup(body), **known)
    except TemplateError as error:
        raise PageError(f"{type(error).__name__}: {error}") from error


def figures_of(connection: duckdb.DuckDBPyConnection, study: str) -> tuple[list[Shown], list[Absent]]:
    """The figures that the study has rows for, and the reasons for the others."""
    rows = load(connection, study)
    shown: list[Shown] = []
    absent: list[Absent] = []
    for entry in CATALOGUE:
        drawn = draw(entry.name, rows)
        if isinstance(drawn, NotDrawn):
            absent.append(Absent(entry.name, drawn.reason))
            continue
        picture = inline(svg(drawn, f"{study}.{entry.name}", titled=False), f"fig-{entry.name}", drawn.title)
        shown.append(Shown(entry.name, drawn.title, entry.guide, drawn.caption, entry.reads, picture))
    return shown, absent
