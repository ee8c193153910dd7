"""Speed of the log: appends against bare commits of equal bytes, bursts, verification against raw libsodium.

Run: python benchmarks/audit.py. Sides alternate, medians of paired ratios are printed with the load.
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
from collections.abc import Callable
from concurrent.futures import Future
from itertools import cycle
from pathlib import Path

from nacl import bindings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.ledger_story import Story, TestClock

from inalpha.audit.event import parse_entry
from inalpha.audit.merkle import append, leaf_hash
from inalpha.audit.verify import verify
from inalpha.execution import lines
from inalpha.ledger.database import configure
from inalpha.ledger.txn import Txn

PAIRS = 60
PER_SIDE = 8
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


def appends(root: Path) -> None:
    story = Story(root / "home", TestClock()).create().prepare()
    bare = Bare(root / "bare.db")
    story.do(note)
    rows = last_rows(story, 1)
    compare("append, 1 line per durable commit", lambda: story.do(note), lambda: bare.commit(rows))

    handed = Handed(root / "handed.db")
    compare("  against a bare commit by a thread", lambda: story.do(note), lambda: handed.commit(rows))
    handed.close()

    sha256 = story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0])
    run = story.start(story.mandate(sha256))
    bar = iter(range(10**9))
    story.bar(run, next(bar))
    rows = last_rows(story, 1)
    compare("step line", lambda: story.bar(run, next(bar)), lambda: bare.commit(rows))

    held: list[tuple[str, str]] = []

    def order() -> None:
        number = next(bar)

        def jobs(txn: Txn) -> None:
            if held:
                plan, working = held.pop()
                lines.record_fill(txn, plan, working, "0.5", "100", "0")
            else:
                held.append(story.order(txn, run, number, side="buy" if number % 4 < 2 else "sell"))

        story.bar(run, number, 0 if held else 1, jobs)

    order()
    decided = last_rows(story, 6)
    order()
    filled = last_rows(story, 2)
    # Real transactions: bar, plan, risk, approval, execution, decision; then bar and fill.
    of_equal_bytes = cycle((decided, filled))
    compare(
        "order of 6 lines, each followed by its fill of 2", order, lambda: bare.commit(next(of_equal_bytes))
    )

    def burst() -> None:
        story.do(lambda txn: [note(txn) for _ in range(100)])

    rates = [100 / timed(burst, 1) for _ in range(100)]
    print(f"durable lines in bursts of 100: median {statistics.median(rates):.0f}/s, best {max(rates):.0f}/s")

    def cpu() -> float:
        return float(story.do(lambda txn: time.thread_time()))

    acts: tuple[tuple[str, Callable[[], object], int], ...] = (
        ("an empty transaction", lambda: story.do(lambda txn: None), 1),
        ("1 line", lambda: story.do(note), 1),
        ("an order and its fill, 8 lines", lambda: (order(), order()), 8),
        ("a burst of 100", burst, 100),
    )
    for title, act, count in acts:
        before = cpu()
        timed(act, 200)
        spent = (cpu() - before) / 200 * 1e6
        print(f"writer's processor time, {title}: {spent:.0f} us, {spent / count:.0f} us per line")
    secret = bindings.crypto_sign_seed_keypair(b"b" * 32)[1]
    print(
        f"  of which signing: {timed(lambda: bindings.crypto_sign(decided[0][0], secret), 2000) * 1e6:.0f} us"
    )
    story.close()


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
