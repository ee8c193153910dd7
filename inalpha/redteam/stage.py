"""The scratch installation as a hostile client on the bus sees it, and what an act against it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nacl.signing import SigningKey

from inalpha.bus import envelope, slots, topics
from inalpha.bus.command import ReplyPayload, make_command
from inalpha.bus.raw import RawPeer
from inalpha.cli.client import reading
from inalpha.client.card import read_card
from inalpha.ledger import readers
from inalpha.model.states import HaltState
from inalpha.redteam.scratch import Scratch

STOLEN, HONEST = "console-32", "cli-32"
ANSWER_S = 2.0
QUIET_S = 0.3


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
        peer = await RawPeer.open(self.address, ANSWER_S)
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
        until = loop.time() + ANSWER_S
        while loop.time() < until:
            for packet in peer.published:
                if packet.topic == topic:
                    return code(packet.payload)
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
            return str(read_card(self.scratch.home.root, reader, self.plan).row["state"])

    def digest(self, plan: str) -> str:
        with reading(self.scratch.home) as reader:
            return read_card(self.scratch.home.root, reader, plan).recomputed

    def lines(self) -> int:
        with reading(self.scratch.home) as reader:
            return readers.size(reader)


def code(payload: bytes) -> str:
    sealed = json.loads(payload)
    import base64

    import msgspec

    reply = msgspec.json.decode(base64.b64decode(sealed["payload"]), type=ReplyPayload)
    return reply.code or "OK"


async def lift(stage: Stage) -> None:
    """Put the installation back after a halt that should not have been."""
    from inalpha.cli.safety import sign_resume

    if stage.halted():
        await asyncio.to_thread(sign_resume, stage.scratch.home, stage.scratch.operator, "all", "red team")
