"""The read-write side of a ledger, used by the writer's thread alone: opens it, commits groups of jobs, publishes.

Jobs that wait at the same time share one COMMIT, and with it one sync of the disk; each runs in its own savepoint,
so what one of them raises undoes that one alone. Nothing is answered before the COMMIT of its group has returned.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from inalpha.audit import keys, merkle
from inalpha.audit.checkpoint import Checkpoint
from inalpha.audit.context import LedgerContext
from inalpha.audit.head import Head, HeadFile
from inalpha.audit.notes import Signer
from inalpha.ledger import database, disk
from inalpha.ledger.blobs import KnownTexts, drop_orphans, store
from inalpha.ledger.clock import Clock
from inalpha.ledger.folded import Folded
from inalpha.ledger.mend import Mend, forget_heads
from inalpha.ledger.startup import open_chain, settle_log_key
from inalpha.ledger.txn import Tail, Txn
from inalpha.model.errors import InalphaError, TryAgain
from inalpha.model.plain import plain
from inalpha.model.principals import DAEMON
from inalpha.model.states import LIVE_SQL

T = TypeVar("T")
Job = Callable[[Txn], Any]

CHECKPOINT_EVERY_S = 60.0
HEAD_EVERY_S = 1.0
MAX_BEHIND_US = 5_000_000
ROTATE_EVERY_US = 86_400_000_000
OPEN_BUSY_S = 5.0
MOST_PAUSE_S = 0.5
_SHORT = "PRAGMA busy_timeout = 100"
_TEMPORARY = "PRAGMA temp_store = MEMORY"  # a savepoint's undo pages are no business of the disk


class EpochFenced(InalphaError):
    """Another daemon has taken the ledger; this one must end."""

    exit_code = 4


class Committer:
    """The connections, the tree and the tail of an open ledger.

    on_commit(size, root): after each COMMIT with lines. gives_up: set to wait no longer for whoever holds the file.
    on_clock_behind(us): the host's clock was found behind
    the record and all was halted.
    """

    def __init__(self, home: Path, clock: Clock, app: str, mend: Mend | None) -> None:
        self.home = home
        self.on_commit: Callable[[int, bytes], None] | None = None
        self.on_clock_behind: Callable[[int], None] | None = None
        self.latched = False
        self.gives_up = threading.Event()
        self.origin = ""
        self.genesis = ""
        self.epoch = 0
        self.size = 0
        self.root = merkle.EMPTY_ROOT
        self._clock = clock
        self._app = app
        self._mend = mend
        self._dirty_since: float | None = None
        self._busy_since: float | None = None
        self._published: tuple[int, float] = (0, 0.0)
        self._told_behind = 0
        self._texts = KnownTexts()
        self._folded: Folded | None = None
        self._conn: sqlite3.Connection = None  # type: ignore[assignment]  # the writer's thread opens it
        self._blobs: sqlite3.Connection = None  # type: ignore[assignment]

    @property
    def is_dirty(self) -> bool:
        """Whether a signed checkpoint of the last lines is still owed."""
        return self._dirty_since is not None

    @property
    def busy_s(self) -> float:
        """How long another program has kept this one from writing; 0.0 while nobody does."""
        since = self._busy_since
        return 0.0 if since is None else max(time.monotonic() - since, 1e-9)

    # Opening and closing.

    def open(self) -> None:
        """Check all that is there and begin the next epoch. What it raises leaves the files as they were."""
        try:
            self._open()
        except BaseException as error:
            # What a migration began is forgotten with the connection.
            for conn in (self._conn, self._blobs):
                if conn is not None:
                    with suppress(sqlite3.Error):
                        conn.close()
            raise disk.opening_failed(error) from error

    def _open(self) -> None:
        version = database.read_version(self.home / database.LEDGER)
        self._conn = database.connect(self.home / database.LEDGER)
        self._conn.execute(_TEMPORARY)
        migrated = database.migrate(self._conn, self.home / database.LEDGER, version)
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
        self._begin_epoch(chain.clean, chain.epoch, migrated)
        self._folded = chain.folded
        if self._folded is not None:
            self._folded.sign(self.home, self._tail.signer)
        self._rotated_at = self._tail.ts
        for conn in (self._conn, self._blobs):
            conn.execute(_SHORT)  # `_patiently` goes on from there

    def _begin_epoch(self, clean: bool, previous: int, migrated: list[tuple[int, int, str]]) -> None:
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
            txn.line("epoch.open", DAEMON, data)
            txn.rotate(following)
            if not clean:
                runs = conn.execute(f"SELECT count(*) FROM run WHERE state IN {LIVE_SQL}").fetchone()[0]
                size = txn.tail.size
                txn.line("recovery", DAEMON, {"from_epoch": previous, "open_runs": runs, "size": size})
            for old, new, sha256 in migrated:
                txn.line("schema.migrate", DAEMON, {"from": old, "sha256": sha256, "to": new})

        with self.group(fenced=False) as group:
            group.attempt(job)
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

    def close(self) -> None:
        """The last checkpoint, unless the disk has failed."""
        try:
            if not self.latched:
                self.sync_head(force=True)
        except OSError:
            self.latched = True
        self._conn.close()
        self._blobs.close()
        self._head.close()

    # What comes before a group.

    def prepare(self) -> None:
        """Turn the log key daily, and halt all when the clock has fallen behind. Raises when latched."""
        if self.latched:
            raise disk.latched()
        now = self._clock().wall_us
        if now - self._rotated_at > ROTATE_EVERY_US:
            following = self._new_key()
            with self.group() as group:
                group.attempt(lambda txn: txn.rotate(following))
            self._rotated_at = self._tail.ts
        self._halt_behind(self._tail.ts - now)

    def _new_key(self) -> Signer:
        """A fresh log key, durable as `.next` before any line names it."""
        path = self.home / "log.key.next"
        path.unlink(missing_ok=True)
        key = keys.new_key()
        keys.write_open(path, key)
        return Signer(self.origin, key)

    def _halt_behind(self, behind: int) -> None:
        """A clock far behind the record dates nothing rightly: everything halts, once per set-back."""
        if behind <= MAX_BEHIND_US:
            self._told_behind = 0
        elif behind > self._told_behind + MAX_BEHIND_US:
            self._told_behind = behind
            with self.group() as group:
                group.attempt(_halt_for_clock(behind))
            if self.on_clock_behind is not None:
                self.on_clock_behind(behind)

    # A group and what follows it.

    @contextmanager
    def group(self, *, fenced: bool = True) -> Iterator[Group]:
        """Jobs attempted inside are committed when the block ends; whatever it raises undoes all of them."""
        conn = self._conn
        group = Group(conn, self._begin)
        with group.held:
            try:
                if not conn.in_transaction:  # a migration has opened the epoch's transaction already
                    self._patiently(lambda: conn.execute("BEGIN IMMEDIATE"))
                if fenced:
                    self._check_epoch()
                yield group
                if not group.is_open:
                    self._roll_back()
                    return
                # Durable before the lines that name them; one sync for all blobs of the group.
                blobs = [blob for txn in group.done for blob in txn.blobs]
                if blobs:
                    self._patiently(lambda: store(self._blobs, blobs))
                conn.execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                # What is in memory follows a job that succeeded, not the COMMIT: it is ahead of the ledger now.
                if disk.is_latching(error) or group.done:
                    self.latched = True
                    raise disk.disk_failed("written", error) from error
                raise
        for txn in group.done:
            self._committed(txn)
        self._follow(group.done)

    def _patiently(self, act: Callable[[], object]) -> None:
        """Another program that holds a file lets go of it some time: wait, longer each time.

        Nothing was written yet, so that trying again is safe. Raises TryAgain at opening and at the end.
        """
        began, pause_s = time.monotonic(), 0.02
        while True:
            try:
                act()
            except sqlite3.OperationalError as error:
                if not disk.is_busy(error):
                    raise
                if self.epoch == 0 and time.monotonic() - began > OPEN_BUSY_S:
                    raise disk.busy(error) from error
                if self.gives_up.is_set():
                    text = f"the ledger closes while another program holds it: {error}."
                    raise TryAgain("LEDGER_CLOSED", text, "Start the daemon again.") from error
                if self._busy_since is None:
                    self._busy_since = began
                self.gives_up.wait(pause_s)
                pause_s = min(pause_s * 2, MOST_PAUSE_S)
            else:
                self._busy_since = None
                return

    def _begin(self, before: Txn | None) -> Txn:
        """A job's view of the ledger: what is committed, and what the jobs before it in its group have done."""
        reading = self._clock()
        tail = self._tail if before is None else before.tail
        context = LedgerContext(self._conn, self.origin, self._tree)
        now = max(reading.wall_us, tail.ts)
        txn = Txn(self._conn, tail, context, now, reading, texts=self._texts, blob_conn=self._blobs)
        txn.epoch_began = self.epoch > 0
        return txn

    def _check_epoch(self) -> None:
        found = self._conn.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        if found is None or found[0] != str(self.epoch):
            self.latched = True
            raise EpochFenced("EPOCH_FENCED", "another daemon took this ledger.", "End this process.")

    def _roll_back(self) -> None:
        try:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
        except sqlite3.Error as error:
            self.latched = True
            sys.stderr.write(plain(f"rollback failed: {error}") + "\n")

    def _committed(self, txn: Txn) -> None:
        for leaf in txn.leaves:
            self._tree.append(leaf)
        self._tail = txn.tail
        txn.committed()

    def _follow(self, done: list[Txn]) -> None:
        """Files that follow a COMMIT: the log key's new name, erased texts, the head, a checkpoint."""
        grown = False
        try:
            if any(txn.rotated for txn in done):
                os.replace(self.home / "log.key.next", self.home / "log.key")
                keys.sync_directory(self.home)
                if self._folded is not None:
                    self._folded.sign(self.home, self._tail.signer)
            erased = [(name,) for txn in done for name in txn.erased]
            if erased:
                self._blobs.executemany("DELETE FROM blob WHERE name = ?", erased)
                self._blobs.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            grown = any(txn.leaves for txn in done)
            if grown:
                self.size, self.root = self._tree.size, self._tree.root()
                self._head.write(Head(self.size, self.root))
                if self._dirty_since is None:
                    self._dirty_since = time.monotonic()
            # Also after jobs that only read: those that come often would leave no time to do it in between.
            self.sync_head(force=any(txn.publish for txn in done))
        except (OSError, sqlite3.Error) as error:
            # The transaction stands; what could not follow it does after the restart.
            self.latched = True
            sys.stderr.write(plain(f"ledger latched after commit: {error}") + "\n")
        if grown and self.on_commit is not None:
            try:
                self.on_commit(self.size, self.root)
            except Exception as error:  # the listener's fault must not undo what is committed
                sys.stderr.write(plain(f"commit listener failed: {error!r}") + "\n")

    def idle(self) -> None:
        """What is due while nothing waits."""
        try:
            self.sync_head(force=False)
        except OSError as error:
            self.latched = True
            sys.stderr.write(plain(f"ledger latched: {error}") + "\n")

    def sync_head(self, *, force: bool) -> None:
        """Once a second, and at gates and stops: the signed checkpoint beside the ledger; each minute a kept copy."""
        now = time.monotonic()
        if self._dirty_since is None or not (force or now - self._dirty_since >= HEAD_EVERY_S):
            return
        note = Checkpoint(self.origin, self.size, self.root).sign(self._tail.signer)
        self._head.sync()
        disk.replace_file(self.home / "head.checkpoint", note)
        self._dirty_since = None
        if force or now - self._published[1] >= CHECKPOINT_EVERY_S:
            directory = self.home / "checkpoints"
            directory.mkdir(mode=0o700, exist_ok=True)
            disk.replace_file(directory / str(self.size), note)
            self._published = (self.size, now)


class Group:
    """The jobs of one COMMIT.

    done: the transactions of those that succeeded, in order. is_open: whether more may be attempted.
    """

    def __init__(self, conn: sqlite3.Connection, begin: Callable[[Txn | None], Txn]) -> None:
        self.done: list[Txn] = []
        self.is_open = True
        self.held = ExitStack()
        self._conn = conn
        self._begin = begin
        self._is_torn = False

    def attempt(self, job: Callable[[Txn], T]) -> T:
        """Run a job after those before it. What it raises is undone alone; see `is_lost` for when it cannot be."""
        first = not self.done
        if not first:
            self._execute("SAVEPOINT job")
        txn = self._begin(None if first else self.done[-1])
        with ExitStack() as locks:
            locks.push(txn.held)
            try:
                value = job(txn)
            except BaseException as error:
                if first:  # nothing before it to save: the whole goes, and with it the group
                    self.is_open = False
                    self.held.push(locks.pop_all())
                elif not self.is_lost(error):
                    self._execute("ROLLBACK TO job")
                    self._execute("RELEASE job")
                raise
            self.done.append(txn)
            self.held.push(locks.pop_all())
        if not first:
            self._execute("RELEASE job")
        return value

    def _execute(self, sql: str) -> None:
        """A savepoint that does not begin or end leaves the jobs of the group in one piece, good or bad."""
        try:
            self._conn.execute(sql)
        except sqlite3.Error:
            self._is_torn = True
            raise

    def is_lost(self, error: BaseException) -> bool:
        """Whether the error of one job takes the others with it: the disk failed, or SQLite gave up the transaction."""
        gone = bool(self.done) and not self._conn.in_transaction
        return gone or self._is_torn or disk.is_latching(error)


def _halt_for_clock(behind_us: int) -> Callable[[Txn], None]:
    def job(txn: Txn) -> None:
        sql = "SELECT 1 FROM halt WHERE scope_key = 'all' AND state IN ('HALTED', 'KILLED')"
        if txn.conn.execute(sql).fetchone() is None:
            reason = txn.commit_text(f"the clock is {behind_us // 1_000_000} s behind the record")
            data = {"account": None, "reason_commit": reason, "run": None, "scope": "all", "state": "HALTED"}
            txn.line("halt.set", DAEMON, data)

    return job
