"""What lines claim of rule files: a tightening is one, and two people signed where the limits demand it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.attacks import Export, load_verifier
from support.forgery import BOB
from support.ledger_story import ACCOUNT, Story

from inalpha.audit.notes import Signer
from inalpha.audit.verify import verify
from inalpha.risk.rules import Rules, default_rules, loosens, parse_rules

BASE = 'schema = 1\nzone = "UTC"\n{top}[controls.max_order]\nequity_pct = {pct}\nnotional = {notional}\n'


def rules(pct: str = "10", notional: str = "0", top: str = "", more: str = "") -> Rules:
    return parse_rules(BASE.format(pct=pct, notional=notional, top=top) + more)


LOOSER: dict[str, tuple[Rules, Rules]] = {
    "controls.max_order.equity_pct": (rules("10.5"), rules("10")),
    "controls.max_order.notional": (rules(notional="0"), rules(notional="500")),
    "controls.direction.long_only": (rules(more="[controls.direction]\nlong_only = false\n"), rules()),
    "controls.drawdown.enabled": (rules(more="[controls.drawdown]\nenabled = false\n"), rules()),
    "controls.direction.restricted": (rules(), rules(more='[controls.direction]\nrestricted = ["GOOG"]\n')),
    "two_person": (rules(), rules(top="two_person = true\n")),
}


def told_as_tighter(home: Path, old: Rules, new: Rules) -> Story:
    """A daemon that lies: it writes new as a tightening of old."""
    story = Story(home).create()
    for name, text in (("loosen", old), ("tighten", new)):
        data = {"account": ACCOUNT, "direction": name, "rules_sha256": text.sha256}
        story.do(lambda txn, text=text: txn.blob(text.canonical.encode()))
        if name == "loosen":
            story.gated("limits.set", data)
        else:
            story.do(lambda txn, data=data: txn.line("limits.set", "system:daemon", data))
    story.close()
    return story


@pytest.mark.parametrize("setting", LOOSER)
def test_loosening_told_as_tightening_is_named(tmp_path: Path, setting: str) -> None:
    new, old = LOOSER[setting]
    story = told_as_tighter(tmp_path / "home", old, new)
    ours, alone = verify(story.home), Export.of(story.home).verify()
    assert ours.reason is not None and ours.reason == alone["reason"]
    assert ours.reason.startswith("I19 at line") and f"{setting} is looser" in ours.reason
    honest = told_as_tighter(tmp_path / "honest", new, old)
    assert verify(honest.home).reason is None
    assert Export.of(honest.home).verify()["reason"] is None


numbers = st.decimals("0.01", "1000", places=2).map(lambda value: format(value, "f"))


@given(st.tuples(numbers, numbers, numbers, numbers, st.booleans(), st.booleans()))
def test_both_comparisons_agree(values: tuple[Any, ...]) -> None:
    first = rules(values[0], str(int(Decimal(values[1]))), "two_person = true\n" if values[4] else "")
    second = rules(values[2], str(int(Decimal(values[3]))), "two_person = true\n" if values[5] else "")
    wanted = loosens(first, second)
    texts = (first.canonical.encode(), second.canonical.encode())
    assert (load_verifier().looser_setting(*texts) is None) == (wanted is None)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{", b'{"controls":[]}', b'{"controls":{"max_order":{"equity_pct":"x"}}}', b"[" * 99999],
)
def test_spoilt_rule_files_allow_more_and_break_nothing(text: bytes) -> None:
    honest = default_rules().canonical.encode()
    assert load_verifier().looser_setting(text, honest) is not None
    load_verifier().looser_setting(honest, text)


def promoted(home: Path, second: Callable[[Story, str, dict[str, Any]], str | None]) -> Story:
    """A candidate promoted under limits that demand two people; second makes the other gate."""
    story = Story(home).create()
    vkey = Signer(f"{story.ledger.origin}/op/bob", BOB).vkey.text
    story.gated("key.enrol", {"principal": "op:bob", "role": "operator", "sponsor": None, "vkey": vkey})
    text = rules(top="two_person = true\n")
    story.do(lambda txn: txn.blob(text.canonical.encode()))
    story.gated("limits.set", {"account": ACCOUNT, "direction": "loosen", "rules_sha256": text.sha256})

    def submit(txn: Any) -> tuple[str, str]:
        sha256, why = txn.blob(b"class S: pass\n"), txn.commit_text("trend")
        data = {"candidate": f"cand-{sha256[:12]}", "owner_account_id": ACCOUNT, "rationale_commit": why,
                "sha256": sha256, "size": 14}  # fmt: skip
        txn.line("candidate.submit", "op:anna", data)
        passed = {"candidate": data["candidate"], "evidence_sha256": txn.blob(b"{}"), "result": "pass"}
        txn.line("candidate.gate", "system:daemon", {**passed, "sha256": sha256})
        return sha256, why

    sha256, why = story.do(submit)
    data = {"candidate": f"cand-{sha256[:12]}", "reason_commit": why, "sha256": sha256}
    gate, gate2 = story.gate("candidate.promote", data), second(story, "candidate.promote", data)
    try:
        story.do(lambda txn: txn.line("candidate.promote", "op:anna", data, gate=gate, gate2=gate2))
    finally:
        story.close()
    return story


def by_bob(story: Story, kind: str, data: dict[str, Any], **changes: Any) -> str:
    return story.gate(kind, data, signer=Signer(f"{story.ledger.origin}/op/bob", BOB), **changes)


def test_promotion_by_two_holds_and_by_one_is_named(tmp_path: Path) -> None:
    both = promoted(tmp_path / "both", by_bob)
    assert verify(both.home).reason is None
    assert Export.of(both.home).verify()["reason"] is None
    alone = promoted(tmp_path / "alone", lambda *_: None)
    ours, theirs = verify(alone.home).reason, Export.of(alone.home).verify()["reason"]
    assert ours is not None and ours == theirs
    assert ours.startswith("C8 at line") and "GATE_SECOND" in ours


@pytest.mark.parametrize(
    ("code", "second"),
    [
        ("GATE_ACTOR", lambda story, kind, data: story.gate(kind, data)),
        ("GATE_SUBJECT", lambda story, kind, data: by_bob(story, kind, data | {"sha256": "e" * 64})),
        ("GATE_ACTION", lambda story, kind, data: by_bob(story, "candidate.revoke", data)),
    ],
)
def test_second_gate_is_checked_like_the_first(
    tmp_path: Path, code: str, second: Callable[[Story, str, dict[str, Any]], str]
) -> None:
    with pytest.raises(Exception, match=code):
        promoted(tmp_path / "home", second)


def test_rules_keep_their_digest_without_the_option() -> None:
    assert "two_person" not in json.loads(rules().canonical)
    assert rules(top="two_person = false\n").sha256 == rules().sha256
    assert json.loads(rules(top="two_person = true\n").canonical)["two_person"] is True
