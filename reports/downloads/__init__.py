"""What a study gives to take along: its card as PDF, picture, slides and JSON, LaTeX tables, and its rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from figures.data import StudyRows

from ..beside import put
from ..drawing import Drawn, broken, fresh, rows_hash
from . import document, latex, schema, slides, tables, typeset

MANIFEST = "made.json"
SCHEMA = schema.PUBLISHED


@dataclass(frozen=True)
class Download:
    """One file: its label, path from the site's folder, what it holds, and whether it is a table's rows."""

    label: str
    file: str
    told: str
    table: bool = False


@dataclass(frozen=True)
class Lost:
    """A download that could not be written, and why."""

    name: str
    reason: str


def write(rows: StudyRows, site: Path, drawn: Drawn) -> tuple[tuple[Download, ...], tuple[Lost, ...]]:
    """The study's files in ``site/downloads/<study>``, and those that could not be made.

    They are left alone where neither rows nor code have changed.

    Raises
    ------
    OSError
        Where the disk takes nothing more.
    """
    folder = site / "downloads" / rows.stem
    key = rows_hash(rows, without=())
    kept = _kept(folder, key, site)
    if kept is not None:
        return kept, ()
    fresh(folder)
    put(site / "downloads" / SCHEMA.name, SCHEMA.read_text(encoding="utf-8"))
    base = f"downloads/{rows.stem}"
    found: list[Download] = []
    lost: list[Lost] = []
    for name, make in _makers(rows, site, drawn).items():
        try:
            for file, content in make():
                (folder / file).write_bytes(content)
                found.append(_named(file, base, len(content)))
        except Exception as error:  # one file that breaks must not take the others along
            lost.append(Lost(name, broken(error)))
    found.append(Download("Schema of the JSON", f"downloads/{SCHEMA.name}", "JSON Schema"))
    if not lost:
        held = {"key": key, "files": [asdict(one) for one in found]}
        put(folder / MANIFEST, json.dumps(held, indent=1, ensure_ascii=False))
    return tuple(found), tuple(lost)


Files = Iterator[tuple[str, bytes]]


def _makers(rows: StudyRows, site: Path, drawn: Drawn) -> dict[str, Callable[[], Files]]:
    """What makes each download; a name and a call that gives its files."""

    def paper() -> Files:
        pdf, pages = typeset.card(rows, _picture(drawn, site, rows.card.get("estimator")))
        yield "card.pdf", pdf
        yield "card.png", pages[0]

    def table(name: str) -> Callable[[], Files]:
        return lambda: tables.files(name, rows)

    return {
        "card.pdf and card.png": paper,
        "card.pptx": lambda: iter([("card.pptx", slides.deck(rows))]),
        "tables.tex": lambda: iter([("tables.tex", latex.tables(rows).encode())]),
        "card.json": lambda: iter([("card.json", document.text(rows).encode())]),
        **{f"rows of {name}": table(name) for name in tables.NAMES},
    }


_CARDS = {
    "card.pdf": ("Card as PDF", "two pages"), "card.png": ("Card as picture", "PNG"),
    "card.pptx": ("Slides", "PowerPoint"), "tables.tex": ("LaTeX tables", "estimates and gates, booktabs"),
    "card.json": ("Card as JSON", "for programs"),
}  # fmt: skip


def _named(file: str, base: str, size: int) -> Download:
    if file in _CARDS:
        label, told = _CARDS[file]
        return Download(label, f"{base}/{file}", told)
    return Download(file, f"{base}/{file}", f"{max(1, size // 1024):,} KB", True)


# What fits the rest of the card's first page: the first of them that is wide enough.
PICTURES = ("estimator_forest", "event_study", "rd_plot", "synthetic_path_and_gap", "its_path", "dose_response_curve",
            "ate_distribution", "propensity_overlap")  # fmt: skip
WIDE = 1.45
# A figure of one design says what the primary says only where the primary is of that design.
_OF = {"event_study": ("did",), "rd_plot": ("rd",), "synthetic_path_and_gap": ("synthetic_control", "synthetic_did"),
       "its_path": ("its",), "dose_response_curve": ("dose_response",)}  # fmt: skip


def _picture(drawn: Drawn, site: Path, primary: str | None = None) -> tuple[str, str] | None:
    """The SVG of the card's first page and its title."""
    by_name = {one.name: one for one in drawn.shown}
    for name in PICTURES:
        if name in by_name and primary in _OF.get(name, (primary,)):
            svg = (site / by_name[name].file).read_text(encoding="utf-8")
            size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
            if size and float(size[1]) >= WIDE * float(size[2]):
                return svg, by_name[name].title
    return None


def _kept(folder: Path, key: str, site: Path) -> tuple[Download, ...] | None:
    try:
        held = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = tuple(Download(**one) for one in held["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if held["key"] == key and all((site / one.file).is_file() for one in found) else None
