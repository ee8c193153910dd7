"""What a killed verb leaves beside and inside a home, told from what is in use, and cleared away.

Work in progress lies in a folder of its own that is locked while its maker lives and bears a mark until it is whole.
A folder with the mark and without the lock is a leftover. One without the mark is a home that was set aside: kept.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inalpha.audit.keys import sync_directory
from inalpha.model.errors import Refused, TryAgain

UNFINISHED = "unfinished"
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


@contextmanager
def workplace(parent: Path, prefix: str) -> Iterator[Path]:
    """A private folder for work in progress, removed at the end unless it was renamed meanwhile."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    lock = _lock(directory)
    if lock is None:
        raise TryAgain("FOLDER_BUSY", f"{directory} was taken.", "Try again.")
    try:
        (directory / UNFINISHED).touch(0o600)
        sync_directory(directory)
        yield directory
    finally:
        if (directory / UNFINISHED).exists():
            _remove(directory)
        os.close(lock)


def put_in_place(fresh: Path, root: Path) -> Path | None:
    """The workplace becomes root, whatever happens meanwhile: there is the old one or the new one, whole.

    Answers where the old one lies now. Raises Refused where the file system cannot swap two folders.
    """
    _sync_tree(fresh)
    if not root.exists():
        os.rename(fresh, root)
        _finished(root)
        return None
    (root / UNFINISHED).unlink(
        missing_ok=True
    )  # of a swap that was killed here: the mark would make it a leftover
    sync_directory(root)
    _exchange(fresh, root)
    sync_directory(root.parent)
    aside = _set_aside(fresh, root)
    _finished(root)
    return aside


def leftovers(root: Path) -> list[Path]:
    """Folders and files of verbs that are no more. Nothing that is in use is named."""
    found = [root / UNFINISHED] if (root / UNFINISHED).exists() else []
    for path in _candidates(root):
        lock = _lock(path)
        if lock is not None:
            os.close(lock)
            found.append(path)
    return found


def sweep(root: Path) -> list[str]:
    """Clear them away and say what was done, one sentence each."""
    told = []
    for path in _candidates(root):
        lock = _lock(path)
        if lock is None:
            continue
        try:
            if path.is_dir() and not _is_unfinished(path):
                told.append(f"the home before a restore is {_set_aside(path, root)}")
                continue
            _remove(path) if path.is_dir() else path.unlink(missing_ok=True)
            told.append(f"removed {path}")
        finally:
            os.close(lock)
    if (root / UNFINISHED).exists():
        _finished(root)
    return told


def drop_parts(target: Path) -> None:
    """Half-written files of earlier tries at target."""
    for path in target.absolute().parent.glob(f".{glob.escape(target.name)}.*.part"):
        lock = _lock(path)
        if lock is not None:
            path.unlink(missing_ok=True)
            os.close(lock)


def _candidates(root: Path) -> list[Path]:
    beside = root.parent.glob(f"{root.name}.restoring-*") if root.parent.is_dir() else ()
    inside = [path for path in root.glob("backup-*") if path.is_dir() and _is_unfinished(path)]
    return sorted([*(path for path in beside if path.is_dir()), *inside, *(root / "backups").glob(".*.part")])


def _is_unfinished(directory: Path) -> bool:
    return (directory / UNFINISHED).exists() or not any(directory.iterdir())


def _lock(path: Path) -> int | None:
    """The lock of a folder or file, or None while somebody else holds it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _remove(directory: Path) -> None:
    """The mark goes last: killed in between, the rest is still known for what it is."""
    for path in directory.iterdir():
        if path.name != UNFINISHED:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (directory / UNFINISHED).unlink(missing_ok=True)
    directory.rmdir()


def _finished(root: Path) -> None:
    (root / UNFINISHED).unlink(missing_ok=True)
    sync_directory(root)
    sync_directory(root.parent)


def _set_aside(path: Path, root: Path) -> Path:
    stem = f"{root.name}.before-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    aside, more = root.with_name(stem), 1
    while aside.exists():
        more += 1
        aside = root.with_name(f"{stem}-{more}")
    with suppress(FileNotFoundError):  # another sweep was faster
        os.rename(path, aside)
        sync_directory(root.parent)
    return aside


def _sync_tree(directory: Path) -> None:
    for folder, _, names in os.walk(directory):
        for name in names:
            handle = os.open(Path(folder) / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_directory(Path(folder))


def _exchange(one: Path, other: Path) -> None:
    """Swap two names in one step. Source: renameat2(2), RENAME_EXCHANGE."""
    call = ctypes.CDLL(None, use_errno=True).renameat2
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        fix = f"Move {other} away yourself and restore again, with --keys its keys folder."
        raise Refused("NO_EXCHANGE", f"the file system of {other.parent} cannot swap two folders.", fix)
    raise OSError(number, os.strerror(number), str(other))
