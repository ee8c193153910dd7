"""Any function of the `ta` package over a fixed number of closed bars, the same number in every mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from inalpha.strategy.bars import COLUMNS, HISTORY_LIMIT, BarMemory

if TYPE_CHECKING:
    import pandas as pd


class TaWindow:
    """value: the function's last element over the last `lookback` bars, computed once per bar when read."""

    def __init__(
        self,
        function: Callable[..., Any],
        columns: tuple[str, ...],
        lookback: int,
        kwargs: Mapping[str, Any],
        memory: BarMemory,
        line: int = 0,
    ) -> None:
        unknown = [name for name in columns if name not in COLUMNS]
        if unknown or not columns:
            raise ValueError(f"columns {columns!r}: choose from {', '.join(COLUMNS)}")
        if isinstance(lookback, bool) or not isinstance(lookback, int) or not 1 <= lookback <= HISTORY_LIMIT:
            raise ValueError(f"lookback {lookback!r}: a whole number from 1 to {HISTORY_LIMIT}")
        self.lookback = lookback
        self.columns = columns
        self.line = line
        self._function = function
        self._kwargs = dict(kwargs)
        self._memory = memory
        self._at: int | None = None
        self._value: float | None = None

    @property
    def ready(self) -> bool:
        return len(self._memory.bars) >= self.lookback

    @property
    def value(self) -> float | None:
        """None before `lookback` bars, and where the function itself gives no number."""
        if not self.ready:
            return None
        newest = self._memory.bars[-1].open_time_ns
        if self._at != newest:
            self._at = newest
            self._value = self._compute()
        return self._value

    @property
    def function_name(self) -> str:
        """`ta.trend.adx` for a library's function, the plain name for one of the author's file."""
        inner = getattr(self._function, "func", self._function)  # functools.partial
        name = str(getattr(inner, "__name__", type(inner).__name__)).strip("<>")
        module = str(getattr(inner, "__module__", ""))
        return f"{module}.{name}" if "." in module else name

    def apply(self, frame: pd.DataFrame) -> pd.Series:
        """The function over all of frame's bars."""
        found: pd.Series = self._function(*(frame[name] for name in self.columns), **self._kwargs)
        return found

    def _compute(self) -> float | None:
        last = float(
            self.apply(self._memory.frame(self.lookback, tuple(dict.fromkeys(self.columns)))).iloc[-1]
        )
        return None if math.isnan(last) else last
