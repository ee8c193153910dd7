"""The seeded market of the reference results: prices in ticks of 0.01, one-minute bars from 2020-01-01."""

from __future__ import annotations

import numpy as np

from inalpha.model.bar import Bar
from inalpha.model.money import E8

START_NS = 1_577_836_800_000_000_000
MINUTE_NS = 60_000_000_000


def reference_bars(n: int) -> list[Bar]:
    """n bars drawn from generator 42 in the order close, open, high, low, volume."""
    rng = np.random.default_rng(42)
    close = np.clip(100 * np.exp(np.cumsum(rng.normal(0, 4e-4, n))), 5, None)
    opens = np.concatenate(([100.0], close[:-1] * (1 + rng.normal(0, 1e-4, n - 1))))
    close_2, open_2 = np.round(close, 2), np.round(opens, 2)
    top, bottom = np.maximum(open_2, close_2), np.minimum(open_2, close_2)
    high = np.maximum(np.round(top * (1 + np.abs(rng.normal(0, 2e-4, n))), 2), top)
    low = np.minimum(np.round(bottom * (1 - np.abs(rng.normal(0, 2e-4, n))), 2), bottom)
    volume = rng.integers(1000, 100000, n)
    ticks = [np.rint(column * 100).astype(int).tolist() for column in (open_2, high, low, close_2)]
    return [
        Bar(START_NS + i * MINUTE_NS, START_NS + (i + 1) * MINUTE_NS, o, h, low_, c, v * E8, i)
        for i, (o, h, low_, c, v) in enumerate(zip(*ticks, volume.tolist(), strict=True))
    ]
