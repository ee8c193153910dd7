"""Lines that are signed, chained and formed as they should be and still tell what cannot have happened.

Each mutant is an honest ledger edited, re-chained and re-signed by a forger with every key. Both verifiers
must refuse it, and name the invariant that it breaks.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.forgery import (
    Events,
    Forger,
    Mutation,
    by_inalpha,
    by_standalone,
    each,
    edited,
    events_of,
    in_memory,
    inserted,
    long_story,
    moved,
    nested,
    redigested,
    verdicts,
    where,
    with_data,
    without,
)
from support.ledger_story import Story

from inalpha.audit.event import Event
from inalpha.audit.verify import verify
from inalpha.execution import lines, plans
from inalpha.ledger.txn import Txn
from inalpha.model.money import e8_from_text, text_from_e8

SEED = 7
OTHER = "f" * 64


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return long_story(tmp_path_factory.mktemp("mutants") / "home")


@pytest.fixture(scope="module")
def honest(story: Story) -> Events:
    return events_of(story.home)


@pytest.fixture(scope="module")
def forger(story: Story) -> Forger:
    return Forger(story)


def more(text: str, by: str = "1") -> str:
    return text_from_e8(e8_from_text(text) + e8_from_text(by))


def halt(event: Event, state: str) -> Event:
    data = {"account": None, "reason_commit": "a" * 64, "run": None, "scope": "all", "state": state}
    return replace(event, kind="halt.set", actor="system:daemon", data=data, gate=None, proposal=None)


def refusal(event: Event) -> Event:
    data = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
    return replace(event, kind="refusal", actor="system:daemon", data=data, gate=None, proposal=None)


def stop(event: Event, run: str) -> Event:
    data = {"reason": "operator", "run": run}
    return replace(event, kind="run.stop", actor="system:daemon", data=data, gate=None, proposal=None)


def end_plan(event: Event, kind: str, plan: str) -> Event:
    data = {"plan": plan} if kind == "plan.expire" else {"plan": plan, "reason": "stop"}
    return replace(event, kind=kind, actor="system:daemon", data=data, gate=None, proposal=None)


def by_machine(events: Events) -> list[int]:
    return [at for at in where(events, "plan.approve") if events[at].actor == "system:live_runner"]


def approvals(change):  # type: ignore[no-untyped-def]
    def mutate(events: Events) -> Iterator[Events]:
        for at in by_machine(events):
            yield change(events, at)

    return mutate


def swapped_tokens(events: Events) -> Iterator[Events]:
    first, second = where(events, "plan.execute")[:2]
    token = events[first].data["token_sha256"]
    yield edited(events, second, token_sha256=token)


def machine_in_human_run(events: Events) -> Iterator[Events]:
    for at in where(events, "plan.approve"):
        if events[at].actor.startswith("op:"):
            changed = replace(events[at], actor="system:live_runner", gate=None)
            executed = replace(events[at + 1], actor="system:live_runner")
            yield [*events[:at], changed, executed, *events[at + 2 :]]


def other_person(events: Events) -> Iterator[Events]:
    for at in where(events, "plan.approve"):
        if events[at].actor == "op:anna":
            yield [*events[:at], replace(events[at], actor="op:bob"), *events[at + 1 :]]


def live_runs(events: Events, symbols: list[str]) -> Events:
    """As many starts more before the last line, each on its own symbol."""
    start = events[where(events, "run.start")[0]]
    for number, symbol in enumerate(symbols, 3):
        mandate = {**start.data["mandate"], "symbol": symbol, "expires": events[-1].ts + 10**12}
        new = with_data(start, run=f"run-{number}", mandate=mandate)
        events = inserted(events, len(events) - 1, new)
    return redigested(events)


def eleventh_run(events: Events) -> Iterator[Events]:
    yield live_runs(events, [f"coin-{number}" for number in range(10)])


def same_symbol(events: Events) -> Iterator[Events]:
    yield live_runs(events, [events[where(events, "run.start")[0]].data["mandate"]["symbol"]])


def fill_in_decision_bar(events: Events) -> Iterator[Events]:
    for at in where(events, "fill"):
        intent = events[at].data["intent"]
        (decided,) = where(events, "decision", intent=intent)
        if events[decided].data["outcome"] == "working":
            yield moved(events, at, decided + 1)


def before(kind: str, make) -> Mutation:  # type: ignore[no-untyped-def]
    """A made line before each line of a kind."""

    def mutate(events: Events) -> Iterator[Events]:
        for at in where(events, kind):
            yield inserted(events, at, make(events[at]))

    return mutate


def stepped_back(events: Events) -> Iterator[Events]:
    for at in range(5, len(events), 9):
        yield [*events[:at], replace(events[at], ts=events[at - 1].ts - 1), *events[at + 1 :]]


def jumped(events: Events) -> Iterator[Events]:
    for at in range(5, len(events), 9):
        if events[at].kind != "clock.step":
            yield [*events[:at], *(replace(event, ts=event.ts + 5_000_000) for event in events[at:])]


def mono_stands(events: Events) -> Iterator[Events]:
    for at in range(5, len(events), 9):
        if events[at].boot == events[at - 1].boot:
            yield [*events[:at], replace(events[at], mono=-events[at - 1].mono), *events[at + 1 :]]


def with_allocation(events: Events, allocation: str) -> Events:
    """The first run under another allocation, which its risk results name."""
    found = nested(events, where(events, "run.start")[0], "mandate", allocation=allocation)
    plans_of = {
        events[at].data["plan"]
        for at in where(events, "plan.create")
        if events[at].data["body"]["run"] == "run-1"
    }
    for at in where(found, "risk.check", result="pass"):
        if found[at].data["plan"] in plans_of:
            found = edited(found, at, limit=allocation)
    return found


def sized(events: Events) -> Iterator[Events]:
    """A market entry of allocation x 1.01, though no fill is dearer than the run can pay."""
    at = where(events, "risk.check", result="pass")[0]
    worth = e8_from_text(events[at].data["measured"])
    yield with_allocation(events, text_from_e8(worth * 100 // 101))


def measured_small(events: Events) -> Iterator[Events]:
    """The same plan told as small: the run's own book cannot pay for its fill."""
    found = with_allocation(events, text_from_e8(e8_from_text("32500")))
    for at in where(found, "risk.check", result="pass"):
        yield edited(found, at, measured="1")


def priced(events: Events) -> Iterator[Events]:
    """A limit or a stop whose worth is a hundredth over the allocation, its risk result silent or too small."""
    at = where(events, "risk.check", result="pass")[0]
    plan = where(events, "plan.create", plan=events[at].data["plan"])[0]
    for kind in ("limit", "stop"):
        dear = nested(events, plan, "body", **{kind: "101000", "type": kind})
        yield edited(dear, at, measured=None, limit=None)
        yield edited(dear, at, measured="50000")


def other_allocation(events: Events) -> Iterator[Events]:
    for at in where(events, "risk.check", result="pass"):
        yield edited(events, at, limit="1000000", measured="900000")
        yield edited(events, at, limit=None)
        yield edited(events, at, measured=None)


def expired_mandate(events: Events) -> Iterator[Events]:
    start = where(events, "run.start")[0]
    yield nested(events, start, "mandate", expires=events[start].ts + 1000)


def missing_bar(events: Events) -> Iterator[Events]:
    """Never a run's last one: a bar after which nothing was written leaves no gap."""
    steps = [at for at in where(events, "step") if not events[at].data["intents"]]
    for at in steps:
        if any(later > at for later in where(events, "step", run=events[at].data["run"])):
            yield without(events, at)


def other_body(events: Events) -> Iterator[Events]:
    for at in where(events, "plan.create"):
        body = events[at].data["body"]
        yield edited(events, at, body={**body, "quantity": more(body["quantity"])})


def entry_told_as_exit(events: Events) -> Iterator[Events]:
    """The tag is no claim: a fill of an order that only reduces must not enlarge the position."""
    for at in where(events, "plan.create"):
        plan, body = events[at].data["plan"], events[at].data["body"]
        if not body["reduce_only"] and where(events, "fill", plan=plan):
            yield nested(events, at, "body", reduce_only=True, stop_loss=None, take_profit=None)


def account_too_poor(events: Events) -> Iterator[Events]:
    """An account that opened with less: its first purchase takes it a cent below zero, all figures in agreement."""
    first = events[where(events, "fill", side="buy")[0]].data
    account = events[0].data["account"]
    missing = e8_from_text(first["cash"]) + e8_from_text("0.01")
    changed = list(events)
    for kind, member in (("ledger.genesis", "cash"), ("account.snapshot", "cash"), ("fill", "cash")):
        for at in where(events, kind):
            if kind != "account.snapshot" or events[at].data["account"] == account:
                less = text_from_e8(e8_from_text(events[at].data[member]) - missing)
                changed = edited(changed, at, **{member: less})
    yield changed


MUTANTS: dict[str, tuple[str, Mutation]] = {
    "entry told as an exit": ("I1", entry_told_as_exit),
    "an entry that the account cannot pay": ("I13", account_too_poor),
    "fill of an order that was never executed": (
        "I1",
        each("fill", lambda e, at: edited(e, at, order="order-999")),
    ),
    "one lot more": ("I1", each("fill", lambda e, at: edited(e, at, quantity=more(e[at].data["quantity"])))),
    "fill on another symbol": ("I1", each("fill", lambda e, at: edited(e, at, symbol="doge-usd"))),
    "fill on the other side": (
        "I1",
        each("fill", lambda e, at: edited(e, at, side={"buy": "sell", "sell": "buy"}[e[at].data["side"]])),
    ),
    "fill told twice": (
        "I1",
        each(
            "fill",
            lambda e, at: inserted(
                e, at + 1, with_data(e[at], fill=f"fill-{int(e[at].data['fill'][5:]) + 1}")
            ),
        ),
    ),
    "token of another plan": ("I2", swapped_tokens),
    "token never minted": ("I2", each("plan.execute", lambda e, at: edited(e, at, token_sha256=OTHER))),
    "executed twice": (
        "I2",
        each("plan.execute", lambda e, at: inserted(e, at + 1, with_data(e[at], order="order-99"))),
    ),
    "approved, never executed": ("I2", each("plan.execute", without)),
    "a line between approval and execution": ("I2", before("plan.execute", refusal)),
    "token for an hour": (
        "I2",
        each("plan.approve", lambda e, at: edited(e, at, token_expires=e[at].ts + 3_600_000_000)),
    ),
    "executed by somebody else": (
        "I2",
        each("plan.execute", lambda e, at: [*e[:at], replace(e[at], actor="system:risk"), *e[at + 1 :]]),
    ),
    "body changed after planning": ("I3", other_body),
    "approved with another digest": (
        "I3",
        each("plan.approve", lambda e, at: edited(e, at, plan_sha256=OTHER)),
    ),
    "executed with another digest": (
        "I3",
        each("plan.execute", lambda e, at: edited(e, at, plan_sha256=OTHER)),
    ),
    "mandate digest of another mandate": (
        "I3",
        each("run.start", lambda e, at: edited(e, at, mandate_sha256=OTHER)),
    ),
    "machine approves in a human run": ("I4", machine_in_human_run),
    "another account's person approves": ("I4", other_person),
    "approved after the run was stopped": (
        "I4",
        approvals(lambda e, at: inserted(e, at, stop(e[at], "run-1"))),
    ),
    "approved after the mandate's end": ("I4", expired_mandate),
    "approved by risk": (
        "I4",
        approvals(lambda e, at: [*e[:at], replace(e[at], actor="system:risk"), *e[at + 1 :]]),
    ),
    "candidate of another owner": (
        "I5",
        each(
            "candidate.submit",
            lambda e, at: edited(e, at, owner_account_id="0" * 8 + "-0000-0000-0000-" + "0" * 12),
        ),
    ),
    "run of another owner": (
        "I5",
        each(
            "run.start", lambda e, at: edited(e, at, owner_account_id="0" * 8 + "-0000-0000-0000-" + "0" * 12)
        ),
    ),
    "run of bob's on anna's candidate": (
        "I5",
        each("run.start", lambda e, at: [*e[:at], replace(e[at], actor="op:bob"), *e[at + 1 :]]),
    ),
    "risk line dropped": ("I6", approvals(lambda e, at: without(e, at - 1))),
    "stale rules": ("I6", approvals(lambda e, at: edited(e, at - 1, rules_sha256=OTHER))),
    "approved although risk refused": (
        "I6",
        approvals(lambda e, at: edited(e, at - 1, result="fail", rule="MAX_ORDER")),
    ),
    "risk asked of another body": (
        "I6",
        each("risk.check", lambda e, at: edited(e, at, plan_sha256=OTHER)),
    ),
    "start before promotion": (
        "I7",
        lambda e: iter([moved(e, where(e, "candidate.promote")[0], where(e, "run.start")[-1] + 1)]),
    ),
    "other bytes in the mandate": (
        "I7",
        each("run.start", lambda e, at: nested(e, at, "mandate", candidate_sha256=OTHER)),
    ),
    "promoted without passing": ("I7", each("candidate.gate", without)),
    "id of another source": (
        "I7",
        each("candidate.submit", lambda e, at: edited(e, at, candidate="cand-" + "0" * 12)),
    ),
    "plan on another symbol": (
        "I8",
        each("plan.create", lambda e, at: nested(e, at, "body", symbol="doge-usd")),
    ),
    "plan a hundredth over the allocation": ("I8", sized),
    "limit or stop a hundredth over the allocation": ("I8", priced),
    "plan told smaller than its fill": ("I8", measured_small),
    "plan measured on another allocation": ("I8", other_allocation),
    "mandate on other limits": (
        "I8",
        each("run.start", lambda e, at: nested(e, at, "mandate", limits_sha256=OTHER)),
    ),
    "executed while halted": ("I9", before("plan.approve", lambda event: halt(event, "HALTED"))),
    "entry while reducing": (
        "I9",
        lambda e: iter([inserted(e, at, halt(e[at], "REDUCING")) for at in by_machine(e)[:1]]),
    ),
    "filled while killed": ("I9", before("fill", lambda event: halt(event, "KILLED"))),
    "resume dropped": ("I9", each("halt.resume", without)),
    "missing bar": ("I10", missing_bar),
    "bar told twice": ("I10", each("step", lambda e, at: inserted(e, at + 1, e[at]), intents=0)),
    "forming bar": ("I10", each("step", lambda e, at: edited(e, at, close=e[at].ts + 1))),
    "bars out of order": (
        "I10",
        each(
            "step",
            lambda e, at: edited(e, at, open=0, close=1) if e[at].data["bar"] else edited(e, at, bar=1),
        ),
    ),
    "decision dropped": ("I11", each("decision", without)),
    "intent decided twice": ("I11", each("decision", lambda e, at: inserted(e, at + 1, e[at]))),
    "more intents than decisions": (
        "I11",
        each("step", lambda e, at: edited(e, at, intents=e[at].data["intents"] + 1)),
    ),
    "decision of another bar": ("I11", each("decision", lambda e, at: edited(e, at, bar_sha256="0" * 64))),
    "refusal told as work": (
        "I11",
        each("decision", lambda e, at: edited(e, at, outcome="working"), outcome="risk_rejected"),
    ),
    "fill in its decision's bar": ("I12", fill_in_decision_bar),
    "price edited": (
        "I13",
        each("fill", lambda e, at: edited(e, at, price=more(e[at].data["price"], "0.01"))),
    ),
    "fee dropped": ("I13", each("fill", lambda e, at: edited(e, at, fee="0"))),
    "cash edited": ("I13", each("fill", lambda e, at: edited(e, at, cash=more(e[at].data["cash"])))),
    "position edited": ("I13", each("fill", lambda e, at: edited(e, at, position="7"))),
    "snapshot edited": (
        "I13",
        each("account.snapshot", lambda e, at: edited(e, at, cash=more(e[at].data["cash"]))),
    ),
    "richer at the start": (
        "I13",
        each("ledger.genesis", lambda e, at: edited(e, at, cash="200000")),
    ),
    "eleventh run": ("I14", eleventh_run),
    "second run on a symbol": ("I14", same_symbol),
    "executed after its expiry": (
        "I15",
        approvals(lambda e, at: inserted(e, at, end_plan(e[at], "plan.cancel", e[at].data["plan"]))),
    ),
    "expired too early": (
        "I15",
        approvals(lambda e, at: inserted(e, at, end_plan(e[at], "plan.expire", e[at].data["plan"]))),
    ),
    "cancelled after execution": (
        "I15",
        each(
            "plan.execute",
            lambda e, at: inserted(e, at + 1, end_plan(e[at + 1], "plan.cancel", e[at].data["plan"])),
        ),
    ),
    "stopped twice": ("I15", each("run.stop", lambda e, at: inserted(e, at + 1, e[at]))),
    "recovery dropped": ("I16", each("recovery", without)),
    "crash told as a clean end": (
        "I16",
        each("epoch.open", lambda e, at: edited(e, at, previous_clean=not e[at].data["previous_clean"])),
    ),
    "recovery of another epoch": ("I16", each("recovery", lambda e, at: edited(e, at, from_epoch=7))),
    "fill id skipped": ("I17", each("fill", lambda e, at: edited(e, at, fill="fill-99"))),
    "order id skipped": ("I17", each("plan.execute", lambda e, at: edited(e, at, order="order-99"))),
    "run id skipped": ("I17", each("run.start", lambda e, at: edited(e, at, run="run-9"))),
    "proposal id skipped": ("I17", each("proposal.open", lambda e, at: edited(e, at, proposal="prop-5"))),
    "time runs back": ("I18", stepped_back),
    "clock jumps unsaid": ("I18", jumped),
    "boot time stands still": ("I18", mono_stands),
    "first limits without a person": (
        "I19",
        each(
            "limits.set",
            lambda e, at: [
                *e[:at],
                replace(with_data(e[at], direction="tighten"), gate=None, actor="system:daemon"),
                *e[at + 1 :],
            ],
        ),
    ),
}


def judge(check: str, entries: list[bytes]) -> None:
    ours, theirs = by_inalpha(entries), by_standalone(entries)
    assert check in ours.failures, ours.failures
    assert check in theirs, theirs
    assert ours.failures[check].seq == theirs[check][0]


def test_forger_can_sign_an_honest_ledger(honest: Events, forger: Forger) -> None:
    entries = forger.sign(honest)
    assert by_inalpha(entries).reason is None
    assert by_standalone(entries) == {}


@pytest.mark.parametrize("name", MUTANTS)
def test_resigned_mutant_is_named(honest: Events, forger: Forger, name: str) -> None:
    check, mutate = MUTANTS[name]
    judge(check, forger.sign(next(iter(mutate(honest)))))


@pytest.mark.parametrize("name", MUTANTS)
def test_both_doors_give_one_verdict(honest: Events, forger: Forger, name: str) -> None:
    entries = forger.sign(next(iter(MUTANTS[name][1](honest))))
    with closing(in_memory(entries)) as conn:
        failures = verify(conn).failures
    assert {check: (bad.seq, bad.reason) for check, bad in failures.items()} == by_standalone(entries)


@pytest.mark.campaign
def test_every_resigned_mutant_is_named(honest: Events, forger: Forger) -> None:
    counts: Counter[str] = Counter()
    missed = []
    for name, (check, mutate) in MUTANTS.items():
        for number, mutant in enumerate(mutate(honest)):
            entries = forger.sign(mutant)
            ours, theirs = verdicts(entries)
            if ours is None or ours != theirs:
                missed.append((name, number, ours, theirs))
            # At some places the damage breaks an earlier rule first.
            counts[check if ours is not None and ours[1] == check else "another check"] += 1
    print(f"re-signed mutants refused: {sum(counts.values()) - len(missed)}", dict(counts))  # noqa: T201
    assert missed == []


@pytest.mark.parametrize("state", ["HALTED", "KILLED"])
def test_a_resume_signed_before_the_halt_that_it_lifts_is_named(
    honest: Events, forger: Forger, state: str
) -> None:
    at = where(honest, "halt.resume")[0]
    again = inserted(honest, at, halt(honest[at], state))
    assert verdicts(forger.sign(again)) == (None, None)  # seen by whoever signed behind it
    judge("I9", forger.sign(again, bases={at + 1: at}))


def test_a_resume_into_reducing_leaves_entries_out_and_is_resumed_by_another(
    honest: Events, forger: Forger
) -> None:
    at = where(honest, "halt.resume")[0]
    reducing = inserted(honest, at + 1, halt(honest[at], "REDUCING"))
    twice = inserted(reducing, at + 2, honest[at])
    assert verdicts(forger.sign(twice)) == (None, None)
    judge("I9", forger.sign(reducing))


def test_used_nonce_is_refused(honest: Events, forger: Forger) -> None:
    gated = [at for at, event in enumerate(honest) if event.gate is not None and at]
    entries = forger.sign(honest, {gated[0]: "c" * 64, gated[-1]: "c" * 64})
    assert by_inalpha(entries).failures["C8"].seq == gated[-1]
    assert by_standalone(entries)["C8"][0] == gated[-1]


def table_attacks(
    rows: list[tuple[int, bytes, bytes]],
) -> Iterator[tuple[str, list[tuple[int, bytes, bytes]]]]:
    """Rows deleted, told twice, swapped, at every place; seqs closed up or not."""
    for at in range(len(rows)):
        rest = rows[:at] + rows[at + 1 :]
        yield "deleted", rest
        yield "deleted, closed up", [(seq, *row[1:]) for seq, row in enumerate(rest)]
        twice = [*rows[: at + 1], *rows[at:]]
        yield "told twice", [(seq, *row[1:]) for seq, row in enumerate(twice)]
        if at:
            pair = [*rows[: at - 1], rows[at], rows[at - 1], *rows[at + 1 :]]
            yield "swapped", [(seq, *row[1:]) for seq, row in enumerate(pair)]


def table_is_refused(story: Story, rows: list[tuple[int, bytes, bytes]]) -> bool:
    conn = in_memory([])
    conn.executemany("INSERT INTO ev VALUES (?, ?, ?)", rows)
    note = (story.home / "head.checkpoint").read_bytes()
    found = verify(conn, story.genesis, kept=note)
    conn.close()
    return not found.passed


def rows_of(story: Story) -> list[tuple[int, bytes, bytes]]:
    import sqlite3

    conn = sqlite3.connect(f"{(story.home / 'ledger.db').as_uri()}?mode=ro", uri=True)
    found = conn.execute("SELECT seq, entry, leaf FROM ev ORDER BY seq").fetchall()
    conn.close()
    return found


def test_rows_deleted_repeated_or_swapped_are_noticed(story: Story) -> None:
    attacks = list(table_attacks(rows_of(story)))
    for name, rows in random.Random(SEED).sample(attacks, 40):
        assert table_is_refused(story, rows), name
    assert not table_is_refused(story, rows_of(story))


@pytest.mark.campaign
def test_every_row_deleted_repeated_or_swapped_is_noticed(story: Story) -> None:
    counts: Counter[str] = Counter()
    for name, rows in table_attacks(rows_of(story)):
        assert table_is_refused(story, rows), name
        counts[name] += 1
    print(f"table attacks detected: {dict(counts)}")  # noqa: T201


def test_every_check_of_the_list_has_a_mutant() -> None:
    named = {check for check, _ in MUTANTS.values()}
    assert {f"I{number}" for number in range(1, 20)} <= named
    assert all(re.fullmatch("I[0-9]+", check) for check in named)


def test_expired_plan_left_open_is_named_once_the_daemon_had_the_time(tmp_path: Path) -> None:
    """A pending plan, its expiry, and lines every twenty seconds: without the expiry line both verifiers object."""
    story = Story(tmp_path / "home").create().prepare()
    sha256 = str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))
    run = story.start(story.mandate(sha256, approval="human"))

    def pending(txn: Txn) -> None:
        plan = story.plan(txn, run, 0)
        lines.record_decision(txn, run, 0, "b" * 64, 0, "pending", plan)

    story.bar(run, 0, 1, pending)
    data = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
    for _ in range(16):
        story.clock.advance(20_000_000)
        story.do(lambda txn: txn.line("refusal", "system:daemon", data))
    story.do(lambda txn: plans.expire_plan(txn, plans.due_plans(txn.conn, txn.now_us)[0]))
    for _ in range(5):
        story.clock.advance(20_000_000)
        story.do(lambda txn: txn.line("refusal", "system:daemon", data))
    story.close()
    events = events_of(story.home)
    (expired,) = where(events, "plan.expire")
    forger = Forger(story)
    honest = forger.sign(events)
    assert by_inalpha(honest).reason is None and by_standalone(honest) == {}
    spoilt = forger.sign(without(events, expired))
    reason = by_inalpha(spoilt).reason
    assert reason is not None and reason.startswith("I15 at line") and "expired long ago" in reason
    assert list(by_standalone(spoilt)) == ["I15"]
    # Cut right after the expiry time nothing is said yet: a live daemon may be about to write the line.
    early = forger.sign(events[:expired])
    assert by_inalpha(early).reason is None and by_standalone(early) == {}
