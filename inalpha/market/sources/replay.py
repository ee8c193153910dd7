"""A finite file fed bar by bar; pace and holding are the daemon's."""

from __future__ import annotations

from pathlib import Path

from inalpha.market.rawbar import RawBar
from inalpha.market.sources.file import read_csv


class ReplaySource:
    """A cursor over the bars of one file; each run has its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bars: list[RawBar] = read_csv(path)
        self.index = 0

    @property
    def is_finished(self) -> bool:
        return self.index >= len(self.bars)

    def skip_to(self, index: int) -> None:
        """Continue behind what was consumed before a restart."""
        self.index = min(max(index, 0), len(self.bars))

    def next(self) -> RawBar | None:
        """The next bar, or None when the file is consumed."""
        if self.is_finished:
            return None
        bar = self.bars[self.index]
        self.index += 1
        return bar
