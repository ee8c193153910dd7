"""The ledger's single writer: one thread, one read-write connection, jobs in order of arrival.

A job is all or nothing, and whatever it raises reaches its waiter alone. An I/O failure latches the writer:
nothing more is written, and a restart recovers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from inalpha.audit.notes import SigningKey
from inalpha.ledger.clock import Clock, system_clock
from inalpha.ledger.committer import HEAD_EVERY_S, Committer, Group
from inalpha.ledger.lock import take_lock
from inalpha.ledger.mend import Mend
from inalpha.ledger.txn import Txn
from inalpha.model.errors import InalphaError, TryAgain
from inalpha.model.principals import DAEMON

T = TypeVar("T")

# A group ends when nothing waits, and at the latest here: the first of it should not wait long for the last.
GROUP_JOBS = 64
GROUP_S = 0.01
# At the end a ledger that another program holds is waited for this long: the next start recovers.
CLOSE_BUSY_S = 1.0


@dataclass(frozen=True, slots=True)
class Genesis:
    """What init prints once: the hash to keep and the seed to write down on paper."""

    hex: str
    recovery_seed: str


@dataclass(slots=True)
class _Waiting:
    """A job and who waits for it."""

    job: Callable[[Txn], Any]
    future: Future[Any]
    value: Any = None
    error: BaseException | None = None


class Ledger:
    """An open ledger. on_commit(size, root) is called by the writer thread after each commit with lines.

    on_clock_behind(us): by the same thread, once the host's clock was found behind the record and all was halted.
    """

    def __init__(self, home: Path, lock: int, committer: Committer) -> None:
        self.home = home
        self._lock = lock
        self._committer = committer
        self._jobs: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._opened: Future[None] = Future()
        self._closed = False
        self._ends = False

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
        ledger = Ledger(home, lock, Committer(home, clock or system_clock(), app, mend))
        ledger._thread.start()
        try:
            ledger._opened.result()
        except BaseException:
            ledger._thread.join()
            os.close(lock)
            raise
        return ledger

    @property
    def origin(self) -> str:
        return self._committer.origin

    @property
    def genesis(self) -> str:
        """The hash of the first line, in hex."""
        return self._committer.genesis

    @property
    def epoch(self) -> int:
        return self._committer.epoch

    @property
    def size(self) -> int:
        """Committed lines."""
        return self._committer.size

    @property
    def root(self) -> bytes:
        """The tree's root over them."""
        return self._committer.root

    @property
    def latched(self) -> bool:
        """Whether the disk has failed: nothing more is written."""
        return self._committer.latched

    @property
    def busy_s(self) -> float:
        """How long another program has kept this one from writing; 0.0 while nobody does."""
        return self._committer.busy_s

    def give_up(self) -> None:
        """Wait no longer for whoever holds the ledger: what waits now, and what comes, is told LEDGER_CLOSED."""
        self._committer.gives_up.set()

    @property
    def on_commit(self) -> Callable[[int, bytes], None] | None:
        return self._committer.on_commit

    @on_commit.setter
    def on_commit(self, listener: Callable[[int, bytes], None] | None) -> None:
        self._committer.on_commit = listener

    @property
    def on_clock_behind(self) -> Callable[[int], None] | None:
        return self._committer.on_clock_behind

    @on_clock_behind.setter
    def on_clock_behind(self, listener: Callable[[int], None] | None) -> None:
        self._committer.on_clock_behind = listener

    def submit(self, job: Callable[[Txn], T]) -> Future[T]:
        """Queue a job; its future has the job's value after COMMIT, or what it raised."""
        future: Future[T] = Future()
        if self._closed:
            future.set_exception(
                TryAgain("LEDGER_CLOSED", "the ledger is closing.", "Start the daemon again.")
            )
        else:
            self._jobs.put(_Waiting(job, future))
        return future

    async def run(self, job: Callable[[Txn], T]) -> T:
        """The same for asyncio. Cancelling the waiter does not cancel the job."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(job)))

    def close(self, reason: str) -> None:
        """Write epoch.close and the last checkpoint, then stop the thread."""
        if self._closed:
            return
        if not self.latched:
            if self.busy_s:
                self.give_up()
            future = self.submit(lambda txn: txn.line("epoch.close", DAEMON, {"reason": reason}))
            with contextlib.suppress(TimeoutError, InalphaError, CancelledError):
                future.result(CLOSE_BUSY_S)
            self.give_up()
            with contextlib.suppress(InalphaError, CancelledError):
                future.result()
        self._stop()

    def abandon(self) -> None:
        """Stop without epoch.close, as a crash would: for tests of recovery."""
        self._stop()

    def _stop(self) -> None:
        self._closed = True
        self.give_up()
        self._jobs.put(None)
        self._thread.join()
        os.close(self._lock)

    # The writer's thread.

    def _work(self) -> None:
        try:
            self._committer.open()
        except BaseException as error:
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        while (first := self._next()) is not None:
            self._serve(first)
        self._committer.close()

    def _next(self) -> _Waiting | None:
        """The next job, however long it takes; None once the ledger is to close."""
        while not self._ends:
            try:
                return self._jobs.get(timeout=HEAD_EVERY_S if self._committer.is_dirty else None)
            except queue.Empty:
                self._committer.idle()
        return None

    def _serve(self, first: _Waiting) -> None:
        """Commit a job, and with it those that wait by the time it is done; then answer them."""
        served = [first]
        if not first.future.set_running_or_notify_cancel():
            return
        try:
            self._committer.prepare()
            with self._committer.group() as group:
                latest = time.monotonic() + GROUP_S
                _attempt(first, group)
                while group.is_open and len(served) < GROUP_JOBS and time.monotonic() < latest:
                    item = self._waiting()
                    if item is None:
                        break
                    if item.future.set_running_or_notify_cancel():
                        served.append(item)
                        _attempt(item, group)
        except BaseException as error:
            for item in served:
                item.error = error
        for item in served:
            if item.error is not None:
                item.future.set_exception(item.error)
            else:
                item.future.set_result(item.value)

    def _waiting(self) -> _Waiting | None:
        if self._jobs.empty():
            return None
        item = self._jobs.get()
        self._ends = item is None
        return item


def _attempt(item: _Waiting, group: Group) -> None:
    try:
        item.value = group.attempt(item.job)
    except BaseException as error:
        if group.is_lost(error):
            raise
        # Told after COMMIT like the others: it may rest on what a job before it did.
        item.error = error
