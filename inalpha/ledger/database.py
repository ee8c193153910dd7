"""Opening the SQLite files: pragmas read back, schema numbered, migrations forward only."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from importlib import resources
from pathlib import Path

from inalpha.audit.fold.base import create_projections
from inalpha.audit.keys import sync_directory
from inalpha.model.errors import ConfigError
from inalpha.model.readonly import is_closed, read_only_uri

SCHEMA_VERSION = 1
LEDGER = "ledger.db"
BLOBS = "blobs.db"

_PRAGMAS = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("trusted_schema", "OFF", 0),
)
_BLOB_TABLE = (
    "CREATE TABLE blob(name TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK(kind IN ('text','data')), salt BLOB,"
    " data BLOB NOT NULL) STRICT, WITHOUT ROWID"
)


def wal_reset_fixed(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite holds the fix for the WAL-reset bug (3.51.3, 3.50.7 and 3.44.6 on)."""
    if version >= (3, 51, 3):
        return True
    return (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def connect(path: Path) -> sqlite3.Connection:
    """The read-write connection. Raises ConfigError when a durability setting does not hold."""
    conn = sqlite3.connect(path, isolation_level=None, timeout=5.0, cached_statements=512)
    os.chmod(path, 0o600)
    configure(conn, path)
    return conn


def configure(conn: sqlite3.Connection, path: Path) -> None:
    """Set the pragmas and read each back: SQLite ignores what it does not know."""
    for name, value, wanted in _PRAGMAS:
        conn.execute(f"PRAGMA {name} = {value}")
        found = conn.execute(f"PRAGMA {name}").fetchone()
        if found is None or found[0] != wanted:
            conn.close()
            raise ConfigError(
                "PRAGMA", f"{path.name}: {name} is {found and found[0]}, not {value}.", "Use a local disk."
            )


def read_version(path: Path) -> int:
    """The schema version, read without writing anything. Raises ConfigError for a newer one."""
    with path.open("rb") as file:
        header = file.read(64)
    if header[:16] != b"SQLite format 3\0":
        raise ConfigError("LEDGER_UNREADABLE", f"{path} is no ledger.", "Restore a backup.")
    # From the file header: even a read-only connection to a WAL database makes files beside it.
    version = int.from_bytes(header[60:64], "big")
    if path.with_name(path.name + "-wal").exists():
        version = max(version, _version_in_wal(path))
    if version > SCHEMA_VERSION:
        raise ConfigError(
            "SCHEMA_NEWER",
            f"{path} has schema {version}, this program knows {SCHEMA_VERSION}.",
            "Install the newer release, or restore the backup that its upgrade made.",
        )
    return version


def _version_in_wal(path: Path) -> int:
    """After a crash the header's latest copy may still lie in the write-ahead log."""
    conn = sqlite3.connect(read_only_uri(path), uri=True)
    try:
        return int(conn.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if is_closed(error):
            raise
        raise ConfigError("LEDGER_UNREADABLE", f"{path}: {error}.", "Restore a backup.") from error
    finally:
        conn.close()


def create_ledger(path: Path) -> sqlite3.Connection:
    """A new ledger file with all tables, empty."""
    conn = connect(path)
    conn.execute("BEGIN IMMEDIATE")
    for statement in split_script(schema_text("0001.sql")):
        conn.execute(statement)
    create_projections(conn)
    conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    conn.execute("COMMIT")
    sync_directory(path.parent)
    return conn


def create_blobs(path: Path) -> sqlite3.Connection:
    conn = open_blobs(path)
    conn.execute(_BLOB_TABLE)
    sync_directory(path.parent)
    return conn


def open_blobs(path: Path) -> sqlite3.Connection:
    conn = connect(path)
    conn.execute("PRAGMA secure_delete = ON")
    return conn


def migrations(after: int) -> list[tuple[int, str, str]]:
    """(version, SQL, SHA-256) of each numbered script beyond a version, in order."""
    found: list[tuple[int, str, str]] = []
    for item in resources.files("inalpha.ledger").joinpath("schema").iterdir():
        name = re.fullmatch(r"(\d{4})\.sql", item.name)
        if name and int(name[1]) > after:
            text = item.read_text("utf-8")
            found.append((int(name[1]), text, hashlib.sha256(text.encode()).hexdigest()))
    return sorted(found)


def migrate(conn: sqlite3.Connection, path: Path, version: int) -> list[tuple[int, int, str]]:
    """Bring an older file to this schema inside a transaction that stays open: the caller writes lines and commits.

    A backup lies beside the file before anything changes. Answers (from, to, SHA-256) of each script; none for a
    file of today. Scripts never touch `ev`.
    """
    scripts = migrations(version)
    if version >= SCHEMA_VERSION or not scripts:
        return []
    back_up(conn, path.with_name(f"{path.stem}-schema{version}.backup"))
    conn.execute("BEGIN IMMEDIATE")
    done = []
    for number, text, sha256 in scripts:
        for statement in split_script(text):
            conn.execute(statement)
        conn.execute(f"PRAGMA user_version = {number}")
        done.append((version, number, sha256))
        version = number
    return done


def back_up(conn: sqlite3.Connection, target: Path) -> None:
    """A consistent copy through the online API, durable before its name appears. Keys are not part of it."""
    temporary = target.with_suffix(".part")
    temporary.unlink(missing_ok=True)
    copy = sqlite3.connect(temporary)
    try:
        conn.backup(copy)
    finally:
        copy.close()
    handle = os.open(temporary, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    os.chmod(temporary, 0o600)
    os.replace(temporary, target)
    sync_directory(target.parent)


def schema_text(name: str) -> str:
    """A numbered migration."""
    return resources.files("inalpha.ledger").joinpath("schema", name).read_text("utf-8")


def split_script(text: str) -> list[str]:
    """The statements of a script; a trigger's inner semicolons stay with it."""
    statements: list[str] = []
    pending = ""
    for line in text.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
