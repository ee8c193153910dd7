"""Acts with gate notes: approvals without one or with another's, and what an agent's own key may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from inalpha.audit.client import tree_of
from inalpha.audit.gate import gate_text, sign
from inalpha.bus import envelope
from inalpha.cli.client import Commitment, gate, reading
from inalpha.ledger import readers
from inalpha.redteam.stage import Stage


def approve(note: Callable[[Stage], str], control: str, signer: str = "operator") -> Any:
    """Approve the pending plan with a note that does not carry it."""

    async def play(stage: Stage) -> tuple[str, str]:
        args = {
            "plan": stage.plan,
            "plan_sha256": stage.digest(stage.plan),
            "gate": await asyncio.to_thread(note, stage),
        }
        code = await stage.ask(*stage.command(getattr(stage, signer)(), "plan.approve", args))
        state = stage.state_of_plan()
        return (f"{stage.plan} is {state}", "") if state != "pending" else ("", f"{control} ({code})")

    return play


def _note(stage: Stage, who: Any, kind: str, subject: dict[str, Any]) -> str:
    return gate(stage.scratch.home, who, kind, subject)


def note_of_other_plan(stage: Stage) -> str:
    subject = {"plan": stage.other_plan, "plan_sha256": stage.digest(stage.other_plan)}
    return _note(stage, stage.scratch.operator, "plan.approve", subject)


def note_of_other_act(stage: Stage) -> str:
    why = Commitment.of("red team")
    subject = {"plan": stage.plan, "plan_sha256": stage.digest(stage.plan), "reason_commit": why.commit}
    return _note(stage, stage.scratch.operator, "plan.reject", subject)


def note_of_other_ledger(stage: Stage) -> str:
    """Rightly signed by the person, for a ledger of another name."""
    now = envelope.wall_us()
    subject = {"plan": stage.plan, "plan_sha256": stage.digest(stage.plan)}
    with reading(stage.scratch.home) as reader:
        tree, origin = tree_of(reader), readers.origin(reader)
    text = gate_text(
        log=f"{origin}0", action="plan.approve", subject=subject, base_size=tree.size, base_root=tree.root(),
        ts=now, exp=now + 60_000_000,
    )  # fmt: skip
    return sign(stage.scratch.operator.signer, text)


def _right_note(stage: Stage, who: Any) -> str:
    return _note(stage, who, "plan.approve", {"plan": stage.plan, "plan_sha256": stage.digest(stage.plan)})


def agents_note(stage: Stage) -> str:
    return _right_note(stage, stage.scratch.agent)


def by_agent(cmd: str, args: Callable[[Stage], dict[str, Any]]) -> Any:
    async def play(stage: Stage) -> tuple[str, str]:
        before = stage.lines()
        made = await asyncio.to_thread(args, stage)
        code = await stage.ask(*stage.command(stage.agent(), cmd, made))
        with reading(stage.scratch.home) as reader:
            kinds = [event.kind for event in readers.lines(reader, before)]
        done = [kind for kind in kinds if kind == cmd or kind in ("halt.resume", "key.enrol")]
        return (f"{done[0]} was written", "") if done or code == "OK" else ("", f"role ({code})")

    return play


def promotion(stage: Stage) -> dict[str, Any]:
    with reading(stage.scratch.home) as reader:
        row = readers.candidates(reader)[0]
    why = Commitment.of("promoting my own work")
    subject = {"candidate": row["candidate"], "reason_commit": why.commit, "sha256": row["sha256"]}
    note = _note(stage, stage.scratch.agent, "candidate.promote", subject)
    return {"candidate": row["candidate"], "gate": note, **why.args()}


def enrolment(stage: Stage) -> dict[str, Any]:
    signer = stage.scratch.agent.signer
    data = {"principal": "op:mallory", "role": "owner", "sponsor": None, "vkey": signer.vkey.text}
    return {"data": data, "gate": _note(stage, stage.scratch.agent, "key.enrol", data)}


def resumption(stage: Stage) -> dict[str, Any]:
    why = Commitment.of("let me go on")
    subject = {"scope": "all", "run": None, "account": None, "reason_commit": why.commit}
    note = _note(stage, stage.scratch.agent, "halt.resume", subject)
    return {"scope": "all", "run": None, "account": None, "gate": note, **why.args()}
