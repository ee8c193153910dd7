"""What `run start` refuses before anything is signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from inalpha.cli.runs import make_feed
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home


def test_a_replay_of_bars_that_are_yet_to_come_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inalpha.toml").write_text("schema = 1\n")
    bars = tmp_path / "bars.csv"
    bars.write_text("time,open,high,low,close,volume\n2024-01-01,1,1,1,1,1\n2199-01-01,1,1,1,1,1\n")
    with pytest.raises(InalphaError, match="2199-01-02") as caught:
        make_feed(Home(tmp_path), f"replay:{bars}@max", "X", "1d")
    assert (caught.value.code, caught.value.exit_code) == ("FORMING", 4)


@pytest.mark.parametrize("symbol", ["", "  "])
def test_an_empty_symbol_is_a_usage_error(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(InalphaError, match="symbol is empty") as caught:
        make_feed(Home(tmp_path), f"replay:{tmp_path}@max", symbol, "1d")
    assert (caught.value.code, caught.value.exit_code) == ("SYMBOL", 2)
