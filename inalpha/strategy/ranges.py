"""Indicators of more than one line or of the bar's range: ATR, MACD, Bollinger, Donchian, Stochastic."""

from __future__ import annotations

from collections import deque

from inalpha.model.bar import Bar
from inalpha.model.money import E8
from inalpha.strategy.indicators import EMA, SMA, Indicator, StdDev, _window


class _Extremes:
    """Highest high and lowest low of the last n bars, O(1) amortised by monotonic queues."""

    __slots__ = ("count", "highs", "lows", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.count = 0
        self.highs: deque[tuple[int, int]] = deque()
        self.lows: deque[tuple[int, int]] = deque()

    def push(self, bar: Bar) -> None:
        expired = self.count - self.window
        while self.highs and self.highs[-1][1] <= bar.high_ticks:
            self.highs.pop()
        while self.lows and self.lows[-1][1] >= bar.low_ticks:
            self.lows.pop()
        self.highs.append((self.count, bar.high_ticks))
        self.lows.append((self.count, bar.low_ticks))
        if self.highs[0][0] <= expired:
            self.highs.popleft()
        if self.lows[0][0] <= expired:
            self.lows.popleft()
        self.count += 1

    @property
    def full(self) -> bool:
        return self.count >= self.window


class ATR(Indicator):
    """Wilder's average true range: the mean of the first n, then smoothed by 1 / n."""

    __slots__ = ("_count", "_previous", "_sum", "_value", "window")

    def __init__(self, window: int = 14) -> None:
        self.window = _window(window)
        self.reset()

    def reset(self) -> None:
        self._count = 0
        self._previous = 0
        self._sum = 0
        self._value = 0.0

    def update(self, bar: Bar) -> None:
        high, low = bar.high_ticks, bar.low_ticks
        if self._count:
            high, low = max(high, self._previous), min(low, self._previous)
        true_range = high - low
        self._previous = bar.close_ticks
        self._count += 1
        if self._count <= self.window:
            self._sum += true_range
            self._value = self._sum * bar.tick_e8 / (self.window * E8)
        else:
            self._value += (true_range * bar.tick_e8 / E8 - self._value) / self.window

    @property
    def value(self) -> float | None:
        return self._value if self._count >= self.window else None


class MACD(Indicator):
    """value: EMA(fast) - EMA(slow); signal: its EMA; histogram: their difference."""

    __slots__ = ("_fast", "_line", "_signal", "_slow")

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        if _window(fast) >= _window(slow):
            raise ValueError(f"fast {fast} must be below slow {slow}")
        self._fast, self._slow, self._signal = EMA(fast), EMA(slow), EMA(signal)
        self._line: float | None = None

    def reset(self) -> None:
        for average in (self._fast, self._slow, self._signal):
            average.reset()
        self._line = None

    def update(self, bar: Bar) -> None:
        self._fast.update(bar)
        self._slow.update(bar)
        fast, slow = self._fast.value, self._slow.value
        if fast is not None and slow is not None:
            self._line = fast - slow
            self._signal.push(self._line)

    @property
    def value(self) -> float | None:
        return self._line

    @property
    def signal(self) -> float | None:
        return self._signal.value

    @property
    def histogram(self) -> float | None:
        signal = self._signal.value
        return None if signal is None or self._line is None else self._line - signal


class Bollinger(Indicator):
    """value (the middle): SMA(n); upper and lower: k standard deviations (ddof 0) away."""

    __slots__ = ("_deviation", "_mean", "k")

    def __init__(self, window: int = 20, k: float = 2.0) -> None:
        self._mean = SMA(window)
        self._deviation = StdDev(window)
        self.k = k

    def reset(self) -> None:
        self._mean.reset()
        self._deviation.reset()

    def update(self, bar: Bar) -> None:
        self._mean.update(bar)
        self._deviation.update(bar)

    @property
    def value(self) -> float | None:
        return self._mean.value

    @property
    def upper(self) -> float | None:
        return self._band(self.k)

    @property
    def lower(self) -> float | None:
        return self._band(-self.k)

    def _band(self, deviations: float) -> float | None:
        mean, deviation = self._mean.value, self._deviation.value
        return None if mean is None or deviation is None else mean + deviations * deviation


class Donchian(Indicator):
    """upper: highest high, lower: lowest low of the last n bars, this one included; value: the middle."""

    __slots__ = ("_extremes", "_tick_e8", "window")

    def __init__(self, window: int = 20) -> None:
        self.window = _window(window)
        self.reset()

    def reset(self) -> None:
        self._extremes = _Extremes(self.window)
        self._tick_e8 = 0

    def update(self, bar: Bar) -> None:
        self._extremes.push(bar)
        self._tick_e8 = bar.tick_e8

    @property
    def upper(self) -> float | None:
        return self._extremes.highs[0][1] * self._tick_e8 / E8 if self._extremes.full else None

    @property
    def lower(self) -> float | None:
        return self._extremes.lows[0][1] * self._tick_e8 / E8 if self._extremes.full else None

    @property
    def value(self) -> float | None:
        if not self._extremes.full:
            return None
        return (self._extremes.highs[0][1] + self._extremes.lows[0][1]) * self._tick_e8 / (2 * E8)


class Stochastic(Indicator):
    """value (%K): where the close stands in the range of n bars, 0 to 100; signal (%D): its mean of m."""

    __slots__ = ("_close", "_extremes", "_recent", "smooth", "window")

    def __init__(self, window: int = 14, smooth: int = 3) -> None:
        self.window = _window(window)
        self.smooth = _window(smooth)
        self.reset()

    def reset(self) -> None:
        self._extremes = _Extremes(self.window)
        self._recent: deque[float | None] = deque(maxlen=self.smooth)

    def update(self, bar: Bar) -> None:
        self._extremes.push(bar)
        if not self._extremes.full:
            return
        high, low = self._extremes.highs[0][1], self._extremes.lows[0][1]
        # A window without any range has no position inside it.
        self._recent.append((bar.close_ticks - low) * 100 / (high - low) if high > low else None)

    @property
    def value(self) -> float | None:
        return self._recent[-1] if self._recent else None

    @property
    def signal(self) -> float | None:
        known = [value for value in self._recent if value is not None]
        return sum(known) / self.smooth if len(known) == self.smooth else None
