"""A bar as a source states it, before anyone has looked at it; values are decimal texts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RawBar:
    """open_ns: None where the time could not be read. line: where it stood, 0 for a live source."""

    open_ns: int | None
    open: str
    high: str
    low: str
    close: str
    volume: str
    line: int = 0
