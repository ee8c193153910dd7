"""What `run start` refuses before anything is signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from inalpha.cli.runs import make_feed
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home


@pytest.mark.parametrize("symbol", ["", "  "])
def test_an_empty_symbol_is_a_usage_error(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(InalphaError, match="symbol is empty") as caught:
        make_feed(Home(tmp_path), f"replay:{tmp_path}@max", symbol, "1d")
    assert (caught.value.code, caught.value.exit_code) == ("SYMBOL", 2)
