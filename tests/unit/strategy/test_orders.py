"""self.orders: the list of all, and which of them are entries, exits and legs of brackets."""

from __future__ import annotations

from unit.strategy.test_driver import FLAT, play

from inalpha.strategy.state import Order, Orders


def told(body: str, bars: int = 4) -> list[str]:
    """What the body logged on each bar; it may count bars in `n`."""
    lines = "def on_bar(self, bar):\n    n = bar.sequence\n" + "".join(
        f"    {x}\n" for x in body.splitlines()
    )
    bench, _ = play(lines, *[FLAT] * bars)
    assert not any(result.error for result in bench.results)
    return [log for result in bench.results for log in result.logs]


KINDS = "self.log([len(self.orders.entries), len(self.orders.exits), len(self.orders.legs)])"


def test_a_bracket_is_an_entry_until_it_fills_and_two_legs_afterwards() -> None:
    body = f"if n == 0: self.buy(1, stop_loss=50, take_profit=150)\n{KINDS}"
    assert told(body, 3) == ["[1, 0, 0]", "[0, 0, 2]", "[0, 0, 2]"]


def test_legs_say_which_they_are() -> None:
    body = (
        "if n == 0: self.buy(1, stop_loss=50, take_profit=150)\n"
        "self.log(sorted((o.leg, o.type, o.reduce_only) for o in self.orders.legs))"
    )
    assert told(body, 2)[1] == "[('stop_loss', 'stop', True), ('take_profit', 'limit', True)]"


def test_close_and_other_reducing_orders_are_exits() -> None:
    body = f"if n == 0: self.buy(2)\nif n == 2: self.sell(1, limit=150, reduce_only=True)\n{KINDS}"
    assert told(body) == ["[1, 0, 0]", "[0, 0, 0]", "[0, 1, 0]", "[0, 1, 0]"]
    assert told(f"if n == 0: self.buy(2)\nif n == 2: self.close()\n{KINDS}") == [
        "[1, 0, 0]", "[0, 0, 0]", "[0, 1, 0]", "[0, 0, 0]"
    ]  # fmt: skip


def test_a_guard_on_entries_lets_a_bracketed_position_leave_by_its_rule() -> None:
    body = (
        "if self.orders.entries: return\n"
        "if n == 0: self.buy(1, stop_loss=50)\n"
        "if n == 2: self.close('rule')\n"
        "self.log(self.position.quantity)"
    )
    assert told(body) == ["0.0", "1.0", "1.0", "0.0"]


def test_orders_stay_the_sequence_that_they_were() -> None:
    body = (
        "if n == 0: made = self.buy(1, limit=50)\n"
        "orders = self.orders\n"
        "self.log([bool(orders), len(orders), orders[0].id, [o.id for o in orders], orders[-1] in orders])"
    )
    assert told(body, 2) == ["[True, 1, '0:0', ['0:0'], True]"] * 2
    assert told("self.log([bool(self.orders), self.orders == [], isinstance(self.orders, list)])", 1) == [
        "[False, True, True]"
    ]


def test_every_order_is_of_one_kind() -> None:
    def order(reduce_only: bool, leg: str) -> Order:
        return Order("0:0", "buy", "market", 1.0, None, None, "GTC", "", reduce_only, leg)

    orders = Orders([order(False, ""), order(True, ""), order(True, "stop_loss"), order(True, "take_profit")])
    assert orders.entries + orders.exits + orders.legs == orders
