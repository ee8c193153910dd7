"""What `run start` refuses before anything is signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from inalpha.cli.runs import checked_params, make_feed
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


DECLARED = {"size": 5, "share": 0.5, "word": "a", "flag": False}


@pytest.mark.parametrize(
    "pair",
    ["nosuch=1", "size=abc", "size=1.5", "size=99999999999999999999", "share=x", "share=nan", "flag=1"],
)
def test_a_parameter_that_the_candidate_does_not_take_is_refused_by_name(pair: str) -> None:
    with pytest.raises(InalphaError, match=pair.partition("=")[0]) as caught:
        checked_params((pair,), DECLARED)
    assert (caught.value.code, caught.value.exit_code) == ("PARAM", 2)


def test_a_text_parameter_takes_any_text_and_a_fraction_stays_decimal() -> None:
    assert checked_params(("word=05", "share=0.1", "size=7", "flag=true"), DECLARED) == {
        "word": "05", "share": "0.1", "size": 7, "flag": True,
    }  # fmt: skip
    assert checked_params(("anything=1",), None) == {"anything": 1}
    with pytest.raises(InalphaError, match="declared: none"):
        checked_params(("anything=1",), {})


def test_a_simulation_that_runs_into_the_future_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inalpha.toml").write_text("schema = 1\n")
    with pytest.raises(InalphaError, match="yet to come") as caught:
        make_feed(Home(tmp_path), "sim:1?start=2240-01-01&bars=3", "X", "1d")
    assert caught.value.code == "FORMING"
