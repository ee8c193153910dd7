"""Plans from outside a strategy: a person or an agent proposes one order in the book of a run.

The proposer writes the whole body, so that an agent signs what a person will read; the daemon reads the order back
from it and takes nothing that it would not have written itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inalpha.execution.plans import plan_body
from inalpha.ledger.readers import FEED_ENDED, STEPS_ON
from inalpha.model.errors import Refused
from inalpha.model.instrument import Instrument
from inalpha.model.money import e8_from_text, text_from_e8
from inalpha.model.order import OrderRequest, OrderType, Side, TimeInForce
from inalpha.model.reduction import only_reduces

LIFE_S = 300
MAX_LIFE_S = 3600
WORD = "proposal"  # what the journal says of its reason: the text itself can be erased


@dataclass(frozen=True, slots=True)
class Target:
    """The run in whose book a proposed order works. position: what it holds, in units of the symbol."""

    run: str
    account: str
    mandate_sha256: str
    instrument: Instrument
    position: str
    is_live: bool

    def body(
        self,
        side: str,
        quantity: str,
        limit: str | None,
        rationale_commit: str,
        expires_us: int,
        *,
        reduce_only: bool = False,
    ) -> dict[str, Any]:
        """The plan's body. Raises Refused("BAD_ORDER") for what is no order of this instrument."""
        order = self._request("", side, quantity, limit, reduce_only)
        if self._only_reduces(
            order
        ):  # the proposer's own words then say so, and no limit of entries stops it
            order = replace(order, reduce_only=True)
        return self._body(order, rationale_commit, expires_us)

    def closing(self, rationale_commit: str, expires_us: int) -> dict[str, Any] | None:
        """The market order that closes the run's position; None where there is none."""
        held = e8_from_text(self.position)
        if not held:
            return None
        side, quantity = ("sell" if held > 0 else "buy"), text_from_e8(abs(held))
        return self.body(side, quantity, None, rationale_commit, expires_us, reduce_only=True)

    def order(self, body: Mapping[str, Any], name: str) -> OrderRequest:
        """The order that a body asks for, under its plan's name. Raises Refused("BAD_ORDER")."""
        try:
            order = self._request(
                name, body["side"], body["quantity"], body["limit"], body["reduce_only"] is True, body["tif"]
            )
            same = self._body(order, body["rationale_commit"], body["expires"]) == dict(body)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Refused("BAD_ORDER", f"not the body of a plan: {error!r}.", "Propose it again.") from error
        if not same:
            raise Refused(
                "BAD_ORDER", "only a market or limit order can be proposed.", "inalpha plan create --help"
            )
        return order

    def _only_reduces(self, order: OrderRequest) -> bool:
        """Whether the order can only shrink what the run holds, other orders of its apart (model/reduction.py)."""
        held = e8_from_text(self.position) // self.instrument.lot_e8
        return only_reduces(order, held, (), allow_short=False)

    def _request(
        self, name: str, side: str, quantity: str, limit: str | None, reduce_only: bool, tif: str = "GTC"
    ) -> OrderRequest:
        return OrderRequest(
            name,
            _side(side),
            OrderType.MARKET if limit is None else OrderType.LIMIT,
            _units(quantity, self.instrument.lot_e8, "quantity"),
            None if limit is None else _units(limit, self.instrument.tick_e8, "limit"),
            time_in_force=TimeInForce(tif),
            reduce_only=reduce_only,
            reason=WORD,
        )

    def _body(self, order: OrderRequest, rationale_commit: str, expires_us: int) -> dict[str, Any]:
        return plan_body(
            order,
            self.instrument,
            account=self.account,
            rationale_commit=rationale_commit,
            expires_us=expires_us,
            run=self.run,
            mandate_sha256=self.mandate_sha256,
        )


def target(conn: sqlite3.Connection, run: str) -> Target:
    """The book for an order from outside; that of an ended run where it holds a position that a caretaker can watch.

    Raises Refused: NO_RUN, RUN_ENDED for an ended run that is flat, FEED_ENDED where no bar will come any more.
    """
    row = conn.execute(
        f"SELECT account, mandate_sha256, position, ended_seq IS NULL, {STEPS_ON}, {FEED_ENDED}"
        " FROM run WHERE run = ?",
        (run,),
    ).fetchone()
    header = conn.execute("SELECT input FROM journal WHERE run = ? AND n = 0", (run,)).fetchone()
    if row is None or header is None:
        raise Refused("NO_RUN", f"there is no {run}, or it has seen no bar yet.", "inalpha run list")
    account, mandate, position, is_live, steps_on, feed_ended = row
    if not is_live and not steps_on and position == "0":
        raise Refused("RUN_ENDED", f"{run} has ended and holds nothing.", "Start another run.")
    if not is_live and not steps_on and feed_ended:
        raise Refused(
            "FEED_ENDED",
            f"the feed of {run} ended for good: no bar prices its position of {position} any more.",
            "The position stays in the books, shown as unpriced.",
        )
    told = json.loads(header[0])["instrument"]
    return Target(run, account, mandate, Instrument(**told), position, bool(is_live))


def run_of(conn: sqlite3.Connection, account: str, symbol: str) -> str:
    """The pair's live run, else the newest that is still watched, else the newest that left a position.

    Raises Refused("NO_RUN") where no book of the pair holds one.
    """
    found = conn.execute(
        "SELECT run FROM run WHERE account = ? AND symbol = ? AND (ended_seq IS NULL OR position != '0')"
        f" ORDER BY ended_seq IS NULL DESC, {STEPS_ON} DESC, started_seq DESC LIMIT 1",
        (account, symbol),
    ).fetchone()
    if found is None:
        raise Refused(
            "NO_RUN", f"no run of {symbol} has a book for this order.", "Start one: inalpha run start"
        )
    return str(found[0])


def _side(text: object) -> Side:
    if text not in ("buy", "sell"):
        raise Refused("BAD_ORDER", f"{text!r} is no side.", "buy or sell")
    return Side.from_text(str(text))


def _units(text: str, unit_e8: int, what: str) -> int:
    """Whole lots or ticks: nothing is rounded for a person."""
    try:
        amount = e8_from_text(text)
    except ValueError as error:
        raise Refused("BAD_ORDER", f"{text!r} is no {what}.", "A decimal number.") from error
    if amount <= 0 or amount % unit_e8:
        raise Refused(
            "BAD_ORDER", f"{what} {text} is no positive multiple of {text_from_e8(unit_e8)}.", "Round it."
        )
    return amount // unit_e8
