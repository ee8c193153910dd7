"""What the controls share: integer percentages, figures that show why, the account's equity, reference prices."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from inalpha.model.money import E8, multiply_e8, text_from_e8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView

_PLACES = 2  # as many as a person wants to read
_MOST_PLACES = 18


class NoData(Exception):
    """A control lacks an input; the engine refuses with NO_DATA."""


@lru_cache(maxsize=512)
def scaled(value: Decimal) -> int:
    """A setting as an integer of 1e-8 (exact for up to eight places)."""
    return int(value * E8)


def limit_text(value: Decimal) -> str:
    """A setting as the limit that binds: the decimal string of `scaled`, without an exponent."""
    return text_from_e8(scaled(value))


def figure(numerator: int, denominator: int, limit: str = "", *, below: bool = False) -> str:
    """numerator / denominator (> 0) as a decimal string that never prints like a limit that it is not.

    Two places, rounded away from passing: up, or down where a limit is a minimum (below). Where two places would hide
    that it missed the limit by little, as many as it takes: `10.0000001 > 10`, not `10.01 > 10` and never `10 > 10`.
    """
    exact = Decimal(limit) if limit else None
    for places in range(_PLACES, _MOST_PLACES + 1):
        floor, rest = divmod(numerator * 10**places, denominator)
        if exact is not None and rest and Decimal(floor + (1 if below else 0)).scaleb(-places) == exact:
            continue
        return _plain(Decimal(floor + (1 if rest and not below else 0)).scaleb(-places))
    return _plain(Decimal(floor + (0 if below else 1)).scaleb(-places))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def percent_text(numerator: int, denominator: int, limit: str = "") -> str:
    """100 * |numerator| / denominator by the same rule."""
    return figure(100 * abs(numerator), denominator, limit)


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


def refusal(
    code: str,
    control: str,
    setting: str,
    measured: str,
    limit: str,
    unit: str,
    text: str,
    *,
    trips: bool = False,
) -> Refusal:
    """A refusal with figures, its sentence made from them. setting: `section.key` of risk.toml.

    trips: the control is a trigger, which refuses at its limit; others pass there.
    """
    bound = "it trips at" if trips else "the limit is"
    told = f"measured {measured} {unit}, {bound} {limit}"
    return Refusal(
        code, control, measured, limit, unit, setting, f"{text}: {told}. Setting: controls.{setting}."
    )
