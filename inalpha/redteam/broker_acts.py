"""Acts against the broker: what a stolen console credential may publish, hear or pretend to be."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from inalpha.bus import slots, topics
from inalpha.bus.raw import RawPeer
from inalpha.redteam.command_acts import halt_args
from inalpha.redteam.stage import ANSWER_S, HONEST, QUIET_S, STOLEN, Stage, code, lift


async def _heard(stage: Stage, topic: str, act: Callable[[RawPeer, bytes], Awaitable[None]]) -> str:
    """Whether an honest console hears what the stolen one does with a random mark on a topic."""
    mark = secrets.token_hex(16).encode()
    honest = await stage.peer(HONEST)
    await honest.subscribe(stage.full(topic))
    hostile = await stage.peer(STOLEN)
    await act(hostile, mark)
    await asyncio.sleep(QUIET_S)
    await honest.ping()
    honest.cut()
    hostile.cut()
    return ", ".join(packet.topic for packet in honest.published if packet.payload == mark)


async def forge_state(stage: Stage) -> tuple[str, str]:
    async def act(peer: RawPeer, mark: bytes) -> None:
        peer.publish(stage.full(topics.DAEMON_STATE), mark)

    heard = await _heard(stage, topics.DAEMON_STATE, act)
    return (f"heard on {heard}", "") if heard else ("", "acl")


async def forge_beat(stage: Stage) -> tuple[str, str]:
    async def act(peer: RawPeer, mark: bytes) -> None:
        peer.publish(stage.full(topics.DAEMON_BEAT), mark)

    heard = await _heard(stage, topics.DAEMON_BEAT, act)
    return (f"heard on {heard}", "") if heard else ("", "acl")


async def forge_reply(stage: Stage) -> tuple[str, str]:
    async def act(peer: RawPeer, mark: bytes) -> None:
        peer.publish(stage.full(topics.reply(HONEST, "x")), mark)

    heard = await _heard(stage, f"reply/{HONEST}/#", act)
    return (f"heard on {heard}", "") if heard else ("", "acl")


async def leave_will(stage: Stage) -> tuple[str, str]:
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
    await asyncio.sleep(QUIET_S)
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


async def listen_to_all(stage: Stage) -> tuple[str, str]:
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
    await asyncio.sleep(QUIET_S)
    await hostile.ping()
    honest.cut()
    hostile.cut()
    allowed = ("daemon/", "notice", f"reply/{STOLEN}/")
    heard = {packet.topic.removeprefix(f"{topics.ROOT}/") for packet in hostile.published}
    foreign = sorted(topic for topic in heard if not topic.startswith(allowed))
    return (f"heard {foreign[0]}", "") if foreign else ("", "acl")


async def other_command_topic(stage: Stage) -> tuple[str, str]:
    identifier, raw = stage.command(stage.slot(), "halt", halt_args(), sender=HONEST)
    honest = await stage.peer(HONEST)
    await honest.subscribe(stage.full(f"reply/{HONEST}/#"))
    hostile = await stage.peer(STOLEN)
    hostile.publish(stage.full(topics.command(HONEST)), raw)
    await asyncio.sleep(QUIET_S)
    await honest.ping()
    told = [code(packet.payload) for packet in honest.published if packet.topic.endswith(identifier)]
    honest.cut()
    hostile.cut()
    if stage.halted():
        await lift(stage)
        return "a halt in another's name", ""
    return "", f"sender check ({told[0]})" if told else "acl"


async def be_the_daemon(stage: Stage) -> tuple[str, str]:
    peer = await RawPeer.open(stage.address, ANSWER_S)
    code = await peer.connect(STOLEN, slots.read_token(stage.scratch.run_dir, STOLEN), topics.DAEMON)
    mark = secrets.token_hex(16).encode()
    honest = await stage.peer(HONEST)
    await honest.subscribe(stage.full(topics.DAEMON_STATE))
    if code == 0:
        peer.publish(stage.full(topics.DAEMON_STATE), mark)
        await asyncio.sleep(QUIET_S)
    await honest.ping()
    peer.cut()
    honest.cut()
    if any(packet.payload == mark for packet in honest.published):
        return "spoke as the daemon", ""
    # The daemon must still be there and answer.
    answer = await stage.ask(*stage.command(stage.slot(), "stop", {"run": "run-0"}))
    return ("the daemon fell silent", "") if answer == "silence" else ("", "client id = user name")
