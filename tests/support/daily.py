"""Daily bars from their closes alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path


def write_daily(path: Path, closes: Sequence[float]) -> Path:
    """Each bar opens at the close before it and reaches no further; the first opens at 100."""
    rows = ["time,open,high,low,close,volume"]
    for day, (before, close) in enumerate(zip([100.0, *closes], closes, strict=False)):
        when = date(2024, 1, 1) + timedelta(days=day)
        rows.append(f"{when},{before},{max(before, close)},{min(before, close)},{close},10000")
    path.write_text("\n".join(rows) + "\n")
    return path
