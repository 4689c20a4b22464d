"""Writes the whole site beside the one that stands: figures and downloads of the studies, then the pages."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from figures.data import Row, WarehouseError, connect, currency, declaration, first_line, study_names, unreadable
from figures.names import shown, stem
from figures.registry import CATALOGUE

from . import lineage, making
from .beside import LISTING, beside, is_of_the_disk, link, put
from .drawing import Drawn
from .fences import PageError
from .making import Made
from .pages import FAILED, NOT_CURRENT, Page
from .pages import load as load_pages
from .render import document

STATEMENT = "not_current.txt"
# Folders with one folder a study.
FOLDERS = ("figures", "downloads")


@dataclass(frozen=True)
class Order:
    """What to write, from which warehouse, and where."""

    warehouse: Path
    out: Path
    studies: list[str] = field(default_factory=list)
    pages: Path | None = None
    manifest: Path | None = None
    workers: int = 0
    with_downloads: bool = True


@dataclass
class Run:
    """What a run knows of its studies.

    Attributes
    ----------
    site : Path
        The folder that is written; readers still see the old one.
    not_current : dict of str to str
        Studies of this run that have no results to show, and why.
    made : dict of str to Made
        The others.
    earlier : dict of str to str
        Pages kept from an earlier run, with the study of each.
    current : list of str
        Studies of the warehouse with results to show, of this run or not.
    """

    order: Order
    site: Path
    not_current: dict[str, str]
    made: dict[str, Made] = field(default_factory=dict)
    earlier: dict[str, str] = field(default_factory=dict)
    current: list[str] = field(default_factory=list)
    failed: int = 0

    @property
    def studies(self) -> list[str]:
        """Every study of this run."""
        return sorted([*self.not_current, *self.made])


def write(order: Order) -> int:
    """Write the site; a line a study and a page. A part that fails is told, and the others are written.

    Returns
    -------
    int
        How many parts failed, with the studies that are not current.

    Raises
    ------
    WarehouseError
        Where the warehouse cannot be read, or a study is not in it.
    PageError
        Where a page's front matter cannot be read.
    SiteError, OSError
        Where the folder cannot be written. The old site stands.
    """
    pages = load_pages(order.pages)
    try:
        return _write(order, pages)
    except duckdb.Error as error:
        raise unreadable(order.warehouse, error) from None


def _write(order: Order, pages: list[Page]) -> int:
    started = time.perf_counter()
    with connect(order.warehouse) as connection, beside(order.out) as site:
        known = study_names(connection)
        unknown = [name for name in order.studies if name not in known]
        if unknown:
            raise WarehouseError(f"no study named {', '.join(unknown)}. The warehouse has: {', '.join(known)}")
        told = currency(connection)
        wanted = {name: why for name, why in told.items() if name in (order.studies or known)}
        run = Run(order, site, {name: why for name, why in wanted.items() if why is not None})
        run.current = [name for name, why in told.items() if why is None]
        asked = [name for name in run.current if name in wanted]
        _keep(run, asked)
        _make(run, asked)
        _state(run)
        written = _pages(connection, run, pages)
    print(f"{order.out / 'index.html'}: {written} pages in {time.perf_counter() - started:.0f} s")
    return run.failed + len(run.not_current)


def _keep(run: Run, current: list[str]) -> None:
    """Take from the old site what may still stand: drawings to compare, pages not asked for, files of others."""
    old, new = run.order.out, run.site
    if not old.is_dir():
        return
    pages = _listed(old)
    for child in old.iterdir():
        if child.name not in (*pages, *FOLDERS, LISTING):
            link(child, new / child.name)
    of_this_run = {stem(study) for study in (*current, *run.not_current)}
    keep_all = bool(run.order.studies)
    for folder in FOLDERS:
        for child in (old / folder).iterdir() if (old / folder).is_dir() else ():
            is_drawn = child.name in {stem(study) for study in current}
            if is_drawn or child.is_file() or (keep_all and child.name not in of_this_run):
                link(child, new / folder / child.name)
    if keep_all:
        run.earlier = {file: study for file, study in pages.items() if study and stem(study) not in of_this_run}


def _listed(site: Path) -> dict[str, str]:
    """The pages of a site that is there, with the study of each; empty for the pages beside the studies'."""
    try:
        held = json.loads((site / LISTING).read_text(encoding="utf-8"))
        return {str(file): str(study) for file, study in held["pages"].items() if Path(str(file)).name == file}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # an earlier version's, or none
        own = {page.file() for page in load_pages() if not page.each_study}
        return {path.name: "" if path.name in own else path.stem for path in site.glob("*.html")}


def _make(run: Run, studies: list[str]) -> None:
    """The figures and downloads of every current study."""
    task = making.task(run.order.warehouse, run.site, run.order.with_downloads)
    with closing(making.each(task, studies, run.order.workers)) as done:
        for place, (study, one) in enumerate(done, 1):
            if isinstance(one, Exception):
                one = Made(Drawn(study, (), ()), problems=(f"figures and downloads: {type(one).__name__}: {one}",))
            run.made[study] = one
            run.failed += len(one.problems)
            told = "unchanged" if one.drawn.unchanged else f"{one.seconds:.1f} s"
            print(f"figures {place}/{len(studies)} {shown(study)}: {len(one.drawn.shown)} drawn, {told}", flush=True)
            for problem in one.problems:
                print(f"{shown(study)}: {problem}", file=sys.stderr)


def _state(run: Run) -> None:
    """Say of each study that is not current that it is not, where its downloads would be."""
    for study, reason in run.not_current.items():
        told = f"{shown(study)}: not current: {reason}"
        print(told, file=sys.stderr)
        if run.order.with_downloads:
            folder = run.site / "downloads" / stem(study)
            folder.mkdir(parents=True, exist_ok=True)
            put(folder / STATEMENT, f"{told}\n")


def _pages(connection: duckdb.DuckDBPyConnection, run: Run, pages: list[Page]) -> int:
    """Write every page, and how many they are; one that fails says so in its place."""
    context = _context(connection, run, pages)
    written: dict[str, str] = {}
    # The studies' own pages first: a further page that would take the name of one is the one that fails.
    for page in sorted(pages, key=lambda one: (not one.each_study, one.name != "study", one.name)):
        for study in run.studies if page.each_study else [""]:
            name = page.file(study)
            if name in written:
                run.failed += 1
                print(f"{page.name}.md: failed, another page is {name}: rename it", file=sys.stderr)
                continue
            known = {**context, **(_of_study(connection, run, study) if page.each_study else {})}
            shown_page = replace(NOT_CURRENT, name=page.name) if study in run.not_current else page
            html = _one(connection, run, shown_page, name, known)
            put(run.site / name, html)
            written[name] = study
            print(f"{name}: {len(html.encode()) / 1024:.0f} KB")
    for file in run.earlier.keys() - written.keys():
        link(run.order.out / file, run.site / file)
    put(run.site / LISTING, json.dumps({"pages": {**run.earlier, **written}}, indent=1, ensure_ascii=False))
    return len(written)


def _one(connection: duckdb.DuckDBPyConnection, run: Run, page: Page, name: str, known: Mapping[str, Any]) -> str:
    """A page as HTML, or one in its place that says why there is none."""
    try:
        return document(connection, page, known, run.site)
    except Exception as error:  # one page that breaks must not take the others along
        if is_of_the_disk(error):
            raise
        kind = "" if isinstance(error, PageError) else f"{type(error).__name__}: "
        run.failed += 1
        print(f"{name}: failed, {kind}{error}", file=sys.stderr)
        told = {**known, "failed": f"{kind}{first_line(error)}"}
        return document(connection, replace(FAILED, name=page.name), told, run.site)


def _context(connection: duckdb.DuckDBPyConnection, run: Run, pages: list[Page]) -> dict[str, Any]:
    """What every page knows; ``studies`` are those with results to show."""
    current = sorted(run.made)
    drawn = {entry.name: [one for study in current for one in run.made[study].drawn.shown if one.name == entry.name]
             for entry in CATALOGUE}  # fmt: skip
    return {
        "pages": [page for page in pages if page.nav and not page.each_study],
        "studies": current,
        "current": run.current,
        "gallery": [{"entry": entry, "shown": drawn[entry.name]} for entry in CATALOGUE],
        "lineage": lineage.of(connection, current, run.order.manifest),
        "not_current": [{**_declared(connection, study), "reason": why} for study, why in run.not_current.items()],
        "earlier": sorted(set(run.earlier.values())),
        "troubled": {study for study in current if run.made[study].problems},
    }


def _declared(connection: duckdb.DuckDBPyConnection, study: str) -> Row:
    try:
        return declaration(connection, study)
    except duckdb.Error:  # the reason that it is not current matters more
        return {"study": study}


def _of_study(connection: duckdb.DuckDBPyConnection, run: Run, study: str) -> dict[str, Any]:
    """What the pages of one study know besides."""
    if study in run.not_current:
        return {"study": study, "declared": _declared(connection, study), "reason": run.not_current[study]}
    one = run.made[study]
    return {
        "study": study, "figures": one.drawn.shown, "absent": one.drawn.absent, "downloads": one.files,
        "problems": one.problems,
    }  # fmt: skip
