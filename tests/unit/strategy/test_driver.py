"""A strategy's life: callbacks, orders, events, errors, and what it may see."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from support.bench import Bench, make_spec

from inalpha.model.step import Intent
from inalpha.strategy.driver import StrategyDriver
from inalpha.strategy.loader import StrategyLoadError, load_strategy, read_params
from inalpha.strategy.numbers import wire_text
from inalpha.strategy.params import BadParam

HEAD = "from inalpha import Strategy, SMA\nclass Mine(Strategy):\n"
FLAT = (10000, 10000, 10000, 10000)


def driver(body: str, **params: object) -> StrategyDriver:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    spec = make_spec()
    made = StrategyDriver(
        load_strategy((HEAD + lines).encode(), "strategy"), params, spec.instrument, "1m", spec.seed
    )
    made.start()
    return made


def play(body: str, *prices: tuple[int, int, int, int], **spec: object) -> tuple[Bench, StrategyDriver]:
    made = driver(body)
    bench = Bench(make_spec(**spec), {})
    bench.runner = made  # type: ignore[assignment]
    bench.feed(*prices)
    return bench, made


def intents(body: str) -> tuple[Intent, ...]:
    bench, _ = play("def on_bar(self, bar):\n    " + body, FLAT)
    return tuple(decision.raw for decision in bench.results[0].decisions)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        ("2.50", "2.5"),
        (Decimal("0.1"), "0.1"),
        (0.1, "0.1"),
        (1 / 3, "0.333333333333"),
        (-0.0, "0"),
        (1e-13, "0"),
        (np.float64(1.5), "1.5"),
        (np.int64(7), "7"),
        (float("nan"), None),
        (float("inf"), None),
        (np.float64("nan"), None),
        (True, None),
        (np.True_, None),
        ("nan", None),
        ("ten", None),
        (None, None),
        (10**12, None),
        ([1], None),
    ],
)
def test_numbers_cross_the_wall_as_decimal_text(value: object, text: str | None) -> None:
    assert wire_text(value) == text


def test_a_nan_price_is_denied_and_never_lost() -> None:
    (intent,) = intents("self.buy(1, limit=float('nan'))")
    assert (intent.type, intent.limit) == ("limit", "0")
    bench, _ = play("def on_bar(self, bar):\n    self.buy(1, stop_loss=float('nan'))", FLAT)
    assert bench.results[0].decisions[0].code == "BAD_PRICE"


def test_a_nan_quantity_is_denied_on_record() -> None:
    bench, _ = play("def on_bar(self, bar):\n    self.buy(float('nan'))", FLAT)
    assert bench.results[0].decisions[0].code == "BAD_QUANTITY"


def test_target_trades_the_difference_to_position_and_market_orders() -> None:
    body = (
        "def on_bar(self, bar):\n"
        "    if bar.sequence == 0: self.buy(4); self.target(10)\n"
        "    if bar.sequence == 1: self.target(10)\n"
        "    if bar.sequence == 2: self.target(3)\n"
        "    if bar.sequence == 3: self.target(float('nan'))"
    )
    bench, _ = play(body, FLAT, FLAT, FLAT, FLAT)
    assert [result.position_lots for result in bench.results] == [0, 10, 10, 3]
    assert bench.results[3].decisions[0].code == "BAD_QUANTITY"


def test_close_returns_the_order_that_already_works() -> None:
    body = (
        "def on_bar(self, bar):\n"
        "    if bar.sequence == 0:\n"
        "        assert self.close() is None\n"
        "        self.buy(5)\n"
        "    if bar.sequence == 1:\n"
        "        first = self.close()\n"
        "        assert self.close() is first and self.orders == [first]"
    )
    bench, _ = play(body, FLAT, FLAT, FLAT)
    assert [result.error for result in bench.results] == ["", "", ""]
    assert [result.position_lots for result in bench.results] == [0, 5, 0]


def test_events_come_before_the_bar_and_move_the_order() -> None:
    body = (
        "def on_start(self): self.seen = []\n"
        "def on_order_event(self, event):\n"
        "    self.seen.append((event.kind, event.order.id, event.order.state, event.price, event.quantity))\n"
        "def on_bar(self, bar):\n"
        "    if bar.sequence == 0: self.mine = self.buy(2, reason='go')\n"
        "    if bar.sequence == 1: self.log(f'{self.mine.state} {self.mine.filled} {self.position.quantity}')"
    )
    bench, made = play(body, FLAT, (10100,) * 4)
    assert made.strategy.seen == [  # type: ignore[attr-defined]
        ("accepted", "0:0", "accepted", None, 2.0),
        ("filled", "0:0", "filled", 101.0, 2.0),
    ]
    assert bench.results[1].logs == ("filled 2.0 2.0",)


def test_an_error_names_its_type_text_and_line_and_voids_the_bar() -> None:
    bench, _ = play("def on_bar(self, bar):\n    self.buy(1)\n    1 / 0", FLAT)
    assert bench.results[0].error == "ZeroDivisionError: division by zero (line 5)"
    assert bench.results[0].decisions == ()


def test_an_order_in_on_start_is_no_bar() -> None:
    with pytest.raises(RuntimeError, match="NO_BAR"):
        driver("def on_start(self): self.buy(1)\ndef on_bar(self, bar): pass")


def test_orders_in_on_stop_are_ignored_and_logged() -> None:
    _, made = play("def on_bar(self, bar): pass\ndef on_stop(self): self.buy(1)", FLAT)
    assert made.stop() == ("order in on_stop ignored: buy 1",)


def test_warm_bars_feed_indicators_and_history_but_not_on_bar() -> None:
    from support.bench import make_bar

    made = driver(
        "def on_start(self): self.calls = 0; self.mean = self.indicator(SMA(2))\n"
        "def on_bar(self, bar): self.calls += 1"
    )
    made.warm([make_bar(FLAT, 0), make_bar((10200,) * 4, 1)])
    assert made.strategy.mean.value == 101.0  # type: ignore[attr-defined]
    assert made.strategy.calls == 0  # type: ignore[attr-defined]
    assert list(made.strategy.history(5)["close"]) == [100.0, 102.0]


def test_ta_needs_its_lookback_and_equals_the_function() -> None:
    import ta

    prices = [(10000 + 37 * i % 500, 10600, 9900, 10000 + 53 * i % 500) for i in range(40)]
    body = (
        "def on_start(self):\n"
        "    import ta\n"
        "    self.rsi = self.ta(ta.momentum.rsi, 'close', lookback=30, window=5)\n"
        "def on_bar(self, bar):\n"
        "    assert (self.rsi.value is None) == (bar.sequence < 29)"
    )
    bench, made = play(body, *prices)
    assert bench.results[-1].error == ""
    last = made.strategy.history(30)["close"]
    assert math.isclose(made.strategy.rsi.value, ta.momentum.rsi(last, window=5).iloc[-1])  # type: ignore[attr-defined]


def test_random_is_seeded_by_the_run() -> None:
    body = "def on_bar(self, bar): self.log(f'{self.random.random()} {self.rng.random()}')"
    first, second = play(body, FLAT)[0], play(body, FLAT)[0]
    assert first.results[0].logs == second.results[0].logs != ()


def test_params_are_the_annotated_plain_attributes() -> None:
    body = "fast: int = 3\nname: str = 'x'\nrate: float = 0.5\nnot_one = 4\ndef on_bar(self, bar): pass"
    made = driver(body, fast=9, rate=1)
    assert (made.strategy.fast, made.strategy.rate) == (9, 1.0)  # type: ignore[attr-defined]
    assert read_params(type(made.strategy)) == {"fast": 3, "name": "x", "rate": 0.5}
    for bad in ({"slow": 1}, {"fast": "9"}, {"fast": True}, {"name": 5}):
        with pytest.raises(BadParam):
            driver(body, **bad)


@pytest.mark.parametrize(
    ("source", "kind", "line"),
    [
        ("def broken(:\n", "SyntaxError", 1),
        ("x = 1\n", "OneStrategy", 0),
        (
            HEAD + "    def on_bar(self, bar): pass\nclass B(Strategy):\n    def on_bar(self, b): pass\n",
            "OneStrategy",
            0,
        ),
        (HEAD + "    pass\n", "NoOnBar", 0),
        (HEAD + "    def on_bar(self): pass\n", "BadCallback", 3),
        (HEAD + "    async def on_bar(self, bar): pass\n", "BadCallback", 3),
        (HEAD + "    def on_bar(self, bar): yield\n", "BadCallback", 3),
        (HEAD + "    on_bar = 4\n", "BadCallback", 0),
        ("import nothing_of_that_name\n", "ModuleNotFoundError", 1),
        ("\nraise SystemExit(3)\n", "SystemExit", 2),
        ("#" * 40_000, "TooLarge", 0),
    ],
)
def test_a_file_that_is_no_strategy_says_why(source: str, kind: str, line: int) -> None:
    with pytest.raises(StrategyLoadError) as caught:
        load_strategy(source.encode(), "strategy")
    assert (caught.value.type, caught.value.line) == (kind, line)


@pytest.mark.parametrize(
    ("expires", "nanoseconds"),
    [("datetime.max", 2**63 - 1), ("datetime.min", 1 - 2**63), ("datetime(1970, 1, 2)", 86_400 * 10**9)],
)
def test_a_year_beyond_64_bits_stays_inside_what_a_reply_holds(expires: str, nanoseconds: int) -> None:
    body = f"from datetime import datetime\n    self.buy(1, limit=1, tif='GTD', expires={expires})"
    assert [intent.expires for intent in intents(body)] == [nanoseconds]


def test_a_text_that_cannot_cross_is_mended_and_not_fatal() -> None:
    body = "self.buy(1, reason='a\\x00b\\ud800')\n    self.log('\\ud800')"
    bench, _ = play("def on_bar(self, bar):\n    " + body, FLAT)
    assert bench.results[0].decisions[0].raw.reason == "a?b?"
    assert bench.results[0].logs == ("?",)


def test_chatter_leaves_room_for_the_reply() -> None:
    bench, _ = play("def on_bar(self, bar):\n    for _ in range(1000): self.log('x' * 10_000)", FLAT)
    assert 8_000 < sum(map(len, bench.results[0].logs)) <= 16 * 1024


def test_an_indicator_declared_twice_is_fed_once() -> None:
    body = (
        "def on_start(self):\n    self.i = self.indicator(SMA(2))\n    self.indicator(self.i)\n"
        "def on_bar(self, bar):\n    self.log(str(self.i.ready))"
    )
    bench, _ = play(body, FLAT, FLAT)
    assert [result.logs for result in bench.results] == [("False",), ("True",)]
