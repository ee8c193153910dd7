"""Streaming indicators: one update per closed bar, sums over integer ticks, one division when read.

`value` is None until `ready`. Sums are exact, so two averages that are equal compare equal.
"""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction

from inalpha.model.bar import Bar
from inalpha.model.money import E8


class Indicator:
    """Base: `update(bar)` in, `value` out. Windows are counted in closed bars."""

    __slots__ = ()

    @property
    def ready(self) -> bool:
        return self.value is not None

    @property
    def value(self) -> object | None:
        raise NotImplementedError

    def update(self, bar: Bar) -> None:
        raise NotImplementedError

    def reset(self) -> None:
        raise NotImplementedError


def _window(window: int, least: int = 1) -> int:
    if isinstance(window, bool) or not isinstance(window, int) or window < least:
        raise ValueError(f"window {window!r}: a whole number of at least {least}")
    return window


class _Rolling(Indicator):
    """The last n closes and their running sum.

    The window begins full of zeros, so that every update is the same; missing counts those left in it.
    """

    __slots__ = ("_denominator", "_missing", "_sum", "_tick_e8", "_ticks", "window")

    def __init__(self, window: int) -> None:
        self.window = _window(window)
        self._denominator = self.window * E8
        self.reset()

    def reset(self) -> None:
        self._ticks: deque[int] = deque([0] * self.window, self.window)
        self._sum = 0
        self._tick_e8 = 0
        self._missing = self.window

    def update(self, bar: Bar) -> None:
        newest = bar.close_ticks
        ticks = self._ticks
        self._sum += newest - ticks[0]
        ticks.append(newest)
        if self._missing:
            self._missing -= 1
            self._tick_e8 = bar.tick_e8

    @property
    def ready(self) -> bool:
        return not self._missing


class SMA(_Rolling):
    """Simple moving average of closes."""

    # The commonest indicator, read on every bar: a plain attribute, and _Rolling.update written out.
    __slots__ = ("value",)
    value: float | None

    def reset(self) -> None:
        super().reset()
        self.value = None

    def update(self, bar: Bar) -> None:
        newest = bar.close_ticks
        ticks = self._ticks
        total = self._sum = self._sum + newest - ticks[0]
        ticks.append(newest)
        if self._missing:
            self._missing -= 1
            self._tick_e8 = bar.tick_e8
            if self._missing:
                return
        self.value = total * self._tick_e8 / self._denominator


class WMA(_Rolling):
    """Linearly weighted moving average: the newest close weighs n, the oldest 1."""

    __slots__ = ("_weighted",)

    def reset(self) -> None:
        super().reset()
        self._weighted = 0

    def update(self, bar: Bar) -> None:
        # Every weight falls by one as the window moves: subtract the old sum, add the newest n times.
        self._weighted += self.window * bar.close_ticks - self._sum
        super().update(bar)

    @property
    def value(self) -> float | None:
        if self._missing:
            return None
        weights = self.window * (self.window + 1) // 2
        return self._weighted * self._tick_e8 / (weights * E8)


class StdDev(_Rolling):
    """Standard deviation of the last n closes. ddof 0, as in Bollinger bands."""

    __slots__ = ("_squares", "ddof")

    def __init__(self, window: int, ddof: int = 0) -> None:
        self.ddof = ddof
        super().__init__(_window(window, 1 + ddof))

    def reset(self) -> None:
        super().reset()
        self._squares = 0

    def update(self, bar: Bar) -> None:
        self._squares += bar.close_ticks**2 - self._ticks[0] ** 2
        super().update(bar)

    @property
    def value(self) -> float | None:
        if self._missing:
            return None
        # n * sum(x^2) - sum(x)^2 is an exact integer: no cancellation however flat the market is.
        spread = self.window * self._squares - self._sum**2
        variance = Fraction(spread, self.window * (self.window - self.ddof))
        return math.sqrt(variance) * self._tick_e8 / E8


class EMA(Indicator):
    """Exponential moving average, smoothing 2 / (n + 1), started at the first close; ready after n."""

    __slots__ = ("_alpha", "_count", "_value", "window")

    def __init__(self, window: int) -> None:
        self.window = _window(window)
        self._alpha = 2 / (window + 1)
        self.reset()

    def reset(self) -> None:
        self._count = 0
        self._value = 0.0

    def update(self, bar: Bar) -> None:
        self.push(bar.close)

    def push(self, price: float) -> None:
        """Take one value that is no bar's close; for indicators of indicators."""
        self._value = self._value + self._alpha * (price - self._value) if self._count else price
        self._count += 1

    @property
    def value(self) -> float | None:
        return self._value if self._count >= self.window else None


class RSI(Indicator):
    """Wilder's relative strength index, 0 to 100. Without any loss it is 100."""

    __slots__ = ("_count", "_down", "_previous", "_up", "window")

    def __init__(self, window: int = 14) -> None:
        self.window = _window(window)
        self.reset()

    def reset(self) -> None:
        self._count = 0
        self._previous: float | None = None
        self._up = 0.0
        self._down = 0.0

    def update(self, bar: Bar) -> None:
        # The first bar counts as no change, so that the average starts where `ta` starts it.
        change = 0.0 if self._previous is None else bar.close - self._previous
        self._previous = bar.close
        up, down = max(change, 0.0), max(-change, 0.0)
        if self._count:
            self._up += (up - self._up) / self.window
            self._down += (down - self._down) / self.window
        else:
            self._up, self._down = up, down
        self._count += 1

    @property
    def value(self) -> float | None:
        if self._count < self.window:
            return None
        if self._down == 0:
            return 100.0
        return 100.0 - 100.0 / (1.0 + self._up / self._down)


class ROC(Indicator):
    """Rate of change over n bars, in percent."""

    __slots__ = ("_ticks", "window")

    def __init__(self, window: int = 12) -> None:
        self.window = _window(window)
        self.reset()

    def reset(self) -> None:
        self._ticks: deque[int] = deque(maxlen=self.window + 1)

    def update(self, bar: Bar) -> None:
        self._ticks.append(bar.close_ticks)

    @property
    def value(self) -> float | None:
        if len(self._ticks) <= self.window:
            return None
        return (self._ticks[-1] - self._ticks[0]) * 100 / self._ticks[0]


class VWAP(Indicator):
    """Volume-weighted average of the typical price over n bars; None while the window has no volume."""

    __slots__ = ("_bars", "_tick_e8", "_value", "_volume", "window")

    def __init__(self, window: int = 14) -> None:
        self.window = _window(window)
        self.reset()

    def reset(self) -> None:
        self._bars: deque[tuple[int, int]] = deque()
        self._value = 0
        self._volume = 0
        self._tick_e8 = 0

    def update(self, bar: Bar) -> None:
        pair = ((bar.high_ticks + bar.low_ticks + bar.close_ticks) * bar.volume_e8, bar.volume_e8)
        self._bars.append(pair)
        self._value += pair[0]
        self._volume += pair[1]
        self._tick_e8 = bar.tick_e8
        if len(self._bars) > self.window:
            value, volume = self._bars.popleft()
            self._value -= value
            self._volume -= volume

    @property
    def value(self) -> float | None:
        if len(self._bars) < self.window or self._volume == 0:
            return None
        return self._value * self._tick_e8 / (3 * self._volume * E8)
