"""From what an author writes as a number to the decimal text that crosses the wall, or None."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal, InvalidOperation

Number = str | int | float | Decimal

_PLACES = Decimal("1e-12")
_INTEGER_LIMIT = 10**12
_LIMIT = Decimal(_INTEGER_LIMIT)

# Stands for a price that is no number where null would mean "none wanted": zero is never a valid price,
# so a stop-loss computed as NaN is denied instead of silently dropped.
INVALID_PRICE = "0"


def decimal_of(value: object) -> Decimal | None:
    """The exact value, or None for bool, NaN, infinity, text that is no number and foreign types.

    A float counts as its shortest decimal (`repr`): 0.1 means 0.1. numpy scalars pass through `item`.
    """
    item = getattr(value, "item", None)
    if item is not None and not isinstance(value, str | int | float | Decimal):
        value = item()
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() else None


def wire_text(value: object) -> str | None:
    """At most 12 digits before and after the point, cut towards zero; None for what is no such number."""
    if type(value) is int:
        return str(value) if -_INTEGER_LIMIT < value < _INTEGER_LIMIT else None
    number = decimal_of(value)
    if number is None or abs(number) >= _LIMIT:
        return None
    if number == number.to_integral_value():
        return str(int(number))
    text = format(number.quantize(_PLACES, rounding=ROUND_DOWN), "f").rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def price_text(value: object) -> str | None:
    """None stays none; a value that is no number becomes one that the kernel denies."""
    if value is None:
        return None
    return wire_text(value) or INVALID_PRICE
