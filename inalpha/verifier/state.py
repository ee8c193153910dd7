"""What the lines have added up to so far: accounts, candidates, runs, plans, orders, halts."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from inalpha.verifier.amounts import EXACT, UNIT, ZERO, amount, bounded, signed, text_of, times
from inalpha.verifier.checks import require


class Account:
    """Cash, positions and the limits in force."""

    def __init__(self, owner: str, currency: str, cash: str) -> None:
        self.owner, self.currency = owner, currency
        self.opening = self.cash = amount(cash)
        self.fees = ZERO
        self.fills = 0
        self.positions: dict[str, Decimal] = {}
        self.limits: str | None = None
        self.loosened_at = -1

    def held(self, symbol: str) -> Decimal:
        return self.positions.get(symbol, ZERO)

    def claims(self) -> dict[str, Any]:
        held = {symbol: text_of(size) for symbol, size in sorted(self.positions.items()) if size}
        return {"cash": text_of(self.cash), "currency": self.currency, "fees": text_of(self.fees), "fills": self.fills,
                "opening": text_of(self.opening), "owner": self.owner,
                "positions": [[symbol, size] for symbol, size in held.items()]}  # fmt: skip


SEVERITY = ("ACTIVE", "REDUCING", "HALTED", "KILLED")


class Candidate:
    def __init__(self, sha256: str, owner: str) -> None:
        self.sha256, self.owner, self.state = sha256, owner, "submitted"


class Run:
    """A run under its mandate. planned: which intents have a plan; decided: those of the last bar."""

    def __init__(self, candidate: str, mandate: dict[str, Any], mandate_sha256: str, started: int) -> None:
        self.candidate, self.mandate_sha256, self.started = candidate, mandate_sha256, started
        self.account, self.symbol, self.approval = mandate["account"], mandate["symbol"], mandate["approval"]
        self.expires, self.limits, self.fill = mandate["expires"], mandate["limits_sha256"], mandate["fill"]
        # The run's own book: its allocation opens it. cost is negative, the proceeds, while the run is short.
        self.allocation = self.cash = amount(mandate["allocation"])
        self.cost = ZERO
        self.state = "live"
        self.bars = self.intents = self.awaited = self.fills = self.refused = 0
        self.last_open, self.bar_sha256 = -1, ""
        self.position = ZERO
        self.planned: set[int] = set()
        self.decided: set[str] = set()

    @property
    def is_live(self) -> bool:
        return self.state == "live"

    def charge(
        self, side: str, quantity: Decimal, price: Decimal, fee: Decimal, *, reduce_only: bool
    ) -> None:
        """An entry is paid from what the run holds of its allocation, a short covered by cash, not by proceeds.

        An exit always fills, also beyond that cash; it must not enlarge or turn the position.
        """
        held, worth = self.position, times(quantity, price)
        closing = min(quantity, abs(held)) if held * signed(side, quantity) < 0 else ZERO
        opening = quantity - closing
        if reduce_only:
            require(not opening, "I1", "a reduce-only order enlarges or turns the position")
            affordable = True
        elif side == "buy":
            affordable = worth + fee <= self.cash
        elif opening:
            affordable = times(opening + max(ZERO, -held), price) + fee <= self.cash + min(self.cost, ZERO)
        else:
            affordable = fee <= self.cash + worth
        require(affordable, "I8", "a fill beyond what the run holds of its allocation")
        if closing:
            share = EXACT.divide(EXACT.multiply(self.cost, closing), abs(held)).quantize(
                UNIT, ROUND_HALF_EVEN, EXACT
            )
            self.cash -= signed(side, times(closing, price))
            self.cost -= share
        entered = signed(side, times(opening, price))
        self.cash = bounded(bounded(self.cash - entered) - fee)
        self.cost = bounded(self.cost + entered)

    def claims(self) -> dict[str, Any]:
        return {"account": self.account, "approval": self.approval, "bars": self.bars, "candidate": self.candidate,
                "fills": self.fills, "intents": self.intents, "position": text_of(self.position),
                "refused": self.refused, "state": self.state, "symbol": self.symbol}  # fmt: skip


class Plan:
    __slots__ = ("account", "decided_by", "digest", "expires", "intent", "known", "legs", "name", "orders",
                 "proposed_by", "quantity", "reduce_only", "risk", "run", "side", "state", "symbol",
                 "token", "worth")  # fmt: skip

    def __init__(self, name: str, data: dict[str, Any], proposed_by: str) -> None:
        body = data["body"]
        self.name, self.digest, self.proposed_by = name, data["plan_sha256"], proposed_by
        self.run, self.account, self.symbol = body["run"], body["account"], body["symbol"]
        self.side, self.quantity, self.intent = body["side"], amount(body["quantity"]), body["intent"]
        known = body["limit"] or body["stop"]
        self.known = None if known is None else amount(known)
        self.worth = ZERO
        self.reduce_only, self.expires = body["reduce_only"], body["expires"]
        self.legs = [leg for leg in ("stop_loss", "take_profit") if body[leg] is not None]
        self.state, self.decided_by = "pending", ""
        self.risk: tuple[str, str | None, str] | None = None
        self.token: tuple[str, int] | None = None
        self.orders: list[Order] = []


class Order:
    __slots__ = ("child", "decided", "filled", "name", "plan", "quantity", "run", "side", "state")

    def __init__(self, name: str, plan: Plan, run: str | None, child: str | None, side: str, quantity: Decimal,
                 decided: int | None) -> None:  # fmt: skip
        self.name, self.plan, self.run, self.child, self.side = name, plan, run, child, side
        self.quantity, self.filled, self.decided, self.state = quantity, ZERO, decided, "working"
