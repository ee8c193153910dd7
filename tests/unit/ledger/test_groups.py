"""Jobs that wait together share a COMMIT: each is still all or nothing, and none is answered before it."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledger_story import ACCOUNT, Story

from inalpha.audit.checkpoint import parse_note
from inalpha.audit.verify import verify
from inalpha.execution import lines as lines_of
from inalpha.ledger import committer
from inalpha.ledger.readers import lines, open_reader, size
from inalpha.ledger.txn import Txn
from inalpha.model.errors import TryAgain


def note(txn: Txn, code: str = "X") -> int:
    return txn.line(
        "refusal", "system:daemon", {"code": code, "command": "y", "count": 1, "principal": "op:anna"}
    )


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    story = Story(tmp_path / "home").create()
    yield story
    story.close()


def together(
    story: Story, jobs: list[Callable[[Txn], Any]], futures: list[Future[Any]] | None = None
) -> list[Future[Any]]:
    """Queue jobs while the writer is held up, so that all of them wait at once. futures: filled meanwhile."""
    futures = [] if futures is None else futures
    held, go = threading.Event(), threading.Event()

    def hold(txn: Txn) -> None:
        held.set()
        assert go.wait(10)

    story.ledger.submit(hold)
    assert held.wait(10)
    futures += [story.ledger.submit(job) for job in jobs]
    go.set()
    return futures


def test_waiting_jobs_share_one_commit(story: Story) -> None:
    sizes: list[int] = []
    story.ledger.on_commit = lambda size, _: sizes.append(size)
    before = story.ledger.size
    futures = together(story, [note] * 10)
    assert [future.result(10) for future in futures] == list(range(before, before + 10))
    assert sizes == [before + 10]
    assert verify(story.home).passed


def test_a_failing_job_undoes_itself_alone_and_later_ones_follow(story: Story) -> None:
    def fails(txn: Txn) -> None:
        note(txn)
        txn.conn.execute("INSERT INTO meta VALUES ('half', 'done')")
        txn.commit_text("never said")
        raise ValueError("no")

    before = story.ledger.size
    futures = together(story, [note, fails, note, fails, lambda txn: [note(txn), note(txn)]])
    with pytest.raises(ValueError, match="no"):
        futures[1].result(10)
    assert [futures[0].result(10), futures[2].result(10)] == [before, before + 1]
    assert futures[4].result(10) == [before + 2, before + 3]
    assert isinstance(futures[3].exception(10), ValueError)
    assert story.do(lambda txn: txn.conn.execute("SELECT * FROM meta WHERE key = 'half'").fetchall()) == []
    blobs = sqlite3.connect(story.home / "blobs.db")
    assert blobs.execute("SELECT count(*) FROM blob WHERE data = 'never said'").fetchone() == (0,)
    blobs.close()
    assert verify(story.home).passed


def test_a_job_sees_what_those_before_it_did(story: Story) -> None:
    ids: list[Any] = [lambda txn: txn.tail.size, note, lambda txn: txn.tail.size]
    first, _, last = [future.result(10) for future in together(story, ids)]
    assert last == first + 1


def test_nobody_is_answered_before_the_group_is_durable(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered: list[bool] = []
    futures: list[Future[Any]] = []

    def fails(txn: Txn) -> None:
        raise ValueError("refused, because of the line before")

    def looks(txn: Txn) -> None:
        answered.extend(future.done() for future in futures)

    together(story, [note, fails, looks], futures)
    futures[2].result(10)
    assert answered == [False, False, False]
    assert futures[0].done() and futures[1].done()


def test_a_commit_that_fails_fails_all_of_its_jobs(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorname = "SQLITE_FULL"
        raise error

    before = story.ledger.size
    monkeypatch.setattr(committer, "store", full)

    def fails(txn: Txn) -> None:
        raise ValueError("told nothing about a line that is not there")

    futures = together(story, [note, lambda txn: txn.commit_text("text"), fails])
    for future in futures:
        error = future.exception(10)
        assert isinstance(error, TryAgain) and error.code == "LEDGER_LATCHED"
    assert size(open_reader(story.home)) == before
    assert story.ledger.latched


def test_a_disk_error_inside_a_job_takes_the_group_with_it(story: Story) -> None:
    def broken(txn: Txn) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_WRITE"
        raise error

    before = story.ledger.size
    futures = together(story, [note, broken, note])
    codes = [getattr(future.exception(10), "code", None) for future in futures]
    assert codes == ["LEDGER_LATCHED"] * 3
    assert size(open_reader(story.home)) == before


def test_cancelled_jobs_are_left_out_of_their_group(story: Story) -> None:
    held, go = threading.Event(), threading.Event()

    def hold(txn: Txn) -> None:
        held.set()
        assert go.wait(10)

    story.ledger.submit(hold)
    assert held.wait(10)
    before = story.ledger.size
    futures = [story.ledger.submit(note) for _ in range(3)]
    assert futures[1].cancel()
    go.set()
    assert [futures[0].result(10), futures[2].result(10)] == [before, before + 1]


def test_jobs_queued_before_close_are_committed(tmp_path: Path) -> None:
    story = Story(tmp_path / "other").create()
    futures = together(story, [note] * 5)
    story.close()
    assert all(future.done() for future in futures)
    kinds = [event.kind for event in lines(open_reader(story.home))]
    assert kinds[-6:] == ["refusal"] * 5 + ["epoch.close"]


def test_a_gate_in_a_group_is_checked_against_what_is_committed(story: Story) -> None:
    """A base that only the group knows cannot have been seen by a person."""
    data = {"account": ACCOUNT, "amount": "5"}
    good = story.gate("account.deposit", data)
    unseen = story.gate("account.deposit", data, base_size=story.ledger.size + 1)

    def deposit(gate: str) -> Callable[[Txn], int]:
        return lambda txn: txn.line("account.deposit", "op:anna", data, gate=gate)

    futures = together(story, [note, deposit(unseen), deposit(good), deposit(good)])
    codes = [getattr(future.exception(10), "code", None) for future in futures]
    assert codes == [None, "GATE_BASE", None, "GATE_REPLAYED"]
    assert verify(story.home).passed


def test_the_signed_head_follows_while_readers_keep_the_writer_busy(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within its second, as a proof waits for it; an idle moment may never come."""
    now = [time.monotonic()]
    monkeypatch.setattr(committer.time, "monotonic", lambda: now[0])
    story.do(note)
    size = story.ledger.size
    for _ in range(30):
        now[0] += 0.1
        story.do(lambda txn: None)
    assert parse_note((story.home / "head.checkpoint").read_bytes()).size == size


def broken(*_: Any) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_WRITE"
    raise error


def no_memory(txn: Txn) -> None:
    """SQLite gives up the whole transaction, as where it finds no memory."""
    txn.conn.execute("ROLLBACK")
    raise MemoryError


def leaves_a_statement(txn: Txn) -> object:
    """A savepoint does not end while a statement that writes stands open."""
    statement = txn.conn.execute("INSERT INTO meta VALUES ('a', '1'), ('b', '2') RETURNING key")
    return statement, next(statement)


@pytest.mark.parametrize("how", ["texts are not kept", "transaction gone", "savepoint stays open"])
def test_a_group_that_is_lost_ends_the_writer_whatever_the_cause(
    story: Story, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What its jobs did in memory, such as a resume, is undone by a restart alone."""
    memory: list[int] = []

    def done(txn: Txn) -> None:
        memory.append(note(txn))
        txn.commit_text("text")

    if how == "texts are not kept":
        monkeypatch.setattr(committer, "store", broken)
    last = {"transaction gone": no_memory, "savepoint stays open": leaves_a_statement}.get(how, note)
    before = story.ledger.size
    futures = together(story, [done, last])
    codes = [getattr(future.exception(10), "code", None) for future in futures]
    assert memory and codes == ["LEDGER_LATCHED"] * 2
    assert story.ledger.latched
    assert size(open_reader(story.home)) == before
    story.ledger.abandon()
    story.open()
    story.do(note)
    assert verify(story.home).passed


OPENING = ("ledger.genesis", "key.rotate", "epoch.open")
ACTS = st.lists(st.tuples(st.sampled_from(["note", "halt", "row", "cash"]), st.booleans()), max_size=12)


def act(number: int, word: str, fails: bool) -> Callable[[Txn], Any]:
    """A job of some lines and rows; whether it raises after them."""

    def job(txn: Txn) -> int:
        if word == "note":
            note(txn, f"N{number}")
        elif word == "halt":
            held = txn.conn.execute("SELECT count(*) FROM halt").fetchone()[0]
            commit = hmac.new(b"s" * 32, b"why", hashlib.sha256).hexdigest()
            txn.keep_text(commit, b"s" * 32, "why")
            data = {"account": None, "reason_commit": commit, "run": None, "scope": "all"}
            txn.line("halt.set", "system:daemon", {**data, "state": ["REDUCING", "HALTED"][held % 2]})
        elif word == "cash":
            lines_of.record_snapshot(txn, ACCOUNT)
        txn.conn.execute("INSERT OR REPLACE INTO meta VALUES ('acts', ?)", (str(txn.tail.size),))
        if fails:
            raise ValueError(number)
        return txn.tail.size

    return job


@settings(max_examples=12, deadline=None)
@given(ACTS)
def test_jobs_done_together_leave_what_they_leave_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, bool]]
) -> None:
    left = []
    for is_together in (False, True):
        story = Story(tmp_path_factory.mktemp("home") / "home").create()
        jobs = [act(number, word, fails) for number, (word, fails) in enumerate(acts)]
        if is_together:
            futures = together(story, jobs)
        else:
            futures = []
            for job in jobs:
                futures.append(story.ledger.submit(job))
                futures[-1].exception(10)
        told = [repr(future.exception(10) or future.result()) for future in futures]
        reader = open_reader(story.home)
        said = [(event.kind, event.data) for event in lines(reader) if event.kind not in OPENING]
        tables = [reader.execute(f"SELECT * FROM {name}").fetchall() for name in ("halt", "account")]
        rows = reader.execute("SELECT value FROM meta WHERE key IN ('acts', 'epoch') ORDER BY key").fetchall()
        reader.close()
        story.close()
        assert verify(story.home).passed
        timeless = [[row[:2] for row in table] for table in tables]
        left.append((told, said, timeless, rows))
    assert left[0] == left[1]
