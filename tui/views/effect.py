"""What an order would do, and how near it comes to the limits: estimates from the record alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from tui.book import PlanCard
from tui.text import number

NEAR = Decimal("0.8")


@dataclass(frozen=True, slots=True)
class Measure:
    """One risk figure beside its limit, both in the unit of the setting."""

    name: str
    measured: Decimal
    limit: Decimal
    unit: str

    @property
    def is_near(self) -> bool:
        return abs(self.measured) > NEAR * abs(self.limit)

    @property
    def text(self) -> str:
        return f"{self.name} {number(self.measured, 1)}{self.unit} / {number(self.limit)}{self.unit}"


@dataclass(frozen=True, slots=True)
class Effect:
    """What the order would do, estimated at the reference price. None where a part is missing."""

    reference: Decimal | None
    notional: Decimal | None
    equity: Decimal | None
    before: Decimal | None
    after: Decimal | None
    cash_before: Decimal | None
    cash_after: Decimal | None
    drift_bps: Decimal | None


def _decimal(value: object) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if value is not None and found.is_finite() else None


def effect_of(card: PlanCard) -> Effect:
    money = card.run.money if card.run else None
    quantity, close = _decimal(card.body.get("quantity")), _decimal(money.close if money else None)
    reference = _decimal(card.body.get("limit")) or _decimal(card.plan_close) or close
    sign = 1 if card.body.get("side") == "buy" else -1
    before, cash = _decimal(money.position if money else None), _decimal(money.cash if money else None)
    notional = reference * quantity if reference is not None and quantity is not None else None
    made = _decimal(card.plan_close)
    return Effect(
        reference=reference,
        notional=notional,
        equity=_decimal(money.equity if money else None),
        before=before,
        after=before + sign * quantity if before is not None and quantity is not None else None,
        cash_before=cash,
        cash_after=cash - sign * notional if cash is not None and notional is not None else None,
        drift_bps=(close - made) / made * 10_000 if close is not None and made else None,
    )


def measures_of(card: PlanCard, effect: Effect) -> list[Measure]:
    """Figures that can be measured from the record, beside the rules that bound the plan."""

    def limit(control: str, key: str) -> Decimal | None:
        section = card.rules.get(control)
        if not isinstance(section, Mapping) or not section.get("enabled"):
            return None
        return _decimal(section.get(key))

    found = []
    if (
        effect.notional is not None
        and effect.equity
        and effect.after is not None
        and effect.reference is not None
    ):
        share = effect.notional / effect.equity * 100
        if (most := limit("max_order", "equity_pct")) is not None:
            found.append(Measure("max_order", share, most, "%"))
        if (most := limit("max_position", "symbol_pct")) is not None:
            held = abs(effect.after * effect.reference) / effect.equity * 100
            found.append(Measure("max_position", held, most, "%"))
    if effect.drift_bps is not None and (most := limit("price_drift", "bps")) is not None:
        found.append(Measure("price_drift", effect.drift_bps, most, "bp"))
    return found
