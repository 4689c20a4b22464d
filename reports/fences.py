"""Parses a page: named SQL fences apart, Markdown to HTML with the Jinja2 tags left whole."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markdown_it import MarkdownIt

_FENCE = re.compile(r"^```sql[ \t]+(?P<name>\S+)[ \t]*\n(?P<sql>.*?)^```[ \t]*$\n?", re.MULTILINE | re.DOTALL)
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
# Characters of the private use area: no page and no Markdown rule holds them.
_OPEN, _CLOSE = "\ue000", "\ue001"
_HELD = re.compile(f"<!--{_OPEN}(\\d+){_CLOSE}-->|{_OPEN}(\\d+){_CLOSE}")


class PageError(Exception):
    """A page that cannot be rendered; the message names the fence."""


@dataclass(frozen=True)
class Fence:
    """One named query of a page."""

    name: str
    sql: str


def parse(source: str) -> tuple[str, list[Fence]]:
    """The page with each fence replaced by a call that shows its SQL, and the fences in order.

    Raises
    ------
    PageError
        For a name that is no identifier or stands twice, and for an SQL fence without a name.
    """
    fences: list[Fence] = []

    def take(match: re.Match[str]) -> str:
        name = match["name"]
        if not name.isidentifier():
            raise PageError(f"the name of the SQL fence '{name}' is no identifier")
        if any(fence.name == name for fence in fences):
            raise PageError(f"two SQL fences are named '{name}'")
        fences.append(Fence(name, match["sql"].strip()))
        return f'\n{{{{ shown_sql("{name}") }}}}\n\n'

    text = _FENCE.sub(take, source)
    if re.search(r"^```sql\s*$", text, re.MULTILINE):
        raise PageError("an SQL fence has no name: write ```sql name")
    return text, fences


def to_html(text: str) -> str:
    """Markdown to HTML. Jinja2 tags are set aside meanwhile, so values never pass through Markdown.

    A tag alone on its line stays a block by itself; others stay inside their paragraph.
    """
    tags: list[str] = []

    def hold(match: re.Match[str]) -> str:
        tags.append(match[0])
        return f"{_OPEN}{len(tags) - 1}{_CLOSE}"

    held = _TAG.sub(hold, text)
    # An HTML comment is a block to Markdown and may interrupt a paragraph.
    line = re.compile(f"^[ \\t]*((?:{_OPEN}\\d+{_CLOSE}[ \\t]*)+)$", re.MULTILINE)
    mark = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
    held = line.sub(lambda m: mark.sub(lambda n: f"<!--{n[0]}-->", m[1]), held)
    html = MarkdownIt("commonmark", {"html": True, "typographer": False}).enable("table").render(held)
    return _HELD.sub(lambda m: tags[int(m[1] or m[2])], html)
