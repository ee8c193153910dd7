"""A whole file of bars for research: checked, packed into columns, with its hash."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import count, repeat, starmap
from pathlib import Path
from typing import overload

from inalpha.market.bargate import PASSING, BarGate, VerdictKind
from inalpha.market.rawbar import RawBar
from inalpha.market.sources.file import DataError, read_csv
from inalpha.market.timeframes import Timeframe, infer_timeframe, parse_timeframe
from inalpha.model.bar import Bar, utc_from_ns
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8

_FIXES = {
    VerdictKind.REVISION: "Keep one line per open time.",
    VerdictKind.OUT_OF_ORDER: "Sort the file by time.",
    VerdictKind.OFF_GRID: "Give the timeframe that the file has, and open times in UTC.",
    VerdictKind.OFF_TICK: "Leave the tick to be read from the data, or state a finer one.",
}


def _column(values: Iterable[int]) -> Sequence[int]:
    """64 bits each; as objects where a number needs more, such as a day's volume of a coin worth nothing."""
    kept = list(values)
    try:
        return array("q", kept)
    except OverflowError:
        return kept


class BarArray(Sequence[Bar]):
    """Bars as seven columns of integers: a tenth of the memory of a list of Bar objects."""

    __slots__ = ("_columns", "_tick_e8")

    def __init__(self, bars: Sequence[Bar], tick_e8: int) -> None:
        self._tick_e8 = tick_e8
        self._columns: tuple[Sequence[int], ...] = (
            _column(bar.open_time_ns for bar in bars),
            _column(bar.close_time_ns for bar in bars),
            _column(bar.open_ticks for bar in bars),
            _column(bar.high_ticks for bar in bars),
            _column(bar.low_ticks for bar in bars),
            _column(bar.close_ticks for bar in bars),
            _column(bar.volume_e8 for bar in bars),
        )

    def __len__(self) -> int:
        return len(self._columns[0])

    @overload
    def __getitem__(self, index: int) -> Bar: ...
    @overload
    def __getitem__(self, index: slice) -> list[Bar]: ...
    def __getitem__(self, index: int | slice) -> Bar | list[Bar]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        opened, closed, open_, high, low, close, volume = (column[at] for column in self._columns)
        return Bar(opened, closed, open_, high, low, close, volume, at, self._tick_e8)

    def __iter__(self) -> Iterator[Bar]:
        return starmap(Bar, zip(*self._columns, count(), repeat(self._tick_e8), strict=False))


@dataclass(frozen=True, slots=True)
class Gap:
    """after: open time of the last bar before it."""

    after_ns: int
    missing: int
    cause: str


@dataclass(frozen=True, slots=True)
class BarData:
    """sha256: of the file's bytes. duplicates: equal lines that were dropped."""

    bars: BarArray
    gaps: tuple[Gap, ...]
    duplicates: int
    sha256: str
    instrument: Instrument
    timeframe: Timeframe
    path: Path


def symbol_of(path: Path) -> str:
    """The symbol that a file of bars is named after: BTC for btc-1h.csv."""
    return path.stem.split("-")[0].upper()


def load_bars(
    path: Path,
    instrument: Instrument | None = None,
    timeframe: str | None = None,
    calendar: str | None = None,
    *,
    keep_tick: bool = False,
) -> BarData:
    """All bars of a CSV file; a defect refuses the whole file with its line, field and value.

    The tick becomes finer where the data is finer, unless keep_tick; the instrument returned carries it.
    Without a timeframe the commonest distance between lines is taken.
    """
    raws = read_csv(path)
    if not raws:
        raise DataError("EMPTY_FILE", f"{path} holds no bars.", line=0, field="", value=str(path))
    frame = parse_timeframe(timeframe) if timeframe else _inferred(raws, path)
    base = instrument or Instrument(symbol_of(path))
    if calendar is not None:
        base = replace(base, calendar=calendar)
    if not keep_tick:
        base = replace(base, tick_e8=finest_tick(raws, base.tick_e8))
    gate = BarGate(frame, base)
    bars, gaps, duplicates = _pass(raws, gate)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return BarData(BarArray(bars, base.tick_e8), tuple(gaps), duplicates, digest, base, frame, path)


def _pass(raws: list[RawBar], gate: BarGate) -> tuple[list[Bar], list[Gap], int]:
    bars: list[Bar] = []
    gaps: list[Gap] = []
    duplicates = 0
    for raw in raws:
        before = gate.last
        # A file of the past holds closed bars only; its own end is the clock.
        now = (raw.open_ns or 0) + gate.timeframe.ns
        verdict = gate.offer(raw, now)
        if verdict.kind is VerdictKind.DUPLICATE:
            duplicates += 1
            continue
        if verdict.kind not in PASSING or verdict.bar is None:
            raise DataError(
                verdict.kind.value,
                f"{verdict.detail}.",
                line=raw.line,
                field=verdict.field,
                value=verdict.value,
                fix=_FIXES.get(verdict.kind, ""),
            )
        if verdict.kind is VerdictKind.GAP and before is not None:
            gaps.append(Gap(before.open_time_ns, verdict.missing, verdict.cause))
        bars.append(verdict.bar)
    return bars, gaps, duplicates


def _inferred(raws: list[RawBar], path: Path) -> Timeframe:
    times = [raw.open_ns for raw in raws if raw.open_ns is not None]
    found = infer_timeframe(times)
    if found is None:
        raise DataError(
            "UNKNOWN_TIMEFRAME",
            f"the distance between the lines of {path} is no timeframe (from {utc_from_ns(times[0])}).",
            line=0,
            field="time",
            value="",
            fix="Name the timeframe.",
        )
    return found


def finest_tick(raws: list[RawBar], tick_e8: int) -> int:
    """The stated tick, or the power of ten that every price stands on, whichever is finer."""
    places = 0
    for raw in raws:
        for text in (raw.open, raw.high, raw.low, raw.close):
            places = max(places, _places(text))
    finest = E8 // 10 ** min(places, 8)
    return tick_e8 if finest % tick_e8 == 0 else finest


def _places(text: str) -> int:
    _, point, fraction = text.partition(".")
    if point and fraction.isdigit():
        return len(fraction.rstrip("0"))
    try:
        exponent = Decimal(text).normalize().as_tuple().exponent
    except InvalidOperation:
        return 0
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
