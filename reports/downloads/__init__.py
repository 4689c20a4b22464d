"""What a study gives to take along: its card as PDF, picture, slides and JSON, LaTeX tables, and its rows."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from figures.data import StudyRows

from ..drawing import Drawn, rows_hash
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


def write(rows: StudyRows, site: Path, drawn: Drawn) -> tuple[Download, ...]:
    """The study's files in ``site/downloads/<study>``; left alone where neither rows nor code have changed."""
    folder = site / "downloads" / rows.name
    key = rows_hash(rows, without=())
    kept = _kept(folder, key, site)
    if kept is not None:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (site / "downloads" / SCHEMA.name).write_text(SCHEMA.read_text(encoding="utf-8"), encoding="utf-8")
    pdf, pages = typeset.card(rows, _picture(drawn, site, rows.card.get("estimator")))
    _save(folder / "card.pdf", pdf)
    _save(folder / "card.png", pages[0])
    _save(folder / "card.pptx", slides.deck(rows))
    _save(folder / "card.json", document.text(rows).encode())
    _save(folder / "tables.tex", latex.tables(rows).encode())
    written = tables.write(rows, folder)
    found = (*_named(rows.name), *(_rows(rows.name, path) for path in written))
    held = {"key": key, "files": [asdict(one) for one in found]}
    (folder / MANIFEST).write_text(json.dumps(held, indent=1, ensure_ascii=False), encoding="utf-8")
    return found


def _named(study: str) -> list[Download]:
    base = f"downloads/{study}"
    return [
        Download("Card as PDF", f"{base}/card.pdf", "two pages"),
        Download("Card as picture", f"{base}/card.png", "PNG"),
        Download("Slides", f"{base}/card.pptx", "PowerPoint"),
        Download("LaTeX tables", f"{base}/tables.tex", "estimates and gates, booktabs"),
        Download("Card as JSON", f"{base}/card.json", "for programs"),
        Download("Schema of the JSON", f"downloads/{SCHEMA.name}", "JSON Schema"),
    ]


def _rows(study: str, path: Path) -> Download:
    return Download(path.name, f"downloads/{study}/{path.name}", f"{max(1, path.stat().st_size // 1024):,} KB", True)


def _save(path: Path, content: bytes) -> None:
    path.write_bytes(content)


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
