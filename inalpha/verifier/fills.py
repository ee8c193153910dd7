"""Fills and the ends of orders; cash and positions follow from them."""

from __future__ import annotations

from typing import Any

from inalpha.verifier.amounts import EXACT, amount, bounded, signed, text_of, times
from inalpha.verifier.books import Books
from inalpha.verifier.checks import Broken, require
from inalpha.verifier.line import Line
from inalpha.verifier.state import SEVERITY, Order


def order_end(books: Books, line: Line, data: dict[str, Any]) -> None:
    order = books.orders.get(data["order"])
    if order is None or order.state != "working" or order.plan.intent != data["intent"]:
        raise Broken("I15", f"{data['order']} is not working, or of another intent")
    order.state = data["outcome"]
    books.forget(order.plan)


def fill(books: Books, line: Line, data: dict[str, Any]) -> None:
    books.number(data["fill"])
    order = books.orders.get(data["order"])
    if order is None:
        raise Broken("I1", f"{data['fill']}: no plan was executed into {data['order']}")
    plan, quantity = order.plan, amount(data["quantity"])
    same = (plan.name, plan.symbol, order.side, plan.intent)
    told = (data["plan"], data["symbol"], data["side"], data["intent"])
    require(same == told, "I1", f"{data['fill']}: plan, symbol, side or intent differ from its order's")
    require(order.state == "working", "I1", f"{data['order']} is {order.state}")
    over = not 0 < quantity <= order.quantity - order.filled
    require(not over, "I1", f"{data['order']}: filled beyond its quantity")
    account = books.accounts[plan.account]
    halted = SEVERITY.index(books.halt_of(plan.account, order.run)) >= SEVERITY.index("HALTED")
    require(not halted, "I9", f"{data['fill']}: a fill while halted")
    worth = times(quantity, amount(data["price"]))
    held = account.held(plan.symbol)
    run = books.runs.get(order.run or "")
    only_exits = plan.reduce_only or order.child is not None  # a bracket's legs only reduce
    if run is not None:
        if order.child is None and order.decided is not None:
            earliest = order.decided + (run.fill == "next_open")
            require(run.bars - 1 >= earliest, "I12", f"{data['fill']}: filled in the bar of its decision")
        if plan.run is not None:
            figures = (quantity, amount(data["price"]), amount(data["fee"]))
            run.charge(order.side, *figures, reduce_only=only_exits)
        run.fills += 1
        run.position = bounded(run.position + signed(order.side, quantity))
    account.cash = bounded(bounded(account.cash - signed(order.side, worth)) - amount(data["fee"]))
    require(text_of(account.cash) == data["cash"], "I13", f"{data['fill']}: cash is {text_of(account.cash)}")
    if not only_exits:
        require(
            account.cash >= 0,
            "I13",
            f"{data['fill']}: an entry takes the cash to {text_of(account.cash)}",
        )
    after = bounded(held + signed(order.side, quantity))
    require(text_of(after) == data["position"], "I13", f"{data['fill']}: the position is {text_of(after)}")
    account.positions[plan.symbol] = after
    account.fees = EXACT.add(account.fees, amount(data["fee"]))
    account.fills += 1
    order.filled += quantity
    if order.filled == order.quantity:
        order.state = "filled"
    if order.child is None and plan.legs:
        place_legs(books, order)
    books.forget(plan)


def place_legs(books: Books, entry: Order) -> None:
    """A bracket's legs exist from its entry's first fill on, for what has been filled so far."""
    legs = entry.plan.orders[1:]
    for leg in legs:
        leg.quantity = entry.filled
    for child in entry.plan.legs if not legs else ():
        name = f"order-{books.numbers['order'] + 1}"
        books.number(name)
        side = "sell" if entry.side == "buy" else "buy"
        leg = Order(name, entry.plan, entry.run, child, side, entry.filled, entry.decided)
        books.orders[name] = leg
        entry.plan.orders.append(leg)
