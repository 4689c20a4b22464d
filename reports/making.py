"""Makes what belongs to one study, its figures and downloads, in processes of their own."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from figures.data import WarehouseError, connect, load

from . import downloads
from .beside import is_of_the_disk
from .drawing import Drawn, figures

ENDED = "its process was ended: it needs more memory than the machine has, or somebody stopped it"


@dataclass(frozen=True)
class Made:
    """What one process made of one study; ``problems`` are told on its page and on the console."""

    drawn: Drawn
    files: tuple[downloads.Download, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Task:
    """Which warehouse to read, as it was when the run began, and the folder to write into.

    Attributes
    ----------
    file : tuple of int
        Device and inode of the warehouse: a build that puts a new file in its place must not give half a report.
    """

    warehouse: Path
    site: Path
    file: tuple[int, int]
    with_downloads: bool = True


def task(warehouse: Path, site: Path, with_downloads: bool = True) -> Task:
    """The task for a warehouse as it is now."""
    return Task(warehouse, site, _file(warehouse), with_downloads)


def _file(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def make_study(given: Task, study: str) -> Made:
    """The figures and downloads of one study; a part that fails is told and takes no other along.

    Raises
    ------
    WarehouseError
        Where the warehouse is another than at the beginning.
    OSError
        Where the disk takes nothing more.
    """
    started = time.perf_counter()
    with connect(given.warehouse) as connection:
        if _file(given.warehouse) != given.file:
            raise WarehouseError(f"a build replaced {given.warehouse} while the report was written: run it again")
        rows = load(connection, study)
    drawn = figures(rows, given.site)
    problems = [f"figure {one.name}: {one.reason}" for one in drawn.failed]
    files: tuple[downloads.Download, ...] = ()
    if given.with_downloads:
        files, lost = downloads.write(rows, given.site, drawn)
        problems += [f"download {one.name}: {one.reason}" for one in lost]
    return Made(drawn, files, tuple(problems), time.perf_counter() - started)


def each(given: Task, studies: list[str], workers: int = 0) -> Generator[tuple[str, Made | Exception], None, None]:
    """Each study when it is done: in this process where one worker is enough, else in as many as there are cores.

    A process that is ended takes the whole pool along: its studies are made again, each in a process by itself, so that
    only the one that cannot be made has no figures.
    """
    wanted = min(workers or len(os.sched_getaffinity(0)), len(studies))
    if wanted <= 1:
        for study in studies:
            try:
                yield study, make_study(given, study)
            except Exception as error:
                yield study, _to_tell(error)
        return
    broken: list[str] = []
    for study, made in _pooled(given, studies, wanted):
        if isinstance(made, BrokenProcessPool):
            broken.append(study)
        else:
            yield study, made
    for study in broken:
        for _, made in _pooled(given, [study], 1):
            yield study, RuntimeError(ENDED) if isinstance(made, BrokenProcessPool) else made


def _pooled(given: Task, studies: list[str], workers: int) -> Generator[tuple[str, Made | Exception], None, None]:
    # Spawned, not forked: a process that holds DuckDB's threads must not be copied.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_end_with_parent) as pool:
        running: dict[Future[Made], str] = {}
        try:
            running |= {pool.submit(make_study, given, study): study for study in studies}
            for done in as_completed(running):
                error = done.exception()
                yield running[done], _to_tell(error) if isinstance(error, Exception) else done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # and wait: what still runs writes into the folder that is to go
            raise


def _to_tell(error: Exception) -> Exception:
    """An error of one study; one that concerns all of them is raised."""
    if is_of_the_disk(error) or (type(error) is WarehouseError):
        raise error
    return error


def _end_with_parent() -> None:
    """End this process when the one that began it is killed: it would write on for nobody."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])  # type: ignore[union-attr]
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
