"""A build works on a file beside the warehouse, which takes the warehouse's place when it is whole.

For a warehouse `w.duckdb` there are, in its folder:

- `.w.duckdb.lock`: held by flock while a build runs, and by its dbt; it says whose. It is never removed, for a lock on
  a removed file is a lock on nothing.
- `.w.duckdb.building/`: the file beside, of the warehouse's own name (of a link: of what it points to), as views name
  the catalogue by it; and what DuckDB spills while it builds. One `rename` takes the file out, on the same file system.

The order, and what a `kill -9` between any two steps leaves:

1. Lock; remove what a killed build left. The warehouse is untouched.
2. Hold the warehouse for reading (as DuckDB's readers do: they go on, a writer is told to wait), so that nothing that
   is written meanwhile is lost at the end. Copy its log `w.duckdb.wal`, if there is one, and it.
3. Open the copy: DuckDB replays the log. Checkpoint, close. Then dbt builds in the copy. The warehouse is untouched.
4. Checkpoint, close, fsync: the copy is whole in one file, without a log.
5. Move the warehouse's old log to a name that says which state of the warehouse it continues: DuckDB would replay it
   onto the new file. Killed after this: the warehouse is at its last checkpoint, a whole state, and the next build puts
   the log back, unless somebody wrote to the warehouse meanwhile. Without an old log, which is the rule, nothing moves.
6. Rename. Killed after this: the new warehouse is there, whole. The next build removes the folder.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from .warehouse import Problem, is_cut_short, last_whole_build, opened, problem, sentence

# How long a build waits for a lock: that of a killed one goes when its last process has ended.
PATIENCE = 2.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Beside:
    """The file beside one warehouse.

    Attributes
    ----------
    warehouse
        The file that readers open.
    file
        The file that is built.
    was
        The last whole build that the warehouse held, as words; None where there was none.
    """

    def __init__(self, warehouse: Path) -> None:
        self.warehouse = warehouse
        # a link stays a link: what it points to is replaced
        self.real = warehouse.resolve()
        self.folder = self.real.with_name(f".{self.real.name}.building")
        self.file = self.folder / self.real.name
        self.spill = self.folder / "spill"
        self.was: str | None = None
        self.lock = -1
        self._held: list[int] = []

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone on this warehouse; what is left of the file beside goes at the end.

        Raises
        ------
        Problem
            Where another build holds it, or its folder cannot be written.
        """
        self._check_places()
        lock = self.real.with_name(f".{self.real.name}.lock")
        try:
            self.lock = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise problem(error, self.warehouse) from None
        try:
            self._take_lock(lock)
            with self._told():
                self._clear()
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    self._clear()
        finally:
            # closing any descriptor of a file ends the process's locks on it, so these were kept until here
            for descriptor in (*self._held, self.lock):
                os.close(descriptor)
            self._held = []

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What fails here is about the warehouse or its copy, and is told as one sentence."""
        try:
            yield
        except (duckdb.Error, OSError) as error:
            raise problem(error, self.warehouse) from None

    def _check_places(self) -> None:
        """The warehouse is a file that may be written, or not there yet in a folder that is.

        Raises
        ------
        Problem
            Otherwise.
        """
        if self.real.is_dir():
            raise Problem(sentence("folder", self.warehouse))
        if not self.real.parent.is_dir():
            raise Problem(f"the folder {self.real.parent} is not there: make it (mkdir -p), or mend CQOX_WAREHOUSE")
        if self.real.exists() and not (os.access(self.real, os.W_OK) and self.real.stat().st_mode & 0o200):
            raise Problem(
                f"{self.warehouse} is read-only: chmod u+w it, or build elsewhere with "
                "CQOX_WAREHOUSE=/another/folder/warehouse.duckdb"
            )

    def _take_lock(self, lock: Path) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Problem(
                        f"another build of {self.warehouse} is running, {_holder(lock)}: wait until it is done, or "
                        "end it; this one touched nothing"
                    ) from None
                time.sleep(0.05)
        now = datetime.datetime.now(datetime.UTC)
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, json.dumps({"pid": os.getpid(), "since": now.strftime("%Y-%m-%d %H:%M:%S")}).encode(), 0)

    def _clear(self) -> None:
        """Remove the folder; a log of the warehouse that a killed build moved goes back first, where it still fits."""
        log = self._log
        for moved in [file for file in log.parent.iterdir() if file.name.startswith(f".{log.name}.of.")]:
            if moved == _moved(log, self.real) and not log.exists():
                os.replace(moved, log)
            else:
                moved.unlink()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    @property
    def _log(self) -> Path:
        """DuckDB's log: beside the file that a link points to."""
        return self.real.with_name(f"{self.real.name}.wal")

    def fill(self) -> None:
        """Make the file beside: a copy of the warehouse with its log replayed, or nothing where there is none yet.

        Raises
        ------
        Problem
            Where a writer holds the warehouse, it is damaged or of another version, or the disk is full.
        """
        with self._told():
            self.spill.mkdir(parents=True)
            if not self.real.exists():
                return
            self._held.append(os.open(self.real, os.O_RDONLY))
            self._hold_for_reading()
            if self._log.exists():
                shutil.copyfile(self._log, self.file.with_name(f"{self.file.name}.wal"))
            _copy(self._held[0], self.file)
            with duckdb.connect(str(self.file)) as copy:
                self.was = last_whole_build(copy)
                copy.execute("checkpoint")
                if is_cut_short(copy, self.file):
                    raise Problem(sentence("cut", self.warehouse))

    def _hold_for_reading(self) -> None:
        """Take the lock that DuckDB's readers take: they go on, and a writer is refused until the build is done."""
        try:
            fcntl.lockf(self._held[0], fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            with opened(self.warehouse):  # DuckDB knows who holds it, and says so by an error
                pass
            raise Problem(sentence("held", self.warehouse)) from None

    def write_out(self) -> None:
        """Bring all that was built into the one file, and the file to disk.

        Raises
        ------
        Problem
            Where it cannot be: DuckDB says nothing where a full disk stops it from emptying its log when it closes.
        """
        with self._told():
            with duckdb.connect(str(self.file)) as built:
                built.execute("force checkpoint")
            if self.file.with_name(f"{self.file.name}.wal").exists():
                raise Problem(f"what was built beside {self.warehouse} was not written out whole: build again")
            _to_disk(self.file)

    def put_in_place(self) -> None:
        """Let the file beside, written out, take the warehouse's place: who opens it now sees the new build.

        Raises
        ------
        Problem
            Where a warehouse appeared that was not there at the start.
        """
        if self.real.exists() and not self._held:
            raise Problem(
                f"{self.warehouse} was made by another program while this build ran: move it away, build again"
            )
        with self._told():
            if self._log.exists():
                os.replace(self._log, _moved(self._log, self.real))
            os.replace(self.file, self.real)
            _to_disk(self.real.parent)


def _moved(log: Path, warehouse: Path) -> Path:
    """Where a log is moved to: the name says which state of the warehouse it continues."""
    state = warehouse.stat() if warehouse.exists() else None
    of = f"{state.st_ino}.{state.st_size}.{state.st_mtime_ns}" if state else "none"
    return log.with_name(f".{log.name}.of.{of}")


def _copy(source: int, to: Path) -> None:
    """Copy an open file; file systems that share blocks between copies (btrfs, XFS) do it at once and take no room.

    Elsewhere it costs a read and a write of the whole warehouse, and as much room, in every build.
    """
    state = os.fstat(source)
    with open(to, "wb") as copy:
        left = state.st_size
        try:
            while left and (done := os.copy_file_range(source, copy.fileno(), min(left, 1 << 30))):
                left -= done
        except (AttributeError, OSError) as error:
            # a full disk stays one; a kernel or file system without this call gets the plain way
            if getattr(error, "errno", None) in FULL:
                raise
        while left and (block := os.pread(source, 1 << 22, state.st_size - left)):
            os.pwrite(copy.fileno(), block, state.st_size - left)
            left -= len(block)
        os.fchmod(copy.fileno(), state.st_mode & 0o777)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _holder(lock: Path) -> str:
    """Whose lock it is, as its file says."""
    try:
        told = json.loads(lock.read_text(encoding="utf-8"))
        return f"process {int(told['pid'])} since {told['since']} UTC"
    except (OSError, ValueError, KeyError, TypeError):
        return "just begun"
