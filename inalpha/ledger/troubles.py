"""What the machine said, as an error that a person reads: a code, the path, and how to mend it."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from inalpha.ledger import disk
from inalpha.model.errors import ConfigError, InalphaError, IntegrityError, TryAgain

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
_FILES = (
    errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST, errno.EINVAL,
    errno.ENXIO, errno.ENOTEMPTY,
)  # fmt: skip


def told(error: BaseException, home: Path) -> InalphaError | None:
    """The error for people; None for a fault of this program, whose traceback is wanted."""
    if isinstance(error, InalphaError):
        return error
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error, home)
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, UnicodeDecodeError):
        return ConfigError("FILE_TEXT", f"a file of {home} is no text: {error}.", "Restore it.")
    return None


def _of_sqlite(error: sqlite3.Error, home: Path) -> InalphaError | None:
    name = getattr(error, "sqlite_errorname", "") or ""
    if disk.is_busy(error):
        return disk.busy(error)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return ConfigError(
            "HOME_ACCESS", f"the ledger of {home} cannot be opened: {error}.", "Mend its modes or its disk."
        )
    if name.startswith(("SQLITE_IOERR", "SQLITE_FULL")):
        return disk.disk_failed("read or written", error)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")) or "no such table" in str(error):
        return IntegrityError(
            "LEDGER_DAMAGED", f"the ledger of {home} cannot be read: {error}.", "Restore a backup."
        )
    return None


def _of_system(error: OSError) -> InalphaError | None:
    where = error.filename2 if error.filename2 is not None else error.filename
    if isinstance(error, ConnectionError | TimeoutError):
        return TryAgain("BUS_DOWN", f"no connection: {error}.", "inalpha status")
    if where is None:
        return None
    text = f"{where}: {error.strerror}."
    if error.errno in _NOT_ALLOWED:
        return ConfigError("HOME_ACCESS", text, "Mend its modes or owner, or mount its disk for writing.")
    if error.errno in _DISK:
        return TryAgain("DISK", text, "Free some space, then try again.")
    return ConfigError("FILE", text, "Mend that path.") if error.errno in _FILES else None
