"""Speed of the log: appends against bare commits of equal bytes, bursts, verification against raw libsodium.

Run: python benchmarks/audit.py. Sides alternate, medians of paired ratios are printed with the load. Two baselines:
"bare" commits the same bytes and nothing else; "without the log" runs the same jobs with the same projections, its
lines neither checked nor signed nor hashed.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from nacl import bindings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.ledger_story import MINUTE_US, START_US, Story, TestClock

from inalpha.audit import merkle
from inalpha.audit.canonical import encode_checked
from inalpha.audit.event import Event, parse_entry
from inalpha.audit.head import HeadFile
from inalpha.audit.merkle import append, leaf_hash
from inalpha.audit.notes import Signer
from inalpha.audit.verify import verify
from inalpha.execution import lines
from inalpha.ledger import txn as transactions
from inalpha.ledger.database import configure
from inalpha.ledger.txn import Txn

PAIRS = 60
PER_SIDE = 8
AT_ONCE = 10
DATA = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}


def note(txn: Txn) -> int:
    return txn.line("refusal", "system:daemon", DATA)


class Bare:
    """The same bytes, committed with the same settings and nothing else."""

    def __init__(self, path: Path) -> None:
        self.conn = sqlite3.connect(path, isolation_level=None)
        configure(self.conn, path)
        self.conn.execute(
            "CREATE TABLE ev(seq INTEGER PRIMARY KEY, entry BLOB NOT NULL, leaf BLOB NOT NULL) STRICT"
        )
        self.seq = 0

    def commit(self, rows: list[tuple[bytes, bytes]]) -> None:
        self.conn.execute("BEGIN IMMEDIATE")
        for entry, leaf in rows:
            self.conn.execute("INSERT INTO ev VALUES (?, ?, ?)", (self.seq, entry, leaf))
            self.seq += 1
        self.conn.execute("COMMIT")


class Handed:
    """The same through a queue and a future: what it costs that one thread owns the connection."""

    def __init__(self, path: Path) -> None:
        self._jobs: queue.SimpleQueue[tuple[list[tuple[bytes, bytes]], Future[None]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._work, args=(path,))
        self._thread.start()

    def _work(self, path: Path) -> None:
        bare = Bare(path)
        while (job := self._jobs.get()) is not None:
            bare.commit(job[0])
            job[1].set_result(None)

    def commit(self, rows: list[tuple[bytes, bytes]]) -> None:
        done: Future[None] = Future()
        self._jobs.put((rows, done))
        done.result()

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()


def _plain(event: Event, signer: Signer) -> bytes:
    names = ("log", "seq", "prev", "epoch", "ts", "mono", "boot", "kind", "actor", "data")
    # The signature's own length again, so that both sides write equal bytes.
    return encode_checked({name: getattr(event, name) for name in names}).encode() + b" " * 190


@contextmanager
def without_the_log() -> Iterator[None]:
    """The writer as it would be without an audit: rows and projections, no checks of form, signatures or hashes."""
    kept = transactions.check_event, transactions.sign_event, merkle.leaf_hash, HeadFile.write
    transactions.check_event = lambda event: None
    transactions.sign_event = _plain
    merkle.leaf_hash = lambda entry: b"\0" * 32
    HeadFile.write = lambda self, head: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        transactions.check_event, transactions.sign_event, merkle.leaf_hash, HeadFile.write = kept  # type: ignore[method-assign]


def timed(act: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        act()
    return (time.perf_counter() - start) / times


def compare(title: str, ours: Callable[[], object], bare: Callable[[], object]) -> None:
    """Median of bare / ours over alternating pairs: 1.0 means no cost at all."""
    ratios, mine, theirs = [], [], []
    for _ in range(PAIRS):
        theirs.append(timed(bare, PER_SIDE))
        mine.append(timed(ours, PER_SIDE))
        ratios.append(theirs[-1] / mine[-1])
    print(
        f"{title}: ratio {statistics.median(ratios):.2f}"
        f" (ours {statistics.median(mine) * 1e6:.0f} us, bare {statistics.median(theirs) * 1e6:.0f} us)"
    )


def last_rows(story: Story, count: int) -> list[tuple[bytes, bytes]]:
    sql = "SELECT entry, leaf FROM ev ORDER BY seq DESC LIMIT ?"
    return list(story.do(lambda txn: txn.conn.execute(sql, (count,)).fetchall()))


class Desk:
    """A ledger with running runs whose bars each bring an order, or the fill of the bar before's."""

    def __init__(self, home: Path, runs: int = 1) -> None:
        self.story = Story(home, TestClock()).create().prepare()
        sha256 = self.story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0])
        self.runs = [
            self.story.start(self.story.mandate(sha256, symbol=f"s{number}")) for number in range(runs)
        ]
        self._bar = [0] * runs
        self._held: list[list[tuple[str, str]]] = [[] for _ in range(runs)]

    def note(self) -> None:
        self.story.do(note)

    def notes(self, count: int) -> None:
        """Jobs that wait at the same time."""
        for future in [self.story.ledger.submit(note) for _ in range(count)]:
            future.result()

    def step(self) -> None:
        self._submit(0, lambda txn, number: None, 0).result()

    def order(self) -> None:
        self._order(0).result()

    def orders(self) -> None:
        """A bar of every run at once."""
        for future in [self._order(run) for run in range(len(self.runs))]:
            future.result()

    def _order(self, run: int) -> Future[Any]:
        held = self._held[run]
        decides = not held

        def job(txn: Txn, number: int) -> None:
            if decides:
                side = "buy" if number % 4 < 2 else "sell"
                held.append(self.story.order(txn, self.runs[run], number, side=side))
            else:
                plan, working = held.pop()
                lines.record_fill(txn, plan, working, "0.5", "100", "0")

        return self._submit(run, job, int(decides))

    def _submit(self, run: int, job: Callable[[Txn, int], None], intents: int) -> Future[Any]:
        number = self._bar[run]
        self._bar[run] += 1
        self.story.clock.advance(MINUTE_US)

        def bar(txn: Txn) -> None:
            opened = START_US - 10 * MINUTE_US + number * MINUTE_US
            name, state = self.runs[run], f"{number:064x}"
            lines.record_step(txn, name, number, opened, opened + MINUTE_US, intents, "b" * 64, state)
            job(txn, number)

        return self.story.ledger.submit(bar)

    def last_rows(self, count: int) -> list[tuple[bytes, bytes]]:
        sql = "SELECT entry, leaf FROM ev ORDER BY seq DESC LIMIT ?"
        return list(self.story.do(lambda txn: txn.conn.execute(sql, (count,)).fetchall()))


def bared(act: Callable[[], None]) -> Callable[[], None]:
    def plain() -> None:
        with without_the_log():
            act()

    return plain


def appends(root: Path) -> None:
    desk, bare, plain = Desk(root / "home"), Bare(root / "bare.db"), Desk(root / "plain")
    desk.note()
    rows = desk.last_rows(1)
    title = "append, 1 line per durable commit"
    compare(f"{title}, one waiter", desk.note, lambda: bare.commit(rows))
    handed = Handed(root / "handed.db")
    compare("  against a bare commit by a thread", desk.note, lambda: handed.commit(rows))
    handed.close()
    compare("  against the same without the log", desk.note, bared(plain.note))
    compare(
        f"{title.replace('durable commit', 'job')}, {AT_ONCE} jobs waiting, against as many commits",
        lambda: desk.notes(AT_ONCE),
        lambda: [bare.commit(rows) for _ in range(AT_ONCE)],
    )
    desk.step()
    rows = desk.last_rows(1)
    compare("step line", desk.step, lambda: bare.commit(rows))

    # Real transactions: bar, plan, risk, approval, execution, decision; then bar and fill.
    desk.order()
    decided = desk.last_rows(6)
    desk.order()
    of_equal_bytes = cycle((decided, desk.last_rows(2)))
    title = "order of 6 lines, each followed by its fill of 2"
    compare(title, desk.order, lambda: bare.commit(next(of_equal_bytes)))
    compare("  against the same without the log", desk.order, bared(plain.order))
    many = Desk(root / "many", AT_ONCE)
    compare(
        f"the same of {AT_ONCE} runs at once, against as many commits",
        many.orders,
        lambda: [bare.commit(decided if at % 2 else decided[:2]) for at in range(AT_ONCE)],
    )

    def burst() -> None:
        desk.story.do(lambda txn: [note(txn) for _ in range(100)])

    rates = [100 / timed(burst, 1) for _ in range(100)]
    print(f"durable lines in bursts of 100: median {statistics.median(rates):.0f}/s, best {max(rates):.0f}/s")
    processor_times(desk, burst)
    secret = bindings.crypto_sign_seed_keypair(b"b" * 32)[1]
    print(
        f"  of which signing: {timed(lambda: bindings.crypto_sign(decided[0][0], secret), 2000) * 1e6:.0f} us"
    )
    for each in (desk, plain, many):
        each.story.close()


def processor_times(desk: Desk, burst: Callable[[], None]) -> None:
    def cpu() -> float:
        return float(desk.story.do(lambda txn: time.thread_time()))

    acts: tuple[tuple[str, Callable[[], object], int], ...] = (
        ("an empty transaction", lambda: desk.story.do(lambda txn: None), 1),
        ("1 line", desk.note, 1),
        ("an order and its fill, 8 lines", lambda: (desk.order(), desk.order()), 8),
        ("a burst of 100", burst, 100),
    )
    for title, act, count in acts:
        before = cpu()
        timed(act, 200)
        spent = (cpu() - before) / 200 * 1e6
        print(f"writer's processor time, {title}: {spent:.0f} us, {spent / count:.0f} us per line")


def verification(root: Path, count: int) -> None:
    """A ledger of mostly step lines, as a night leaves one."""
    story = Story(root / "home2", TestClock()).create().prepare()
    sha256 = story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0])
    run = story.start(story.mandate(sha256))
    bar = 0
    while story.ledger.size < count:
        first = bar

        def burst(txn: Txn, first: int = first) -> None:
            for number in range(first, first + 100):
                opened = (1_779_000_000 + number * 60) * 10**6
                lines.record_step(
                    txn, run, number, opened, opened + 60 * 10**6, 0, "b" * 64, f"{number:064x}"
                )

        story.clock.advance(60_000_000 * 100)
        story.do(burst)
        bar += 100
    story.close()
    conn = sqlite3.connect(story.home / "ledger.db")
    entries = [entry for (entry,) in conn.execute("SELECT entry FROM ev ORDER BY seq")]
    parsed = [parse_entry(entry) for entry in entries]
    signed = [item.signature + item.text for item in parsed]
    key, secret = bindings.crypto_sign_seed_keypair(b"b" * 32)
    signed = [bindings.crypto_sign(message[64:], secret) for message in signed]
    ratios = []
    for _ in range(3):
        start = time.perf_counter()
        for message in signed:
            bindings.crypto_sign_open(message, key)
        raw = time.perf_counter() - start
        start = time.perf_counter()
        report = verify(story.home)
        ours = time.perf_counter() - start
        assert report.passed, report.reason
        ratios.append(raw / ours)
    print(
        f"verify {len(entries)} lines: ratio {statistics.median(ratios):.2f}"
        f" (ours {len(entries) / ours:.0f} lines/s, raw libsodium {len(entries) / raw:.0f}/s)"
    )
    leaves = [leaf_hash(entry) for entry in entries]
    start = time.perf_counter()
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        append(stack, leaf)
    print(f"tree only: {(time.perf_counter() - start) / len(leaves) * 1e6:.2f} s per million lines")
    start = time.perf_counter()
    story.open()
    print(f"open, all folded again: {time.perf_counter() - start:.2f} s for {len(entries)} lines")
    story.close()


def main() -> None:
    print(f"load {os.getloadavg()}, SQLite {sqlite3.sqlite_version}, cores {os.cpu_count()}")
    with tempfile.TemporaryDirectory() as directory:
        appends(Path(directory))
        verification(Path(directory), int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
    print(f"load {os.getloadavg()}")


if __name__ == "__main__":
    main()
