"""What the controls share: integer percentages, the account's equity, reference prices."""

from __future__ import annotations

from decimal import Decimal

from inalpha.model.money import E8, multiply_e8, text_from_e8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView


class NoData(Exception):
    """A control lacks an input; the engine refuses with NO_DATA."""


def scaled(value: Decimal) -> int:
    """A setting as an integer of 1e-8 (exact for up to eight places)."""
    return int(value * E8)


def percent_text(numerator: int, denominator: int) -> str:
    """100 * numerator / denominator as a decimal string of two places, rounded away from passing."""
    hundredths = -(-abs(numerator) * 10_000 // denominator)
    return text_from_e8(hundredths * E8 // 100)


def equity_e8(view: RunView) -> int:
    """Account equity at the last closed bars. Raises NoData when it is not above zero."""
    account = view.account
    equity = account.base_cash_e8 + view.own_cash_flow_e8 + view.position_value_e8 + account.other_value_e8
    if equity <= 0:
        raise NoData("account equity is not above zero")
    return equity


def reference_ticks(order: OrderRequest, close_ticks: int) -> int:
    """The price that a projection uses: limit, else stop, else the last close."""
    if order.limit_ticks is not None:
        return order.limit_ticks
    if order.stop_ticks is not None:
        return max(order.stop_ticks, close_ticks) if order.side > 0 else order.stop_ticks
    return close_ticks


def notional_e8(ticks: int, lots: int, view: RunView) -> int:
    """Absolute value of lots at ticks, in 1e-8 money."""
    return multiply_e8(view.instrument.price_e8(ticks), view.instrument.quantity_e8(abs(lots)))


def refusal(control: str, section: str, key: str, measured: str, limit: str, unit: str, text: str) -> Refusal:
    """A refusal with figures, its sentence made from them."""
    told = f"measured {measured} {unit}, the limit is {limit}"
    return Refusal(
        code=section.upper(),
        control=control,
        measured=measured,
        limit=limit,
        unit=unit,
        setting=f"{section}.{key}",
        message=f"{text}: {told}. Setting: controls.{section}.{key}.",
    )
