"""Command line: ``python -m figures --study nsw`` writes a study's figures as PNG, SVG, GIF and HTML."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import duckdb

from . import interactive
from .animated import Film, gif
from .data import StudyRows, WarehouseError, connect, load, unreadable
from .registry import CATALOGUE, draw
from .style import NotDrawn, png, svg


def main(arguments: list[str] | None = None) -> int:
    """Draw what the study has rows for; one line a figure. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m figures", description="Draws a study's figures from marts.")
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--warehouse", type=Path, default=Path("warehouse.duckdb"), help="DuckDB file")
    parser.add_argument("--out", type=Path, default=Path("figures/output"), help="folder; a folder a study inside")
    given = parser.parse_args(arguments)
    try:
        _, failed = write(given.warehouse, given.study, given.out)
    except (WarehouseError, OSError) as error:
        print(f"figures: {error}", file=sys.stderr)
        return 2
    except duckdb.Error as error:
        print(f"figures: {unreadable(given.warehouse, error)}", file=sys.stderr)
        return 2
    return 1 if failed else 0


def write(warehouse: Path, study: str, out: Path) -> tuple[list[Path], int]:
    """The files written for one study, and how many figures failed; a line a figure, with the reason where none is.

    Raises
    ------
    WarehouseError
        Where the warehouse cannot be read, or the study is not in it or not current.
    """
    with connect(warehouse) as connection:
        rows = load(connection, study)
    folder = out / rows.stem
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    failed = 0
    for name, make in [
        *((entry.name, partial(_still, entry.name)) for entry in CATALOGUE),
        ("interactive", _to_point_at),
    ]:
        try:
            written += make(rows, folder)
        except Exception as error:  # one figure that breaks must not take the others along
            if isinstance(error, OSError):
                raise
            failed += 1
            print(f"{name}: failed, {type(error).__name__}: {error}", file=sys.stderr)
    return written, failed


def _still(name: str, rows: StudyRows, folder: Path) -> list[Path]:
    """The files of one figure: SVG, PNG and, where it moves, GIF."""
    drawn = draw(name, rows)
    if isinstance(drawn, NotDrawn):
        print(f"{name}: not drawn, {drawn.reason}")
        return []
    salt = f"{rows.name}.{name}"
    found = {"svg": svg(drawn, salt).encode(), "png": png(drawn, salt)}
    if isinstance(drawn, Film):
        found["gif"] = gif(drawn)
    for suffix, content in found.items():
        (folder / f"{name}.{suffix}").write_bytes(content)
    print(f"{name}: {drawn.title}")
    return [folder / f"{name}.{suffix}" for suffix in found]


def _to_point_at(rows: StudyRows, folder: Path) -> list[Path]:
    """The page of the interactive figures, where the study has any."""
    page = interactive.study_page(rows)
    if isinstance(page, NotDrawn):
        print(f"interactive: not drawn, {page.reason}")
        return []
    path = folder / "interactive.html"
    path.write_text(page, encoding="utf-8")
    print(f"interactive: {', '.join(interactive.FIGURES)} where there are rows, in {path.name}")
    return [path]


if __name__ == "__main__":
    sys.exit(main())
