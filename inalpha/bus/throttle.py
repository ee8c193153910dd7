"""A rate for words that nobody asked for: what a strategy prints, what a host repeats."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

TELL_S = 60.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float
    told_s: float
    refused: int = 0


@dataclass(slots=True)
class Throttle:
    """A token bucket per key: `burst` at once, `rate` a second for ever. clock: monotonic seconds.

    What is refused is counted; `untold` gives the count of a key at most once a minute.
    """

    rate: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def admits(self, key: str) -> bool:
        now = self.clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self.burst, now, now - TELL_S)
        bucket.tokens = min(float(self.burst), bucket.tokens + (now - bucket.filled_s) * self.rate)
        bucket.filled_s = now
        if bucket.tokens < 1:
            bucket.refused += 1
            return False
        bucket.tokens -= 1
        return True

    def untold(self, key: str) -> int:
        """How many were refused since this was last told; 0 when there are none, or within the same minute."""
        bucket, now = self._buckets.get(key), self.clock()
        if bucket is None or not bucket.refused or now - bucket.told_s < TELL_S:
            return 0
        refused, bucket.refused, bucket.told_s = bucket.refused, 0, now
        return refused

    def known(self) -> list[str]:
        return list(self._buckets)

    def forget(self, key: str) -> None:
        """Its bucket is full again, its count is gone."""
        self._buckets.pop(key, None)
