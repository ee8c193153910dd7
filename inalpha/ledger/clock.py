"""The three times that a line carries: wall clock, time since boot, and which boot."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Reading:
    """Microseconds of the wall clock (since 1970 UTC) and since boot; boot: 16 hex digits."""

    wall_us: int
    mono_us: int
    boot: str


Clock = Callable[[], Reading]


def system_clock() -> Clock:
    """The host's clocks. The boot id is read once: it cannot change under a running process."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        boot_id = b"unknown"
    boot = hashlib.sha256(boot_id).hexdigest()[:16]
    return lambda: Reading(time.time_ns() // 1000, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000, boot)
