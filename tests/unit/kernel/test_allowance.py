"""What a run keeps of its strategy's words: bounded by bar and day, the same at every replay, what was dropped told."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bench import CONTEXT, START_NS, Bench, bench, buy, make_bar, make_spec

from inalpha.bus.hostwire import read_reply
from inalpha.execution.reasons import Reasons
from inalpha.kernel.gateway import NoRisk
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.replay import rebuild
from inalpha.model.allowance import BAR_BYTES, DAY_BYTES, MAX_WORD, Allowance
from inalpha.model.step import Intent, StepReply, StepRequest

FLAT = (10000, 10000, 10000, 10000)
PER_DAY = 288  # bars of five minutes
TEXTS = st.lists(st.text(max_size=900) | st.just("é" * 900), max_size=16)


class Flood:
    """As many words a bar as the protocol lets a runner send."""

    def step(self, request: StepRequest) -> StepReply:
        reason = f"{request.seq} " + "R" * 1990
        intents = tuple(Intent(n, "order", "buy", "0", reason=f"{n}{reason}") for n in range(16))
        return StepReply(request.seq, intents, tuple(f"{request.seq}.{n} " + "L" * 1990 for n in range(16)))


def flooded(days: int = 1) -> Bench:
    made = Bench(make_spec(timeframe="5m"), {})
    made.runner = Flood()  # type: ignore[assignment]
    made.feed(*[FLAT] * (days * PER_DAY))
    return made


def replies(made: Bench) -> list[dict[str, Any]]:
    return [json.loads(entry.output)["reply"] for entry in made.entries if entry.kind == "bar"]


def words(made: Bench) -> int:
    """Bytes of reasons and logs in the journal; they are ASCII here."""
    return sum(
        sum(len(intent["reason"]) for intent in reply["intents"]) + sum(map(len, reply["logs"]))
        for reply in replies(made)
    )


def test_a_day_of_flooding_words_keeps_what_a_day_may(monkeypatch: pytest.MonkeyPatch) -> None:
    after = flooded()
    assert 2 * DAY_BYTES - 4096 < words(after) <= 2 * DAY_BYTES
    monkeypatch.setattr(Kernel, "heard", lambda self, reply: reply)
    before = flooded()
    assert words(before) > 60 * PER_DAY * 1024  # without the bound a day takes what the protocol lets through
    assert sum(reply["dropped"] for reply in replies(after)) == words(before) - words(after)


def test_the_next_day_has_its_own_room() -> None:
    made = flooded(2)
    logged = [sum(map(len, result.logs)) for result in made.results]
    assert logged[0] > 0 and logged[PER_DAY - 1] == 0 and logged[PER_DAY] == logged[0]


def test_a_flooded_journal_rebuilds_with_and_without_its_strategy() -> None:
    made = flooded(2)
    assert rebuild(made.spec, NoRisk(), made.entries).head == made.kernel.head
    again = rebuild(made.spec, NoRisk(), made.entries, Flood())
    assert again.head == made.kernel.head
    # Rebuilt in the middle of a day, it goes on with the room that is left.
    cut = rebuild(made.spec, NoRisk(), made.entries[: PER_DAY // 2], Flood())
    rest = [make_bar(FLAT, n, "5m") for n in range(PER_DAY // 2 - 1, PER_DAY)]
    results = [cut.step(bar, bar.close_time_ns, CONTEXT, Flood()) for bar in rest]
    assert [r.dropped for r in results] == [r.dropped for r in made.results[PER_DAY // 2 - 1 : PER_DAY]]


def test_a_strategy_asked_again_through_its_commitments_answers_as_recorded() -> None:
    reasons, said, entries = Reasons(), {}, []
    kernel = Kernel(make_spec(timeframe="5m"), NoRisk(), bench({}).kernel.gateway, journal=entries.append)
    for n in range(40):
        bar = make_bar(FLAT, n, "5m")
        request = kernel.begin(bar, bar.close_time_ns, CONTEXT)
        assert request is not None
        reply, fresh = reasons.commit(kernel.heard(Flood().step(request)))
        kernel.finish(reply, CONTEXT)
        reasons.learn(fresh)
        said.update(fresh)
    again = rebuild(kernel.spec, NoRisk(), entries, Flood(), words=Reasons(said))
    assert again.head == kernel.head


def test_ordinary_words_are_kept_whole_and_cost_the_journal_nothing() -> None:
    reply = StepReply(0, (Intent(0, "order", "buy", "1", reason="MA_CROSS"),), ("long",))
    assert Allowance().keep(reply, START_NS) is reply
    assert b"dropped" not in msgspec.json.encode(reply)
    made = bench({0: [buy("1", reason="r" * 500)]}, FLAT)
    assert json.loads(made.entries[-1].output)["reply"]["intents"][0]["reason"] == "r" * 500


@settings(max_examples=25)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=12))
def test_kept_and_dropped_add_up_and_what_is_kept_stays(bars: list[tuple[list[str], list[str]]]) -> None:
    allowance, again, total = Allowance(), Allowance(), 0
    for reasons, logs in bars:
        intents = tuple(Intent(n, "order", "buy", reason=text) for n, text in enumerate(reasons))
        reply = StepReply(0, intents, tuple(logs))
        made = allowance.keep(reply, START_NS)
        size = _bytes([i.reason for i in made.intents]) + _bytes(made.logs)
        assert size + made.dropped_bytes == _bytes(reasons) + _bytes(logs)
        assert _bytes([i.reason for i in made.intents]) <= BAR_BYTES and _bytes(made.logs) <= BAR_BYTES
        assert again.keep(made, START_NS) == made
        total += size
    assert total <= 2 * DAY_BYTES


def _bytes(texts: list[str] | tuple[str, ...]) -> int:
    return sum(len(text.encode()) for text in texts)


def test_words_of_the_protocol_cannot_carry_a_text() -> None:
    long = "x" * 2000
    made = Allowance().keep(
        StepReply(0, (Intent(0, "cancel", long, type=long, tif=long, cancel=long),)), START_NS
    )
    (intent,) = made.intents
    assert {len(t or "") for t in (intent.side, intent.type, intent.tif, intent.cancel)} == {MAX_WORD}
    assert made.dropped_bytes == 4 * (2000 - MAX_WORD)


def test_a_host_cannot_claim_that_words_were_dropped() -> None:
    with pytest.raises(ValueError, match="dropped"):
        read_reply(msgspec.json.encode(StepReply(3, dropped=7)), 3)


def test_a_journal_holds_no_character_that_a_terminal_obeys() -> None:
    hostile = "\x9b2J \x7f \u202e \u200b \x1b[2J\x85"

    class Escapes:
        def step(self, request: StepRequest) -> StepReply:
            return StepReply(request.seq, (Intent(0, "order", "buy", "1", reason=hostile),), (hostile,))

    made = Bench(make_spec(), {})
    made.runner = Escapes()  # type: ignore[assignment]
    made.feed(FLAT, FLAT)
    text = "".join(entry.output for entry in made.entries)
    assert text.isprintable() and json.loads(made.entries[-1].output)["reply"]["logs"] == [hostile]
    assert rebuild(made.spec, NoRisk(), made.entries).head == made.kernel.head
