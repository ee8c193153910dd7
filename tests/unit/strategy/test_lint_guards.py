"""What keeps an order from being placed on each bar, and what keeps a bracketed position from leaving."""

from __future__ import annotations

import textwrap

import pytest

from inalpha.strategy.lint import Finding, lint


def found(on_bar: str, code: str, more: str = "") -> list[Finding]:
    text = "from inalpha import Strategy\n\n\nclass Mine(Strategy):\n    def on_bar(self, bar):\n"
    text += textwrap.indent(textwrap.dedent(on_bar).strip("\n"), " " * 8) + "\n"
    text += textwrap.indent(textwrap.dedent(more), " " * 4)
    return [finding for finding in lint(text) if finding.code == code]


@pytest.mark.parametrize(
    "body",
    [
        "self.i += 1\nif self.i == 0: self.buy(1000)",
        "self.i += 1\nif self.i in (30, 33): self.buy(90)",
        "self.i = self.i + 1\nif 5 == self.i: self.buy(1)",
        "self.i += 1\nif self.i != 5: return\nself.buy(1)",
        "self.i += 1\nif self.i % 20 == 0: self.buy(1)",
        "self.i += 1\nif not self.i % 20: self.buy(1)",
        "self.i += 1\nif self.i % 20: return\nself.buy(1)",
        "self.i += 1\nself.buy(1) if self.i == 3 else None",
        "self.i += 1\nself.i == 3 and self.buy(1)",
        "self.i += 1\nif self.i == 3 and bar.close > 5: self.buy(1)",
        "n = bar.sequence\nif n == 7: self.buy(1)",
        "if bar.sequence in {1, 2}: self.sell(1)",
        "if self.clock.now().weekday() == 0: self.buy(1)",
        "if bar.open_time.day == 1: self.buy(1)",
        "if not self.bought:\n    self.buy(1)\n    self.bought = True",
        "if self.step == 'wait':\n    self.buy(1)\n    self.step = 'in'",
        "match bar.sequence:\n    case 3: self.buy(1)",
    ],
)
def test_an_order_on_certain_bars_is_no_order_on_every_bar(body: str) -> None:
    assert found(body, "TRAP_EVERY_BAR") == []


@pytest.mark.parametrize(
    "body",
    [
        "self.buy(1)",
        "if bar.close > 5: self.buy(1)",
        "self.i += 1\nif self.i > 30: self.buy(1)",
        "self.i += 1\nif self.i == 3 or bar.close > 5: self.buy(1)",
        "self.i += 1\nif self.i == 3: pass\nelse: self.buy(1)",
        "self.i += 1\nif self.i == 3: return\nself.buy(1)",
        "self.up = bar.close > bar.open\nif self.up: self.buy(1)",
        "if bar.close == 5: self.buy(1)",
        "for _ in range(3):\n    self.buy(1)",
        "try:\n    self.buy(1)\nexcept ValueError:\n    pass",
    ],
)
def test_an_order_on_whole_stretches_of_bars_is_named(body: str) -> None:
    (finding,) = found(body, "TRAP_EVERY_BAR")
    assert finding.fix == "Test self.position and self.orders.entries first."


ENTER = "if self.position.is_flat: self.buy(1, stop_loss=bar.close * 0.9)\n"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("if self.orders: return\n" + ENTER + "self.close()", 6),
        ("if bar.close < 1 or self.orders: return\n" + ENTER + "elif bar.low < 3: self.close()", 6),
        ("if len(self.orders) > 0: return\n" + ENTER + "self.close()", 6),
        ("if len(self.orders) == 0:\n    self.buy(1, take_profit=9)\n    self.target(0)", 6),
        ("busy = bool(self.orders)\nif busy: return\n" + ENTER + "self.close()", 7),
        ("orders = self.orders\nif not orders:\n    self.close()\n" + ENTER, 7),
        (ENTER + "if self.position.is_long and not self.orders: self.close()", 7),
        (ENTER + "if not self.orders: self.sell(1)", 7),
        (ENTER + "self.close() if not self.orders else None", 7),
    ],
)
def test_an_exit_that_waits_for_the_legs_to_go_is_named_where_it_waits(body: str, line: int) -> None:
    (finding,) = found(body, "TRAP_LEGS")
    assert (finding.line, finding.level) == (line, "warning")
    assert finding.fix == "Test self.orders.entries instead of self.orders."


def test_a_guard_before_a_method_that_closes_is_named() -> None:
    manage = "\ndef manage(self, bar):\n    if bar.close < 3: self.close()\n"
    (finding,) = found("if self.orders: return\n" + ENTER + "self.manage(bar)", "TRAP_LEGS", manage)
    assert finding.line == 6


@pytest.mark.parametrize(
    "body",
    [
        "if self.orders.entries: return\n" + ENTER + "self.close()",
        "if self.position.is_flat and not self.orders: self.buy(1, stop_loss=5)\nself.close()",
        "if self.orders: return\n" + ENTER,
        "if len(self.orders) > 3: return\n" + ENTER + "self.close()",
        "if self.orders: return\nself.buy(1)\nself.close()",
        "if self.orders: return\nself.buy(1, stop_loss=None)\nself.close()",
        "if self.orders:\n    self.close()\n" + ENTER,
        "if self.orders: return\nself.buy(1, stop_loss=5)\nself.sell(1, stop_loss=15)",
    ],
)
def test_an_exit_that_the_legs_do_not_hold_back_is_fine(body: str) -> None:
    assert found(body, "TRAP_LEGS") == []


def test_one_guard_before_several_exits_is_named_once() -> None:
    body = (
        "if self.orders: return\n"
        + ENTER
        + "if bar.close < 3: self.close()\nelif bar.close > 9: self.close()"
    )
    assert len(found(body, "TRAP_LEGS")) == 1


@pytest.mark.parametrize(
    "body",
    [
        "if 1: pass\n" + "elif bar.close: self.buy(1)\n" * 900,
        "if bar.close:return\n" * 700 + "self.buy(1)\n" * 700,
        "a0 = bar.close\n"
        + "".join(f"a{n + 1} = a{n} and a{n}\n" for n in range(900))
        + "if a900: self.buy(1)",
        "a = b\nb = a\nif a: self.buy(1)",
        "if " + "not " * 80 + "self.orders: self.close()\nself.buy(1, stop_loss=1)",
        "self.buy(" + "1+" * 5000 + "1)",
    ],
    ids=["long elif", "many returns", "doubling names", "circle of names", "nots", "long sum"],
)
def test_a_file_made_to_be_slow_or_deep_is_read_to_its_end(body: str) -> None:
    assert len(found(body, "TRAP_EVERY_BAR")) <= 900
