"""Bars per second, as people write it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

MAX_SPEED = Decimal(100_000)


def parse_speed(text: str) -> Decimal | None:
    """A number above 0 and up to MAX_SPEED; None for `max`. Raises ValueError."""
    if text == "max":
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"the speed {text!r} is no number") from None
    if not value.is_finite() or not 0 < value <= MAX_SPEED:
        raise ValueError(f"the speed {text} is outside 0 to {MAX_SPEED}")
    return value
