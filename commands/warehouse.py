"""The warehouse file: opened for reading, and what is wrong with it in one sentence that names file and mend."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import duckdb


class Problem(Exception):
    """What is wrong and how to mend it, in one sentence for the console: no traceback belongs to it."""


# Bytes before the first block of a DuckDB file.
HEADERS = 3 * 4096
# Kind: what DuckDB and the system say, and what it means. First match wins; {by} is who holds the file.
MEANINGS = {
    "held": (
        r"could not set lock on file(?:.*?held in (?:\S*/)?(?P<by>[^/]+? \(PID \d+\)))?",
        "{path} is held open by {by}: end that session (in a DuckDB shell: .quit) and try again",
    ),
    "full": (
        r"no space left on device|disk quota exceeded|file too large|max_temp_directory_size",
        "the disk is full, or a limit on file sizes is reached, at {path}: free space there, or build elsewhere with "
        "CQOX_WAREHOUSE=/another/disk/warehouse.duckdb (a build needs room for a second copy of the file)",
    ),
    "rights": (
        r"read-only file system|permission denied|operation not permitted",
        "{path} or its folder cannot be read or written by this user: mend its rights (chmod u+rw), or build elsewhere "
        "with CQOX_WAREHOUSE=/another/folder/warehouse.duckdb",
    ),
    "folder": (
        r"is a directory",
        "{path} is a folder, not a warehouse: move it away, or name another file by CQOX_WAREHOUSE",
    ),
    "foreign": (
        r"not a valid duckdb database file",
        "{path} is not a DuckDB file: move it away (mv) and build again, or name another file by CQOX_WAREHOUSE",
    ),
    "version": (
        r"database file with version number",
        "{path} was written by another version of DuckDB than this one, {version}: open it there and EXPORT DATABASE, "
        "or move it away (mv) and build again",
    ),
    "cut": (
        r"could not read enough bytes|could not read all|cut short",
        "{path} is cut short, its end is missing: restore it from a copy, or move it away (mv) and build again",
    ),
    "damaged": (
        r"corrupt|checksum|failed to deserialize|serialization error",
        "{path} is damaged, what it holds cannot be read: restore it from a copy, or move it away (mv) and build again",
    ),
    "missing": (r"does not exist|no such file", "there is no warehouse at {path}: run `make build`"),
}


def meaning(text: str, path: Path, kinds: Collection[str] = tuple(MEANINGS)) -> str | None:
    """The sentence for a message of DuckDB or the system about this file; None where it is of none of these kinds."""
    flat = " ".join(text.split())
    for kind in kinds:
        pattern, sentence = MEANINGS[kind]
        if found := re.search(pattern, flat, re.IGNORECASE):
            by = found.groupdict().get("by") or "another process"
            return sentence.format(path=path, by=by, version=duckdb.__version__)
    return None


def sentence(kind: str, path: Path) -> str:
    """The sentence of a kind."""
    return MEANINGS[kind][1].format(path=path, by="another process", version=duckdb.__version__)


def problem(error: Exception, path: Path) -> Problem:
    """An error of DuckDB or the system about this file as one sentence."""
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    first = (text.splitlines() or [type(error).__name__])[0]
    return Problem(meaning(text, path) or f"{path} cannot be used: {first}")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection; the file may be read by others at the same time.

    Raises
    ------
    Problem
        Where the file is missing, a folder, held by a writer, damaged or no DuckDB file, when opened or when read.
    """
    if path.is_dir():
        raise Problem(sentence("folder", path))
    if not path.exists():
        raise Problem(sentence("missing", path))
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            if is_cut_short(connection, path):
                raise Problem(sentence("cut", path))
            yield connection
    except (
        duckdb.IOException,
        duckdb.SerializationException,
        duckdb.FatalException,
        duckdb.InternalException,
    ) as error:
        raise problem(error, path) from None


def is_cut_short(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """True where the file ends within a block, or before the blocks in use could all be there.

    DuckDB opens such a file, and fails when a lost block is read. Free blocks at the end may rightly be missing. While
    a log stands beside, blocks count that are only there, so nothing is told.
    """
    if path.with_name(f"{path.name}.wal").exists():
        return False
    found = connection.execute("select block_size, used_blocks from pragma_database_size()").fetchall()
    if not found:
        return False
    row = found[0]
    blocks, rest = divmod(path.stat().st_size - HEADERS, int(row[0]))
    return rest > 0 or blocks < int(row[1])


def tables(connection: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """Table and view names of schema marts, with their columns."""
    found: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "select table_name, column_name from information_schema.columns where table_schema = 'marts'"
    ).fetchall():
        found.setdefault(table, set()).add(column)
    return found


def last_whole_build(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The last build that wrote the decision cards, as words: '3f2a91c0 of 2026-11-30 22:11 UTC'; None without one."""
    if "build_log" not in tables(connection):
        return None
    found = connection.execute("""
        select build_id, strftime(logged_at, '%Y-%m-%d %H:%M')
        from marts.build_log
        where node like 'model.%.decision_cards' and status = 'success'
        order by position desc
        limit 1
    """).fetchall()
    return f"{found[0][0][:8]} of {found[0][1]} UTC" if found else None
