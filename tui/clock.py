"""The console's two clocks, handed in so that tests and snapshots decide the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


def _wall_us() -> int:
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Clock:
    """mono: seconds for ages and arming delays; wall_us: host time, for expiries and the clock on line 1."""

    mono: Callable[[], float] = time.monotonic
    wall_us: Callable[[], int] = _wall_us
