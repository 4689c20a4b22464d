"""Parses a page: named SQL fences apart, Markdown to HTML with the Jinja2 tags left whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from markdown_it import MarkdownIt

_FENCE = re.compile(
    r"^```sql[ \t]+(?P<name>\S+)(?P<words>[^\n]*)\n(?P<sql>.*?)^```[ \t]*$\n?", re.MULTILINE | re.DOTALL
)
_UNNAMED = re.compile(r"^```sql[ \t]*$", re.MULTILINE)
_OPENED = re.compile(r"^```sql[ \t]+(?P<name>\S+)", re.MULTILINE)
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
# Characters of the private use area: no page and no Markdown rule holds them.
_OPEN, _CLOSE = "\ue000", "\ue001"
_HELD = re.compile(f"<!--{_OPEN}(\\d+){_CLOSE}-->|{_OPEN}(\\d+){_CLOSE}")


class PageError(Exception):
    """A page that cannot be rendered; the message names the fence.

    Attributes
    ----------
    line : int or None
        Of the page, counted from one.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Fence:
    """One named query of a page.

    Attributes
    ----------
    name : str
        Its rows stand under this name.
    sql : str
    line : int
        Of the opening backticks, counted from one.
    optional : bool
        Whether its table may be absent from the warehouse: then it has no rows.
    """

    name: str
    sql: str
    line: int = field(default=0, compare=False)
    optional: bool = False


def parse(source: str) -> tuple[str, list[Fence]]:
    """The page with each fence replaced by a call that shows its SQL, and the fences in order.

    Raises
    ------
    PageError
        For a name that is no identifier or stands twice, for an SQL fence without a name or without its end,
        and for a word after the name other than ``optional``.
    """
    fences: list[Fence] = []

    def take(match: re.Match[str]) -> str:
        fence = _fence(match, source.count("\n", 0, match.start()) + 1)
        if any(other.name == fence.name for other in fences):
            raise PageError(f"two SQL fences are named '{fence.name}'", fence.line)
        fences.append(fence)
        return f'\n{{{{ shown_sql("{fence.name}") }}}}\n\n'

    unnamed = _UNNAMED.search(source)
    if unnamed:
        line = source.count("\n", 0, unnamed.start()) + 1
        raise PageError("an SQL fence has no name: write ```sql name", line)
    text = _FENCE.sub(take, source)
    open_still = _OPENED.search(text)
    if open_still:
        started = source.rindex(open_still[0])
        raise PageError(f"the SQL fence '{open_still['name']}' has no end", source.count("\n", 0, started) + 1)
    return text, fences


def _fence(match: re.Match[str], line: int) -> Fence:
    name, words = match["name"], match["words"].split()
    if not name.isidentifier():
        raise PageError(f"the name of the SQL fence '{name}' is no identifier", line)
    if words not in ([], ["optional"]):
        raise PageError(f"the SQL fence '{name}' says '{' '.join(words)}'; only 'optional' may follow a name", line)
    return Fence(name, match["sql"].strip(), line, bool(words))


def without_fences(source: str) -> str:
    """The page with every fence blanked, so that line numbers stay."""
    return _FENCE.sub(lambda match: "\n" * match[0].count("\n"), source)


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
