"""Reading a database file without leave to write beside it, and telling a closed door from a spoiled file."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

# The file is held, or may not be opened: nothing is known of what it holds.
_CLOSED = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")


def read_only_uri(path: Path) -> str:
    """For sqlite3.connect(…, uri=True).

    In a folder that takes no files SQLite could not make the shared memory that it wants; a file at rest is read
    without. With lines in its write-ahead log it is not at rest, and reading it so would miss them.
    """
    log = path.with_name(path.name + "-wal")
    is_at_rest = not log.exists() or log.stat().st_size == 0
    free = os.access(path.parent, os.W_OK) or not is_at_rest
    return f"{path.resolve().as_uri()}?mode=ro{'' if free else '&immutable=1'}"


def is_closed(error: sqlite3.Error) -> bool:
    """Whether the file could not be looked at now, which says nothing against it."""
    return (getattr(error, "sqlite_errorname", "") or "").startswith(_CLOSED)
