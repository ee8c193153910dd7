"""Text from others made harmless, and numbers, ages and times as every screen prints them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from rich.cells import cell_len

from inalpha.model.plain import plain as harmless
from inalpha.model.timeframe import is_daily, session_us

MISSING = "missing"
MINUS = "-"


def plain(text: object, width: int | None = None) -> str:
    """Text that others wrote, as `inalpha.model.plain` makes it harmless, cut to a width."""
    found = harmless(text)
    return found if width is None else cut(found, width)


def cut(text: str, width: int) -> str:
    """At most width cells; a cut one ends with an ellipsis."""
    if cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    out, used = [], 0
    for letter in text:
        size = cell_len(letter)
        if used + size > width - 1:
            break
        out.append(letter)
        used += size
    return "".join(out) + "…"


def pad(text: str, width: int, right: bool = False) -> str:
    """Exactly width cells."""
    text = cut(text, width)
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def number(value: object, places: int | None = None, sign: bool = False) -> str:
    """A decimal with thousands separators; never -0, never an exponent; `missing` for nothing, NaN or ∞."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return MISSING
    if value is None or not found.is_finite():
        return MISSING
    if places is not None:
        found = round(found, places)
    if found == 0:
        found = abs(found)
    text = f"{found:{'+' if sign and found else ''},f}"
    if places is None and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text


def price(value: object) -> str:
    """Two places from 1 on, more below: what a trader reads at a glance."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return MISSING
    if not found.is_finite():
        return MISSING
    size = abs(found)
    return number(found, 2 if size >= 1 or size == 0 else 8 if size < Decimal("0.0001") else 6)


def percent(part: object, whole: object, places: int = 1, sign: bool = False) -> str:
    """part / whole in percent."""
    try:
        share = Decimal(str(part)) * 100 / Decimal(str(whole))
    except ArithmeticError:
        return MISSING
    return number(share, places, sign) + "%"


def age(seconds: float) -> str:
    """0.4s, 12s, 41m, 3h05m, 9d. A negative age is clock skew and is shown as none."""
    seconds = max(seconds, 0.0)
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 100:
        return f"{seconds:.0f}s"
    if seconds < 6000:
        return f"{seconds / 60:.0f}m"
    if seconds < 86_400 * 2:
        return f"{seconds // 3600:.0f}h{seconds % 3600 // 60:02.0f}m"
    return f"{seconds // 86_400:.0f}d"


def left(seconds: float) -> str:
    """Time to go, mm:ss, or h:mm:ss from an hour on."""
    whole = max(int(seconds), 0)
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60:02d}:{whole % 60:02d}"


def when(us: int | None) -> datetime | None:
    return None if us is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def clock_text(us: int | None, seconds: bool = True) -> str:
    """10:41:07Z"""
    found = when(us)
    return MISSING if found is None else found.strftime("%H:%M:%SZ" if seconds else "%H:%MZ")


def moment(us: int | None, now_us: int) -> str:
    """The time of day for what happened today, else the date: 10:41Z, 21 Nov, 31 May 01."""
    found, now = when(us), when(now_us)
    if found is None or now is None:
        return "-"
    if found.date() == now.date():
        return found.strftime("%H:%MZ")
    return found.strftime("%d %b" if found.year == now.year else "%d %b %y")


def bar_time(us: int | None, timeframe: str = "") -> str:
    """When a bar closed, with the time of day; a bar of a day or longer by the date of its session."""
    found = None if us is None else when(session_us(us, timeframe))
    if found is None:
        return "-"
    return found.strftime("%d %b %y" if is_daily(timeframe) else "%d %b %H:%MZ")


def bar_moment(us: int | None, timeframe: str, now_us: int) -> str:
    """A bar's close as `moment` tells it; a bar of a day or longer by the date of its session."""
    if us is None or not is_daily(timeframe):
        return moment(us, now_us)
    found, now = when(session_us(us, timeframe)), when(now_us)
    assert found is not None and now is not None
    return found.strftime("%d %b" if found.year == now.year else "%d %b %y")


def digest(text: str | None) -> str:
    """A hash as people compare it: both ends."""
    return MISSING if not text else f"{text[:8]}…{text[-4:]}"


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
