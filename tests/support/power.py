"""A disk that loses its power: the ledger's real writer on an apsw VFS that records every write and sync.

From the record any moment's disk can be made: what was synced is there, of the rest an arbitrary subset, each
write torn at 512 bytes. The head file and the signed head are recorded by the writer's own calls.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from inalpha.audit.head import SLOT, Head, HeadFile, encode_slot
from inalpha.ledger import database
from inalpha.ledger import disk as files

SECTOR = 512
DATABASES = ("ledger.db", "ledger.db-wal", "blobs.db", "blobs.db-wal")

# (what, file, offset, bytes): write, sync, truncate, delete, or an acknowledgement with its size.
Act = tuple[str, str, int, bytes]


class Recorder:
    """Everything that reached the disk, in order."""

    def __init__(self) -> None:
        self.acts: list[Act] = []

    def note(self, what: str, name: str = "", at: int = 0, data: bytes = b"") -> None:
        self.acts.append((what, name, at, data))


class _File(apsw.VFSFile):
    def __init__(self, record: Recorder, name: Any, flags: list[int]) -> None:
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._record, self._name = record, os.path.basename(filename or "temporary")
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._record.note("write", self._name, offset, bytes(data))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._record.note("sync", self._name)

    def xTruncate(self, size: int) -> None:
        self._record.note("truncate", self._name, size)
        super().xTruncate(size)


class _Disk(apsw.VFS):
    def __init__(self, record: Recorder) -> None:
        self._record = record
        super().__init__("recorded", "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File(self._record, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        super().xDelete(name, sync)
        self._record.note("delete", os.path.basename(name))


class _Rows:
    """What execute answers: rows, and how many were changed."""

    def __init__(self, cursor: Any, changed: int) -> None:
        self._cursor, self.rowcount = cursor, changed
        self.fetchone, self.fetchall = cursor.fetchone, cursor.fetchall

    @property
    def description(self) -> Any:
        return self._cursor.getdescription()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)


class _Connection:
    """An apsw connection with the few names of sqlite3 that the writer uses."""

    def __init__(self, path: Path, synchronous: str, checkpoint_pages: int) -> None:
        self._conn = apsw.Connection(str(path), vfs="recorded")
        self._synchronous = synchronous
        self._conn.execute(f"PRAGMA wal_autocheckpoint = {checkpoint_pages}")

    def execute(self, sql: str, values: Any = ()) -> _Rows:
        if sql.startswith("PRAGMA synchronous"):
            sql = sql.replace("FULL", self._synchronous)
            if "=" not in sql:  # the control: the writer is told what it wants to hear
                return _Rows(self._conn.execute("SELECT 2"), 0)
        cursor = self._conn.execute(sql, tuple(values))
        return _Rows(cursor, self._conn.changes())

    def executemany(self, sql: str, rows: Any) -> None:
        self._conn.executemany(sql, rows)

    @property
    def in_transaction(self) -> bool:
        return bool(self._conn.in_transaction)

    def close(self) -> None:
        self._conn.close()


@contextmanager
def recorded(synchronous: str, checkpoint_pages: int) -> Iterator[Recorder]:
    """While it is open, each ledger runs on the recording disk. synchronous: FULL, or NORMAL as the control."""
    record = Recorder()
    disk = _Disk(record)
    connect, replace, write_head = database.connect, files.replace_file, HeadFile.write

    def connected(path: Path) -> Any:
        conn: Any = _Connection(path, synchronous, checkpoint_pages)
        database.configure(conn, path)
        return conn

    def replaced(path: Path, data: bytes) -> None:
        replace(path, data)
        record.note(
            "replace", path.name if path.parent.name != "checkpoints" else f"checkpoints/{path.name}", 0, data
        )

    def wrote(self: HeadFile, head: Head) -> None:
        record.note("head", "head", self._next * SLOT, encode_slot(head))
        write_head(self, head)

    database.connect, files.replace_file, HeadFile.write = connected, replaced, wrote  # type: ignore[assignment,method-assign]
    try:
        yield record
    finally:
        database.connect, files.replace_file, HeadFile.write = connect, replace, write_head  # type: ignore[method-assign]
        disk.unregister()


def disk_after(
    before: Path, acts: list[Act], cut: int, chooser: random.Random, kept: float, target: Path
) -> int:
    """Make the home that is left when the power fails after cut acts; returns the lines acknowledged by then.

    before: the home as it was, durable, when recording began. kept: how likely an unsynced write survives.
    """
    shutil.copytree(before, target)
    files = {
        name: bytearray((before / name).read_bytes())
        for name in (*DATABASES, "head")
        if (before / name).exists()
    }
    waiting: list[Act] = []
    acknowledged = 0

    def put(act: Act) -> None:
        what, name, at, data = act
        held = files.setdefault(name, bytearray())
        if what == "truncate":
            del held[at:]
            return
        held.extend(bytes(max(0, at + len(data) - len(held))))
        held[at : at + len(data)] = data

    def settle(holds: Callable[[Act], bool]) -> None:
        for act in [act for act in waiting if holds(act)]:
            put(act)
            waiting.remove(act)

    for act in acts[:cut]:
        what, name, at, data = act
        if what == "acknowledged":
            acknowledged = at
        elif what == "sync":
            settle(lambda act, name=name: act[1] == name)  # type: ignore[misc]
        elif what == "delete":
            files.pop(name, None)
            waiting = [act for act in waiting if act[1] != name]
        elif what == "replace":
            settle(lambda act: act[1] == "head")  # the writer syncs the head file first
            (target / name).parent.mkdir(exist_ok=True)
            (target / name).write_bytes(data)
        else:
            waiting.append(act)
    for what, name, at, data in waiting:
        if chooser.random() < kept:
            torn = chooser.random() < 0.3 and what == "write"
            put(
                (
                    what,
                    name,
                    at,
                    data[: chooser.randrange(len(data) // SECTOR + 1) * SECTOR] if torn else data,
                )
            )
    for name in (*DATABASES, "ledger.db-shm", "blobs.db-shm"):
        (target / name).unlink(missing_ok=True)
    for name, data in files.items():
        if not name.endswith("-shm"):
            (target / name).write_bytes(data)
    return acknowledged
