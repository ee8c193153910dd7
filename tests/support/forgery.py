"""A forger who holds every key: ledgers edited, chained again and signed again, so that only sense is broken."""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inalpha.audit import gate, merkle
from inalpha.audit.canonical import digest
from inalpha.audit.event import ZERO_HASH, Event, read_event, sign_event
from inalpha.audit.notes import Signer, SigningKey
from inalpha.audit.report import CHECKS, Report
from inalpha.execution import gates, lines, plans
from inalpha.ledger.txn import Txn
from inalpha.model.ownership import owner_account_id
from support.attacks import load_verifier
from support.guard import by_guard
from support.ledger_story import ACCOUNT, MINUTE_US, Story

Events = list[Event]
MANDATE, PLAN = "inalpha.audit/mandate/v1", "inalpha.audit/plan/v1"
BOB = SigningKey(b"b" * 32)


def long_story(home: Path) -> Story:
    """Every kind of event that an ordinary installation sees: two people, two runs, a crash, halts, refusals."""
    story = Story(home).create().prepare()
    sha256 = str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))
    bob = Signer(f"{story.ledger.origin}/op/bob", BOB).vkey.text
    story.gated("key.enrol", {"principal": "op:bob", "role": "operator", "sponsor": None, "vkey": bob})
    account = {"account": owner_account_id("bob"), "cash": "500", "currency": "USD", "owner": "op:bob"}
    story.gated("account.open", account)
    machine = story.start(story.mandate(sha256))
    human = story.start(story.mandate(sha256, "eth-usd", approval="human"))
    story.bar(machine, 0)
    story.bar(human, 0)
    story.trade(machine, 1)
    story.trade(machine, 5)
    by_hand(story, human, 1)
    story.bar(machine, 9, 1, lambda txn: story.refuse(txn, machine, 9))
    story.bar(human, 3, 1, lambda txn: left_pending(story, txn, human, 3))
    story.clock.advance(400_000_000)
    story.do(lambda txn: plans.expire_plan(txn, plans.due_plans(txn.conn, txn.now_us)[0]))
    story.ledger.abandon()
    story.open()
    halt_and_resume(story)
    story.trade(machine, 10)
    opened = {
        "proposal": "prop-1",
        "rationale_commit": commit(story),
        "subject_sha256": "c" * 64,
        "what": "limits",
    }
    note = story.proposal("proposal.open", opened)
    story.do(lambda txn: txn.line("proposal.open", "agent:claude", opened, proposal=note))
    story.do(lambda txn: lines.record_snapshot(txn, ACCOUNT))
    story.do(lambda txn: txn.line("run.stop", "op:anna", {"reason": "operator", "run": human}))
    for number in range(14, 22):
        story.bar(machine, number)
    story.close()
    return story


def commit(story: Story) -> str:
    return str(story.do(lambda txn: txn.commit_text("because")))


def by_hand(story: Story, run: str, bar: int) -> None:
    """An intent that a person approves; it fills in the next bar."""
    story.bar(run, bar, 1, lambda txn: left_pending(story, txn, run, bar))
    found = story.do(
        lambda txn: txn.conn.execute("SELECT plan, digest FROM plan WHERE state = 'pending'").fetchone()
    )
    note = story.gate("plan.approve", {"plan": found[0], "plan_sha256": found[1]})
    order = story.do(lambda txn: plans.approve_and_execute(txn, found[0], "op:anna", note))
    story.bar(run, bar + 1, 0, lambda txn: lines.record_fill(txn, found[0], order, "0.5", "3000", "1.5"))


def halt_and_resume(story: Story) -> None:
    reason = commit(story)
    halt = {"account": None, "reason_commit": reason, "run": None, "scope": "all", "state": "HALTED"}
    story.do(lambda txn: txn.line("halt.set", "system:daemon", halt))
    again = {"account": None, "reason_commit": reason, "run": None, "scope": "all"}
    note = story.gate("halt.resume", again)
    story.do(lambda txn: gates.resume(txn, "all", "op:anna", reason, note))


def left_pending(story: Story, txn: Txn, run: str, bar: int) -> None:
    plan = story.plan(txn, run, bar)
    lines.record_decision(txn, run, bar, "b" * 64, 0, "pending", plan)


def events_of(home: Path) -> Events:
    conn = sqlite3.connect(f"{(home / 'ledger.db').as_uri()}?mode=ro", uri=True)
    found = [read_event(entry) for (entry,) in conn.execute("SELECT entry FROM ev ORDER BY seq")]
    conn.close()
    return [replace(event, data=copy.deepcopy(dict(event.data))) for event in found]


class Forger:
    """Signs a list of events as if they had happened."""

    def __init__(self, story: Story) -> None:
        self.people = {"op:anna": ("op/anna", story.owner), "op:bob": ("op/bob", BOB)}
        self.agents = {"agent:claude": ("agent/claude", story.agent)}

    def sign(
        self,
        events: Sequence[Event],
        nonces: dict[int, str] | None = None,
        bases: dict[int, int] | None = None,
    ) -> list[bytes]:
        """Entries with fresh keys, chain, gates and proposals; boot time is kept increasing.

        bases: by line, the size of the tree that its signer had seen; else all lines before it.
        """
        roots: list[bytes] = []
        origin = events[0].log
        log = Signer(origin, SigningKey(b"l" * 32))
        entries: list[bytes] = []
        stack: list[tuple[int, bytes]] = []
        prev, mono, boot = ZERO_HASH, 0, ""
        for seq, event in enumerate(events):
            data = dict(event.data)
            following = log
            if event.kind == "ledger.genesis":
                data["log_vkey"] = log.vkey.text
            elif event.kind == "key.rotate":
                following = Signer(origin, SigningKey(seq.to_bytes(32, "big")))
                data["vkey"] = following.vkey.text
            elif event.kind == "recovery" and data["size"] >= 0:
                data["size"] = seq
            mono = max(event.mono, mono + 1) if event.boot == boot and event.mono >= 0 else abs(event.mono)
            boot = event.boot
            made = replace(event, seq=seq, prev=prev, mono=mono, data=data)
            roots.append(merkle.fold(stack))
            base = (bases or {}).get(seq, seq)
            made = self._notes(made, base, roots[base], (nonces or {}).get(seq))
            entry = sign_event(made, log)
            log = following
            leaf = merkle.leaf_hash(entry)
            merkle.append(stack, leaf)
            prev = leaf.hex()
            entries.append(entry)
        return entries

    def _notes(self, event: Event, size: int, root: bytes, nonce: str | None) -> Event:
        if event.gate is not None:
            name, key = self.people[event.actor]
            text = gate.gate_text(
                log=event.log, action=event.kind, subject=gate.subject_of(event.kind, event.data), base_size=size,
                base_root=root, ts=event.ts, exp=event.ts + 200_000_000, nonce=nonce,
            )  # fmt: skip
            event = replace(event, gate=gate.sign(Signer(f"{event.log}/{name}", key), text))
        if event.proposal is not None:
            name, key = self.agents[event.actor]
            subject = gate.subject_of(event.kind, event.data, proposal=True)
            text = gate.proposal_text(
                log=event.log,
                action=event.kind,
                subject=subject,
                ts=event.ts,
                exp=event.ts + 200_000_000,
                nonce=nonce,
            )
            event = replace(event, proposal=gate.sign(Signer(f"{event.log}/{name}", key), text))
        return event


def in_memory(entries: Sequence[bytes]) -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.execute("CREATE TABLE ev(seq INTEGER PRIMARY KEY, entry BLOB, leaf BLOB)")
    rows = [(seq, entry, merkle.leaf_hash(entry)) for seq, entry in enumerate(entries)]
    conn.executemany("INSERT INTO ev VALUES (?, ?, ?)", rows)
    return conn


def by_inalpha(entries: Sequence[bytes]) -> Report:
    """What the writer's own forms, gates and fold say."""
    return by_guard(entries)


def verdicts(entries: Sequence[bytes]) -> tuple[tuple[int, str] | None, tuple[int, str] | None]:
    """(lowest bad seq, its check) of the writer's guard and of the verifier; None where all holds."""
    ours = {name: failure.seq for name, failure in by_inalpha(entries).failures.items()}
    theirs = {name: seq for name, (seq, _) in by_standalone(entries).items()}
    return _first(ours), _first(theirs)


def _first(failures: dict[str, int]) -> tuple[int, str] | None:
    order = list(CHECKS)
    found = min(failures.items(), key=lambda item: (item[1], order.index(item[0])), default=None)
    return found and (found[1], found[0])


def by_standalone(entries: Sequence[bytes]) -> dict[str, tuple[int, str]]:
    """Failures of the standalone verifier over lines alone."""
    check: Any = load_verifier().Verifier(None, merkle.leaf_hash(entries[0]).hex(), None, None)
    for entry in entries:
        check._entry(entry)
    if check.counting and check.last is not None:
        check._fold(lambda: check.books.end(check.overdue), check.last)
    found: dict[str, tuple[int, str]] = check.failures
    return found


# --- edits ------------------------------------------------------------------------------------------


def where(events: Events, kind: str, **data: Any) -> list[int]:
    """Places of a kind whose data has these members."""
    return [
        at
        for at, event in enumerate(events)
        if event.kind == kind and all(event.data.get(name) == value for name, value in data.items())
    ]


def with_data(event: Event, **changes: Any) -> Event:
    return replace(event, data={**event.data, **changes})


def edited(events: Events, at: int, **changes: Any) -> Events:
    return [*events[:at], with_data(events[at], **changes), *events[at + 1 :]]


def without(events: Events, at: int) -> Events:
    return [*events[:at], *events[at + 1 :]]


def inserted(events: Events, at: int, event: Event) -> Events:
    """A line before place at, in its moment."""
    near = events[at]
    new = replace(event, ts=near.ts, mono=near.mono, boot=near.boot, epoch=near.epoch)
    return [*events[:at], new, *events[at:]]


def moved(events: Events, source: int, target: int) -> Events:
    rest = without(events, source)
    return inserted(rest, target - (source < target), events[source])


def redigested(events: Events) -> Events:
    """Mandates and plans digested again, wherever they are named."""
    mandates: dict[str, str] = {}
    digests: dict[str, str] = {}
    found: Events = []
    for event in events:
        data = copy.deepcopy(dict(event.data))
        if event.kind == "run.start":
            data["mandate_sha256"] = mandates[data["run"]] = digest(MANDATE, data["mandate"])
        elif event.kind == "plan.create":
            if data["body"]["run"] is not None:
                data["body"]["mandate_sha256"] = mandates[data["body"]["run"]]
            data["plan_sha256"] = digests[data["plan"]] = digest(PLAN, data["body"])
        elif "plan_sha256" in data:
            data["plan_sha256"] = digests[data["plan"]]
        found.append(replace(event, data=data))
    return found


def nested(events: Events, at: int, member: str, **changes: Any) -> Events:
    """An edit inside of a mandate or a plan's body, digests made to fit."""
    return redigested(edited(events, at, **{member: {**events[at].data[member], **changes}}))


Mutation = Callable[[Events], Iterator[Events]]


def each(kind: str, change: Callable[[Events, int], Events], **data: Any) -> Mutation:
    """The same damage at every place of a kind."""

    def mutate(events: Events) -> Iterator[Events]:
        for at in where(events, kind, **data):
            yield change(events, at)

    return mutate


__all__ = ["MINUTE_US", "Forger", "long_story"]
