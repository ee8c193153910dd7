"""Durations as people write them: a whole number and a unit."""

from __future__ import annotations

import re
from functools import lru_cache

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])\Z")


@lru_cache(maxsize=128)
def duration_s(text: str) -> int | None:
    """Seconds of `90s`, `15m`, `12h`, `30d`; None for anything else, zero included."""
    match = _DURATION.match(text)
    return int(match[1]) * _SECONDS[match[2]] or None if match else None
