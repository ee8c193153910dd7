"""What the disk says no to, and a file that is replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from inalpha.audit import keys
from inalpha.model.errors import IntegrityError, TryAgain

_LATCHING = frozenset({"IOERR", "FULL", "CORRUPT", "READONLY", "CANTOPEN", "NOTADB", "PROTOCOL"})
_DISK_ERRORS = frozenset({errno.EIO, errno.ENOSPC, errno.EROFS, errno.EDQUOT})


def is_latching(error: BaseException) -> bool:
    """Whether the disk, not the rules, said no."""
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", "") or ""
        return any(name.startswith(f"SQLITE_{word}") for word in _LATCHING)
    return isinstance(error, OSError) and error.errno in _DISK_ERRORS


def is_busy(error: BaseException) -> bool:
    """Whether another program holds the file: it will let go of it."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return isinstance(error, sqlite3.Error) and name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def busy(error: BaseException) -> TryAgain:
    return TryAgain(
        "LEDGER_BUSY", f"another program holds the ledger: {error}.", "Try again once it has let go."
    )


def latched() -> TryAgain:
    """The answer to every job after the disk has failed once."""
    return TryAgain("LEDGER_LATCHED", "the disk failed; nothing more is written.", "Restart the daemon.")


def disk_failed(what: str, error: BaseException) -> TryAgain:
    return TryAgain("LEDGER_LATCHED", f"the ledger cannot be {what}: {error}.", "Mend the disk, restart.")


def opening_failed(error: BaseException) -> BaseException:
    """A spoiled file is the auditor's affair, a failing disk the operator's; the rest stays as it is."""
    if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return IntegrityError("LEDGER_DAMAGED", f"the file cannot be read: {error}.", "Restore a backup.")
    if is_busy(error):
        return busy(error)
    return disk_failed("opened", error) if is_latching(error) else error


def replace_file(path: Path, data: bytes) -> None:
    """Atomic and durable: temporary file, fsync, rename, directory fsync."""
    temporary = path.with_name(path.name + ".part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(temporary, path)
    keys.sync_directory(path.parent)
