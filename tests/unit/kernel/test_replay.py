"""A journal alone rebuilds its run, and every damage to it is named."""

from __future__ import annotations

import json

import msgspec
import pytest
from support.bench import CONTEXT, Bench, bench, buy, make_spec, sell

from inalpha.kernel.gateway import NoRisk
from inalpha.kernel.records import JournalEntry
from inalpha.kernel.replay import Divergence, rebuild
from inalpha.kernel.spec import RunSpec
from inalpha.model.states import HaltState

FLAT = (10000, 10000, 10000, 10000)
SCRIPT = {0: [buy("10", stop_loss="95")], 2: [buy("0"), sell("4")], 4: [{"cancel": "0:0:stop_loss"}]}


def story() -> Bench:
    made = bench(SCRIPT, FLAT, (10100, 10200, 9900, 10050))
    made.kernel.anomaly("GAP", "2 bars missing (unknown)")
    made.feed((10000, 10100, 9950, 10000))
    made.command("halt", state=HaltState.REDUCING)
    made.command("resume")
    made.feed(FLAT, FLAT)
    return made


def test_a_journal_rebuilds_the_run() -> None:
    made = story()
    kernel = rebuild(made.spec, NoRisk(), made.entries)
    assert kernel.head == made.kernel.head
    assert kernel.book.cash_e8 == made.kernel.book.cash_e8
    assert [order.id for order in kernel.orders] == [order.id for order in made.kernel.orders]


def test_a_rebuilt_run_continues_like_the_uninterrupted_one() -> None:
    made = story()
    cut = [entry.kind for entry in made.entries].index("anomaly")
    again = Bench(make_spec(), SCRIPT)
    again.kernel = rebuild(made.spec, NoRisk(), made.entries[:cut])
    again.kernel._journal = again.entries.append
    again.kernel.anomaly("GAP", "2 bars missing (unknown)")
    again.feed((10000, 10100, 9950, 10000))
    again.command("halt", state=HaltState.REDUCING)
    again.command("resume")
    again.feed(FLAT, FLAT)
    assert again.kernel.head == made.kernel.head


def test_a_runner_that_answers_otherwise_is_named() -> None:
    made = story()
    other = Bench(make_spec(), {**SCRIPT, 2: [sell("3")]})
    with pytest.raises(Divergence) as caught:
        rebuild(made.spec, NoRisk(), made.entries, other.runner)
    assert (caught.value.kind, caught.value.field) == ("bar", "output.decisions")


@pytest.mark.parametrize("at", range(1, 9))
def test_a_changed_output_is_found_at_its_entry(at: int) -> None:
    entries = list(story().entries)
    output = json.loads(entries[at].output)
    output["tampered"] = 1
    entries[at] = msgspec.structs.replace(entries[at], output=json.dumps(output))
    with pytest.raises(Divergence) as caught:
        rebuild(make_spec(), NoRisk(), entries)
    assert (caught.value.step, caught.value.field) == (at, "output.tampered")


def test_a_changed_input_is_found() -> None:
    entries = list(story().entries)
    at = next(i for i, entry in enumerate(entries) if entry.kind == "bar" and entry.bar == 1)
    data = json.loads(entries[at].input)
    data["bar"][2] += 1
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    entries[at] = msgspec.structs.replace(entries[at], input=text)
    with pytest.raises(Divergence) as caught:
        rebuild(make_spec(), NoRisk(), entries)
    assert caught.value.step == at


def test_a_missing_entry_is_found() -> None:
    entries: list[JournalEntry] = list(story().entries)
    del entries[3]  # the anomaly: nothing but the chain would notice
    with pytest.raises(Divergence) as caught:
        rebuild(make_spec(), NoRisk(), entries)
    assert caught.value.field == "n"


def test_the_header_rebuilds_the_spec() -> None:
    spec = make_spec(params={"fast": 10, "name": "ü"}, warmup=5, allow_short=True)
    assert RunSpec.from_header(spec.header()) == spec


def test_warmup_is_journalled_and_replayed() -> None:
    from support.bench import make_bar

    made = Bench(make_spec(), {})
    made.kernel.warm([make_bar((9000, 9000, 9000, 9000), 0)])
    made.results.append(
        made.kernel.step(
            msgspec.structs.replace(make_bar(FLAT, 1), sequence=0),
            make_bar(FLAT, 1).close_time_ns,
            CONTEXT,
            made.runner,
        )
    )
    kernel = rebuild(made.spec, NoRisk(), made.entries)
    assert kernel.head == made.kernel.head
    assert tuple(kernel.activity.closes) == (9000, 10000)


def test_the_hand_written_bar_texts_are_canonical_json() -> None:
    for entry in story().entries:
        for text in (entry.input, entry.output):
            again = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            assert again == text
