"""The closed bars a strategy may look back on; the DataFrame is made only when asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inalpha.model.bar import Bar

if TYPE_CHECKING:
    import pandas as pd

# Bounded, because a runner's memory is: 20,000 bars are about 5 MB.
HISTORY_LIMIT = 20_000

COLUMNS = ("open", "high", "low", "close", "volume")


class BarMemory:
    """The last HISTORY_LIMIT bars, oldest first."""

    __slots__ = ("bars",)

    def __init__(self) -> None:
        self.bars: deque[Bar] = deque(maxlen=HISTORY_LIMIT)

    def frame(self, n: int, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
        """The last n bars (fewer where there are fewer). Raises ValueError outside 1..HISTORY_LIMIT."""
        import numpy as np
        import pandas as pd

        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= HISTORY_LIMIT:
            raise ValueError(f"history({n!r}): a whole number from 1 to {HISTORY_LIMIT}")
        bars = self._last(n)
        # From integers, not through pandas' parser, which would take a third of the time.
        opened = np.array([bar.open_time_ns for bar in bars], dtype="M8[ns]")
        index = pd.DatetimeIndex(opened, name="time").tz_localize("UTC")
        return pd.DataFrame({name: [getattr(bar, name) for bar in bars] for name in columns}, index=index)

    def _last(self, n: int) -> list[Bar]:
        length = len(self.bars)
        if n >= length:
            return list(self.bars)
        # Indexing a deque from its right end is cheap; slicing is not offered.
        return [self.bars[i] for i in range(length - n, length)]
