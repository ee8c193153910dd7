"""Integer money, prices and quantities: every amount is an int of 1e-8 units.

Floats decide trades differently at ties, so none is used inside; decimal strings stand at the edges.
A price in ticks times the instrument's tick (in 1e-8 units) is a price in 1e-8 units; a quantity in lots
times the lot (in 1e-8 units) is a quantity in 1e-8 units.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

E8 = 100_000_000
_PLAIN_DIGITS = 40
MOST_CASH_E8 = 10**18  # ten thousand million: what an account may be given, well inside 64 bits


def divide_half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator rounded half to even; denominator > 0."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient


def multiply_e8(left: int, right: int) -> int:
    """Product of two 1e-8 amounts as a 1e-8 amount, half-even (KERNEL.md 9.2)."""
    return divide_half_even(left * right, E8)


def e8_from_text(text: str) -> int:
    """Decimal text to 1e-8 units, half-even to 8 places. Raises ValueError for anything not finite."""
    if text.isascii() and text.isdigit() and len(text) <= _PLAIN_DIGITS:
        return int(text) * E8
    try:
        with localcontext() as context:
            context.prec = 60
            value = Decimal(text)
            if not value.is_finite():
                raise ValueError(f"not a finite number: {text!r}")
            return int((value * E8).to_integral_value(ROUND_HALF_EVEN))
    except ArithmeticError as error:
        raise ValueError(f"not a number: {text!r}") from error


def text_from_e8(amount: int) -> str:
    """Canonical decimal string of a 1e-8 amount: no exponent, no trailing zeros, never -0."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), E8)
    if fraction == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:08d}".rstrip("0")
