"""Every order's end is counted, and what failed is told with its reason and the way on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.bench import ScriptedRunner, buy, make_bar, make_spec, sell

from inalpha.kernel.gateway import NoRisk
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.model.step import Intent
from inalpha.research.backtest import BacktestResult, run_backtest
from inalpha.research.metrics import compute_metrics
from inalpha.research.outcomes import all_denied, is_denied_by_rules, outcomes, reasons
from inalpha.research.report import write_report
from inalpha.research.risk_account import RiskAccount
from inalpha.research.text import report_text
from inalpha.risk.engine import RiskEngine
from inalpha.risk.rules import default_rules

FLAT = (10000, 10000, 10000, 10000)
GAP_UP = (10500, 10500, 10500, 10500)


def run(
    script: dict[int, list[Intent]], *prices: tuple[int, int, int, int], **spec: object
) -> BacktestResult:
    bars = [make_bar(price, n, "1d") for n, price in enumerate(prices)]
    return run_backtest(make_spec(timeframe="1d", **spec), bars, ScriptedRunner(script), NoRisk())


def under_default_rules(script: dict[int, list[Intent]]) -> BacktestResult:
    spec, rules = make_spec(timeframe="1d"), default_rules()
    bars = [make_bar(FLAT, n, "1d") for n in range(6)]
    account = RiskAccount(spec.run, spec.symbol, spec.opening_cash_e8, rules)
    return run_backtest(spec, bars, ScriptedRunner(script), RiskEngine(rules), account)


def all_in(cash: int) -> BacktestResult:
    """An order for the whole account, and a gap before it fills."""
    script = {0: [buy(str(cash // 101))]}
    return run(script, FLAT, GAP_UP, GAP_UP, opening_cash_e8=cash * E8)


def test_ends_are_counted_by_outcome_and_code_with_legs_apart() -> None:
    script = {
        0: [buy("1", stop_loss="90", take_profit="110"), buy("0"), buy("0")],
        2: [sell("1", reduce_only=True), buy("1", limit="50", tif="DAY"), buy("1", limit="50")],
    }
    ended = outcomes(run(script, *[FLAT] * 6))
    assert [(e.state, e.code, e.count) for e in ended if not e.legs] == [
        ("filled", "", 2),
        ("denied", "BAD_QUANTITY", 2),
        ("cancelled", "RUN_ENDED", 1),
        ("expired", "EXPIRED", 1),
    ]
    assert sum(e.count for e in ended if e.legs) == 2
    assert [e.legs for e in ended] == sorted(e.legs for e in ended)


def test_an_order_cancelled_for_cash_is_told_in_every_summary(tmp_path: Path) -> None:
    made = all_in(100_000)
    metrics = compute_metrics(made)
    write_report(made, tmp_path)
    text = " ".join(report_text(made, metrics).split())
    page = (tmp_path / "report.html").read_text()
    report = json.loads((tmp_path / "report.json").read_text())
    assert "no order was filled: 1 cancelled INSUFFICIENT_CASH" in text
    assert "the one order was cancelled INSUFFICIENT_CASH: at the fill the cash did not cover" in text
    assert "orders: 1 cancelled INSUFFICIENT_CASH" in text
    assert page.count("INSUFFICIENT_CASH") == 3
    assert {"legs": False, "state": "cancelled", "code": "INSUFFICIENT_CASH", "count": 1} in report["orders"]
    assert any("the price had moved" in warning for warning in report["warnings"])


def test_a_limit_of_the_rules_is_told_with_its_value_and_a_size_that_fits() -> None:
    made = under_default_rules({n: [buy("2000")] for n in range(4)})
    (told,) = reasons(made)
    assert told.startswith("all 4 orders were denied MAX_ORDER: the order is too large: measured 200 %")
    assert "the limit is 10. Setting: controls.max_order.equity_pct." in told
    assert told.endswith("Order less, such as self.quantity(percent=9).")
    assert is_denied_by_rules(made) and all_denied(made)


def test_a_limit_of_the_position_says_what_it_counts() -> None:
    made = under_default_rules({n: [buy("90")] for n in range(5)})
    (told,) = [text for text in reasons(made) if "MAX_POSITION" in text]
    assert "the limit is 25. Setting: controls.max_position.symbol_pct." in told
    assert told.endswith(
        "It counts the position and every order that works: test self.position, or order less."
    )


def test_a_few_denials_are_told_and_do_not_count_as_most() -> None:
    made = under_default_rules({0: [buy("1")], 1: [buy("2")], 2: [buy("3")], 3: [buy("2000")]})
    assert reasons(made)[0].startswith("one of 4 orders was denied MAX_ORDER")
    assert not is_denied_by_rules(made) and not all_denied(made)


@pytest.mark.parametrize(
    ("asked", "lot", "told"),
    [
        (["0.1"], "1", "0.1 is less than one lot of BTC, which is 1 here. Give the market's own lot, such as"),
        (["0.1"], "1", "such as --lot 0.001, or order more."),
        (["0.377123456789"], "1", "0.377123 is less than one lot of BTC"),
        (["0.00002"], "0.001", "which is 0.001 here. Give the market's own lot, such as --lot 0.00001"),
        (["5"], "100", "such as --lot 1, or order more."),
        (["0.25", "0.1"], "1", "0.1 is less"),
    ],
)  # fmt: skip
def test_a_size_below_a_lot_is_one_sentence_with_the_lot_and_the_option(
    asked: list[str], lot: str, told: str
) -> None:
    script = {n: [buy(size)] for n, size in enumerate(asked)}
    made = run(script, *[FLAT] * 4, instrument=Instrument.from_text("BTC", "0.01", lot))
    assert made.denials == {"BELOW_LOT": len(asked)}
    (found,) = reasons(made)
    assert told in found


def test_ends_that_were_wanted_are_counted_and_not_explained() -> None:
    script = {0: [buy("1", stop_loss="90"), buy("1", limit="50")], 2: [sell("1", reduce_only=True)]}
    made = run(script, *[FLAT] * 5)
    assert reasons(made) == []
    assert not any("no order was filled" in warning for warning in made.warnings)


def test_words_of_a_strategy_cannot_move_the_cursor_of_the_report() -> None:
    script = {0: [buy("1")], 2: [sell("1", reason="\x1b[2Jout\u202e")]}
    made = run(script, *[FLAT] * 5)
    text = report_text(made, compute_metrics(made))
    assert "\\x1b[2Jout\\u202e" in text and "\x1b" not in text
