"""The halt latch: rows that bind before and without the daemon.

A row is canonical JSON, a space, the first 16 hex digits of its SHA-256 and LF. The file is opened for
append, fsynced, and guarded by flock: writers exclusive, those who commit fills shared. Anything
unreadable, torn or unknown counts as KILLED for all.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inalpha.model.principals import DAEMON
from inalpha.model.states import HaltState

SCOPES = ("run", "account", "all")
_MEMBERS = {"account", "actor", "reason", "run", "scope", "state", "ts", "v"}


@dataclass(frozen=True, slots=True)
class LatchRow:
    """One halt as written. account: the owner's account id; ts: microseconds since 1970."""

    scope: str
    state: HaltState
    actor: str
    reason: str
    ts: int
    account: str | None = None
    run: str | None = None

    @property
    def scope_key(self) -> str:
        return self.run or self.account or "all"


UNREADABLE = LatchRow("all", HaltState.KILLED, DAEMON, "the halt latch is unreadable", 0)


def encode_row(row: LatchRow) -> bytes:
    """The row's bytes with its check digits."""
    body = {
        "account": row.account,
        "actor": row.actor,
        "reason": row.reason[:500],
        "run": row.run,
        "scope": row.scope,
        "state": row.state.value,
        "ts": row.ts,
        "v": 1,
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " + hashlib.sha256(text).hexdigest()[:16].encode() + b"\n"


def _decode(line: bytes) -> LatchRow:
    text, _, check = line.rpartition(b" ")
    if hashlib.sha256(text).hexdigest()[:16].encode() != check:
        return UNREADABLE
    try:
        body = json.loads(text)
        if set(body) != _MEMBERS or body["scope"] not in SCOPES:
            return UNREADABLE
        state = HaltState(body["state"])
        return LatchRow(
            body["scope"], state, body["actor"], body["reason"], body["ts"], body["account"], body["run"]
        )
    except (ValueError, KeyError, TypeError):
        return UNREADABLE


def _open(path: Path, flags: int) -> int:
    """A regular file or OSError: a pipe in its place would hold up whoever opens or reads it."""
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return handle


def read_rows(path: Path) -> list[LatchRow]:
    """Every row in force; an unreadable, missing or torn file answers KILLED for all."""
    try:
        handle = _open(path, os.O_RDONLY)
        with open(handle, "rb") as file:
            data = file.read()
    except OSError:
        return [UNREADABLE]
    if not data:
        return []
    if not data.endswith(b"\n"):
        return [UNREADABLE]
    return [_decode(line) for line in data[:-1].split(b"\n")]


def append_row(path: Path, row: LatchRow) -> bool:
    """Write and fsync the row, then wait up to 250 ms for commits in flight. False: one may still land.

    A missing file counts as KILLED for all, and goes on doing so: the file made here says it first.
    """
    try:
        handle, first = _open(path, os.O_WRONLY | os.O_APPEND), b""
    except FileNotFoundError:
        handle = _open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        first = encode_row(UNREADABLE)
    try:
        os.write(handle, first + encode_row(row))
        os.fsync(handle)
        deadline = time.monotonic() + 0.25
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.005)
    finally:
        os.close(handle)


@contextmanager
def commit_guard(path: Path) -> Iterator[list[LatchRow]]:
    """Rows under a shared lock that a committing transaction holds until its COMMIT has returned."""
    try:
        handle = _open(path, os.O_RDONLY)
    except OSError:
        yield [UNREADABLE]
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield read_rows(path)
    finally:
        os.close(handle)


def clear(path: Path, expected: int) -> bool:
    """Empty the file once its rows are in the ledger; False when a row arrived meanwhile."""
    try:
        handle = _open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if len(read_rows(path)) != expected:
            return False
        os.ftruncate(handle, 0)
        os.fsync(handle)
        return True
    finally:
        os.close(handle)


def create(path: Path) -> None:
    """Make an empty latch, owner-only; an existing one is emptied, what is no file is set aside."""
    if os.path.lexists(path) and not path.is_file():
        os.rename(path, path.with_name(f"{path.name}.{time.time_ns()}"))
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fsync(handle)
    os.close(handle)
