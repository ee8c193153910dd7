"""The console's end of the bus: beats and notices ring the store, commands go out signed, replies come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from inalpha.bus import envelope, slots, topics
from inalpha.bus.client import BusClient, Message
from inalpha.bus.command import CommandClient
from inalpha.client.operator import Operator, bus_key
from inalpha.client.presence import RUNNING, Presence, find
from inalpha.model.errors import InalphaError, NoDaemon, TryAgain
from tui.store import Store

LOOK_S = 0.5


class Sender(Protocol):
    """What the screens need of a bus; tests hand in one without sockets."""

    async def run(self) -> None: ...

    async def request(
        self, cmd: str, args: Mapping[str, Any], operator: Operator | None, timeout_s: float
    ) -> dict[str, Any]: ...


class Link:
    """Finds the daemon, takes a console slot, and begins again when either is replaced."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ask: CommandClient | None = None

    async def run(self) -> None:
        """For ever; losing daemon or broker is a state that is shown, never an end."""
        while True:
            found = await asyncio.to_thread(find, self._store.home)
            if found is not None and found.state == RUNNING:
                try:
                    await self._attach(found)
                except (InalphaError, OSError, ValueError):
                    pass
                finally:
                    self._ask = None
            self._store.set_bus(False, LOOK_S)
            await asyncio.sleep(LOOK_S)

    async def request(
        self, cmd: str, args: Mapping[str, Any], operator: Operator | None, timeout_s: float
    ) -> dict[str, Any]:
        """As CommandClient.request; without an operator the slot's own key signs, enough to stop and halt."""
        if self._ask is None:
            if await asyncio.to_thread(find, self._store.home) is None:
                raise NoDaemon("NO_DAEMON", "no daemon runs.", "Start one: inalpha --daemon")
            raise TryAgain("BUS_DOWN", "this console is not connected to the bus.", "It keeps trying.")
        signer = None
        if operator is not None:
            signer = (bus_key(operator.signer), operator.signer.vkey.text)
        return await self._ask.request(cmd, args, timeout_s, signer=signer)

    async def _attach(self, found: Presence) -> None:
        run_dir = Path(found.run_dir)
        with slots.take_slot(run_dir, "console") as slot:
            client = BusClient(
                identity=slot.identity,
                token=lambda: slots.read_token(run_dir, slot.identity),
                on_connect=self._connected,
                on_disconnect=lambda: self._store.set_bus(False),
                on_overflow=self._store.ring,
                **found.endpoint(),
            )
            await client.subscribe(topics.DAEMON_BEAT, self._beat)
            await client.subscribe(topics.NOTICE, self._notice)
            async with client:
                ask = CommandClient(
                    client, slot.key, slot.identity, instance=found.instance,
                    daemon_key=bytes.fromhex(found.daemon_key),
                )  # fmt: skip
                await ask.start()
                await self._watch_state(client)
                self._ask = ask
                await self._while_same(found)

    async def _connected(self) -> None:
        self._store.set_bus(True)
        self._store.ring()

    async def _while_same(self, found: Presence) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            now = await asyncio.to_thread(find, self._store.home)
            if now is None or (now.pid, now.start_ticks, now.epoch) != (
                found.pid,
                found.start_ticks,
                found.epoch,
            ):
                return

    async def _watch_state(self, client: BusClient) -> None:
        """The state topic has one handler; the command client learns the epoch from it, we the farewell."""
        inner = client.handler_of(topics.DAEMON_STATE)

        def heard(message: Message) -> None:
            if inner is not None:
                inner(message)
            body = _body(message)
            if body is not None and body.get("up") is False:
                self._store.goodbye()

        await client.subscribe(topics.DAEMON_STATE, heard)

    def _beat(self, message: Message) -> None:
        body = _body(message)
        if body is not None:
            self._store.beat(_count(body.get("head")))

    def _notice(self, message: Message) -> None:
        body = _body(message)
        if body is not None:
            self._store.ring(_count(body.get("seq")))


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _body(message: Message) -> dict[str, Any] | None:
    with contextlib.suppress(envelope.EnvelopeError, msgspec.MsgspecError):
        found = envelope.decode(
            message.payload, topic=message.topic, is_retained=message.is_retained, now_us=envelope.wall_us()
        )
        body = msgspec.json.decode(found.body)
        return body if isinstance(body, dict) else None
    return None
