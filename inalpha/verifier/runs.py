"""Candidates, runs, their bars and decisions, and halts."""

from __future__ import annotations

from typing import Any

from inalpha.verifier.amounts import ZERO
from inalpha.verifier.books import Books
from inalpha.verifier.canonical import digest
from inalpha.verifier.checks import Broken, require
from inalpha.verifier.gates import GATE, Gate
from inalpha.verifier.line import Line
from inalpha.verifier.state import SEVERITY, Candidate, Run


def candidate_submit(books: Books, line: Line, data: dict[str, Any]) -> None:
    require(data["candidate"] == f"cand-{data['sha256'][:12]}", "I7", "the id is not of this source")
    require(data["candidate"] not in books.candidates, "I17", f"{data['candidate']} was submitted before")
    own = books.keys.account_of(line.actor)
    require(data["owner_account_id"] == own, "I5", "the candidate is not its submitter's")
    books.candidates[data["candidate"]] = Candidate(data["sha256"], data["owner_account_id"])


# What may befall a candidate: from which states, and to which; a gate's result names its own.
CANDIDATE_MOVES = {
    "candidate.gate": (("submitted", "passed", "failed"), None),
    "candidate.promote": (("passed",), "promoted"),
    "candidate.reject": (("submitted", "passed", "failed"), "rejected"),
    "candidate.revoke": (("promoted",), "revoked"),
}


def candidate_moves(books: Books, line: Line, data: dict[str, Any]) -> None:
    states, after = CANDIDATE_MOVES[line.kind]
    found = books.candidates.get(data["candidate"])
    if found is None or found.sha256 != data["sha256"] or found.state not in states:
        raise Broken("I7", f"{data['candidate']} is not {' or '.join(states)}, or is another source")
    found.state = after or f"{data['result']}ed"


def run_start(books: Books, line: Line, data: dict[str, Any]) -> None:
    mandate = data["mandate"]
    books.number(data["run"])
    require(
        data["mandate_sha256"] == digest("inalpha.audit/mandate/v1", mandate),
        "I3",
        "another mandate digest",
    )
    require(mandate["v"] == 1 and mandate["expires"] > line.ts, "I8", "the mandate has expired")
    name = f"cand-{mandate['candidate_sha256'][:12]}"
    found = books.candidates.get(name)
    if found is None or (found.sha256, found.state) != (mandate["candidate_sha256"], "promoted"):
        raise Broken("I7", "the candidate of the mandate is not promoted")
    owners = {found.owner, mandate["account"], data["owner_account_id"], books.keys.account_of(line.actor)}
    require(len(owners) == 1, "I5", "account, candidate and signer have different owners")
    account = books.account(mandate["account"], "I5")
    require(
        account.limits == mandate["limits_sha256"],
        "I8",
        "the mandate names other limits than those in force",
    )
    live = [run for run in books.runs.values() if run.is_live and run.account == mandate["account"]]
    require(len(live) < 10, "I14", "more than ten live runs on this account")
    twins = [run for run in live if run.symbol == mandate["symbol"]]
    require(not twins, "I14", "a second live run on this account and symbol")
    books.runs[data["run"]] = Run(name, mandate, data["mandate_sha256"], line.seq)


def run_isolated(books: Books, line: Line, data: dict[str, Any]) -> None:
    """Below sealed while the owner's last word allows that level or a lower one, for this run and host."""
    level, host, name = data["level"], data["host"], data["run"]
    reaching = {"sealed": (), "fenced": ("fenced", "process"), "process": ("process",)}[level]
    waived = [books.opt_outs.get((f"isolation.{which}.{host}", name), 0) for which in reaching]
    require(level == "sealed" or max(waived) > line.ts, "I22", f"{name} is {level} on {host}, unwaived")
    live_run(books, name)


def run_stop(books: Books, line: Line, data: dict[str, Any]) -> None:
    good = ("operator", "feed_ended", "mandate_expired", "revoked")
    live_run(books, data["run"]).state = "stopped" if data["reason"] in good else "failed"


def run_caretake(books: Books, line: Line, data: dict[str, Any]) -> None:
    """An ended run's position is stepped on again, without its strategy, until flat."""
    name, run = data["run"], books.runs.get(data["run"])
    if run is None or run.is_live or run.position == ZERO:
        raise Broken("I15", f"{name} has not ended, or holds nothing to take care of")
    halt = books.halt_of(run.account, name)
    require(SEVERITY.index(halt) < SEVERITY.index("HALTED"), "I9", f"{name} is {halt}")


def live_run(books: Books, name: str) -> Run:
    run = books.runs.get(name)
    if run is None or not run.is_live:
        raise Broken("I15", f"{name} is not live")
    return run


def step(books: Books, line: Line, data: dict[str, Any]) -> None:
    run = books.runs.get(data["run"])
    require(data["open"] < data["close"] <= line.ts, "I10", "the bar was still forming")
    if run is None:
        raise Broken("I10", f"a step of the unknown {data['run']}")
    require(data["bar"] == run.bars, "I10", f"bar {data['bar']} after bar {run.bars - 1}")
    require(not run.awaited, "I11", f"{run.awaited} intents of bar {run.bars - 1} have no decision")
    require(data["open"] > run.last_open, "I10", "the bar does not open after the last one")
    run.bars += 1
    run.intents += data["intents"]
    run.awaited = data["intents"]
    run.last_open, run.bar_sha256 = data["open"], data["bar_sha256"]
    run.decided.clear()


def decision(books: Books, line: Line, data: dict[str, Any]) -> None:
    name, bar, _ = data["intent"].split(":")
    require((name, int(bar)) == (data["run"], data["bar"]), "I11", "the intent is of another bar")
    run = books.runs.get(name)
    if run is None or not run.awaited or run.bars != data["bar"] + 1 or run.bar_sha256 != data["bar_sha256"]:
        raise Broken("I11", f"{data['intent']} is not an intent of its run's last bar")
    require(data["intent"] not in run.decided, "I11", f"{data['intent']} was decided before")
    run.decided.add(data["intent"])
    run.awaited -= 1
    run.refused += data["outcome"] in ("risk_rejected", "rejected")
    wanted = {"working": "executed", "pending": "pending", "risk_rejected": "rejected"}.get(data["outcome"])
    plan = books.plans.get(data["plan"] or "")
    if plan is None:
        same = wanted is None and data["plan"] is None
    else:
        same = (plan.intent, plan.state) == (data["intent"], wanted)
    require(same, "I11", f"the plan of {data['intent']} is not {wanted or 'absent'}")
    if plan is not None:
        books.forget(plan)


def halt_set(books: Books, line: Line, data: dict[str, Any]) -> None:
    """A laxer halt than the standing one changes nothing."""
    scope = halt_scope(data)
    standing = books.halts.get(scope, "ACTIVE")
    if SEVERITY.index(data["state"]) >= SEVERITY.index(standing):
        books.halts[scope], books.halted_at[scope] = data["state"], line.seq


def halt_resume(books: Books, line: Line, data: dict[str, Any]) -> None:
    """To ACTIVE, by a person who saw the halt: one that was set after the note's base voids it."""
    scope = halt_scope(data)
    require(books.halts.get(scope, "ACTIVE") != "ACTIVE", "I15", "nothing is halted there")
    seen = Gate(line.gate, GATE).base_size if line.gate is not None else 0
    at = books.halted_at[scope]
    require(at < seen, "I9", f"the halt of line {at} is newer than the resuming note")
    books.halts[scope] = "ACTIVE"


def halt_scope(data: dict[str, Any]) -> str:
    account, run = data["account"], data["run"]
    wanted = {"all": (False, False), "account": (True, False), "run": (False, True)}[data["scope"]]
    require((account is not None, run is not None) == wanted, "I9", f"a halt of {data['scope']} names others")
    return str(run or account or "all")
