"""The one door for bars: closed, ordered, sane, on grid. What does not pass is named, never mended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from msgspec.structs import replace

from inalpha.market.rawbar import RawBar
from inalpha.market.timeframes import Timeframe, parse_timeframe
from inalpha.model.bar import Bar, utc_from_ns
from inalpha.model.calendar import Calendar, calendar_of, missing_bars
from inalpha.model.instrument import Instrument
from inalpha.model.money import e8_from_text, text_from_e8


class VerdictKind(StrEnum):
    ACCEPTED = "ACCEPTED"
    GAP = "GAP"  # the bar passes too; count and cause in the verdict
    FORMING = "FORMING"
    DUPLICATE = "DUPLICATE"
    REVISION = "REVISION"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    BAD_OHLC = "BAD_OHLC"
    NOT_FINITE = "NOT_FINITE"
    NOT_POSITIVE = "NOT_POSITIVE"
    OFF_GRID = "OFF_GRID"
    OFF_TICK = "OFF_TICK"


_GAPS_KEPT = 100  # a bar that comes later than a hundred gaps is just out of order
_MOST_PRICE_E8 = 2**63 - 1  # what a column of 64 bits holds: 92 thousand million
_MOST_VOLUME_E8 = 10**26
PASSING = frozenset({VerdictKind.ACCEPTED, VerdictKind.GAP})


@dataclass(frozen=True, slots=True)
class Verdict:
    """bar: set when it passes. field and value name what was wrong; missing and cause describe a gap.

    revised: what a source now says of the last accepted bar, which stands as it was first said.
    """

    kind: VerdictKind
    bar: Bar | None
    detail: str
    field: str = ""
    value: str = ""
    missing: int = 0
    cause: str = ""
    revised: Bar | None = None

    @property
    def anomalies(self) -> tuple[tuple[str, str], ...]:
        """What goes on record beside good bars; a forming bar is none."""
        if self.kind in (VerdictKind.ACCEPTED, VerdictKind.FORMING):
            return ()
        return ((self.kind.value, self.detail),)


class BarGate:
    """Keeps the last accepted bar of one feed. grace_ns: how long after its end a bar counts as closed.

    omits_empty: the source leaves out bars without trades, so a gap in trading time is `no_trades`.
    last_open_ns: the bar accepted before a restart; the gap after it is our own downtime.
    """

    def __init__(
        self,
        timeframe: Timeframe | str,
        instrument: Instrument,
        last_open_ns: int | None = None,
        *,
        calendar: Calendar | None = None,
        grace_ns: int = 0,
        omits_empty: bool = False,
    ) -> None:
        self.timeframe = parse_timeframe(timeframe) if isinstance(timeframe, str) else timeframe
        self.instrument = instrument
        self.calendar = calendar or calendar_of(instrument.calendar)
        self.grace_ns = grace_ns
        self.omits_empty = omits_empty
        self.last: Bar | None = None
        self.last_open_ns = last_open_ns
        self.sequence = 0
        self._was_away = last_open_ns is not None
        self._gaps: list[tuple[int, int]] = []

    def gap_before(self, raw: RawBar) -> tuple[int, int] | None:
        """[from, to) of the trading time that this bar would leap over; None where it follows on."""
        if self.last_open_ns is None or raw.open_ns is None:
            return None
        from_ns = self.last_open_ns + self.timeframe.ns
        expected = raw.open_ns > from_ns and missing_bars(
            self.calendar, from_ns, raw.open_ns, self.timeframe.ns
        )
        return (from_ns, raw.open_ns) if expected else None

    def offer(self, raw: RawBar, now_ns: int, sequence: int | None = None) -> Verdict:
        """The verdict on one bar. now_ns: the source's clock; sequence: the number an accepted bar gets."""
        if sequence is not None:
            self.sequence = sequence
        made = self._parse(raw)
        if isinstance(made, Verdict):
            return made
        closed_at = made.close_time_ns + self.grace_ns
        if closed_at > now_ns:
            return Verdict(VerdictKind.FORMING, None, f"closes at {utc_from_ns(made.close_time_ns)}", "time")
        if self.last_open_ns is not None and made.open_time_ns <= self.last_open_ns:
            return self._not_newer(made, self.last_open_ns)
        return self._accept(made)

    def _parse(self, raw: RawBar) -> Bar | Verdict:
        if raw.open_ns is None:
            return Verdict(VerdictKind.NOT_FINITE, None, "no time", "time", "")
        values: list[int] = []
        for field in ("open", "high", "low", "close", "volume"):
            text = getattr(raw, field)
            try:
                amount = e8_from_text(text)
            except (ValueError, TypeError):
                return Verdict(VerdictKind.NOT_FINITE, None, f"{field} is {text!r}", field, str(text))
            if amount > (_MOST_VOLUME_E8 if field == "volume" else _MOST_PRICE_E8):
                text = f"{field} {text[:40]} is too large"
                return Verdict(VerdictKind.NOT_FINITE, None, text, field, getattr(raw, field)[:40])
            least = 0 if field == "volume" else 1
            if amount < least:
                return Verdict(VerdictKind.NOT_POSITIVE, None, f"{field} is {text}", field, text)
            if field != "volume":
                amount, rest = divmod(amount, self.instrument.tick_e8)
                if rest:
                    tick = text_from_e8(self.instrument.tick_e8)
                    return Verdict(VerdictKind.OFF_TICK, None, f"{field} {text}, tick {tick}", field, text)
            values.append(amount)
        return self._check(raw, *values)

    def _check(self, raw: RawBar, open_: int, high: int, low: int, close: int, volume: int) -> Bar | Verdict:
        if low > min(open_, close):
            text = f"low {raw.low} is above open {raw.open} or close {raw.close}"
            return Verdict(VerdictKind.BAD_OHLC, None, text, "low", raw.low)
        if high < max(open_, close):
            text = f"high {raw.high} is below open {raw.open} or close {raw.close}"
            return Verdict(VerdictKind.BAD_OHLC, None, text, "high", raw.high)
        start = raw.open_ns or 0
        if not self.timeframe.is_on_grid(start):
            text = f"{utc_from_ns(start)} is not on the {self.timeframe.name} grid"
            return Verdict(VerdictKind.OFF_GRID, None, text, "time", str(utc_from_ns(start)))
        end = start + self.timeframe.ns
        return Bar(start, end, open_, high, low, close, volume, self.sequence, self.instrument.tick_e8)

    def _not_newer(self, bar: Bar, last_open_ns: int) -> Verdict:
        when = str(utc_from_ns(bar.open_time_ns))
        if bar.open_time_ns < last_open_ns:
            is_late = any(start <= bar.open_time_ns < end for start, end in self._gaps)
            text = f"{when} is before the last accepted bar {utc_from_ns(last_open_ns)}"
            text += ": it was missing, and late" if is_late else ""
            cause = "late" if is_late else ""
            return Verdict(VerdictKind.OUT_OF_ORDER, None, text, "time", when, cause=cause)
        last = self.last
        if last is None or _values(bar) == _values(last):
            return Verdict(VerdictKind.DUPLICATE, None, f"{when} again, same values", "time", when)
        text = f"{when}: had {_values(last)}, got {_values(bar)} (open, high, low, close ticks, volume e8)"
        price = self.instrument.price_text(bar.close_ticks)
        return Verdict(
            VerdictKind.REVISION, None, text, "close", price, revised=replace(bar, sequence=last.sequence)
        )

    def _accept(self, bar: Bar) -> Verdict:
        expected_ns = None if self.last_open_ns is None else self.last_open_ns + self.timeframe.ns
        self.last, self.last_open_ns = bar, bar.open_time_ns
        self.sequence += 1
        if expected_ns is None or bar.open_time_ns == expected_ns:
            self._was_away = False
            return Verdict(VerdictKind.ACCEPTED, bar, "")
        absent = (bar.open_time_ns - expected_ns) // self.timeframe.ns
        expected = missing_bars(self.calendar, expected_ns, bar.open_time_ns, self.timeframe.ns)
        cause = self._cause(expected)
        self._was_away = False
        if expected:
            self._gaps = [*self._gaps[1 - _GAPS_KEPT :], (expected_ns, bar.open_time_ns)]
        missing = expected or absent
        return Verdict(
            VerdictKind.GAP, bar, f"{missing} bars missing ({cause})", missing=missing, cause=cause
        )

    def _cause(self, expected: int) -> str:
        if expected == 0:
            return "holiday"
        if self._was_away:
            return "downtime"
        return "no_trades" if self.omits_empty else "unknown"


def _values(bar: Bar) -> tuple[int, int, int, int, int]:
    return bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks, bar.volume_e8
