"""The daemon's proxy of a host: whose word counts, and when a silent host is down. Without a broker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nacl.signing import SigningKey
from support.wire import GONE, LOADED, RUN, STATE, Wire

from inalpha.bus import hostwire
from inalpha.bus.hostwire import EMPTY, EndedBody, HostState
from inalpha.model.bar import Bar
from inalpha.model.runner import RunnerEnded
from inalpha.model.step import StepRequest


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
