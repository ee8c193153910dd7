"""risk.toml: strict, named by key, hashed as resolved; accounts only tighten."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from inalpha.model.errors import ConfigError
from inalpha.risk.rules import (
    default_rules,
    default_text,
    is_loosening,
    load_rules,
    parse_rules,
    rules_from_canonical,
    text_in_force,
)

BAD = [
    ("schema = 1\n[controls.max_drawdwn]\npct = 1", "max_drawdwn"),
    ("schema = 1\n[controls.drawdown]\npcct = 1", "pcct"),
    ("schema = 1\n[controls.drawdown]\npct = 'x'", "pct"),
    ("schema = 1\n[controls.drawdown]\npct = 300", "drawdown.pct"),
    ("schema = 1\n[controls.drawdown]\npct = nan", "drawdown.pct"),
    ("schema = 1\n[controls.drawdown]\npct = -1", "drawdown.pct"),
    ("schema = 2\n[controls.drawdown]\npct = 1", "schema"),
    ("schema = 1\nzoon = 'UTC'\n[controls.drawdown]\npct = 1", "zoon"),
    ("schema = 1\nzone = 'Mars/Base'\n[controls.drawdown]\npct = 1", "zone"),
    ("schema = 1\n[controls.order_rate]\nper_bar = true", "per_bar"),
    ("schema = 1\n[controls.instrument]\nenabled = false", "controls.instrument"),
    ("schema = 1\n[controls.instrument]\nmin_notional = -1", "instrument.min_notional"),
    ("schema = 1\n[controls.allow_list]\nsymbols = 'GOOG'", "symbols"),
    ("schema = 1\n[controls.market_hours]\nextended = 'yes'", "extended"),
    ("schema = 1\n[controls.stale_data]\nmax_age_bars = 0.5", "stale_data.max_age_bars"),
    ("schema = 1\n[controls.stale_data]\nmax_skew_s = nan", "stale_data.max_skew_s"),
    ("schema = 1\n[controls.MarketHour]\nenabled = true", "MarketHours"),
    ("schema = 1\n[controls.monitoring]\nescalate_s = 0", "escalate_s"),
    ("schema = 1\n[controls", "TOML"),
    ("schema = 1\n[controls.drawdown]\npct = 3\n[account.a.controls.drawdown]\npct = 5", "drawdown.pct"),
    ("schema = 1\n[controls.drawdown]\n[account.a.controls.drawdown]\nenabled = false", "drawdown.enabled"),
]


@pytest.mark.parametrize(("text", "named"), BAD, ids=[named for _, named in BAD])
def test_a_bad_file_is_refused_naming_the_key(text: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(text, "a")
    assert caught.value.exit_code == 78
    assert named in str(caught.value)


def test_a_misspelt_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean max_position"):
        parse_rules("schema = 1\n[controls.max_positon]\nsymbol_pct = 5")


@pytest.mark.parametrize("text", [None, "", "  \n", "schema = 1\n"])
def test_no_rules_means_no_start(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "risk.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_rules(path)
    assert caught.value.code == "NO_RISK_RULES"


def test_the_written_defaults_are_the_defaults() -> None:
    assert parse_rules(default_text()).sha256 == default_rules().sha256


def test_an_absent_section_means_its_default() -> None:
    assert parse_rules("schema = 1\n[controls.drawdown]\npct = 10").sha256 == default_rules().sha256


def test_an_account_tightens_its_own_rules_only() -> None:
    text = "schema = 1\n[controls.drawdown]\npct = 8\n[account.a.controls.drawdown]\npct = 5"
    assert str(parse_rules(text, "a").controls.drawdown.pct) == "5"
    assert str(parse_rules(text, "b").controls.drawdown.pct) == "8"


def test_rules_survive_their_canonical_text() -> None:
    rules = parse_rules("schema = 1\n[controls.max_order]\nequity_pct = 7.5")
    assert rules_from_canonical(rules.canonical) == rules


def test_loosening_is_named_and_tightening_is_not() -> None:
    base = default_rules().controls
    looser = parse_rules("schema = 1\n[controls.max_order]\nequity_pct = 11").controls
    tighter = parse_rules("schema = 1\n[controls.max_order]\nnotional = 500").controls
    assert is_loosening(looser, base) == "controls.max_order.equity_pct"
    assert is_loosening(tighter, base) is None
    assert is_loosening(base, tighter) == "controls.max_order.notional"


@pytest.mark.parametrize(
    ("tight", "loose", "named"),
    [
        ("allow_list.symbols = ['A']", "allow_list.symbols = ['A', 'B']", "allow_list.symbols"),
        ("allow_list.venues = ['file']", "allow_list.venues = []", "allow_list.venues"),
        ("instrument.min_notional = 10", "instrument.min_notional = 9", "instrument.min_notional"),
        ("market_hours.extended = false", "market_hours.extended = true", "market_hours.extended"),
        ("MarketHours.enabled = true", "MarketHours.enabled = false", "MarketHours.enabled"),
        ("stale_data.max_skew_s = 1", "stale_data.max_skew_s = 2", "stale_data.max_skew_s"),
        ("direction.restricted = ['A']", "direction.restricted = []", "direction.restricted"),
    ],
)
def test_each_new_setting_knows_which_way_is_tighter(tight: str, loose: str, named: str) -> None:
    small, large = (parse_rules(f"schema = 1\n[controls]\n{text}\n").controls for text in (tight, loose))
    assert is_loosening(large, small) == f"controls.{named}"
    assert is_loosening(small, large) is None
    assert is_loosening(small, small) is None


def test_rules_of_an_earlier_text_keep_the_digest_that_was_signed() -> None:
    """A mandate signed before a section existed: its defaults hold, and its digest is still the mandate's."""
    whole = json.loads(default_rules().canonical)
    for name in ("allow_list", "instrument", "market_hours", "MarketHours", "monitoring"):
        del whole["controls"][name]
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    found = rules_from_canonical(text)
    assert found.controls == default_rules().controls
    assert (found.canonical, found.sha256) == (text, hashlib.sha256(text.encode()).hexdigest())


def test_what_is_always_on_is_no_rule_to_start_on_and_needs_no_waiver() -> None:
    names = [name for name in default_rules().controls.__struct_fields__ if name != "instrument"]
    off = "\n".join(f"{name}.enabled = false" for name in names)
    rules = parse_rules(f"schema = 1\n[controls]\n{off}\n")
    assert rules.active == 0 and rules.disabled == names


def test_rules_in_force_become_a_file_again() -> None:
    text = """schema = 1
zone = "Europe/Zurich"
[controls.max_order]
equity_pct = 7.5
[controls.allow_list]
symbols = ['a"b', "Zürich"]
[controls.Cooldown]
stop_for = ""
unlock_at = "08:00"
[account.bob]
two_person = true
[account.bob.controls.drawdown]
pct = 5
"""
    in_force = {name: rules_from_canonical(parse_rules(text, name).canonical) for name in ("bob", "anna")}
    made = text_in_force(in_force)
    assert made is not None
    assert {name: parse_rules(made, name) for name in in_force} == in_force
    others = {"anna": default_rules(), "bob": parse_rules(text)}
    assert text_in_force(others) is None  # two zones are two files
