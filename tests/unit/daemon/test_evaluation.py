"""What a candidate is judged as: the submitted options, else the home's market, under the account's own terms."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from inalpha.daemon.config import Account, Config, Fills, Market
from inalpha.daemon.evaluation import find_terms, read_market
from inalpha.model.errors import Refused
from inalpha.research.terms import Terms
from inalpha.risk.rules import default_rules, parse_rules

COIN = Config(instruments={"BTC": Market(tick="0.5", lot="0.001", calendar="24/7", currency="EUR")})


def call(market: object) -> Any:
    args = {"market": market}
    return SimpleNamespace(args=args, mapping=lambda key: args[key])


def told(terms: Terms) -> tuple[str, str, str, str]:
    made = terms.spec.instrument
    return made.symbol, made.price_text(1), made.quantity_text(1), made.calendar


def test_a_market_of_the_settings_is_found_by_the_name_of_the_bars() -> None:
    terms = find_terms(COIN, default_rules(), "/data/btc-1h.csv", {})
    assert told(terms) == ("BTC", "0.5", "0.001", "24/7")
    assert terms.spec.instrument.currency == "EUR" and terms.keep_tick


def test_options_go_before_the_settings() -> None:
    market = {"symbol": "BTC", "tick": "0.1", "lot": "0.01", "calendar": "weekdays"}
    assert told(find_terms(COIN, default_rules(), "/data/x.csv", market)) == (
        "BTC",
        "0.1",
        "0.01",
        "weekdays",
    )


def test_options_that_a_run_would_not_have_are_told_with_the_lines_to_write() -> None:
    market = {"symbol": "BTC", "lot": "0.01", "tick": "0.5"}
    (note,) = find_terms(COIN, default_rules(), None, market).notes
    assert note == 'a run of BTC reads [instruments.BTC] of inalpha.toml: write lot = "0.01" there'
    assert find_terms(COIN, default_rules(), None, {"symbol": "BTC", "lot": "0.001"}).notes == ()


def test_an_unknown_market_has_the_defaults_of_a_run_and_the_bundled_bars_their_calendar() -> None:
    terms = find_terms(Config(), default_rules(), "/data/ETH-1d.csv", {})
    assert told(terms) == ("ETH", "0.01", "1", "24/7") and not terms.keep_tick
    assert told(find_terms(Config(), default_rules(), None, {})) == ("GOOG", "0.01", "1", "weekdays")
    assert told(find_terms(COIN, default_rules(), None, {"symbol": "BTC"}))[2:] == ("0.001", "24/7")


def test_costs_shorts_and_rules_are_those_of_a_run() -> None:
    rules = parse_rules("schema = 1\n[controls.direction]\nlong_only = false\n")
    config = Config(account=Account(fee_bps=3, allow_short=True), fills=Fills(slippage="ticks:1"))
    terms = find_terms(config, rules, None, {})
    spec = terms.spec
    assert (spec.fee.text, spec.slippage.kind, spec.allow_short) == ("bps 3", "ticks", True)
    assert spec.rules_sha256 == rules.sha256
    assert Terms.from_dict(msgspec.json.decode(msgspec.json.encode(terms.as_dict()))) == terms


@pytest.mark.parametrize(
    ("market", "code"),
    [
        ({"lot": "0"}, "INSTRUMENT"),
        ({"tick": "ten"}, "INSTRUMENT"),
        ({"symbol": ""}, "INSTRUMENT"),
        ({"calendar": "moon"}, "INSTRUMENT"),
        ({"lot": 1}, "MARKET"),
        ({"lots": "1"}, "MARKET"),
        ({"symbol": "X" * 65}, "MARKET"),
    ],
)
def test_a_market_that_cannot_be_is_refused(market: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refused:
        read_market(call(market))
    assert refused.value.code == code and refused.value.fix


def test_a_submission_without_a_market_names_none() -> None:
    assert read_market(call(None)) == {}
    assert read_market(call({"lot": "0.1", "tick": None})) == {"lot": "0.1"}
