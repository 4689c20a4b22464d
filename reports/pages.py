"""Finds the pages: Markdown files with a few lines of front matter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from figures.names import stem

from .fences import PageError

HERE = Path(__file__).parent
OWN = HERE / "pages"
_FRONT = re.compile(r"\A---[ \t]*\n(?P<lines>.*?)^---[ \t]*$\n?", re.MULTILINE | re.DOTALL)
_KEYS = ("title", "nav", "order", "each")
NAME = re.compile(r"[a-z][a-z0-9_]*\Z")

SKELETON = """\
---
title: {title}
nav: {title}
order: 50
---

# {title}

What this page is for, in a sentence. The query below gives its rows to the page under the name `decisions`.

```sql decisions
select decision, count(*) as studies
from marts.decision_cards
group by all
order by decision
```

{{{{ table(decisions, "Studies by decision") }}}}
"""


@dataclass(frozen=True)
class Page:
    """One page as its author wrote it.

    Attributes
    ----------
    name : str
        Name of the file; with ``.html`` that of the page.
    title : str
        Of the browser's tab; may hold Jinja2.
    nav : str
        Its word in the navigation; empty: it is not there.
    order : int
        Place in the navigation.
    each_study : bool
        Whether it is written once a study.
    body : str
        The Markdown, with as many empty lines before it as the front matter had: line numbers are the file's.
    """

    name: str
    title: str
    nav: str
    order: int
    each_study: bool
    body: str

    def file(self, study: str = "") -> str:
        """Name of the HTML file; the page ``study`` is named as the study, as :func:`figures.names.stem` has it."""
        if not self.each_study:
            return f"{self.name}.html"
        return f"{stem(study)}.html" if self.name == "study" else f"{stem(study)}_{self.name}.html"


# They stand where a study's results are not to be shown, and where a page could not be written.
NOT_CURRENT = Page(
    "study", "{{ declared.question or study | shown }}", "", 99, True, '{% include "not_current.html" %}'
)
FAILED = Page("page", "Not written", "", 99, False, '{% include "failed.html" %}')


def read(name: str, source: str) -> Page:
    """A page from its text.

    Raises
    ------
    PageError
        Where the front matter has a line that is not ``key: value`` or a key that nobody knows.
    """
    front = _FRONT.match(source)
    given: dict[str, str] = {}
    for number, line in enumerate(front["lines"].splitlines() if front else [], 2):
        key, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or key.strip() not in _KEYS:
            raise PageError(f"the front matter says '{line.strip()}'; it knows {', '.join(_KEYS)}", number)
        given[key.strip()] = value.strip()
        _checked(key.strip(), value.strip(), number)
    body = "\n" * front[0].count("\n") + source[front.end() :] if front else source
    title = given.get("title") or name.replace("_", " ").capitalize()
    return Page(name, title, given.get("nav", ""), int(given.get("order", 99)), given.get("each") == "study", body)


def _checked(key: str, value: str, line: int) -> None:
    if key == "order" and not value.isdigit():
        raise PageError(f"order is a whole number, not '{value}'", line)
    if key == "each" and value != "study":
        raise PageError(f"each can be 'study', not '{value}'", line)


def files(folder: Path | None = None) -> dict[str, Path]:
    """The pages' files by name: ours, then those of ``folder``, which may replace ours."""
    found = {path.stem: path for path in sorted(OWN.glob("*.md"))}
    if folder is not None:
        found |= {path.stem: path for path in sorted(folder.glob("*.md"))}
    return found


def load(folder: Path | None = None) -> list[Page]:
    """Every page in order of the navigation.

    Raises
    ------
    PageError
        With the page's file and line.
    """
    pages = []
    for name, path in files(folder).items():
        try:
            pages.append(read(name, path.read_text(encoding="utf-8")))
        except PageError as error:
            raise PageError(f"{path}:{error.line}: {error}") from error
    return sorted(pages, key=lambda page: (page.order, page.name))


def init(name: str, folder: Path) -> Path:
    """A new page that renders at once.

    Raises
    ------
    PageError
        Where the name cannot be a file's or is taken.
    """
    if not NAME.match(name):
        raise PageError(f"'{name}' cannot be a page's name: small letters, digits and _, a letter first")
    path = folder / f"{name}.md"
    if path.exists() or name in files():
        raise PageError(f"there is a page '{name}' already: {path if path.exists() else files()[name]}")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(SKELETON.format(title=name.replace("_", " ").capitalize()), encoding="utf-8")
    return path
