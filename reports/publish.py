"""Writes the whole site: figures and downloads of the studies in parallel processes, then the pages."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from figures.data import WarehouseError, connect, load, study_names
from figures.registry import CATALOGUE

from . import downloads, lineage
from .drawing import Drawn, figures
from .fences import PageError
from .pages import Page
from .pages import load as load_pages
from .render import document

LISTING = "site.json"


@dataclass(frozen=True)
class Made:
    """What one process made of one study."""

    drawn: Drawn
    files: tuple[downloads.Download, ...]
    problems: tuple[str, ...]
    seconds: float


@dataclass
class Order:
    """What to write, from which warehouse, and where."""

    warehouse: Path
    out: Path
    studies: list[str] = field(default_factory=list)
    pages: Path | None = None
    manifest: Path | None = None
    workers: int = 0
    with_downloads: bool = True


def write(order: Order) -> int:
    """Write the site; a line a study and a page. A part that fails is told, and the others are written.

    Returns
    -------
    int
        How many parts failed.

    Raises
    ------
    WarehouseError
        Where the warehouse cannot be read, or a study is not in it.
    PageError
        Where a page's front matter cannot be read.
    """
    started = time.perf_counter()
    pages = load_pages(order.pages)
    with connect(order.warehouse) as connection:
        known = study_names(connection)
    unknown = [name for name in order.studies if name not in known]
    if unknown:
        raise WarehouseError(f"no study named {', '.join(unknown)}. The warehouse has: {', '.join(known)}")
    studies = [name for name in known if not order.studies or name in order.studies]
    order.out.mkdir(parents=True, exist_ok=True)
    made, failed = _make(order, studies)
    written, broken = _pages(order, pages, studies, made)
    if not order.studies:
        _forget(order.out, written)
    print(f"{order.out / 'index.html'}: {len(written)} pages in {time.perf_counter() - started:.0f} s")
    return failed + broken


def make_study(warehouse: Path, out: Path, study: str, with_downloads: bool = True) -> Made:
    """The figures and downloads of one study; runs in a process of its own."""
    started = time.perf_counter()
    with connect(warehouse) as connection:
        rows = load(connection, study)
    drawn = figures(rows, out)
    problems = [f"figure {one.name}: {one.reason}" for one in drawn.failed]
    files: tuple[downloads.Download, ...] = ()
    if with_downloads:
        try:
            files = downloads.write(rows, out, drawn)
        except Exception as error:  # the page stands without its downloads, and the exit code tells
            problems.append(f"downloads: {type(error).__name__}: {error}")
    return Made(drawn, files, tuple(problems), time.perf_counter() - started)


def _make(order: Order, studies: list[str]) -> tuple[dict[str, Made], int]:
    made: dict[str, Made] = {}
    failed = 0
    for place, (study, one) in enumerate(_each(order, studies), 1):
        if isinstance(one, Made):
            made[study] = one
            failed += len(one.problems)
            told = "unchanged" if one.drawn.unchanged else f"{one.seconds:.1f} s"
            print(f"figures {place}/{len(studies)} {study}: {len(one.drawn.shown)} drawn, {told}", flush=True)
            for problem in one.problems:
                print(f"{study}: {problem}", file=sys.stderr)
        else:
            failed += 1
            made[study] = Made(Drawn(study, (), ()), (), (), 0.0)
            print(f"{study}: figures failed, {type(one).__name__}: {one}", file=sys.stderr)
    return made, failed


def _each(order: Order, studies: list[str]) -> Iterator[tuple[str, Made | Exception]]:
    """Each study when it is done: in this process where one worker is enough, else in as many as there are cores."""
    workers = min(order.workers or len(os.sched_getaffinity(0)), len(studies))
    if workers <= 1:
        for study in studies:
            try:
                yield study, make_study(order.warehouse, order.out, study, order.with_downloads)
            except Exception as error:
                yield study, error
        return
    # Spawned, not forked: a process that holds DuckDB's threads must not be copied.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        running: dict[Future[Made], str] = {
            pool.submit(make_study, order.warehouse, order.out, study, order.with_downloads): study for study in studies
        }
        for done in as_completed(running):
            error = done.exception()
            yield running[done], error if isinstance(error, Exception) else done.result()


def _pages(order: Order, pages: list[Page], studies: list[str], made: dict[str, Made]) -> tuple[list[str], int]:
    """Write every page; their file names, and how many failed."""
    taken = [page.name for page in pages if not page.each_study and page.name in studies]
    if taken:
        raise PageError(f"a page and a study are both named {', '.join(taken)}: rename the page")
    written: list[str] = []
    failed = 0
    with connect(order.warehouse) as connection:
        context = _context(connection, order, pages, studies, made)
        for page in pages:
            for study in studies if page.each_study else [""]:
                name = page.file(study)
                try:
                    html = _one(connection, page, study, context, made, order.out)
                except Exception as error:  # one page that breaks must not take the others along
                    failed += 1
                    kind = "" if isinstance(error, PageError) else f"{type(error).__name__}: "
                    print(f"{name}: failed, {kind}{error}", file=sys.stderr)
                    continue
                (order.out / name).write_text(html, encoding="utf-8")
                written.append(name)
                print(f"{name}: {len(html.encode()) / 1024:.0f} KB")
    return written, failed


def _context(
    connection: duckdb.DuckDBPyConnection, order: Order, pages: list[Page], studies: list[str], made: dict[str, Made]
) -> dict[str, Any]:
    """What every page knows."""
    shown = {entry.name: [one for study in studies for one in made[study].drawn.shown if one.name == entry.name]
             for entry in CATALOGUE}  # fmt: skip
    return {
        "pages": [page for page in pages if page.nav and not page.each_study],
        "studies": studies,
        "gallery": [{"entry": entry, "shown": shown[entry.name]} for entry in CATALOGUE],
        "lineage": lineage.of(connection, studies, order.manifest),
    }


def _one(
    connection: duckdb.DuckDBPyConnection, page: Page, study: str, context: dict[str, Any], made: dict[str, Made],
    site: Path,
) -> str:  # fmt: skip
    known = dict(context)
    if page.each_study:
        one = made[study]
        known |= {"study": study, "figures": one.drawn.shown, "absent": one.drawn.absent, "downloads": one.files}
    return document(connection, page, known, site)


def _forget(out: Path, written: list[str]) -> None:
    """Take away the pages that an earlier run wrote and this one did not: of studies that are no more."""
    path = out / LISTING
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = []
    for name in set(before) - set(written):
        if Path(name).name == name and name.endswith(".html"):
            (out / name).unlink(missing_ok=True)
    path.write_text(json.dumps(written, indent=1), encoding="utf-8")
