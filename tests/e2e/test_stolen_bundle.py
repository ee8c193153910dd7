"""Whoever steals a remote host's credentials can lie about the runs it was given, and do nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nacl.signing import SigningKey
from support.installation import STRATEGIES, Installation, first_bars
from support.tlsbroker import TlsBroker, need_tools

from inalpha.bus import envelope, hostwire, topics
from inalpha.bus.client import BusClient, Message
from inalpha.bus.hostwire import EndedBody, HostState, LoadedBody, Up
from inalpha.model.errors import ConfigError

NAME = "barn"
HOST = f"host-{NAME}"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[TlsBroker]:
    need_tools()
    home = Installation(tmp_path / "home")
    home.init()
    made = TlsBroker(home, tmp_path / "bus")
    made.start()
    home.start()
    yield made
    home.stop()
    made.stop()


class Thief:
    """Holds the bundle alone: no sandbox, no strategy, only words."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self.bundle, self.key = bundle, SigningKey(bytes.fromhex(bundle["seed"]))
        self.epoch = 0
        self.asked: list[hostwire.Down] = []
        self.overheard: set[str] = set()
        self.said: list[tuple[str, bytes]] = []
        self.client = BusClient(bundle["url"], HOST, bundle["token"], bundle["root"], ca_file=bundle["ca"])

    def plain(self, kind: str, body: object) -> bytes:
        return envelope.encode(kind, body, epoch=0, now_us=envelope.wall_us())

    def alive(self, level: str = "sealed") -> None:
        state = HostState(True, "stolen", level, [], 1)
        self.client.post(topics.host_state(HOST), self.plain("state", state), retain=True)
        self.client.post(topics.host_beat(HOST), self.plain("beat", hostwire.Beat(1)), qos=0)

    def hear(self, message: Message) -> None:
        opened = envelope.unseal(message.payload, lambda kid: bytes.fromhex(self.bundle["daemon_key"]))
        down = msgspec.json.decode(opened.payload, type=hostwire.Down)
        self.epoch = down.epoch
        self.asked.append(down)

    def say(
        self, run: str, kind: str, body: object, *, host: str = HOST, seq: int = 1, corr: str = ""
    ) -> None:
        up = Up(self.bundle["instance"], self.epoch, host, run, kind, seq, corr, hostwire.raw(body))
        raw = envelope.seal(self.key, host, msgspec.json.encode(up))
        self.said.append((topics.up(host, run, kind), raw))
        self.client.post(*self.said[-1])

    async def next(self, kind: str) -> hostwire.Down:
        async with asyncio.timeout(30):
            while not any(down.type == kind for down in self.asked):
                self.alive()
                await asyncio.sleep(0.1)
        found = next(down for down in self.asked if down.type == kind)
        self.asked.clear()
        return found


END = EndedBody("exit", "the thief says so", "", {}, [])
CLAIM = LoadedBody("Mine", {}, 1, 1, "b", 0, "sealed", {})


async def play(broker: TlsBroker, bundle: dict[str, Any], candidate: str, bars: Path) -> None:
    home, thief = broker.home, Thief(bundle)
    call = asyncio.to_thread
    await thief.client.start()
    await thief.client.subscribe(f"hosts/{HOST}/runs/+/down/#", thief.hear)
    for other in ("#", "hosts/#", "hosts/host-local/runs/+/down/#", "cmd/#", "reply/#"):
        try:  # mosquitto may grant the subscription, and then delivers what may be read
            await thief.client.subscribe(other, lambda message: thief.overheard.add(message.topic))
        except ConfigError:
            await thief.client.unsubscribe(other)
    thief.alive()
    local = await call(home.run, candidate, bars, "4", "IBM")

    # A run of its own: claimed sealed, then answered against the protocol.
    own = await call(home.run, candidate, bars, "4", "GOOG", "--host", NAME)
    load = await thief.next("load")
    assert {down.run for down in thief.asked} <= {own}
    thief.say(own, "loaded", CLAIM, seq=load.seq, corr=load.id)
    step = await thief.next("step")
    intents = [{"n": n, "action": "order", "side": "buy", "quantity": "1"} for n in range(17)]
    thief.say(own, "reply", {"seq": 0, "intents": intents}, seq=step.seq, corr=step.id)
    shown = await call(home.json, "run", "wait", own, "--state", "failed", "--timeout", "30")
    assert (shown["reason"], shown["fills"]) == ("protocol", 0)
    assert "at most 16" in shown["error"]
    assert own in await call(home, "report")

    # Another host's run: by its own topic, by the other's, and by what it said before.
    for host in (HOST, "host-local"):
        for kind, body in (("ended", END), ("reply", {"seq": 0}), ("loaded", CLAIM)):
            thief.say(local, kind, body, host=host, seq=99)
    for topic, raw in list(thief.said):
        thief.client.post(topic, raw)

    # And after its key was revoked, while the broker still lets it in.
    await call(home, "host", "revoke", NAME)
    before = (await call(home.json, "run", "show", local))["bars"]
    for _ in range(3):
        thief.alive()
        thief.say(own, "loaded", CLAIM, seq=load.seq, corr=load.id)
        thief.say(local, "ended", END, seq=99)
        await asyncio.sleep(0.5)
    async with asyncio.timeout(30):
        while [host["name"] for host in (await call(home.json, "status"))["hosts"]] != ["host-local"]:
            thief.alive()
    async with asyncio.timeout(30):
        while (await call(home.json, "run", "show", local))["bars"] <= before:
            await asyncio.sleep(0.1)
    assert (await call(home.json, "run", "show", local))["state"] == "running"
    await thief.client.close()
    readable = ("daemon/", "notice", f"hosts/{HOST}/runs/{own}/down/")
    assert {topic for topic in thief.overheard if not topic.startswith(readable)} == set()

    # Once the broker has the new files, not even that.
    broker.export()
    late = Thief(bundle)
    await late.client.start(timeout_s=None)
    async with asyncio.timeout(15):
        while not late.client.last_error:
            await asyncio.sleep(0.05)
    assert not late.client.is_connected
    await late.client.close()


@pytest.mark.campaign
def test_stolen_bundle_lies_about_its_own_runs_alone(broker: TlsBroker, tmp_path: Path) -> None:
    home, file = broker.home, tmp_path / "barn.json"
    home("host", "add", NAME, "--out", str(file))
    broker.export()
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    bars = first_bars("GOOG-1d.csv", 400, tmp_path / "bars.csv")
    asyncio.run(play(broker, json.loads(file.read_text()), candidate, bars))
    home("audit", "verify")
