"""The bundled bars load, are what ORIGIN.md says, and hold no jump that looks like a split."""

from itertools import pairwise

import pytest

from inalpha.data import bundled, bundled_names
from inalpha.market.bars import load_bars


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_file_loads_without_a_split(name: str) -> None:
    data = load_bars(bundled(name), calendar="weekdays")
    assert data.timeframe.name == "1d"
    assert len(data.bars) > 2000
    assert data.duplicates == 0
    closes = [bar.close for bar in data.bars]
    assert max(abs(after / before - 1) for before, after in pairwise(closes)) < 0.4


def test_bundled_is_found_by_symbol() -> None:
    assert bundled("AAPL").name == "AAPL-1d-adjusted.csv"
    assert bundled("GOOG-1d").name == "GOOG-1d.csv"


def test_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(KeyError, match="GOOG-1d"):
        bundled("TSLA")
