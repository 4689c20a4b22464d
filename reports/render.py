"""Renders pages: queries first, then Markdown, then Jinja2 with every value escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from markupsafe import Markup

from figures.names import shown
from figures.policy import content_security

from . import queries
from .drawing import Shown
from .fences import PageError, parse, to_html
from .filters import FILTERS, GLOBALS
from .inline import inline
from .pages import Page, read

HERE = Path(__file__).parent
# What a page may say besides its own queries; docs/reports.md tells what each is.
WORDS = ("page", "pages", "studies", "gallery", "lineage", "not_current", "current", "earlier", "troubled",
         "shown_sql", "table", "picture")  # fmt: skip
_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
STUDY_WORDS = ("study", "figures", "absent", "downloads", "problems")
# What a page knows of these where nobody tells: nothing.
NONE_TOLD: dict[str, Any] = {
    "pages": [],
    "studies": [],
    "current": [],
    "not_current": [],
    "earlier": [],
    "troubled": (),
    "problems": (),
}
# The first figures of a page are part of it; further or larger ones stay files, which the browser draws when they are
# scrolled to: so a page of fifty figures loads as fast as one of ten.
INLINE_BYTES, PAGE_BYTES = 120_000, 350_000


@cache
def environment() -> Environment:
    """Jinja2 over templates and partials, each compiled once: escaping on, an unknown word is an error."""
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


def document(
    connection: duckdb.DuckDBPyConnection, source: str | Page, context: Mapping[str, Any], site: Path | None = None
) -> str:
    """A page as a whole HTML document; its queries' rows stand under their names.

    Raises
    ------
    PageError
        Where a query or a template fails.
    """
    page = read("page", source) if isinstance(source, str) else source
    jinja = environment()
    text, fences = parse(page.body)
    known: dict[str, Any] = {"page": page, **NONE_TOLD, **context}
    statements: dict[str, str] = {}
    try:
        for fence in fences:
            statements[fence.name] = queries.readable(fence.sql, known)
            known[fence.name] = queries.run(connection, fence, known)
        known |= _helpers(jinja, statements, site)
        body = jinja.from_string(to_html(text)).render(**known)
        title = jinja.from_string(page.title).render(**known)
        return _whole(jinja, body, title, known)
    except TemplateError as error:
        raise PageError(f"{type(error).__name__}: {error}") from error


def _helpers(jinja: Environment, statements: Mapping[str, str], site: Path | None) -> dict[str, Any]:
    """The calls that a page may make: ``shown_sql``, ``table`` and ``picture``."""
    left = PAGE_BYTES
    sql, rows_table = jinja.get_template("sql.html"), jinja.get_template("rows_table.html")

    def shown_sql(name: str) -> Markup:
        return Markup(sql.render(name=name, sql=statements[name]))

    def table(rows: list[dict[str, Any]], caption: str, columns: list[str] | None = None) -> Markup:
        names = columns or (list(rows[0]) if rows else [])
        numeric = {name for name in names if any(row[name] is not None for row in rows)
                   and all(_is_number(row[name]) for row in rows)}  # fmt: skip
        return Markup(rows_table.render(rows=rows, caption=caption, columns=names, numeric=numeric))

    def picture(figure: Shown) -> Markup:
        nonlocal left
        path = (site or Path()) / figure.file
        size = path.stat().st_size
        if path.suffix != ".svg" or size > min(INLINE_BYTES, left):
            return _apart(figure, path)
        left -= size
        return inline(path.read_text(encoding="utf-8"), f"fig-{figure.name}", figure.title)

    return {"shown_sql": shown_sql, "table": table, "picture": picture}


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float, Decimal)) and not isinstance(value, bool))


def _apart(figure: Shown, path: Path) -> Markup:
    """The file as an image that loads when it is scrolled to; its size is told, so that nothing moves when it comes."""
    with path.open(encoding="utf-8", errors="replace") as file:
        box = _BOX.search(file.read(2_000))
    size = Markup(' width="{}" height="{}"').format(*(round(float(one)) for one in box.groups())) if box else ""
    text = '<img src="{}" alt="{}"{} loading="lazy" decoding="async">'
    return Markup(text).format(figure.file, figure.title, size)


def _whole(jinja: Environment, body: str, title: str, known: Mapping[str, Any]) -> str:
    style, script = (
        (HERE / "templates" / name).read_text(encoding="utf-8").strip() for name in ("style.css", "site.js")
    )
    return shown(jinja.get_template("base.html").render(**{
        **known, "body": Markup(body), "title": Markup(title), "style": Markup(style), "script": Markup(script),
        "policy": content_security([style], [script]),
    }))  # fmt: skip
