"""Command line: ``python -m reports`` writes the index and a page a study."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import duckdb

from figures.data import WarehouseError, connect, study_names

from .fences import PageError
from .render import index_page, study_page


def main(arguments: list[str] | None = None) -> int:
    """Render the pages; one line a page. Returns 0, 1 where a page failed, 2 where there is nothing to render."""
    parser = argparse.ArgumentParser(prog="python -m reports", description="Renders the report from marts.")
    parser.add_argument("--warehouse", type=Path, default=Path("warehouse.duckdb"), help="DuckDB file")
    parser.add_argument("--out", type=Path, default=Path("reports/site"), help="folder of the HTML files")
    parser.add_argument("--studies", default="", help="names with commas; all without")
    given = parser.parse_args(arguments)
    wanted = [name.strip() for name in given.studies.split(",") if name.strip()]
    try:
        return write(given.warehouse, given.out, wanted)
    except WarehouseError as error:
        print(f"reports: {error}", file=sys.stderr)
        return 2


def write(warehouse: Path, out: Path, wanted: list[str]) -> int:
    """Write the site. A page that fails is told and the others are written."""
    failed = 0
    with connect(warehouse) as connection:
        known = study_names(connection)
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise WarehouseError(f"no study named {', '.join(unknown)}. The warehouse has: {', '.join(known)}")
        studies = [name for name in known if not wanted or name in wanted]
        out.mkdir(parents=True, exist_ok=True)
        for name in [*studies, "index"]:
            try:
                html, told = _page(connection, name, studies)
            except Exception as error:  # one page that breaks must not take the others along, and tells what happened
                failed += 1
                kind = "" if isinstance(error, PageError) else f"{type(error).__name__}: "
                print(f"{name}: failed, {kind}{error}", file=sys.stderr)
                continue
            path = out / f"{name}.html"
            path.write_text(html, encoding="utf-8")
            print(f"{name}: {told}, {len(html.encode()) / 1024:.0f} KB, {path}")
    return 1 if failed else 0


def _page(connection: duckdb.DuckDBPyConnection, name: str, studies: list[str]) -> tuple[str, str]:
    """One page and what is on it."""
    if name == "index":
        return index_page(connection, studies), f"{len(studies)} studies"
    html, drawn, absent = study_page(connection, name, studies)
    return html, f"{drawn} figures, {absent} without rows"


if __name__ == "__main__":
    sys.exit(main())
