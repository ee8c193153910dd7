"""How many runners a host takes: memory that it can promise, and a fixed ceiling."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from inalpha.model.errors import Refused

MAX_RUNS = 100
MEMORY_SHARE = 0.6
_PER_RUNNER = 16 << 20
_ZYGOTE = 96 << 20


def available_bytes() -> int:
    """Memory that this host may count on: available now, or its cgroup's limit where lower."""
    available = 0
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) << 10
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        return min(available, int(limit))
    except (OSError, ValueError):
        return available


def admit(
    budgets: Iterable[int],
    wanted: int,
    available: int,
    *,
    share: float = MEMORY_SHARE,
    max_runs: int = MAX_RUNS,
) -> None:
    """Raises Refused naming both numbers when one more runner of `wanted` bytes does not fit."""
    present = list(budgets)
    if len(present) >= max_runs:
        raise Refused("TOO_MANY_RUNNERS", f"{len(present)} runners on this host, at most {max_runs}")
    needed = sum(budget + _PER_RUNNER for budget in [*present, wanted]) + _ZYGOTE
    allowed = int(available * share)
    if needed > allowed:
        raise Refused(
            "NO_MEMORY",
            f"{needed >> 20} MiB would be promised, {allowed >> 20} MiB may be (sandbox.memory_share)",
        )
