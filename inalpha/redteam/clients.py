"""A hostile bus client with a stolen console credential, and a hostile agent with its own key.

Each act is judged by its effect: what an honest listener heard, what the ledger holds afterwards.
"""

from __future__ import annotations

import asyncio

from inalpha.bus import envelope
from inalpha.cli.client import reading
from inalpha.ledger import readers
from inalpha.model.errors import InalphaError
from inalpha.redteam.broker_acts import (
    be_the_daemon,
    forge_beat,
    forge_reply,
    forge_state,
    leave_will,
    listen_to_all,
    other_command_topic,
)
from inalpha.redteam.command_acts import altered, garbage, no_args, oversize, refused, replayed, retained
from inalpha.redteam.note_acts import (
    agents_note,
    approve,
    by_agent,
    enrolment,
    note_of_other_act,
    note_of_other_ledger,
    note_of_other_plan,
    promotion,
    resumption,
)
from inalpha.redteam.outcome import Outcome, Progress
from inalpha.redteam.scratch import Scratch
from inalpha.redteam.stage import HONEST, Act, Stage

_PLAN_S = 30.0

# Approvals first: a halt, even one that is lifted again, cancels the plans that they need.
ACTS: tuple[Act, ...] = (
    Act("bus", "no note", "Approves with a person's bus key but no gate note.", approve(lambda _: "none", "gate")),
    Act("bus", "note of another plan", "Approves with a person's note for another plan.",
        approve(note_of_other_plan, "gate")),
    Act("bus", "note of another act", "Approves with a person's rejection.", approve(note_of_other_act, "gate")),
    Act("bus", "note of another ledger", "Approves with a note made for another ledger.",
        approve(note_of_other_ledger, "gate")),
    Act("agent", "approves", "Approves a plan with the agent's own note.", approve(agents_note, "role", "agent")),
    Act("agent", "approves by proxy", "Has the agent's note sent under a person's bus key.",
        approve(agents_note, "gate")),
    Act("agent", "promotes", "Promotes a candidate.", by_agent("candidate.promote", promotion)),
    Act("agent", "starts a run", "Starts a run.",
        by_agent("run.start", lambda _: {"mandate": {}, "feed": "", "gate": ""})),
    Act("agent", "resumes", "Lifts a halt.", by_agent("halt.resume", resumption)),
    Act("agent", "enrols itself", "Enrols its key as an owner's.", by_agent("key.enrol", enrolment)),
    Act("agent", "opts out", "Signs a waiver for itself.",
        by_agent("policy.opt_out", lambda _: {"data": {"rule": "x", "run": "run-9", "expires": 1}, "gate": "none"})),
    Act("bus", "slot approves", "Approves a plan with a console's key and no note.",
        approve(lambda _: "none", "role", "slot")),
    Act("bus", "forge state", "Publishes the daemon's state.", forge_state),
    Act("bus", "forge beat", "Publishes the daemon's beat.", forge_beat),
    Act("bus", "forge reply", "Answers another console.", forge_reply),
    Act("bus", "leave a will", "Leaves a will on the daemon's state.", leave_will),
    Act("bus", "listen to all", "Subscribes to everything.", listen_to_all),
    Act("bus", "other's topic", "Commands on another console's topic.", other_command_topic),
    Act("bus", "be the daemon", "Connects under the daemon's client id.", be_the_daemon),
    Act("bus", "altered", "Replaces the payload under a signature.", altered),
    Act("bus", "replayed", "Sends a person's halt again after it was lifted.", replayed),
    Act("bus", "retained", "Leaves an old halt for the next daemon.", retained),
    Act("bus", "expired", "Commands with yesterday's time.",
        refused("halt", no_args, "expiry", now_us=lambda _: envelope.wall_us() - 86_400_000_000)),
    Act("bus", "long-lived", "Commands with a life of an hour.", refused("halt", no_args, "expiry", life_s=3600.0)),
    Act("bus", "other epoch", "Commands of an earlier daemon.",
        refused("halt", no_args, "epoch", epoch=lambda stage: stage.epoch - 1)),
    Act("bus", "other audience", "Commands meant for another installation.",
        refused("halt", no_args, "audience", instance="0" * 16)),
    Act("bus", "other sender", "Names another sender in the payload.",
        refused("halt", no_args, "sender check", sender=HONEST)),
    Act("bus", "slot resumes", "Lifts a halt with a console's key.", refused("halt.resume", no_args, "role")),
    Act("bus", "slot loosens limits", "Loosens limits with a console's key.",
        refused("limits.set", lambda _: {"data": {}, "gate": "none"}, "role")),
    Act("bus", "garbage", "Sends bytes that are no command.", garbage),
    Act("bus", "oversize", "Sends eight megabytes.", oversize),
)  # fmt: skip


def play(scratch: Scratch, only: frozenset[str] | None, progress: Progress) -> list[Outcome]:
    """Every act against the living installation. only: names of acts, None for all."""
    stage = _set_up(scratch)
    found = []
    for act in ACTS:
        if only is None or act.name in only:
            found.append(asyncio.run(_play(act, stage)))
            progress(found[-1])
    return found


async def _play(act: Act, stage: Stage) -> Outcome:
    try:
        breach, control = await act.play(stage)
    except (InalphaError, OSError, EOFError, TimeoutError) as error:
        # An act that could not be played proves nothing, so it counts against us.
        breach, control = f"not played: {type(error).__name__}: {error}", ""
    return Outcome(
        act.family, act.name, act.what, "" if breach else control, breach or "refused", bool(breach)
    )


def _set_up(scratch: Scratch) -> Stage:
    """Two runs whose first order waits for a person."""
    candidate = scratch.promote(scratch.submit("bystander.py"))
    bars = scratch.bars(20)
    for symbol in ("ASKA", "ASKB"):
        scratch.start_run(candidate, symbol, bars, "max", approval="human")
    return Stage(scratch, *_pending(scratch, 2))


def _pending(scratch: Scratch, count: int) -> list[str]:
    import time

    until = time.monotonic() + _PLAN_S
    while time.monotonic() < until:
        with reading(scratch.home) as reader:
            found = [str(row["plan"]) for row in readers.plans(reader, "pending")]
        if len(found) >= count:
            return found[:count]
        time.sleep(0.05)
    raise InalphaError("NO_PLAN", "the honest runs asked for nothing.", "Look at the scratch daemon's log.")
