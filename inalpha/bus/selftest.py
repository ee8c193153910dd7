"""The broker proves its ACL at every start and reconnect, by two throw-away hosts A and B.

Each of six acts must fail, while A's own topic works: a dead bus proves nothing. One success means that
no run starts and running ones take no entries.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from inalpha.bus import topics
from inalpha.bus.client import BusClient, Message
from inalpha.bus.raw import RawPeer
from inalpha.bus.slots import SELF_TEST
from inalpha.model.errors import InalphaError

_RUN = "selftest"
A, B = SELF_TEST


@dataclass(frozen=True, slots=True)
class Act:
    """What was tried; is_contained: it failed, as it must. detail tells what was seen."""

    name: str
    is_contained: bool
    detail: str


@dataclass(frozen=True, slots=True)
class SelfTest:
    """All acts. is_sound: every one was contained and the positive controls worked."""

    acts: tuple[Act, ...]

    @property
    def is_sound(self) -> bool:
        return len(self.acts) == len(_ACTS) and all(act.is_contained for act in self.acts)


class _Watch:
    """What the daemon hears while an act goes on."""

    def __init__(self, client: BusClient) -> None:
        self.client = client
        self.heard: list[Message] = []
        self._news = asyncio.Event()

    def take(self, message: Message) -> None:
        self.heard.append(message)
        self._news.set()

    async def wait_for(self, payload: bytes, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not any(message.payload == payload for message in self.heard):
                self._news.clear()
                await self._news.wait()

    def topics_of(self, payload: bytes) -> list[str]:
        return [message.topic for message in self.heard if message.payload == payload]


@dataclass(slots=True)
class _Stage:
    """One self-test: the daemon's client, its watch, and how to open a hostile peer."""

    watch: _Watch
    tokens: dict[str, str]
    timeout_s: float
    ca_file: str | None

    async def peer(self) -> RawPeer:
        return await RawPeer.open(self.watch.client.address, self.timeout_s, ca_file=self.ca_file)

    async def host(self, name: str, will: tuple[str, bytes] | None = None) -> RawPeer:
        peer = await self.peer()
        code = await peer.connect(name, self.tokens[name], name, will=will)
        if code != 0:
            peer.cut()
            raise InalphaError("BUS_DENIED", f"{name} was refused with code {code}")
        return peer

    def full(self, topic: str) -> str:
        return f"{self.watch.client.root}/{topic}"

    async def own_topic_works(self, peer: RawPeer, name: str) -> None:
        """Also a barrier: what the peer sent before has been judged when this arrives."""
        mark = _mark()
        peer.publish(self.full(topics.up(name, _RUN, "reply")), mark)
        await self.watch.wait_for(mark, self.timeout_s)


def _mark() -> bytes:
    return secrets.token_hex(16).encode()


async def run_self_test(
    client: BusClient, tokens: dict[str, str], *, timeout_s: float = 2.0, ca_file: str | None = None
) -> SelfTest:
    """Play the six acts through the daemon's connected client. Never raises for a bad broker."""
    watch = _Watch(client)
    filters = ("hosts/+/runs/selftest/up/#", "hosts/+/state", topics.DAEMON_STATE, f"reply/{B}/#")
    previous = {filter: client.handler_of(filter) for filter in filters}
    stage = _Stage(watch, tokens, timeout_s, ca_file)
    acts = []
    try:
        for filter in filters:
            await client.subscribe(filter, watch.take)
        for name, act in _ACTS:
            acts.append(await _play(name, act, stage))
    except InalphaError as error:
        acts.append(Act("positive control", False, str(error)))
    finally:
        for filter, handler in previous.items():
            if handler is not None:
                await client.subscribe(filter, handler)
            elif client.is_connected:
                await client.unsubscribe(filter)
    return SelfTest(tuple(acts))


async def _play(name: str, act: Callable[[_Stage], Awaitable[str]], stage: _Stage) -> Act:
    try:
        seen = await act(stage)
    except TimeoutError:
        return Act(name, False, "the positive control did not work in time")
    except (InalphaError, OSError, EOFError) as error:
        return Act(name, False, f"{type(error).__name__}: {error}")
    return Act(name, not seen, seen or "refused")


async def _publish_for_another(stage: _Stage) -> str:
    peer = await stage.host(A)
    mark = _mark()
    peer.publish(stage.full(topics.up(B, _RUN, "reply")), mark)
    await stage.own_topic_works(peer, A)
    peer.cut()
    return ", ".join(stage.watch.topics_of(mark))


async def _publish_daemon_state(stage: _Stage) -> str:
    peer = await stage.host(A)
    mark = _mark()
    peer.publish(stage.full(topics.DAEMON_STATE), mark)
    await stage.own_topic_works(peer, A)
    peer.cut()
    return ", ".join(stage.watch.topics_of(mark))


async def _listen_to_others(stage: _Stage) -> str:
    peer = await stage.host(A)
    await peer.subscribe(stage.full("#"))
    await peer.subscribe(stage.full(f"reply/{B}/#"))
    await peer.subscribe(stage.full(f"hosts/{A}/runs/+/down/#"))
    secret, mine = _mark(), _mark()
    client = stage.watch.client
    await client.publish(topics.down(B, _RUN, "step"), secret)
    await client.publish(topics.reply(B, "selftest"), secret)
    await client.publish(topics.down(A, _RUN, "step"), mine)
    await peer.wait_for(mine)
    await peer.ping()
    peer.cut()
    return ", ".join(packet.topic for packet in peer.published if packet.payload == secret)


async def _take_the_daemons_name(stage: _Stage) -> str:
    client = stage.watch.client
    before = client.connects
    for token, is_clean in ((stage.tokens[A], True), (_mark().decode(), True), (stage.tokens[A], False)):
        peer = await stage.peer()
        await peer.connect(A, token, topics.DAEMON, is_clean=is_clean)
        other = await stage.peer()
        await other.connect(topics.DAEMON, _mark().decode(), topics.DAEMON, is_clean=is_clean)
        mark = _mark()
        await client.publish(topics.up(A, _RUN, "echo"), mark)
        await stage.watch.wait_for(mark, stage.timeout_s)
        peer.cut()
        other.cut()
    if client.connects != before:
        return f"the daemon had to reconnect {client.connects - before} times"
    return ""


async def _leave_a_will(stage: _Stage) -> str:
    mark, control = _mark(), _mark()
    hostile = await stage.peer()
    await hostile.connect(A, stage.tokens[A], A, will=(stage.full(topics.DAEMON_STATE), mark))
    hostile.cut()
    honest = await stage.host(B, will=(stage.full(topics.host_state(B)), control))
    honest.cut()
    await stage.watch.wait_for(control, stage.timeout_s)
    await stage.watch.client.publish(topics.host_state(B), b"", retain=True)
    return ", ".join(stage.watch.topics_of(mark))


async def _receive_unasked(stage: _Stage) -> str:
    client = stage.watch.client
    await client.publish(topics.host_state(B), _mark(), retain=True)
    peer = await stage.peer()
    await peer.connect(A, stage.tokens[A], A, is_clean=True)
    await stage.own_topic_works(peer, A)
    await client.publish(topics.down(A, _RUN, "step"), _mark())
    await peer.ping()
    await stage.own_topic_works(peer, A)
    await peer.ping()
    peer.cut()
    await client.publish(topics.host_state(B), b"", retain=True)
    return ", ".join(packet.topic for packet in peer.published)


_ACTS: tuple[tuple[str, Callable[[_Stage], Awaitable[str]]], ...] = (
    ("publishes as another host", _publish_for_another),
    ("publishes the daemon's state", _publish_daemon_state),
    ("reads another's messages", _listen_to_others),
    ("takes the daemon's name", _take_the_daemons_name),
    ("leaves a will on the daemon's state", _leave_a_will),
    ("receives messages unasked", _receive_unasked),
)
