"""A hostile bus client with a stolen console credential, and a hostile agent with its own key.

Each act is judged by its effect: what an honest listener heard, what the ledger holds afterwards.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nacl.signing import SigningKey

from inalpha.audit.client import tree_of
from inalpha.audit.gate import gate_text, sign
from inalpha.bus import envelope, slots, topics
from inalpha.bus.command import ReplyPayload, make_command
from inalpha.bus.raw import RawPeer
from inalpha.cli.client import Commitment, gate, reading
from inalpha.execution.plans import plan_digest
from inalpha.ledger import readers
from inalpha.model.errors import InalphaError
from inalpha.model.states import HaltState
from inalpha.redteam.outcome import Outcome, Progress
from inalpha.redteam.scratch import Scratch

STOLEN, HONEST = "console-32", "cli-32"
_ANSWER_S = 2.0
_QUIET_S = 0.3
_PLAN_S = 30.0


@dataclass(frozen=True, slots=True)
class Act:
    """play answers ("", what stopped it and detail) or (the breach, detail)."""

    family: str
    name: str
    what: str
    play: Callable[[Stage], Awaitable[tuple[str, str]]]


class Stage:
    """The scratch installation seen from the bus, with one plan that awaits a person."""

    def __init__(self, scratch: Scratch, plan: str, other_plan: str) -> None:
        self.scratch, self.plan, self.other_plan = scratch, plan, other_plan
        presence = scratch.presence
        self.epoch, self.instance = presence.epoch, presence.instance
        self.address = str(scratch.run_dir / "bus.sock")

    async def peer(self, identity: str, will: tuple[str, bytes] | None = None) -> RawPeer:
        """Connected under a credential that was read from its file."""
        peer = await RawPeer.open(self.address, _ANSWER_S)
        token = slots.read_token(self.scratch.run_dir, identity)
        if await peer.connect(identity, token, identity, will=will) != 0:
            raise EOFError(f"{identity} was refused")
        return peer

    def full(self, topic: str) -> str:
        return f"{topics.ROOT}/{topic}"

    def slot(self, identity: str = STOLEN) -> tuple[SigningKey, str]:
        return slots.read_key(self.scratch.run_dir, identity), identity

    def agent(self) -> tuple[SigningKey, str]:
        signer = self.scratch.agent.signer
        return SigningKey(signer.key.seed), signer.vkey.text

    def operator(self) -> tuple[SigningKey, str]:
        signer = self.scratch.operator.signer
        return SigningKey(signer.key.seed), signer.vkey.text

    def command(
        self, signer: tuple[SigningKey, str], cmd: str, args: dict[str, Any], **other: Any
    ) -> tuple[str, bytes]:
        given = {
            "sender": STOLEN, "instance": self.instance, "epoch": self.epoch, "now_us": envelope.wall_us(), **other
        }  # fmt: skip
        return make_command(*signer, cmd=cmd, args=args, **given)

    async def ask(self, identifier: str, raw: bytes, *, retain: bool = False) -> str:
        """Send as the stolen console; the code of the answer, "OK", or "silence"."""
        peer = await self.peer(STOLEN)
        try:
            await peer.subscribe(self.full(f"reply/{STOLEN}/#"))
            peer.publish(self.full(topics.command(STOLEN)), raw, retain=retain)
            return await self._answer(peer, identifier)
        finally:
            peer.cut()

    async def _answer(self, peer: RawPeer, identifier: str) -> str:
        topic = self.full(topics.reply(STOLEN, identifier))
        loop = asyncio.get_running_loop()
        until = loop.time() + _ANSWER_S
        while loop.time() < until:
            for packet in peer.published:
                if packet.topic == topic:
                    return _code(packet.payload)
            try:
                await peer.ping()
            except (EOFError, TimeoutError, ConnectionError):
                return "silence"
            await asyncio.sleep(0.02)
        return "silence"

    def halted(self) -> bool:
        with reading(self.scratch.home) as reader:
            return readers.halt_of(reader) is not HaltState.ACTIVE

    def halts(self) -> int:
        """How often a halt of everything was ever set."""
        with reading(self.scratch.home) as reader:
            return sum(1 for _ in readers.lines(reader, kind="halt.set"))

    def state_of_plan(self) -> str:
        with reading(self.scratch.home) as reader:
            return str(readers.plan_card(self.scratch.home.root, reader, self.plan)["state"])

    def digest(self, plan: str) -> str:
        with reading(self.scratch.home) as reader:
            card = readers.plan_card(self.scratch.home.root, reader, plan)
        return plan_digest(json.loads(card["body"]))

    def lines(self) -> int:
        with reading(self.scratch.home) as reader:
            return readers.size(reader)


def _code(payload: bytes) -> str:
    sealed = json.loads(payload)
    import base64

    import msgspec

    reply = msgspec.json.decode(base64.b64decode(sealed["payload"]), type=ReplyPayload)
    return reply.code or "OK"


async def _lift(stage: Stage) -> None:
    """Put the installation back after a halt that should not have been."""
    from inalpha.cli.safety import sign_resume

    if stage.halted():
        await asyncio.to_thread(sign_resume, stage.scratch.home, stage.scratch.operator, "all", "red team")


# -- the broker's ACL --------------------------------------------------------------------------------


async def _heard(stage: Stage, topic: str, act: Callable[[RawPeer, bytes], Awaitable[None]]) -> str:
    """Whether an honest console hears what the stolen one does with a random mark on a topic."""
    mark = secrets.token_hex(16).encode()
    honest = await stage.peer(HONEST)
    await honest.subscribe(stage.full(topic))
    hostile = await stage.peer(STOLEN)
    await act(hostile, mark)
    await asyncio.sleep(_QUIET_S)
    await honest.ping()
    honest.cut()
    hostile.cut()
    return ", ".join(packet.topic for packet in honest.published if packet.payload == mark)


async def _forge_state(stage: Stage) -> tuple[str, str]:
    async def act(peer: RawPeer, mark: bytes) -> None:
        peer.publish(stage.full(topics.DAEMON_STATE), mark)

    heard = await _heard(stage, topics.DAEMON_STATE, act)
    return (f"heard on {heard}", "") if heard else ("", "acl")


async def _forge_beat(stage: Stage) -> tuple[str, str]:
    async def act(peer: RawPeer, mark: bytes) -> None:
        peer.publish(stage.full(topics.DAEMON_BEAT), mark)

    heard = await _heard(stage, topics.DAEMON_BEAT, act)
    return (f"heard on {heard}", "") if heard else ("", "acl")


async def _forge_reply(stage: Stage) -> tuple[str, str]:
    async def act(peer: RawPeer, mark: bytes) -> None:
        peer.publish(stage.full(topics.reply(HONEST, "x")), mark)

    heard = await _heard(stage, f"reply/{HONEST}/#", act)
    return (f"heard on {heard}", "") if heard else ("", "acl")


async def _leave_will(stage: Stage) -> tuple[str, str]:
    mark = secrets.token_hex(16).encode()
    honest = await stage.peer(HONEST)
    await honest.subscribe(stage.full(topics.DAEMON_STATE))
    await honest.ping()
    try:
        hostile = await stage.peer(STOLEN, will=(stage.full(topics.DAEMON_STATE), mark))
        hostile.cut()
    except (EOFError, ConnectionError):
        honest.cut()
        return "", "acl"
    await asyncio.sleep(_QUIET_S)
    await honest.ping()
    honest.cut()
    heard = [packet.topic for packet in honest.published if packet.payload == mark]
    if heard:
        # The will is retained: without the state that it replaced, no later client would find the daemon.
        states = [packet.payload for packet in honest.published if packet.payload != mark]
        healer = await stage.peer(STOLEN)
        healer.publish(stage.full(topics.DAEMON_STATE), states[0], retain=True)
        await healer.ping()
        healer.cut()
    return (f"its will was heard on {heard[0]}", "") if heard else ("", "acl")


async def _listen_to_all(stage: Stage) -> tuple[str, str]:
    hostile = await stage.peer(STOLEN)
    for filter in (
        "#",
        f"{topics.ROOT}/#",
        f"{topics.ROOT}/hosts/+/runs/+/down/#",
        f"{topics.ROOT}/reply/+/#",
    ):
        await hostile.subscribe(filter)
    honest = await stage.peer(HONEST)
    await honest.subscribe(stage.full(f"reply/{HONEST}/#"))
    _, raw = stage.command(stage.slot(HONEST), "stop", {"run": "run-0"}, sender=HONEST)
    honest.publish(stage.full(topics.command(HONEST)), raw)
    await asyncio.sleep(_QUIET_S)
    await hostile.ping()
    honest.cut()
    hostile.cut()
    allowed = ("daemon/", "notice", f"reply/{STOLEN}/")
    heard = {packet.topic.removeprefix(f"{topics.ROOT}/") for packet in hostile.published}
    foreign = sorted(topic for topic in heard if not topic.startswith(allowed))
    return (f"heard {foreign[0]}", "") if foreign else ("", "acl")


async def _other_command_topic(stage: Stage) -> tuple[str, str]:
    identifier, raw = stage.command(stage.slot(), "halt", _halt_args(), sender=HONEST)
    honest = await stage.peer(HONEST)
    await honest.subscribe(stage.full(f"reply/{HONEST}/#"))
    hostile = await stage.peer(STOLEN)
    hostile.publish(stage.full(topics.command(HONEST)), raw)
    await asyncio.sleep(_QUIET_S)
    await honest.ping()
    told = [_code(packet.payload) for packet in honest.published if packet.topic.endswith(identifier)]
    honest.cut()
    hostile.cut()
    if stage.halted():
        await _lift(stage)
        return "a halt in another's name", ""
    return "", f"sender check ({told[0]})" if told else "acl"


async def _be_the_daemon(stage: Stage) -> tuple[str, str]:
    peer = await RawPeer.open(stage.address, _ANSWER_S)
    code = await peer.connect(STOLEN, slots.read_token(stage.scratch.run_dir, STOLEN), topics.DAEMON)
    mark = secrets.token_hex(16).encode()
    honest = await stage.peer(HONEST)
    await honest.subscribe(stage.full(topics.DAEMON_STATE))
    if code == 0:
        peer.publish(stage.full(topics.DAEMON_STATE), mark)
        await asyncio.sleep(_QUIET_S)
    await honest.ping()
    peer.cut()
    honest.cut()
    if any(packet.payload == mark for packet in honest.published):
        return "spoke as the daemon", ""
    # The daemon must still be there and answer.
    answer = await stage.ask(*stage.command(stage.slot(), "stop", {"run": "run-0"}))
    return ("the daemon fell silent", "") if answer == "silence" else ("", "client id = user name")


# -- commands ----------------------------------------------------------------------------------------


def _halt_args() -> dict[str, Any]:
    return {"scope": "all", "state": "HALTED", "reason": "red team", "user": "attacker"}


def _refused(cmd: str, args: Callable[[Stage], dict[str, Any]], control: str, **other: Any) -> Any:
    """A halt (or another command) that must be refused; other: how its envelope differs from a good one."""

    async def play(stage: Stage) -> tuple[str, str]:
        given = {key: value(stage) if callable(value) else value for key, value in other.items()}
        code = await stage.ask(*stage.command(stage.slot(), cmd, args(stage), **given))
        if stage.halted():
            await _lift(stage)
            return "a halt was set", ""
        return (f"accepted: {cmd}", "") if code == "OK" else ("", f"{control} ({code})")

    return play


async def _altered(stage: Stage) -> tuple[str, str]:
    """A signed stop, its payload replaced by a halt of everything, its signature kept."""
    import base64

    _, signed = stage.command(stage.slot(), "stop", {"run": "run-0"})
    identifier, other = stage.command((SigningKey.generate(), STOLEN), "halt", _halt_args())
    sealed = json.loads(signed)
    sealed["payload"] = json.loads(other)["payload"]
    assert base64.b64decode(sealed["payload"])
    code = await stage.ask(identifier, json.dumps(sealed).encode())
    if stage.halted():
        await _lift(stage)
        return "an altered command took effect", ""
    return "", f"signature ({code})"


async def _replayed(stage: Stage) -> tuple[str, str]:
    """A person's halt, recorded, and sent again after it was lifted."""
    identifier, raw = stage.command(stage.slot(), "halt", _halt_args())
    first = await stage.ask(identifier, raw)
    if first != "OK":
        return f"the honest halt was refused: {first}", ""
    await _lift(stage)
    before = stage.halts()
    for _ in range(3):
        await stage.ask(identifier, raw)
    count = stage.halts() - before
    await _lift(stage)
    return (f"it took effect {count} times more", "") if count else ("", "each id once")


async def _retained(stage: Stage) -> tuple[str, str]:
    identifier, raw = stage.command(
        stage.slot(), "halt", _halt_args(), now_us=envelope.wall_us() - 60_000_000
    )
    code = await stage.ask(identifier, raw, retain=True)
    if stage.halted():
        await _lift(stage)
        return "a retained old halt took effect", ""
    return "", f"expiry ({code})"


async def _garbage(stage: Stage) -> tuple[str, str]:
    """Nothing of it may stop the daemon or leave a line."""
    peer = await stage.peer(STOLEN)
    before = stage.lines()
    good = stage.command(stage.slot(), "stop", {"run": "run-0"})[1]
    for raw in (b"", b"{", b"\xff" * 500, b"[" * 50_000, good[:-1], good + b"x", b'{"v":1}' * 9000,
                json.dumps({"v": 1, "kid": "x" * 90_000, "sig": "", "payload": ""}).encode()):  # fmt: skip
        peer.publish(stage.full(topics.command(STOLEN)), raw)
    await peer.ping()
    peer.cut()
    answer = await stage.ask(*stage.command(stage.slot(), "stop", {"run": "run-0"}))
    if answer == "silence":
        return "the daemon fell silent", ""
    grown = stage.lines() - before
    return (f"{grown} lines were written", "") if grown > 5 else ("", "strict decoding")


async def _oversize(stage: Stage) -> tuple[str, str]:
    peer = await stage.peer(STOLEN)
    try:
        peer.publish(stage.full(topics.command(STOLEN)), b"x" * (8 << 20))
        await peer.ping()
        seen = "kept open"
    except (EOFError, TimeoutError, ConnectionError):
        seen = "closed"
    peer.cut()
    answer = await stage.ask(*stage.command(stage.slot(), "stop", {"run": "run-0"}))
    return ("the daemon fell silent", "") if answer == "silence" else ("", f"packet limit ({seen})")


# -- gates -------------------------------------------------------------------------------------------


def _approve(note: Callable[[Stage], str], control: str, signer: str = "operator") -> Any:
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


def _note_of_other_plan(stage: Stage) -> str:
    subject = {"plan": stage.other_plan, "plan_sha256": stage.digest(stage.other_plan)}
    return _note(stage, stage.scratch.operator, "plan.approve", subject)


def _note_of_other_act(stage: Stage) -> str:
    why = Commitment.of("red team")
    subject = {"plan": stage.plan, "plan_sha256": stage.digest(stage.plan), "reason_commit": why.commit}
    return _note(stage, stage.scratch.operator, "plan.reject", subject)


def _note_of_other_ledger(stage: Stage) -> str:
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


def _agents_note(stage: Stage) -> str:
    return _right_note(stage, stage.scratch.agent)


def _by_agent(cmd: str, args: Callable[[Stage], dict[str, Any]]) -> Any:
    async def play(stage: Stage) -> tuple[str, str]:
        before = stage.lines()
        made = await asyncio.to_thread(args, stage)
        code = await stage.ask(*stage.command(stage.agent(), cmd, made))
        with reading(stage.scratch.home) as reader:
            kinds = [event.kind for event in readers.lines(reader, before)]
        done = [kind for kind in kinds if kind == cmd or kind in ("halt.resume", "key.enrol")]
        return (f"{done[0]} was written", "") if done or code == "OK" else ("", f"role ({code})")

    return play


def _promotion(stage: Stage) -> dict[str, Any]:
    with reading(stage.scratch.home) as reader:
        row = readers.candidates(reader)[0]
    why = Commitment.of("promoting my own work")
    subject = {"candidate": row["candidate"], "reason_commit": why.commit, "sha256": row["sha256"]}
    note = _note(stage, stage.scratch.agent, "candidate.promote", subject)
    return {"candidate": row["candidate"], "gate": note, **why.args()}


def _enrolment(stage: Stage) -> dict[str, Any]:
    signer = stage.scratch.agent.signer
    data = {"principal": "op:mallory", "role": "owner", "sponsor": None, "vkey": signer.vkey.text}
    return {"data": data, "gate": _note(stage, stage.scratch.agent, "key.enrol", data)}


def _resumption(stage: Stage) -> dict[str, Any]:
    why = Commitment.of("let me go on")
    subject = {"scope": "all", "run": None, "account": None, "reason_commit": why.commit}
    note = _note(stage, stage.scratch.agent, "halt.resume", subject)
    return {"scope": "all", "run": None, "account": None, "gate": note, **why.args()}


def _no_args(_: Stage) -> dict[str, Any]:
    return _halt_args()


# Approvals first: a halt, even one that is lifted again, cancels the plans that they need.
ACTS: tuple[Act, ...] = (
    Act("bus", "no note", "Approves with a person's bus key but no gate note.", _approve(lambda _: "none", "gate")),
    Act("bus", "note of another plan", "Approves with a person's note for another plan.",
        _approve(_note_of_other_plan, "gate")),
    Act("bus", "note of another act", "Approves with a person's rejection.", _approve(_note_of_other_act, "gate")),
    Act("bus", "note of another ledger", "Approves with a note made for another ledger.",
        _approve(_note_of_other_ledger, "gate")),
    Act("agent", "approves", "Approves a plan with the agent's own note.", _approve(_agents_note, "role", "agent")),
    Act("agent", "approves by proxy", "Has the agent's note sent under a person's bus key.",
        _approve(_agents_note, "gate")),
    Act("agent", "promotes", "Promotes a candidate.", _by_agent("candidate.promote", _promotion)),
    Act("agent", "starts a run", "Starts a run.",
        _by_agent("run.start", lambda _: {"mandate": {}, "feed": "", "gate": ""})),
    Act("agent", "resumes", "Lifts a halt.", _by_agent("halt.resume", _resumption)),
    Act("agent", "enrols itself", "Enrols its key as an owner's.", _by_agent("key.enrol", _enrolment)),
    Act("agent", "opts out", "Signs a waiver for itself.",
        _by_agent("policy.opt_out", lambda _: {"data": {"rule": "x", "run": "run-9", "expires": 1}, "gate": "none"})),
    Act("bus", "slot approves", "Approves a plan with a console's key and no note.",
        _approve(lambda _: "none", "role", "slot")),
    Act("bus", "forge state", "Publishes the daemon's state.", _forge_state),
    Act("bus", "forge beat", "Publishes the daemon's beat.", _forge_beat),
    Act("bus", "forge reply", "Answers another console.", _forge_reply),
    Act("bus", "leave a will", "Leaves a will on the daemon's state.", _leave_will),
    Act("bus", "listen to all", "Subscribes to everything.", _listen_to_all),
    Act("bus", "other's topic", "Commands on another console's topic.", _other_command_topic),
    Act("bus", "be the daemon", "Connects under the daemon's client id.", _be_the_daemon),
    Act("bus", "altered", "Replaces the payload under a signature.", _altered),
    Act("bus", "replayed", "Sends a person's halt again after it was lifted.", _replayed),
    Act("bus", "retained", "Leaves an old halt for the next daemon.", _retained),
    Act("bus", "expired", "Commands with yesterday's time.",
        _refused("halt", _no_args, "expiry", now_us=lambda _: envelope.wall_us() - 86_400_000_000)),
    Act("bus", "long-lived", "Commands with a life of an hour.", _refused("halt", _no_args, "expiry", life_s=3600.0)),
    Act("bus", "other epoch", "Commands of an earlier daemon.",
        _refused("halt", _no_args, "epoch", epoch=lambda stage: stage.epoch - 1)),
    Act("bus", "other audience", "Commands meant for another installation.",
        _refused("halt", _no_args, "audience", instance="0" * 16)),
    Act("bus", "other sender", "Names another sender in the payload.",
        _refused("halt", _no_args, "sender check", sender=HONEST)),
    Act("bus", "slot resumes", "Lifts a halt with a console's key.", _refused("halt.resume", _no_args, "role")),
    Act("bus", "slot loosens limits", "Loosens limits with a console's key.",
        _refused("limits.set", lambda _: {"data": {}, "gate": "none"}, "role")),
    Act("bus", "garbage", "Sends bytes that are no command.", _garbage),
    Act("bus", "oversize", "Sends eight megabytes.", _oversize),
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
