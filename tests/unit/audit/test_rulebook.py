"""What lines claim of rule files: a tightening is one, and two people signed where the limits demand it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.attacks import Export, load_verifier
from support.forgery import BOB
from support.ledger_story import ACCOUNT, Story

from inalpha.audit.notes import Signer
from inalpha.audit.verify import verify
from inalpha.model.errors import ConfigError
from inalpha.risk.rules import Rules, binding, default_rules, loosens, parse_rules, rules_from_canonical
from inalpha.risk.settings import BOUNDS, Controls

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


DAEMON_SAYS_TIGHTER = [  # each was once told as a loosening, and the honest log as broken
    ("position_guard.atr_multiple", "0", "3"), ("position_guard.trailing_pct", "0", "3"),
    ("position_guard.take_profit_pct", "0", "3"), ("Cooldown.stop_for", "5m", "10m"),
    ("MaxDrawdown.lookback", "24h", "48h"), ("StoplossGuard.per", "symbol", "account"), ("loss_streak.bars", 12, 24),
    ("instrument.min_notional", "0", "10"), ("allow_list.venues", ["replay", "file"], ["replay"]),
    ("market_hours.extended", True, False), ("stale_data.max_lag_s", 60, 30),
]  # fmt: skip


def written(**changes: Any) -> str:
    """A canonical text with other values: {"section.key": value}."""
    body = json.loads(default_rules().canonical)
    for name, value in changes.items():
        section, _, key = name.partition(".")
        if key:
            body["controls"][section][key] = value
        else:
            body[section] = value
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def both(new: str, old: str) -> list[str | None]:
    """What the daemon and both verifiers call looser in new."""
    texts = (new.encode(), old.encode())
    daemon = loosens(rules_from_canonical(new), rules_from_canonical(old))
    return [daemon, load_verifier().looser_setting(*texts)]


@pytest.mark.parametrize(("name", "old", "new"), DAEMON_SAYS_TIGHTER)
def test_what_the_daemon_tightens_is_no_broken_log(tmp_path: Path, name: str, old: Any, new: Any) -> None:
    before, after = written(**{name: old}), written(**{name: new})
    assert both(after, before) == [None] * 2
    assert both(before, after) == [f"controls.{name}"] * 2
    pair = rules_from_canonical(before), rules_from_canonical(after)
    honest, lie = told_as_tighter(tmp_path / "honest", *pair), told_as_tighter(tmp_path / "lie", *pair[::-1])
    assert verify(honest.home).reason is None and Export.of(honest.home).verify()["reason"] is None
    ours = verify(lie.home).reason
    assert ours == Export.of(lie.home).verify()["reason"] and f"controls.{name} is looser" in str(ours)


def values_of(section: str, key: str) -> list[Any]:
    """Values of a setting as a canonical text has them, the edges of its bounds among them."""
    kind = next(field.type for field in msgspec.inspect.type_info(type(getattr(Controls(), section))).fields  # type: ignore[attr-defined]
                if field.name == key)  # fmt: skip
    if isinstance(kind, msgspec.inspect.BoolType):
        return [True, False]
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return [[], ["a"], ["b"], ["a", "b"], ["b", "a"], ["a", "b", "c"]]
    if isinstance(kind, msgspec.inspect.LiteralType):
        return list(kind.values)
    if isinstance(kind, msgspec.inspect.StrType):
        return (
            ["", "08:00", "16:00"]
            if key == "unlock_at"
            else ["", "90s", "1m", "60s", "2m", "119s", "2h", "1d", "30d"]
        )
    if isinstance(kind, msgspec.inspect.IntType):
        low, high = kind.ge or 0, kind.le or 0
        return sorted({low, low + 1, 29, 30, (low + high) // 2, high} - {n for n in (29, 30) if n < low})
    low, high = BOUNDS[section][key]
    return [format(value, "f") for value in (low, low + Decimal("0.5"), Decimal(9), Decimal(10), high)]


EVERY = [
    (name, key)
    for name in Controls.__struct_fields__
    for key in type(getattr(Controls(), name)).__struct_fields__
]


@pytest.mark.parametrize(("section", "key"), EVERY, ids=lambda word: word)
def test_both_comparisons_agree_on_every_setting(section: str, key: str) -> None:
    name, answers = f"{section}.{key}", set()
    for old, new in permutations(values_of(section, key), 2):
        found = both(written(**{name: new}), written(**{name: old}))
        assert found in ([None] * 2, [f"controls.{name}"] * 2), (old, new, found)
        answers.add(found[0])
    assert None in answers or key == "unlock_at"
    assert f"controls.{name}" in answers


@pytest.mark.parametrize(("section", "key"), EVERY, ids=lambda word: word)
def test_an_absent_setting_or_section_is_its_default_for_all_three(section: str, key: str) -> None:
    bare, sparse = json.loads(written()), json.loads(written())
    del bare["controls"][section], sparse["controls"][section][key]
    for value in values_of(section, key):
        whole = written(**{f"{section}.{key}": value})
        for absent in (json.dumps(bare), json.dumps(sparse)):
            assert both(whole, absent) == both(whole, written())
            assert both(absent, whole) == both(written(), whole)
            assert len(set(both(whole, absent))) == len(set(both(absent, whole))) == 1


def test_zone_and_second_operator_are_compared_by_all_three() -> None:
    for new, old in permutations(("UTC", "Europe/Zurich", "America/New_York"), 2):
        assert both(written(zone=new), written(zone=old)) == ["zone"] * 2
        pair = rules_from_canonical(written(zone=new)), rules_from_canonical(written(zone=old))
        assert binding(*pair) is None
    assert both(written(), written(two_person=True)) == ["two_person"] * 2
    assert both(written(two_person=True), written()) == [None] * 2
    with pytest.raises(ConfigError, match="zone"):
        parse_rules('schema = 1\n[controls.drawdown]\npct = 8\n[account.a]\nzone = "Asia/Tokyo"\n', "a")


def test_a_lag_derived_from_the_timeframe_is_neither_tighter_nor_looser() -> None:
    lag = "stale_data.max_lag_s"
    for new, old in ((0, 5), (5, 0), (0, 86_400), (86_400, 0), (6, 5)):
        assert both(written(**{lag: new}), written(**{lag: old})) == [f"controls.{lag}"] * 2
    assert both(written(**{lag: 4}), written(**{lag: 5})) == [None] * 2


def test_the_verifiers_know_every_setting_and_its_default() -> None:
    known = {name: list(settings) for name, settings in load_verifier().RULE_SETTINGS.items()}
    assert known == {
        name: list(type(getattr(Controls(), name)).__struct_fields__) for name in Controls.__struct_fields__
    }


numbers = st.decimals("0.01", "1000", places=2).map(lambda value: format(value, "f"))


@given(st.tuples(numbers, numbers, numbers, numbers, st.booleans(), st.booleans()))
def test_both_comparisons_agree(values: tuple[Any, ...]) -> None:
    first = rules(values[0], str(int(Decimal(values[1]))), "two_person = true\n" if values[4] else "")
    second = rules(values[2], str(int(Decimal(values[3]))), "two_person = true\n" if values[5] else "")
    wanted = loosens(first, second)
    texts = (first.canonical.encode(), second.canonical.encode())
    assert load_verifier().looser_setting(*texts) == wanted


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
