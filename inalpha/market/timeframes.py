"""Timeframes by name, and the grid that open times stand on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from inalpha.model.errors import ConfigError
from inalpha.model.timeframe import DAY_NS, TIMEFRAMES_NS

_WEEK_NS = 7 * DAY_NS
_FIRST_MONDAY_NS = 4 * DAY_NS  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class Timeframe:
    """ns: length; name: as written in a mandate."""

    ns: int
    name: str

    def is_on_grid(self, open_ns: int) -> bool:
        """Open times are multiples of the length from 1970-01-01 UTC, weeks from a Monday."""
        anchor = _FIRST_MONDAY_NS if self.ns == _WEEK_NS else 0
        return (open_ns - anchor) % self.ns == 0


def parse_timeframe(name: str) -> Timeframe:
    """The timeframe of that name. Raises ConfigError UNKNOWN_TIMEFRAME."""
    ns = TIMEFRAMES_NS.get(name)
    if ns is None:
        known = " ".join(TIMEFRAMES_NS)
        raise ConfigError("UNKNOWN_TIMEFRAME", f"{name!r} is no timeframe.", f"Use one of: {known}.")
    return Timeframe(ns, name)


def infer_timeframe(open_times_ns: list[int]) -> Timeframe | None:
    """The timeframe whose length is the commonest distance between open times; None where none fits."""
    counts: dict[int, int] = {}
    for before, after in pairwise(open_times_ns):
        counts[after - before] = counts.get(after - before, 0) + 1
    if not counts:
        return None
    commonest = max(counts, key=lambda distance: (counts[distance], -distance))
    name = next((name for name, ns in TIMEFRAMES_NS.items() if ns == commonest), None)
    return Timeframe(commonest, name) if name else None
