"""The ledger's single writer: one thread, one read-write connection, one transaction per job.

A job runs inside BEGIN IMMEDIATE; whatever it raises rolls everything back and reaches its waiter alone. An
I/O failure latches the writer: nothing more is written, and a restart recovers.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from inalpha.audit import keys, merkle
from inalpha.audit.checkpoint import Checkpoint
from inalpha.audit.context import LedgerContext
from inalpha.audit.head import Head, HeadFile
from inalpha.audit.notes import Signer, SigningKey
from inalpha.ledger import database
from inalpha.ledger.blobs import KnownTexts, drop_orphans, store
from inalpha.ledger.clock import Clock, system_clock
from inalpha.ledger.mend import Mend, forget_heads
from inalpha.ledger.startup import open_chain, settle_log_key
from inalpha.ledger.txn import Tail, Txn
from inalpha.model.errors import InalphaError, IntegrityError, Refused, TryAgain

T = TypeVar("T")
CHECKPOINT_EVERY_S = 60.0
HEAD_EVERY_S = 1.0
MAX_BEHIND_US = 5_000_000
ROTATE_EVERY_US = 86_400_000_000
GENESIS_GATE_LIFE_US = 300_000_000

_LATCHING = frozenset({"IOERR", "FULL", "CORRUPT", "READONLY", "CANTOPEN", "NOTADB", "PROTOCOL"})

_DISK_ERRORS = frozenset({errno.EIO, errno.ENOSPC, errno.EROFS, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Genesis:
    """What init prints once: the hash to keep and the seed to write down on paper."""

    hex: str
    recovery_seed: str


class EpochFenced(InalphaError):
    """Another daemon has taken the ledger; this one must end."""

    exit_code = 4


class Ledger:
    """An open ledger. on_commit(size, root) is called by the writer thread after each commit with lines.

    on_clock_behind(us): by the same thread, once the host's clock was found behind the record and all was halted.
    """

    def __init__(self, home: Path, lock: int, clock: Clock) -> None:
        self.home = home
        self.on_commit: Callable[[int, bytes], None] | None = None
        self.on_clock_behind: Callable[[int], None] | None = None
        self.latched = False
        self.origin = ""
        self.genesis = ""
        self.epoch = 0
        self.size = 0
        self.root = merkle.EMPTY_ROOT
        self._lock = lock
        self._clock = clock
        self._jobs: queue.SimpleQueue[tuple[Callable[[Txn], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._dirty_since: float | None = None
        self._published: tuple[int, float] = (0, 0.0)
        self._closed = False
        self._told_behind = 0
        self._migrated: list[tuple[int, int, str]] = []
        self._conn: sqlite3.Connection = None  # type: ignore[assignment]  # the writer's thread opens it
        self._blobs: sqlite3.Connection | None = None
        self._texts = KnownTexts()

    @staticmethod
    def create(
        home: Path,
        *,
        owner: str,
        owner_signer: SigningKey,
        cash: str,
        currency: str,
        config_sha256: str,
        app: str,
        clock: Clock | None = None,
    ) -> Genesis:
        """Make the home's ledger with its genesis line. owner: the handle; owner_signer: the bare key."""
        from inalpha.ledger.genesis import create_home

        return create_home(
            home, owner, owner_signer, cash, currency, config_sha256, app, clock or system_clock()
        )

    @staticmethod
    def open(
        home: Path, *, app: str = "inalpha", clock: Clock | None = None, mend: Mend | None = None
    ) -> Ledger:
        """Take the ledger: lock, checks, next epoch. mend: the owner's leave to go on from an older copy.

        Exits 4 (second daemon), 6 (damaged) or 78 (modes, schema).
        """
        home = Path(home)
        lock = take_lock(home)
        ledger = Ledger(home, lock, clock or system_clock())
        started: Future[None] = Future()
        ledger._jobs.put((lambda txn: None, started))
        ledger._app = app
        ledger._mend = mend
        ledger._thread.start()
        try:
            started.result()
        except BaseException:
            ledger._jobs.put(None)
            ledger._thread.join()
            os.close(lock)
            raise
        return ledger

    _app = "inalpha"
    _mend: Mend | None = None

    def submit(self, job: Callable[[Txn], T]) -> Future[T]:
        """Queue a job; its future has the job's value after COMMIT, or what it raised."""
        future: Future[T] = Future()
        if self._closed:
            future.set_exception(
                TryAgain("LEDGER_CLOSED", "the ledger is closing.", "Start the daemon again.")
            )
        else:
            self._jobs.put((job, future))
        return future

    async def run(self, job: Callable[[Txn], T]) -> T:
        """The same for asyncio. Cancelling the waiter does not cancel the job."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(job)))

    def close(self, reason: str) -> None:
        """Write epoch.close and the last checkpoint, then stop the thread."""
        if self._closed:
            return
        if not self.latched:
            future = self.submit(lambda txn: txn.line("epoch.close", "system:daemon", {"reason": reason}))
            with contextlib.suppress(InalphaError, CancelledError):
                future.result()
        self._stop()

    def abandon(self) -> None:
        """Stop without epoch.close, as a crash would: for tests of recovery."""
        self._stop()

    def _stop(self) -> None:
        self._closed = True
        self._jobs.put(None)
        self._thread.join()
        os.close(self._lock)

    def _work(self) -> None:
        first = self._jobs.get()
        if first is None:
            return
        try:
            self._open()
        except BaseException as error:
            self._roll_back_opening()
            first[1].set_exception(_opening_failed(error))
            return
        first[1].set_result(None)
        while True:
            item = self._next()
            if item is None:
                break
            self._run(*item)
        self._shut()

    def _roll_back_opening(self) -> None:
        """What a migration began is forgotten with the connection; the file stays as it was."""
        for conn in (self._conn, self._blobs):
            if conn is not None:
                with contextlib.suppress(sqlite3.Error):
                    conn.close()

    def _next(self) -> tuple[Callable[[Txn], Any], Future[Any]] | None:
        while True:
            try:
                return self._jobs.get(timeout=HEAD_EVERY_S if self._dirty_since is not None else None)
            except queue.Empty:
                self._sync_head(force=False)

    def _open(self) -> None:
        version = database.read_version(self.home / database.LEDGER)
        self._conn = database.connect(self.home / database.LEDGER)
        self._migrated = database.migrate(self._conn, self.home / database.LEDGER, version)
        self._blobs = database.open_blobs(self.home / database.BLOBS)
        mend = self._mend
        chain = open_chain(self.home, self._conn, trusts_heads=mend is None or mend.rollback is None)
        signer = mend.log if mend is not None else None
        if signer is None:
            signer = settle_log_key(self.home, chain.origin, chain.log_vkey)
        self.origin, self.genesis = chain.origin, chain.genesis
        self._tree = chain.tree
        self._tail = Tail(
            chain.tree.size, chain.prev, chain.epoch, chain.ts, chain.mono, chain.boot, signer, chain.ts
        )  # fmt: skip
        drop_orphans(self._blobs, chain.commits)
        self._head = HeadFile(self.home / "head")
        self.epoch = chain.epoch
        self._begin_epoch(chain.clean, chain.epoch)
        self._rotated_at = self._tail.ts

    def _begin_epoch(self, clean: bool, previous: int) -> None:
        conn = self._conn
        following = self._new_key()

        def job(txn: Txn) -> None:
            conn.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", (str(previous + 1),))
            if self._mend is not None:
                self._mend.write(txn)
            data = {
                "app": self._app,
                "previous_clean": clean,
                "sqlite": sqlite3.sqlite_version,
                "wal_reset_fixed": database.wal_reset_fixed(),
            }
            txn.line("epoch.open", "system:daemon", data)
            txn.rotate(following)
            if not clean:
                runs = conn.execute(
                    "SELECT count(*) FROM run WHERE state IN ('starting','running','parked')"
                ).fetchone()[0]
                size = txn.tail.size
                txn.line(
                    "recovery", "system:daemon", {"from_epoch": previous, "open_runs": runs, "size": size}
                )
            for old, new, sha256 in self._migrated:
                txn.line("schema.migrate", "system:daemon", {"from": old, "sha256": sha256, "to": new})

        self._transact(job, fenced=False)
        self.epoch = previous + 1
        if self._mend is not None and self._mend.rollback is not None:
            self._forget_heads(int(self._mend.rollback[1]["to_size"]))

    def _forget_heads(self, kept: int) -> None:
        """Only after COMMIT: before it the older copy must not open without the owner."""
        forget_heads(self.home, kept, self.size)
        self._head.close()
        self._head = HeadFile(self.home / "head")
        self._head.write(Head(self.size, self.root))
        self._head.sync()

    def _new_key(self) -> Signer:
        """A fresh log key, durable as `.next` before any line names it."""
        path = self.home / "log.key.next"
        path.unlink(missing_ok=True)
        key = keys.new_key()
        keys.write_open(path, key)
        return Signer(self.origin, key)

    def _run(self, job: Callable[[Txn], Any], future: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            if self.latched:
                raise TryAgain(
                    "LEDGER_LATCHED", "the disk failed; nothing more is written.", "Restart the daemon."
                )
            self._rotate_daily()
            self._halt_behind()
            value = self._transact(job)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(value)

    def _rotate_daily(self) -> None:
        if self._clock().wall_us - self._rotated_at > ROTATE_EVERY_US:
            following = self._new_key()
            self._transact(lambda txn: txn.rotate(following))
            self._rotated_at = self._tail.ts

    def _halt_behind(self) -> None:
        """A clock far behind the record dates nothing rightly: everything halts, once per set-back, before the job."""
        behind = self._tail.ts - self._clock().wall_us
        if behind <= MAX_BEHIND_US:
            self._told_behind = 0
        elif behind > self._told_behind + MAX_BEHIND_US:
            self._told_behind = behind
            self._transact(_halt_for_clock(behind))
            if self.on_clock_behind is not None:
                self.on_clock_behind(behind)

    def _transact(self, job: Callable[[Txn], T], *, fenced: bool = True) -> T:
        conn = self._conn
        reading = self._clock()
        now = max(reading.wall_us, self._tail.ts)
        context = LedgerContext(conn, self.origin, self._tree)
        txn = Txn(conn, self._tail, context, now, reading, texts=self._texts, blob_conn=self._blobs)
        with txn.held:
            value = self._commit(job, txn, fenced=fenced)
        self._committed(txn)
        return value

    def _commit(self, job: Callable[[Txn], T], txn: Txn, *, fenced: bool) -> T:
        conn = self._conn
        try:
            if not conn.in_transaction:  # a migration has opened the epoch's transaction already
                conn.execute("BEGIN IMMEDIATE")
            if fenced:
                found = conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
                if found is None or found[0] != str(self.epoch):
                    self.latched = True
                    raise EpochFenced("EPOCH_FENCED", "another daemon took this ledger.", "End this process.")
            value = job(txn)
            # Durable before the line that names it; one sync for all blobs of the step.
            if txn.blobs and self._blobs is not None:
                store(self._blobs, txn.blobs)
            conn.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            if is_latching(error):
                self.latched = True
                raise _disk_failed("written", error) from error
            raise
        return value

    def _roll_back(self) -> None:
        try:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
        except sqlite3.Error as error:
            self.latched = True
            sys.stderr.write(f"rollback failed: {error}\n")

    def _committed(self, txn: Txn) -> None:
        for leaf in txn.leaves:
            self._tree.append(leaf)
        self._tail = txn.tail
        txn.committed()
        try:
            if txn.rotated:
                os.replace(self.home / "log.key.next", self.home / "log.key")
                keys.sync_directory(self.home)
            if txn.erased and self._blobs is not None:
                self._blobs.executemany("DELETE FROM blob WHERE name = ?", [(name,) for name in txn.erased])
                self._blobs.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if not txn.leaves:
                return
            self.size, self.root = self._tree.size, self._tree.root()
            self._head.write(Head(self.size, self.root))
            if self._dirty_since is None:
                self._dirty_since = time.monotonic()
            self._sync_head(force=txn.publish)
        except (OSError, sqlite3.Error) as error:
            # The transaction stands; what could not follow it does after the restart.
            self.latched = True
            sys.stderr.write(f"ledger latched after commit: {error}\n")
        if self.on_commit is not None:
            try:
                self.on_commit(self.size, self.root)
            except Exception as error:  # the listener's fault must not undo what is committed
                sys.stderr.write(f"commit listener failed: {error!r}\n")

    def _sync_head(self, *, force: bool) -> None:
        now = time.monotonic()
        if self._dirty_since is None or not (force or now - self._dirty_since >= HEAD_EVERY_S):
            return
        note = Checkpoint(self.origin, self.size, self.root).sign(self._tail.signer)
        self._head.sync()
        replace_file(self.home / "head.checkpoint", note)
        self._dirty_since = None
        if force or now - self._published[1] >= CHECKPOINT_EVERY_S:
            directory = self.home / "checkpoints"
            directory.mkdir(mode=0o700, exist_ok=True)
            replace_file(directory / str(self.size), note)
            self._published = (self.size, now)

    def _shut(self) -> None:
        try:
            if not self.latched:
                self._sync_head(force=True)
        except OSError:
            self.latched = True
        for conn in (self._conn, self._blobs):
            if conn is not None:
                conn.close()
        self._head.close()


def take_lock(home: Path) -> int:
    """The home's exclusive lock. Raises Refused (exit 4) while another process holds it."""
    if not (home / database.LEDGER).exists():
        raise Refused("NO_LEDGER", f"{home} holds no ledger.", "Run 'inalpha init'.", exit_code=78)
    keys.check_private(home)
    handle = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Refused(
            "LEDGER_LOCKED", f"a daemon already runs on {home}.", "'inalpha status' names it."
        ) from error
    return handle


def _halt_for_clock(behind_us: int) -> Callable[[Txn], None]:
    def job(txn: Txn) -> None:
        sql = "SELECT 1 FROM halt WHERE scope_key = 'all' AND state IN ('HALTED', 'KILLED')"
        if txn.conn.execute(sql).fetchone() is None:
            reason = txn.commit_text(f"the clock is {behind_us // 1_000_000} s behind the record")
            data = {"account": None, "reason_commit": reason, "run": None, "scope": "all", "state": "HALTED"}
            txn.line("halt.set", "system:daemon", data)

    return job


def is_latching(error: BaseException) -> bool:
    """Whether the disk, not the rules, said no."""
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", "") or ""
        return any(name.startswith(f"SQLITE_{word}") for word in _LATCHING)
    return isinstance(error, OSError) and error.errno in _DISK_ERRORS


def _opening_failed(error: BaseException) -> BaseException:
    """A spoiled file is the auditor's affair, a failing disk the operator's; the rest stays as it is."""
    if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return IntegrityError("LEDGER_DAMAGED", f"the file cannot be read: {error}.", "Restore a backup.")
    return _disk_failed("opened", error) if is_latching(error) else error


def _disk_failed(what: str, error: BaseException) -> TryAgain:
    return TryAgain("LEDGER_LATCHED", f"the ledger cannot be {what}: {error}.", "Mend the disk, restart.")


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
