"""The candidate gate on real sandboxes: what passes, what blocks, and whether it says where and why."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.reference_bars import reference_bars

from inalpha.model.errors import Refused
from inalpha.model.instrument import Instrument
from inalpha.research import gate
from inalpha.research.backtest import BacktestResult
from inalpha.research.difference import first_parting
from inalpha.research.figures import Tried
from inalpha.research.gate import judge
from inalpha.research.report import time_text
from inalpha.research.terms import Terms, judged
from inalpha.risk.rules import default_rules

LONG = pytest.mark.campaign


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bars") / "REF-1m.csv"
    lines = ["time,open,high,low,close,volume"]
    for bar in reference_bars(400):
        prices = ",".join(f"{price:.2f}" for price in (bar.open, bar.high, bar.low, bar.close))
        lines.append(f"{time_text(bar.open_time_ns)},{prices},{bar.volume:.0f}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(autouse=True)
def few_prefixes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PREFIXES", 2)


def source(body: str, head: str = "", start: str = "pass") -> bytes:
    return (
        f"{head}\nfrom inalpha import SMA, Strategy\n\n\nclass Mine(Strategy):\n"
        f"    def on_start(self):\n{textwrap.indent(textwrap.dedent(start).strip(), ' ' * 8)}\n\n"
        f"    def on_bar(self, bar):\n{textwrap.indent(textwrap.dedent(body).strip(), ' ' * 8)}\n"
    ).encode()


def checks(evidence: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    assert all(set(check) == {"name", "passed", "detail"} for check in evidence["checks"])
    return {check["name"]: (check["passed"], check["detail"]) for check in evidence["checks"]}


CROSS = source(
    """
    if self.slow.value is None or self.orders:
        return
    if self.fast.value > self.slow.value and self.position.is_flat:
        self.buy(10)
    elif self.fast.value < self.slow.value and self.position.is_long:
        self.close()
    """,
    start="self.fast, self.slow = self.indicator(SMA(5)), self.indicator(SMA(12))",
)


@cache
def honest(bars: Path) -> dict[str, Any]:
    """Judged once for all tests that only read it."""
    return judge(CROSS, bars)


def test_an_honest_candidate_passes_with_figures_beside_buy_and_hold(bars: Path) -> None:
    evidence = honest(bars)
    found = checks(evidence)
    assert evidence["passed"], found
    assert list(found) == [
        "lint", "bars", "sandbox", "contract", "determinism", "causality", "backtest", "out of sample",
        "bootstrap", "sensitivity",
    ]  # fmt: skip
    assert "by buy and hold" in found["backtest"][1]
    parts = evidence["out_of_sample"]
    assert (parts["before"]["bars"], parts["after"]["bars"]) == (280, 120)


def test_a_file_that_is_no_strategy_blocks_before_anything_runs() -> None:
    evidence = judge(b"import os\nopen('x')\n", None)
    assert not evidence["passed"]
    assert list(checks(evidence)) == ["lint"]
    assert "want one Strategy subclass" in checks(evidence)["lint"][1]


def test_a_missed_deadline_blocks(bars: Path) -> None:
    evidence = judge(source("while bar.sequence == 5: pass"), bars)
    assert not evidence["passed"]
    assert "on_bar at bar 5" in checks(evidence)["contract"][1]


def test_a_backtest_that_cannot_be_made_blocks(bars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise Refused("NO_FIGURES", "the backtest gave none.")

    monkeypatch.setattr(gate, "figures", broken)
    assert not judge(CROSS, bars)["passed"]


def test_figures_never_block(bars: Path) -> None:
    losing = source("if not self.orders: self.target(10 if bar.sequence % 2 else 0)")
    evidence = judge(losing, bars)
    assert evidence["passed"]
    assert evidence["metrics"]["total_return"] < 0


def test_evidence_holds_equity_beside_buy_and_hold_intervals_and_decay(bars: Path) -> None:
    evidence = honest(bars)
    assert len(evidence["curve"]["equity"]) == len(evidence["curve"]["buy_and_hold"]) == 120
    assert evidence["curve"]["equity"][-1] == pytest.approx(float(evidence["final_equity"]))
    assert "stationary bootstrap" in evidence["bootstrap"]["method"]
    assert json.loads(json.dumps(evidence, allow_nan=False))


def test_a_first_try_is_not_deflated_and_a_later_one_is(bars: Path) -> None:
    others = [
        Tried("cand-a", "REF", "1m", 0.5), Tried("cand-b", "REF", "1m", -0.5), Tried("cand-c", "X", "1m", 0.1)
    ]  # fmt: skip
    days = bars.with_name("REF-1d.csv")
    lines = bars.read_text().splitlines()
    first = datetime(2020, 1, 1, tzinfo=UTC)
    dated = [
        f"{first + timedelta(days=n):%Y-%m-%d},{line.partition(',')[2]}" for n, line in enumerate(lines[1:])
    ]
    days.write_text("\n".join([lines[0], *dated]) + "\n")
    assert "deflated_sharpe" not in judge(CROSS, days)
    evidence = judge(CROSS, days, [replace(other, timeframe="1d") for other in others])
    assert evidence["deflated_sharpe"]["trials"] == 3
    assert evidence["deflated_sharpe"]["lineage"] == ["cand-a", "cand-b"]
    assert "of 3 tries" in checks(evidence)["deflated sharpe"][1]


def test_few_trades_warn_and_pass(bars: Path) -> None:
    evidence = judge(source("if bar.sequence == 5: self.buy(1)\nif bar.sequence == 9: self.close()"), bars)
    assert evidence["passed"]
    assert any("1 closed trades" in warning for warning in evidence["warnings"])


def test_a_strategy_that_never_orders_warns_and_passes(bars: Path) -> None:
    evidence = judge(source("pass"), bars)
    assert evidence["passed"]
    assert "no orders" in checks(evidence)["out of sample"][1]


@pytest.mark.parametrize(
    ("head", "body", "decides", "cause"),
    [
        ("import random", "self.buy(random.randint(1, 10**9))", "chance or the clock", "UNSEEDED_RANDOM"),
        ("", "self.log(''.join({'a','b','c','d','e','f','g','h'}))", "the hash seed", "SET_ORDER"),
        pytest.param("", "self.log(hash('word'))", "the hash seed", "BANNED_CALL", marks=LONG),
        ("import time", "self.log(time.time())", "chance or the clock", "WALL_CLOCK"),
        pytest.param(
            "import datetime", "self.log(datetime.datetime.now())", "chance or the clock", "WALL_CLOCK",
            marks=LONG,
        ),
    ],
    ids=["unseeded random", "order of a set", "hash", "time.time", "datetime.now"],
)  # fmt: skip
def test_chance_is_named_with_its_bar_run_and_cause(
    bars: Path, head: str, body: str, decides: str, cause: str
) -> None:
    evidence = judge(source(f"if bar.sequence == 7: {body}", head), bars)
    passed, told = checks(evidence)["determinism"]
    assert not passed and not evidence["passed"]
    assert told.startswith("bar 7: "), told
    assert " in run 1 (hash seed 0), " in told and " in run 2 (hash seed 4242, started later)." in told, told
    assert f"{decides} decides" in told, told
    assert f"{cause} on line" in told, told


def test_a_set_that_two_hash_seeds_order_alike_is_still_found(bars: Path) -> None:
    """Seeds 0 and 4242 happen to agree on this set's first word; others do not."""
    body = "if bar.sequence == 7: self.buy(len(list({'a', 'bb', 'ccc', 'dddd', 'eeeee'})[0]))"
    passed, told = checks(judge(source(body), bars))["determinism"]
    assert not passed
    assert "the hash seed decides. Likely: SET_ORDER on line 10." in told, told


def test_an_indicator_that_looks_ahead_blocks_and_is_named(bars: Path) -> None:
    start = "self.mean = self.ta(lambda c: c.rolling(9, center=True).mean(), 'close', lookback=40)"
    evidence = judge(source("pass", start=start), bars)
    passed, told = checks(evidence)["causality"]
    assert not passed and not evidence["passed"]
    assert told.startswith("line 7: self.mean = self.ta(lambda, close, lookback=40) looks ahead: bar "), told
    assert any(finding["code"] == "CENTRED_WINDOW" for finding in evidence["findings"])


def test_an_exception_blocks_with_its_line(bars: Path) -> None:
    evidence = judge(source("if bar.sequence == 20: 1 / 0"), bars)
    passed, told = checks(evidence)["contract"]
    assert not passed and "ZeroDivisionError" in told


def test_too_few_bars_block(tmp_path: Path, bars: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("\n".join(bars.read_text().splitlines()[:200]) + "\n")
    evidence = judge(CROSS, short)
    assert checks(evidence)["bars"] == (False, "199 bars, 300 are needed")
    assert not evidence["passed"]


def test_a_prefix_answered_otherwise_names_bar_and_words(bars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy that could see how many bars follow; none can through the sandbox, so the feed is bent."""
    real = gate._backtest

    def bent(code: bytes, data: Any, count: int, sandbox: Any, entries: list[Any]) -> BacktestResult:
        told = code if count == len(data.bars) else code.replace(b"self.buy(3)", b"self.buy(4)")
        return real(told, data, count, sandbox, entries)

    monkeypatch.setattr(gate, "_backtest", bent)
    evidence = judge(source("if bar.sequence == 11: self.buy(3)"), bars)
    passed, told = checks(evidence)["causality"]
    assert not passed
    assert told.startswith('bar 11: intent 0, quantity "3" in the full run, "4" in one of 133 bars.')


def test_equal_runs_do_not_part() -> None:
    assert first_parting([], []) is None


def test_a_candidate_whose_every_order_is_denied_blocks_with_code_and_fix(bars: Path) -> None:
    evidence = judge(source("if not self.orders.entries: self.buy(0.1)"), bars)
    passed, told = checks(evidence)["contract"]
    assert not passed and not evidence["passed"]
    assert "all 400 orders were denied BELOW_LOT" in told and "--lot 0.001" in told
    assert "[instruments.REF] in inalpha.toml" in told
    assert evidence["orders"] == [{"legs": False, "state": "denied", "code": "BELOW_LOT", "count": 400}]
    evidence = judge(source("self.buy(100000)"), bars)
    told = checks(evidence)["contract"][1]
    assert "denied MAX_ORDER" in told and "self.quantity(percent=9)" in told and "inalpha risk apply" in told


def test_one_order_that_is_taken_among_many_denied_passes_and_is_told(bars: Path) -> None:
    evidence = judge(source("self.buy(1 if bar.sequence == 3 else 100000)"), bars)
    assert evidence["passed"]
    assert any("orders were denied MAX_ORDER" in warning for warning in evidence["warnings"])


def test_the_lot_that_a_run_will_have_decides(bars: Path) -> None:
    rules = default_rules()
    terms = Terms(judged(Instrument.from_text("REF", lot="0.1"), rules), rules)
    evidence = judge(source("if self.position.is_flat: self.buy(0.1)"), bars, terms=terms)
    assert evidence["passed"], checks(evidence)
    assert (evidence["data"]["lot"], evidence["data"]["symbol"]) == ("0.1", "REF")
