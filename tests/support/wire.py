"""The daemon's proxy of a host on a wire without a broker: what it sends, and what a host may say to it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from nacl.signing import SigningKey

from inalpha.bus import envelope, hostwire
from inalpha.bus.client import Message
from inalpha.bus.hosts import HostLink
from inalpha.bus.hostwire import EndedBody, HostState, LoadedBody, Up
from inalpha.model.instrument import Instrument
from inalpha.model.runner import RunnerEnded

HOST, RUN = "host-barn", "run-1"


class Wire:
    """A client without a socket, and the host's end of it."""

    def __init__(self) -> None:
        self.key, self.daemon = SigningKey.generate(), SigningKey.generate()
        self.sent: list[hostwire.Down] = []
        self.answered: list[hostwire.Down] = []
        self.ended: list[RunnerEnded] = []
        self.link = HostLink(
            self,  # type: ignore[arg-type]
            HOST,
            key=self.daemon,
            host_key=bytes(self.key.verify_key),
            instance="abc",
            epoch=3,
            on_ended=lambda run, error: self.ended.append(error),
        )

    async def subscribe(self, filter: str, handler: Any) -> None:
        self.hear = handler

    async def unsubscribe(self, filter: str) -> None:
        self.hear = None

    def post(self, topic: str, payload: bytes) -> None:
        opened = envelope.unseal(payload, lambda kid: bytes(self.daemon.verify_key))
        self.sent.append(msgspec.json.decode(opened.payload, type=hostwire.Down))

    def say(self, kind: str, body: object, *, retained: bool = False) -> None:
        raw = envelope.encode(kind, body, epoch=3, now_us=envelope.wall_us())
        self.hear(Message(f"hosts/{HOST}/{kind}", raw, retained))

    def answer(self, down: hostwire.Down, kind: str, body: object, **changes: Any) -> None:
        members = {"epoch": 3, "host": HOST, "seq": down.seq, "corr": down.id, "key": self.key, "run": RUN}
        members |= changes
        up = Up(
            "abc",
            members["epoch"],
            members["host"],
            members["run"],
            kind,
            members["seq"],
            members["corr"],
            hostwire.raw(body),
        )
        raw = envelope.seal(members["key"], HOST, msgspec.json.encode(up))
        self.hear(Message(f"hosts/{HOST}/runs/{members['run']}/up/{kind}", raw, False))

    async def begin(self) -> asyncio.Task[LoadedBody]:
        count = len(self.sent)
        loading = asyncio.create_task(self.link.load(RUN, b"x", "0" * 64, {}, Instrument("X"), "1d", 1))
        while len(self.sent) == count:
            await asyncio.sleep(0)
        return loading


STATE = HostState(True, "s1", "sealed", [], 7)
LOADED = LoadedBody("Mine", {}, 8, 9, "b", 61_000, "sealed", {})
GONE = EndedBody("host_lost", "this host has no such run", "", {}, [])
