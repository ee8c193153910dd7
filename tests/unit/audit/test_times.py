"""Times that nobody can take back: a fill lies between two cosignatures, whatever time its line tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.attacks import Export, load_verifier
from support.forgery import events_of, verdicts, where
from support.ledger_story import LAST_CLOSE, Story
from support.mutation import Thief
from support.rare_story import cosigned, witness_key

from inalpha.audit.checkpoint import parse_note
from inalpha.execution import lines

SECOND = 1_000_000
HOUR_US = 3600 * SECOND


def two_fills(home: Path, slow_us: int) -> Story:
    """A cosignature, a fill, a cosignature, a fill. slow_us: how much the log's clock is behind the witness's."""
    story = Story(home).create().prepare()
    sha256 = str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))
    key = witness_key(story.ledger.origin).text
    run = story.start(story.mandate(sha256))
    for bar, side in ((0, "buy"), (2, "sell")):
        if bar == 0:
            story.gated("key.enrol", {"principal": None, "role": "witness", "sponsor": None, "vkey": key})
        cosign(story, slow_us)
        plan, order = story.bar(run, bar, 1, lambda txn, b=bar, s=side: story.order(txn, run, b, side=s))
        told = (plan, order, "0.5", LAST_CLOSE, "0")
        story.bar(run, bar + 1, 0, lambda txn, told=told: lines.record_fill(txn, *told))
        story.gated("account.deposit", {"account": story.do(_account), "amount": "1"})
    cosign(story, slow_us)
    story.close()
    return story


def _account(txn) -> str:  # type: ignore[no-untyped-def]
    return str(txn.conn.execute("SELECT account FROM account").fetchone()[0])


def cosign(story: Story, slow_us: int) -> None:
    head = (story.home / "head.checkpoint").read_bytes()
    note = cosigned(head, (story.clock.wall_us + slow_us) // SECOND)
    told = {"note": note, "size": parse_note(head).size, "witness": witness_key(story.ledger.origin).name}
    story.do(lambda txn: txn.line("witness.cosign", "system:daemon", told))


def test_each_fill_is_reported_between_its_cosignatures(tmp_path: Path) -> None:
    found = Export.of(two_fills(tmp_path / "home", 0).home).verify()
    assert found["reason"] is None
    assert [fill["fill"] for fill in found["fills"]] == ["fill-1", "fill-2"]
    for fill in found["fills"]:
        assert fill["not_before"] * SECOND <= fill["ts"] < (fill["not_after"] + 1) * SECOND
        assert not fill["outside"]
    assert found["fills"][0]["not_after"] <= found["fills"][1]["not_before"]


def test_log_whose_clock_tells_an_earlier_hour_is_told_as_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All lines backdated alike break no order and no gate: what the witness saw is all that tells."""
    export = Export.of(two_fills(tmp_path / "home", HOUR_US).home)
    found = export.verify()
    assert found["reason"] is None
    assert [fill["outside"] for fill in found["fills"]] == [True, True]
    assert load_verifier().main([str(export.path), "--genesis", export.genesis]) == 0
    assert capsys.readouterr().out.count("outside of what witnesses swear to: not before 20") == 2


def test_fill_backdated_alone_breaks_the_order_of_the_lines(tmp_path: Path) -> None:
    story = two_fills(tmp_path / "home", 0)
    events = events_of(story.home)
    at = where(events, "fill")[0]
    earlier = [*events[:at], replace(events[at], ts=events[at].ts - HOUR_US), *events[at + 1 :]]
    assert verdicts(Thief(story, events).entries) == (None, None)
    assert verdicts(Thief(story, earlier).entries) == ((at, "I18"), (at, "I18"))
