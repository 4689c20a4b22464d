"""Command line: ``python -m figures --study nsw`` writes a study's figures as PNG, SVG, GIF and HTML."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import interactive
from .animated import Film, gif
from .data import StudyRows, WarehouseError, connect, load
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
        write(given.warehouse, given.study, given.out)
    except WarehouseError as error:
        print(f"figures: {error}", file=sys.stderr)
        return 2
    return 0


def write(warehouse: Path, study: str, out: Path) -> list[Path]:
    """The files written for one study; prints a line a figure, with the reason where there is none."""
    with connect(warehouse) as connection:
        rows = load(connection, study)
    folder = out / study
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for entry in CATALOGUE:
        drawn = draw(entry.name, rows)
        if isinstance(drawn, NotDrawn):
            print(f"{entry.name}: not drawn, {drawn.reason}")
            continue
        salt = f"{study}.{entry.name}"
        found = {"svg": svg(drawn, salt).encode(), "png": png(drawn, salt)}
        if isinstance(drawn, Film):
            found["gif"] = gif(drawn)
        for suffix, content in found.items():
            path = folder / f"{entry.name}.{suffix}"
            path.write_bytes(content)
            written.append(path)
        print(f"{entry.name}: {drawn.title}")
    return written + _to_point_at(rows, folder)


def _to_point_at(rows: StudyRows, folder: Path) -> list[Path]:
    """The page of the interactive figures, where the study has any."""
    page = interactive.study_page(rows)
    if isinstance(page, NotDrawn):
        print(f"interactive: not drawn, {page.reason}")
        return []
    path = folder / "interactive.html"
    path.write_text(page)
    print(f"interactive: {', '.join(interactive.FIGURES)} where there are rows, in {path.name}")
    return [path]


if __name__ == "__main__":
    sys.exit(main())
