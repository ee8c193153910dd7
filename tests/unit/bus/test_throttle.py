"""Words that nobody asked for: a rate for each, and a count of what was too many."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from support.wire import HOST, RUN, STATE, Wire

from inalpha.bus import envelope, hearing, hostwire
from inalpha.bus.client import Message
from inalpha.bus.hostwire import HostState, ProbedBody
from inalpha.bus.throttle import Throttle
from inalpha.model.runner import RunnerEnded


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_burst_then_rate_and_the_rest_is_told_once_a_minute() -> None:
    clock = Clock()
    throttle = Throttle(2.0, 5, clock)
    assert [throttle.admits("a") for _ in range(7)] == [True] * 5 + [False] * 2
    assert throttle.admits("b")  # each key has its own
    assert throttle.untold("a") == 2
    assert not throttle.admits("a")
    assert throttle.untold("a") == 0  # within the minute
    clock.now_s += 1
    assert [throttle.admits("a") for _ in range(3)] == [True, True, False]
    clock.now_s += 60
    assert throttle.untold("a") == 2
    assert throttle.untold("a") == 0
    assert [throttle.admits("a") for _ in range(6)] == [True] * 5 + [False]  # never more than the burst


def log(wire: Wire, text: object, run: str = RUN) -> None:
    raw = envelope.encode("log", text, epoch=3, now_us=envelope.wall_us())
    wire.hear(Message(f"hosts/{HOST}/runs/{run}/up/log", raw, False))


@pytest.fixture
async def wire() -> Wire:
    made = Wire()
    await made.link.start()
    made.say("state", STATE)
    await made.begin()
    return made


async def flood(wire: Wire) -> tuple[list[str], list[tuple[str, int]]]:
    heard: list[str] = []
    told: list[tuple[str, int]] = []
    ears = wire.link._hearing._ears
    object.__setattr__(ears, "on_log", lambda run, text: heard.append(text))
    object.__setattr__(ears, "on_flood", lambda run, count: told.append((run, count)))
    for n in range(1000):
        log(wire, f"line {n}")
    return heard, told


async def test_a_hostile_hosts_logs_are_bounded_and_counted(wire: Wire) -> None:
    heard, told = await flood(wire)
    assert hearing.LOG_BURST <= len(heard) < hearing.LOG_BURST + 20
    assert told == [(RUN, 1)]  # at once, the rest with the next minute
    assert wire.link.dropped["RATE"] == 1000 - len(heard)


async def test_without_the_rate_all_of_them_come_through(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Throttle, "admits", lambda self, key: True)
    heard, told = await flood(wire)
    assert (len(heard), told) == (1000, [])


async def test_logs_of_runs_that_it_does_not_hold_and_texts_that_are_none_are_dropped(wire: Wire) -> None:
    for n in range(1000):
        log(wire, "x", run=f"run-9{n}")
    log(wire, {"not": "a text"})
    assert wire.link.dropped == {"BINDING": 1000, "FORM": 1}
    assert wire.link._hearing._log_rate.known() == [RUN]


async def test_control_characters_of_a_hostile_host_are_shown_not_obeyed(wire: Wire) -> None:
    heard: list[str] = []
    object.__setattr__(wire.link._hearing._ears, "on_log", lambda run, text: heard.append(text))
    log(wire, "\x1b[2J\u202e\x9b1m" + "x" * 5000)
    assert heard[0].startswith("\\x1b[2J\\u202e\\x9b1mx")
    assert len(heard[0]) < 2 * hearing.MAX_LOG


async def test_beats_and_states_without_end_are_bounded(wire: Wire) -> None:
    for n in range(hearing.PLAIN_BURST + 500):
        wire.say("beat", hostwire.Beat(n))
    assert 300 < wire.link.dropped["RATE"] <= 501
    assert wire.link.is_up


async def probe(wire: Wire, level: str | None, **changes: str) -> ProbedBody:
    asking = asyncio.create_task(wire.link.probe())
    while wire.sent[-1].type != "probe" or wire.sent[-1] in wire.answered:
        await asyncio.sleep(0)
    down = wire.sent[-1]
    wire.answered.append(down)
    nonce = changes.get("nonce", msgspec.json.decode(down.body)["nonce"])
    wire.answer(down, "probed", ProbedBody(nonce, level, {}), run=hostwire.PROBE)
    return await asking


async def test_a_probe_names_its_nonce_and_the_lesser_level_counts(wire: Wire) -> None:
    assert wire.link.level == "sealed"
    assert (await probe(wire, "fenced")).level == "fenced"
    assert wire.link.level == "fenced"
    assert (await probe(wire, None)).level is None
    assert wire.link.level is None
    await probe(wire, "sealed")
    wire.say("state", HostState(True, "s1", "process", [], 7))
    assert wire.link.level == "process"
    for level, nonce in (("sealed", "0" * 32), ("holy", None)):
        with pytest.raises(RunnerEnded, match="protocol"):
            await probe(wire, level, **({"nonce": nonce} if nonce else {}))
    assert wire.link.runs == 1  # asking a host about itself is no run
