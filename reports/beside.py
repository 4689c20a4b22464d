"""The site is written in a folder beside the one that readers see, and takes its place when it is whole.

A folder cannot be renamed over one that holds files. Linux exchanges two names in one step (``renameat2`` with
``RENAME_EXCHANGE``): whoever opens the site sees the old one whole or the new one whole, and a kill at any moment
leaves one of them under the site's name and the other as a hidden folder that the next run removes. A symbolic link
that changes its target would do the same, but the site would no longer be a plain folder that is copied, served and
written into as before. Where the kernel or the file system has no exchange, the old folder is renamed away and the
new one into its place; a kill between the two leaves no site for that moment, and the next run puts the old one back
first.

What is to be kept (drawings of unchanged studies, pages that this run does not write, files of others) is linked, not
copied, from the old folder into the new one: a run with nothing to draw moves no bytes. Nothing may write into a
linked file in place, for the reader's site would change with it: files are unlinked before they are written.

One run at a time: an ``flock`` beside the site, which the kernel drops with its process. All this is against a kill,
not against a power cut: nothing is synced.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
# The disk, not the study, is at fault: nothing that follows could be written either.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class SiteError(Exception):
    """The site cannot be written; the message says why and what to do."""


def is_of_the_disk(error: BaseException) -> bool:
    """Whether an error is the disk's (full, read-only, broken), so that going on makes no sense."""
    return isinstance(error, OSError) and error.errno in _DISK


@contextmanager
def beside(out: Path) -> Iterator[Path]:
    """A new empty folder that takes the place of ``out`` at the end; after an error ``out`` is as it was.

    Raises
    ------
    SiteError
        Where ``out`` is no folder of a report, or another run is writing it.
    OSError
        Where the disk does not take the files.
    """
    site = out.resolve()
    _check(site)
    site.parent.mkdir(parents=True, exist_ok=True)
    with _alone(site):
        _recover(site)
        folder = site.with_name(f".{site.name}.building.{secrets.token_hex(4)}")
        folder.mkdir()
        try:
            yield folder
            _swap(folder, site)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _check(site: Path) -> None:
    if site.exists() and not site.is_dir():
        raise SiteError(f"{site} is a file: name a folder with --out")
    if site.is_dir() and not is_site(site) and any(site.iterdir()):
        raise SiteError(f"{site} holds files that no report wrote: name a folder of its own with --out")


def is_site(folder: Path) -> bool:
    """Whether a report was written there: by its listing, or by the title of its index."""
    if (folder / LISTING).is_file():
        return True
    try:
        return "CQOx</title>" in (folder / "index.html").read_text(encoding="utf-8", errors="replace")[:20_000]
    except OSError:
        return False


LISTING = "site.json"


@contextmanager
def _alone(site: Path) -> Iterator[None]:
    """Hold the lock of the site."""
    path = site.with_name(f".{site.name}.lock")
    while True:
        held = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            raise SiteError(f"another report is being written to {site}: wait until it is done") from None
        # The run before may have unlinked the file that was opened here: then it locks nobody out.
        if path.exists() and os.fstat(held).st_ino == path.stat().st_ino:
            break
        os.close(held)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(held)


def _recover(site: Path) -> None:
    """Mend what a killed run left: the old site goes back to its place, and half-written ones go."""
    old = _away(site)
    if old.exists() and not site.exists():
        old.rename(site)
    for left in (old, *site.parent.glob(f".{site.name}.building.*")):
        shutil.rmtree(left, ignore_errors=True)


def _away(site: Path) -> Path:
    return site.with_name(f".{site.name}.old")


def _swap(new: Path, site: Path) -> None:
    """Give ``new`` the name of ``site``; what was there takes that of ``new``, or is gone."""
    if not site.exists():
        new.rename(site)
        return
    shutil.copymode(site, new)
    if _exchange(new, site):
        return
    site.rename(_away(site))
    new.rename(site)
    shutil.rmtree(_away(site), ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where this system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(other))


def put(path: Path, text: str) -> None:
    """Write a text into a file of its own, whatever the name was linked to."""
    path.unlink(missing_ok=True)
    path.write_text(text, encoding="utf-8")


def link(source: Path, target: Path) -> None:
    """A file or folder under a second name; copied where the file system has no links. Absent ones are left out."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(parents=True, exist_ok=True)
        for child in source.iterdir():
            link(child, target / child.name)
        return
    if not source.exists() and not source.is_symlink():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if is_of_the_disk(error):
            raise
        shutil.copy2(source, target, follow_symlinks=False)
