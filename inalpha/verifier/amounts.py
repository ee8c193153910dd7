"""Amounts as exact decimals on the grid of 1e-8, and the account that belongs to an identity."""

from __future__ import annotations

import re
import uuid
from decimal import ROUND_HALF_EVEN, Context, Decimal

from inalpha.verifier.checks import require

EXACT = Context(prec=120)
UNIT = Decimal("0.00000001")
ZERO = Decimal(0)
WHOLE_DIGITS = 19
LARGEST = Decimal(10) ** WHOLE_DIGITS


def amount(text: str) -> Decimal:
    """A decimal text on the grid of 1e-8 that all amounts live on."""
    return Decimal(text).quantize(UNIT, ROUND_HALF_EVEN, EXACT)


def times(left: Decimal, right: Decimal) -> Decimal:
    return bounded(EXACT.multiply(left, right).quantize(UNIT, ROUND_HALF_EVEN, EXACT))


def bounded(value: Decimal) -> Decimal:
    """An amount small enough that the default context adds it exactly: 28 digits, 8 of them behind the point."""
    require(abs(value) < LARGEST, "I13", f"an amount of {WHOLE_DIGITS} whole digits or more")
    return value


def text_of(value: Decimal) -> str:
    """The canonical text of an amount."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def signed(side: str, quantity: Decimal) -> Decimal:
    return quantity if side == "buy" else -quantity


def reduces(side: str, quantity: Decimal, held: Decimal) -> bool:
    """Whether an order can only make the position smaller."""
    return signed(side, quantity) * held < 0 and quantity <= abs(held)


ACCOUNTS = uuid.UUID("dcc156b6-bb4f-59e1-899c-6bcff83dfef1")
UUID_FORM = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def owner_account(handle: str) -> str:
    """The account that belongs to an identity."""
    return handle.lower() if UUID_FORM.fullmatch(handle) else str(uuid.uuid5(ACCOUNTS, handle))
