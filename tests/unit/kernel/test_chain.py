"""The journal's text: blocks and single entries are the same bytes, and its SHA-256 is the head."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.bench import CONTEXT, Bench, ScriptedRunner, buy, make_bar, make_spec, sell

from inalpha.kernel.chain import BLOCK
from inalpha.kernel.gateway import DirectGateway, NoRisk
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import Command, JournalEntry, StepResult
from inalpha.kernel.replay import rebuild
from inalpha.model.bar import Bar
from inalpha.research.report import JournalFile, read_journal

SCRIPT = {3: [buy("10", stop_loss="95")], 40: [sell("4")], 700: [buy("0")], 701: [{"cancel": "9:9"}]}
BARS = 2 * BLOCK + 100


def bars(count: int = BARS) -> list[Bar]:
    return [make_bar((10000 + n % 7, 10010 + n % 7, 9990 + n % 7, 10000 + n % 5), n) for n in range(count)]


def feed(kernel: Kernel, given: Sequence[Bar], lag_every: int = 0) -> list[StepResult]:
    runner = ScriptedRunner(SCRIPT)
    results = []
    for bar in given:
        lag = 5 if lag_every and bar.sequence % lag_every == 0 else 0
        results.append(kernel.step(bar, bar.close_time_ns + lag, CONTEXT, runner))
        if bar.sequence == 500:
            kernel.anomaly("GAP", "1 bar missing (unknown)")
            kernel.command(Command("cancel", kernel.now_ns, intent="3:0:stop_loss"), CONTEXT)
    return results


def by_lines(given: Sequence[Bar], lag_every: int = 0) -> tuple[Kernel, bytes]:
    parts: list[bytes] = []
    kernel = Kernel(make_spec(), NoRisk(), DirectGateway(), lines=parts.append)
    feed(kernel, given, lag_every)
    kernel.chain.flush()
    return kernel, b"".join(parts)


@pytest.mark.parametrize("lag_every", [0, 3])
def test_blocks_are_the_bytes_of_single_entries(lag_every: int) -> None:
    entries: list[JournalEntry] = []
    single = Kernel(make_spec(), NoRisk(), DirectGateway(), journal=entries.append)
    feed(single, bars(), lag_every)
    blocks, text = by_lines(bars(), lag_every)
    assert text == "".join(f'["{e.kind}",{e.input},{e.output}]\n' for e in entries).encode()
    assert blocks.head == single.head == hashlib.sha256(text).hexdigest() == entries[-1].head


def test_each_head_is_the_hash_of_the_text_so_far() -> None:
    entries: list[JournalEntry] = []
    kernel = Kernel(make_spec(), NoRisk(), DirectGateway(), journal=entries.append)
    feed(kernel, bars(20))
    text = b""
    for entry in entries:
        text += f'["{entry.kind}",{entry.input},{entry.output}]\n'.encode()
        assert entry.head == hashlib.sha256(text).hexdigest()


def test_asking_for_the_head_changes_nothing() -> None:
    quiet, _ = by_lines(bars(50))
    asked = Kernel(make_spec(), NoRisk(), DirectGateway(), lines=lambda text: None)
    runner = ScriptedRunner(SCRIPT)
    heads = set()
    for bar in bars(50):
        asked.step(bar, bar.close_time_ns, CONTEXT, runner)
        heads.add(asked.head)
    assert asked.head == quiet.head
    assert len(heads) == 50


def test_a_journal_file_is_its_runs_entries_and_replays(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with JournalFile(path) as file:
        kernel = Kernel(make_spec(), NoRisk(), DirectGateway(), lines=file.write)
        feed(kernel, bars())
        kernel.chain.flush()
    entries = list(read_journal(path))
    assert entries[-1].head == kernel.head == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [entry.n for entry in entries] == list(range(len(entries)))
    assert entries[-1].bar == BARS - 1
    assert rebuild(make_spec(), NoRisk(), entries).head == kernel.head


def test_a_bar_has_an_entry_only_where_entries_are_kept() -> None:
    made = Bench(make_spec(), {})
    assert made.feed((10000, 10000, 10000, 10000)).entry.kind == "bar"
    kernel = Kernel(make_spec(), NoRisk(), DirectGateway(), lines=lambda text: None)
    for result in feed(kernel, bars(2)):
        with pytest.raises(LookupError):
            _ = result.entry
