"""Draws a study's figures into the site's folder, and leaves them alone where neither rows nor code have changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from figures import interactive
from figures.animated import Film, gif
from figures.data import Row, StudyRows
from figures.registry import CATALOGUE, Entry, draw
from figures.style import Drawing, NotDrawn, svg

from .beside import is_of_the_disk

ROOT = Path(__file__).resolve().parents[1]
# They differ from build to build and no figure reads them.
TIMES = ("seconds", "estimated_at", "logged_at")
MANIFEST = "drawn.json"


@dataclass(frozen=True)
class Shown:
    """One figure of one study, as it lies in the site's folder.

    Attributes
    ----------
    file : str
        Path of the SVG from the site's folder.
    live : str
        Path of its film (GIF) or of its interactive page; empty where there is none.
    """

    study: str
    name: str
    family: str
    title: str
    guide: str
    caption: str
    reads: str
    file: str
    live: str = ""


@dataclass(frozen=True)
class Absent:
    """One figure that is not on a page, and why."""

    name: str
    reason: str
    failed: bool = False


@dataclass(frozen=True)
class Drawn:
    """All figures of one study; ``unchanged`` where they were there already."""

    study: str
    shown: tuple[Shown, ...]
    absent: tuple[Absent, ...]
    unchanged: bool = False

    @property
    def failed(self) -> tuple[Absent, ...]:
        """The figures whose code broke."""
        return tuple(one for one in self.absent if one.failed)


@cache
def code_hash() -> str:
    """SHA-256 over the code that makes figures and downloads."""
    found = hashlib.sha256()
    files = [*(ROOT / "figures").rglob("*.py"), *(ROOT / "reports").rglob("*.py"), ROOT / "estimators" / "registry.py"]
    for path in sorted([*files, *(ROOT / "reports" / "templates").glob("*.typ")]):
        found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def rows_hash(rows: StudyRows, without: Iterable[str] = TIMES) -> str:
    """SHA-256 over every row of a study, columns in order of name, without the columns told."""
    left_out = set(without)
    found = hashlib.sha256(code_hash().encode())
    tables = ((rows.study,), (rows.card,), rows.estimates, rows.other_estimates, rows.diagnostics,
              rows.curves, rows.failed_curves, rows.gates, rows.sensitivity)  # fmt: skip
    for table in tables:
        lines = sorted(repr(sorted((k, v) for k, v in row.items() if k not in left_out)) for row in table)
        found.update("\n".join(lines).encode() + b"\0\0")
    return found.hexdigest()


def figures(rows: StudyRows, site: Path) -> Drawn:
    """The study's figures in ``site/figures/<study>``, drawn anew only where its rows or the code differ."""
    folder = site / "figures" / rows.stem
    key = rows_hash(rows)
    kept = _kept(rows.name, folder / MANIFEST, key, site)
    if kept is not None:
        return kept
    fresh(folder)
    shown: list[Shown] = []
    absent: list[Absent] = []
    for entry in CATALOGUE:
        one = _one(entry, rows, folder)
        (shown if isinstance(one, Shown) else absent).append(one)  # type: ignore[arg-type]
    try:
        shown = _to_point_at(rows, folder, shown)
    except Exception as error:
        absent.append(Absent("interactive", broken(error), failed=True))
    drawn = Drawn(rows.name, tuple(shown), tuple(absent))
    if not drawn.failed:
        held = {"key": key, "shown": [asdict(one) for one in shown], "absent": [asdict(one) for one in absent]}
        (folder / MANIFEST).write_text(json.dumps(held, indent=1, ensure_ascii=False), encoding="utf-8")
    return drawn


def _kept(study: str, path: Path, key: str, site: Path) -> Drawn | None:
    try:
        held: Row = json.loads(path.read_text(encoding="utf-8"))
        shown = tuple(Shown(**one) for one in held["shown"])
        absent = tuple(Absent(**one) for one in held["absent"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = all((site / path).is_file() for one in shown for path in (one.file, one.live) if path)
    return Drawn(study, shown, absent, unchanged=True) if held["key"] == key and whole else None


def fresh(folder: Path) -> None:
    """An empty folder: what was there may be linked from the site that readers see, and is not written into."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def broken(error: Exception) -> str:
    """What is told of a part whose code failed, on the page and on the console; an error of the disk is raised."""
    if is_of_the_disk(error):
        raise error
    return f"its code failed: {type(error).__name__}: {error}"


def _one(entry: Entry, rows: StudyRows, folder: Path) -> Shown | Absent:
    """Draw one figure and write its file; a figure whose code breaks does not take the others along."""
    try:
        drawn: Any = draw(entry.name, rows)
        if isinstance(drawn, NotDrawn):
            return Absent(entry.name, drawn.reason)
        file, live = _written(drawn, entry.name, rows, folder)
    except Exception as error:
        return Absent(entry.name, broken(error), failed=True)
    return Shown(rows.name, entry.name, entry.family, drawn.title, entry.guide, drawn.caption, entry.reads, file, live)


def _written(drawn: Drawing, name: str, rows: StudyRows, folder: Path) -> tuple[str, str]:
    """Paths of the still picture and, where it moves, of the film."""
    path = folder / f"{name}.svg"
    path.write_text(svg(drawn, f"{rows.name}.{name}", titled=False), encoding="utf-8")
    live = ""
    if isinstance(drawn, Film):
        (folder / f"{name}.gif").write_bytes(gif(drawn))
        live = f"figures/{rows.stem}/{name}.gif"
    return f"figures/{rows.stem}/{path.name}", live


def _to_point_at(rows: StudyRows, folder: Path, shown: list[Shown]) -> list[Shown]:
    """The figures, with the way to the study's interactive page where there is one; plotly.js lies beside, once."""
    page = interactive.study_page(rows, "../plotly.js")
    if isinstance(page, NotDrawn):
        return shown
    library = folder.parent / "plotly.js"
    if not library.exists():
        mine = library.with_name(f"plotly.{os.getpid()}.js")
        mine.write_text(interactive.script(), encoding="utf-8")
        mine.replace(library)
    path = folder / "interactive.html"
    path.write_text(page, encoding="utf-8")
    live = f"figures/{rows.stem}/{path.name}"
    return [replace(one, live=live) if one.name in interactive.FIGURES else one for one in shown]
