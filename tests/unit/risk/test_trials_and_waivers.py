"""What a list of venues is not about, and what the owner's waiver of a lock lifts for one run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.risk import NOW, make_order, make_view

from inalpha.model.instrument import Instrument
from inalpha.model.risk import TRIAL, Stage
from inalpha.risk.engine import RiskEngine
from inalpha.risk.rules import default_rules, parse_rules

HOUR = 3_600_000_000_000
SATURDAY = NOW + ((2 - NOW // (24 * HOUR)) % 7) * 24 * HOUR  # 1970-01-01 was a Thursday


@pytest.mark.parametrize(("venue", "codes"), [(TRIAL, set()), ("replay", set()), ("file", {"ALLOW_LIST"})])
def test_a_list_of_venues_is_about_runs_and_not_about_trials(venue: str, codes: set[str]) -> None:
    rules = parse_rules('schema = 1\n[controls.allow_list]\nvenues = ["replay"]')
    view = make_view(venue=venue, timeframe="1d", candidate="0" * 64)
    assert {refusal.code for refusal in RiskEngine(rules).check(make_order(), view, Stage.ADVICE)} == codes


@pytest.mark.parametrize("lifted", [(), ("MarketHours",)])
def test_a_waiver_of_market_hours_lifts_the_lock_and_not_the_control(lifted: tuple[str, ...]) -> None:
    view = make_view(
        instrument=Instrument("X", calendar="weekdays"), timeframe_ns=HOUR, now_ns=SATURDAY + 12 * HOUR
    )
    view = replace(view, account=replace(view.account, lifted=lifted))
    codes = [refusal.code for refusal in RiskEngine(default_rules()).check(make_order(), view, Stage.ADVICE)]
    assert "MARKET_HOURS" in codes and ("LOCKED" in codes) is (not lifted)


@pytest.mark.parametrize("lifted", [(), ("daily_loss",)])
def test_a_waiver_of_the_days_loss_lifts_the_control_with_its_lock(lifted: tuple[str, ...]) -> None:
    view = make_view(own_cash_flow_e8=-3_000 * 10**8)
    view = replace(view, account=replace(view.account, lifted=lifted))
    codes = {refusal.code for refusal in RiskEngine(default_rules()).check(make_order(), view, Stage.ADVICE)}
    assert ("DAILY_LOSS" in codes) is (not lifted)
