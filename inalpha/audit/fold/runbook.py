"""I8: plans within their mandate's allocation, and the run's own book, which the allocation opens.

What a run cannot pay for it cannot have bought (M19 in docs/matching.md; all in units of 1e-8): a purchase is paid
from the run's cash, a short is covered by cash that is not itself the proceeds of a short. So an opening gap may
make a fill dearer than its plan, but never dearer than what the run holds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from inalpha.audit.fold.base import (
    Violation,
    bounded,
    e8,
    get,
    notional,
    position,
    put,
    reduces,
    require,
    row,
)
from inalpha.model.money import divide_half_even, multiply_e8, text_from_e8


def own_position(conn: sqlite3.Connection, run: str) -> str:
    """What the run itself holds; its account may hold more through other runs."""
    found = row(conn, "SELECT position FROM run WHERE run = ?", run)
    return str(found[0]) if found else "0"


def only_reduces(conn: sqlite3.Connection, plan: Mapping[str, Any]) -> bool:
    """Whether the plan can only make its run's position smaller; without a run, its account's."""
    run = plan["run"]
    held = own_position(conn, run) if run else position(conn, plan["account"], plan["symbol"])
    return reduces(plan["side"], plan["quantity"], held)


def check_figures(conn: sqlite3.Connection, plan: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """I8: what a pass tells of a run's plan: its worth where risk measured it, and the mandate's allocation (P3)."""
    measured, limit = data["measured"], data["limit"]
    if plan["run"] is None or data["result"] != "pass" or (measured is None and limit is None):
        return
    require(
        limit is not None and e8(limit) == _allocation(conn, plan["run"]),
        "I8",
        f"{data['plan']}: measured on another allocation",
    )
    require(
        measured is not None and e8(measured) >= _known_worth(plan),
        "I8",
        f"{data['plan']}: measured too small",
    )


def check_allocation(conn: sqlite3.Connection, plan: Mapping[str, Any]) -> None:
    """I8: an entry is worth at most its mandate's allocation, at the price that risk takes for it (P3).

    That price is the limit, else the stop (of a purchase: or the close above it), else the last close, which stands
    in the journal: there the figures of the risk result tell it. A gap behind that is the run's book's affair.
    """
    if plan["run"] is None:
        return
    told = row(
        conn, "SELECT result, measured FROM risk_check WHERE plan = ? ORDER BY seq DESC LIMIT 1", plan["plan"]
    )
    measured = told is not None and told[0] == "pass" and told[1]
    worth = e8(measured) if measured else _known_worth(plan)
    within = worth <= _allocation(conn, plan["run"]) or plan["reduce_only"]
    require(within, "I8", f"{plan['plan']}: {text_from_e8(worth)} is over the allocation")


def _allocation(conn: sqlite3.Connection, run: str) -> int:
    found = row(conn, "SELECT allocation FROM run WHERE run = ?", run)
    return e8(found[0]) if found else 0


def _known_worth(plan: Mapping[str, Any]) -> int:
    price = plan["limit"] or plan["stop"]
    return notional(plan["quantity"], price) if price else 0


def charge(
    conn: sqlite3.Connection, run: str, sign: int, quantity: int, price: int, fee: int, *, reduce_only: bool
) -> None:
    """Take one fill into the run's cash and cost, before its position is moved.

    An entry is paid from what the run holds (Violation I8). An exit always fills (M19), and the tag is no claim:
    it must not enlarge or turn the position (I1).
    """
    found = row(conn, "SELECT allocation, position FROM run WHERE run = ?", run)
    if found is None:
        raise Violation("I8", f"a fill in the unknown {run}")
    held = e8(found[1])
    cash, cost = map(int, get(conn, f"book:{run}", f"{e8(found[0])} 0").split())
    closing = min(quantity, abs(held)) if held * sign < 0 else 0
    opening = quantity - closing
    if reduce_only:
        require(not opening, "I1", f"a reduce-only order enlarges or turns the position of {run}")
    else:
        _afford(run, sign, cash, cost, bounded(multiply_e8(quantity, price)), fee, opening, held, price)
    if closing:
        share = divide_half_even(cost * closing, abs(held))
        cash -= sign * multiply_e8(closing, price)
        cost -= share
    entered = sign * multiply_e8(opening, price)
    put(conn, f"book:{run}", f"{bounded(cash - entered - fee)} {bounded(cost + entered)}")


def _afford(
    run: str, sign: int, cash: int, cost: int, worth: int, fee: int, opening: int, held: int, price: int
) -> None:
    if sign > 0:
        require(worth + fee <= cash, "I8", f"a purchase beyond what {run} holds of its allocation")
    elif not opening:
        require(fee <= cash + worth, "I8", f"a fee beyond what {run} holds of its allocation")
    else:
        short = bounded(multiply_e8(opening + max(0, -held), price))
        require(
            short + fee <= cash + min(cost, 0), "I8", f"a short beyond what {run} holds of its allocation"
        )
