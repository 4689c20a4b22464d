"""Checks pages without rendering them: front matter, fences, Jinja2 and the SQL's syntax, each with its line."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
from jinja2 import Environment, TemplateNotFound, TemplateSyntaxError, nodes
from jinja2.meta import find_referenced_templates, find_undeclared_variables

from . import queries
from .fences import Fence, PageError, parse, without_fences
from .pages import Page, read
from .render import STUDY_WORDS, WORDS, environment


def problems(name: str, path: Path) -> list[str]:
    """What is wrong with one page, a line each: ``file:line: what``. None where all is well."""
    try:
        page = read(name, path.read_text(encoding="utf-8"))
        _, fences = parse(page.body)
    except PageError as error:
        return [f"{path}:{error.line}: {error}"]
    jinja = environment()
    found = _template(jinja, page, fences)
    known = {*WORDS, *(STUDY_WORDS if page.each_study else ())}
    for fence in fences:
        found += _fence(fence, known)
        known.add(fence.name)
    return [f"{path}:{line}: {what}" for line, what in sorted(found)]


def _template(jinja: Environment, page: Page, fences: list[Fence]) -> list[tuple[int, str]]:
    """The page's own Jinja2, and the partials that it includes."""
    text = without_fences(page.body)
    try:
        jinja.from_string(text)
        tree = jinja.parse(text)
    except TemplateSyntaxError as error:
        return [(error.lineno, str(error.message))]
    found = []
    for named in find_referenced_templates(tree):
        if named is not None:
            try:
                jinja.get_template(named)
            except TemplateNotFound:
                found.append((_line(tree, nodes.Include, named), f"there is no partial '{named}'"))
            except TemplateSyntaxError as error:
                found.append((_line(tree, nodes.Include, named), f"partial '{named}', line {error.lineno}: {error}"))
    known = {*WORDS, *(STUDY_WORDS if page.each_study else ()), *jinja.globals, *(fence.name for fence in fences)}
    for word in find_undeclared_variables(tree) - known:
        found.append((_line(tree, nodes.Name, word), f"nothing is named '{word}' here"))
    return found


def _line(tree: nodes.Template, kind: type[nodes.Node], name: str) -> int:
    """The line of the first node of this kind that says the name."""
    for node in tree.find_all(kind):
        if name in (getattr(node, "name", None), getattr(getattr(node, "template", None), "value", None)):
            return node.lineno
    return 1


def _fence(fence: Fence, known: set[str]) -> list[tuple[int, str]]:
    """One query: its Jinja2, the words in it, and the SQL as DuckDB reads it."""
    told = f"the query '{fence.name}'"
    jinja = Environment()
    try:
        tree = jinja.parse(fence.sql)
    except TemplateSyntaxError as error:
        return [(fence.line + error.lineno, f"{told}: {error.message}")]
    found = [
        (fence.line + _line(tree, nodes.Name, word), f"{told}: nothing is named '{word}' before it")
        for word in find_undeclared_variables(tree) - known
    ]
    try:
        statements = duckdb.extract_statements(queries.placeholders(fence.sql))
    except duckdb.Error as error:
        line = re.search(r"LINE (\d+):", str(error))
        return [*found, (fence.line + int(line[1] if line else 1), f"{told}: {str(error).splitlines()[0]}")]
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        found.append((fence.line, f"{told} is not one select"))
    return found
