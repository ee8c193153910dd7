"""The store: states from beats and errors, ages on the monotonic clock, the chain checked as lines arrive."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import pytest
from support.console_stage import Stage

from inalpha.client.presence import Presence
from inalpha.execution import plans
from inalpha.ledger.txn import Txn
from inalpha.model.home import Home
from tui.book import Interest
from tui.line import texts
from tui.session import Session, read_mark
from tui.store import Daemon, Store
from tui.views.frame import news
from tui.views.plans import card_lines, plan_rows, why_locked

ALIVE = Presence(1, 1, "running", 1, "/nowhere", "x")


def store_of(stage: Stage) -> Store:
    return Store(Home(stage.story.home), stage.time.clock())


def test_daemon_state_follows_the_age_of_its_beat(stage: Stage) -> None:
    store = store_of(stage)
    store.presence = ALIVE
    assert store.daemon() is Daemon.CONNECTING
    store.beat(0)
    seen = []
    for seconds in (0, 3.5, 7):
        stage.time.advance(seconds)
        seen.append(store.daemon())
    assert seen == [Daemon.LIVE, Daemon.LATE, Daemon.HUNG]
    store.presence = None
    assert store.daemon() is Daemon.GONE


def test_last_will_counts_at_once(stage: Stage) -> None:
    store = store_of(stage)
    store.presence = ALIVE
    store.beat(0)
    store.goodbye()
    assert store.daemon() is Daemon.GONE
    store.beat(0)
    assert store.daemon() is Daemon.LIVE


def test_signing_is_off_with_a_reason(stage: Stage) -> None:
    store = store_of(stage)
    assert store.why_not_send() == "no daemon runs"
    store.presence = ALIVE
    assert store.why_not_send() == "asking daemon"
    store.beat(0)
    assert store.why_not_send() == "bus down"
    store.set_bus(True)
    assert store.why_not_send() == ""


def test_lines_that_lack_for_two_seconds_are_named(stage: Stage) -> None:
    store = store_of(stage)
    store.set_bus(True)
    store.read()
    store.beat(store.book.size + 12)
    assert store.behind() == 0
    stage.time.advance(2.1)
    assert store.behind() == 12
    assert store.why_not_approve() == "catching up 12 lines"


def test_a_busy_ledger_is_no_backlog(stage: Stage) -> None:
    """A line is always missing, none for long: approving stays possible."""
    store = store_of(stage)
    store.set_bus(True)
    size = store.book.size
    for _ in range(10):
        size += 3
        store.beat(size)
        assert store.behind() == 0
        stage.time.advance(0.5)
        store.book = replace(store.book, size=size - 1)
        assert store.behind() == 0


def test_every_line_is_checked_and_a_changed_one_is_found(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(stage)
    store.read()
    assert store.watch.checked == store.book.size and store.watch.broken is None
    stage.story.close()
    with sqlite3.connect(stage.story.home / "ledger.db") as conn:
        conn.execute("DROP TRIGGER ev_no_update")
        conn.execute("UPDATE ev SET entry = (SELECT entry FROM ev WHERE seq = 20) WHERE seq = 21")
    conn.close()
    fresh = store_of(stage)
    fresh.read()
    assert fresh.watch.broken is not None and fresh.watch.broken[0] == 21
    monkeypatch.setattr(stage.story, "close", lambda: None)


def test_unreadable_ledger_is_a_state_and_not_an_end(stage: Stage) -> None:
    store = store_of(stage)
    store.home = Home(stage.story.home / "elsewhere")
    store.read()
    assert "cannot be read" in store.problem
    store.home = Home(stage.story.home)
    store.read()
    assert store.problem == "" and store.book.size > 0


def test_reader_sees_new_lines_when_the_bell_rings(stage: Stage) -> None:
    store = store_of(stage)
    store.show(Interest(plan="plan-3"))
    store.read()
    before = store.book.size
    card = store.book.card
    assert card is not None and card.is_same and card.rationale == "fast above slow"
    stage.story.do(lambda txn: txn.line("plan.cancel", "system:daemon", {"plan": "plan-3", "reason": "stop"}))
    store.read()
    assert store.book.size == before + 1
    assert store.book.pending == () and store.book.card is not None


def test_a_proposal_is_told_as_its_proposers_own(stage: Stage) -> None:
    """Not as the word of the strategy in whose book it works: a person has promoted that one."""
    story, store = stage.story, store_of(stage)

    def job(txn: Txn) -> str:
        found = txn.conn.execute("SELECT body FROM plan WHERE plan = 'plan-3'").fetchone()[0]
        body = {**json.loads(found), "intent": None, "origin": "proposal"}
        data = {"body": body, "plan": txn.next_id("plan"), "plan_sha256": plans.plan_digest(body)}
        txn.line("plan.create", "agent:claude", data, proposal=story.proposal("plan.create", data))
        return str(data["plan"])

    store.show(Interest(plan=story.do(job)))
    store.read()
    card = store.book.card
    assert card is not None and card.is_proposal and card.candidate is None
    told = texts(card_lines(card, card.row["created_ts"], 120))
    assert any(line.startswith("FROM  agent:claude in the book of run-") for line in told), told
    assert "cand-" not in "".join(told)
    cells = next(row for row in plan_rows(store.book, 0) if row.key == card.name).cells
    assert cells[1].text == "claude"
    assert why_locked(card, card.row["created_ts"]) == ""
    assert any("(agent:claude)" in line for line in news(store.book))


def test_mark_is_kept_for_each_operator(stage: Stage) -> None:
    home = Home(stage.story.home)
    session = Session(home, view=False, mono=lambda: 0.0)
    session.leave(51, 7)
    assert read_mark(home, "anna") == {"seq": 50, "ts": 7}
    assert read_mark(home, "bob") == {}
    assert (home.clients / "read.json").stat().st_size > 0


def test_sealed_key_locks_itself_after_a_quarter_of_an_hour(stage: Stage) -> None:
    home, now = Home(stage.story.home), [0.0]
    session = Session(home, view=False, mono=lambda: now[0])
    assert session.is_open_key and session.lock_in_s is None
    session.is_open_key = False
    now[0] = 14 * 60.0
    assert not session.tick()
    now[0] = 15 * 60.0
    assert session.tick() and session.key is None and session.why_not.startswith("locked")


def test_view_needs_no_key(stage: Stage) -> None:
    session = Session(Home(stage.story.home), view=True, mono=lambda: 0.0)
    assert session.key is None and session.why_not == "view only"
