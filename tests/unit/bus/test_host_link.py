"""The daemon's proxy of a host: whose word counts, and when a silent host is down. Without a broker."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from nacl.signing import SigningKey

from inalpha.bus import envelope, hostwire
from inalpha.bus.client import Message
from inalpha.bus.hosts import HostLink
from inalpha.bus.hostwire import EMPTY, EndedBody, HostState, LoadedBody, Up
from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.runner import RunnerEnded
from inalpha.model.step import StepRequest

HOST, RUN = "host-barn", "run-1"


class Wire:
    """A client without a socket, and the host's end of it."""

    def __init__(self) -> None:
        self.key, self.daemon = SigningKey.generate(), SigningKey.generate()
        self.sent: list[hostwire.Down] = []
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
        members = {"epoch": 3, "host": HOST, "seq": down.seq, "corr": down.id, "key": self.key} | changes
        up = Up(
            "abc",
            members["epoch"],
            members["host"],
            RUN,
            kind,
            members["seq"],
            members["corr"],
            hostwire.raw(body),
        )
        raw = envelope.seal(members["key"], HOST, msgspec.json.encode(up))
        self.hear(Message(f"hosts/{HOST}/runs/{RUN}/up/{kind}", raw, False))

    async def begin(self) -> asyncio.Task[LoadedBody]:
        count = len(self.sent)
        loading = asyncio.create_task(self.link.load(RUN, b"x", "0" * 64, {}, Instrument("X"), "1d", 1))
        while len(self.sent) == count:
            await asyncio.sleep(0)
        return loading


STATE = HostState(True, "s1", "sealed", [], 7)
LOADED = LoadedBody("Mine", {}, 8, 9, "b", 61_000, "sealed", {})
GONE = EndedBody("host_lost", "this host has no such run", "", {}, [])


@pytest.fixture
async def wire() -> Wire:
    made = Wire()
    await made.link.start()
    made.say("state", STATE)
    return made


async def test_retained_state_alone_is_no_living_host() -> None:
    wire = Wire()
    await wire.link.start()
    wire.say("state", STATE, retained=True)
    assert not wire.link.is_up
    wire.say("beat", hostwire.Beat(1))
    assert wire.link.is_up


async def test_late_answers_to_a_former_load_end_no_later_one(wire: Wire) -> None:
    first = await wire.begin()
    wire.answer(wire.sent[0], "ended", GONE)
    with pytest.raises(RunnerEnded):
        await first
    second = await wire.begin()
    wire.answer(wire.sent[0], "ended", GONE)  # once more, for what was asked before
    wire.answer(wire.sent[0], "ended", GONE, corr="")  # and unasked, of the runner before
    assert not second.done()
    assert wire.link.dropped == {"LATE": 2}
    wire.answer(wire.sent[-1], "loaded", LOADED)
    assert (await second).pid == 8
    assert wire.sent[-1].seq > wire.sent[0].seq


@pytest.mark.parametrize(
    "changes",
    [{"host": "host-other"}, {"epoch": 2}, {"key": SigningKey(b"k" * 32)}],
    ids=["host", "epoch", "key"],
)
async def test_reply_of_another_host_epoch_or_key_is_dropped(wire: Wire, changes: dict[str, Any]) -> None:
    loading = await wire.begin()
    wire.answer(wire.sent[0], "loaded", LOADED, **changes)
    await asyncio.sleep(0)
    assert not loading.done()
    assert sum(wire.link.dropped.values()) == 1
    wire.answer(wire.sent[0], "loaded", LOADED)
    await loading


async def test_another_process_under_the_name_loses_the_runs(wire: Wire) -> None:
    loading = await wire.begin()
    wire.answer(wire.sent[0], "loaded", LOADED)
    await loading
    wire.say("state", HostState(True, "s2", "sealed", [], 8))
    assert [error.code for error in wire.ended] == ["host_lost"]
    assert wire.link.runs == 0


async def test_closing_tells_the_host_to_end_its_runs(wire: Wire) -> None:
    loading = await wire.begin()
    wire.answer(wire.sent[0], "loaded", LOADED)
    await loading
    await wire.link.close()
    assert (wire.sent[-1].type, wire.sent[-1].run, wire.sent[-1].body) == ("kill", RUN, EMPTY)
    assert [error.code for error in wire.ended] == ["host_lost"]


INTENT = {"n": 0, "action": "order", "side": "buy", "quantity": "1"}
HOSTILE_ANSWERS: dict[str, tuple[str, object]] = {
    "another kind": ("loaded", LOADED),
    "no form": ("reply", {"seq": "0"}),
    "another bar": ("reply", {"seq": 1}),
    "a crowd of intents": ("reply", {"seq": 0, "intents": [INTENT | {"n": n} for n in range(17)]}),
    "the guard's number": ("reply", {"seq": 0, "intents": [INTENT | {"n": 16}]}),
    "twice the same number": ("reply", {"seq": 0, "intents": [INTENT, INTENT]}),
    "a long reason": ("reply", {"seq": 0, "intents": [INTENT | {"reason": "x" * 2049}]}),
    "a crowd of logs": ("reply", {"seq": 0, "logs": ["x"] * 33}),
    "a NUL": ("reply", {"seq": 0, "logs": ["a\0b"]}),
    "an end of its own making": ("ended", EndedBody("paid out", "", "", {}, [])),
    "an end without members": ("ended", {}),
}


@pytest.mark.parametrize("name", HOSTILE_ANSWERS)
async def test_signed_answer_against_the_protocol_ends_the_run_with_an_alert(wire: Wire, name: str) -> None:
    loading = await wire.begin()
    wire.answer(wire.sent[-1], "loaded", LOADED)
    await loading
    bar = Bar(0, 86_400_000_000_000, 1, 2, 1, 2, 5, 0)
    step = asyncio.create_task(
        wire.link.step(RUN, StepRequest(0, 86_400_000_000_000, (), bar, (0, 0), (0, 0), ()))
    )
    while wire.sent[-1].type != "step":
        await asyncio.sleep(0)
    wire.answer(wire.sent[-1], *HOSTILE_ANSWERS[name])
    with pytest.raises(RunnerEnded) as caught:
        await step
    assert (caught.value.code, caught.value.is_security_alert) == ("protocol", True)
    assert wire.link.runs == 0
    is_end = HOSTILE_ANSWERS[name][0] == "ended"
    assert (wire.sent[-1].type == "kill") is not is_end


async def test_unreadable_end_is_told_and_loses_no_run_in_silence(wire: Wire) -> None:
    loading = await wire.begin()
    wire.answer(wire.sent[-1], "loaded", LOADED)
    await loading
    wire.answer(wire.sent[-1], "ended", {"code": "?"}, corr="")
    assert [error.code for error in wire.ended] == ["protocol"]
