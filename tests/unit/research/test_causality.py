"""Look-ahead found in a sandbox and refused by the command line, with the declaration named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.reference_bars import reference_bars

from inalpha.cli.main import main
from inalpha.data import bundled
from inalpha.model.instrument import Instrument
from inalpha.research.causality import Examination, examine
from runners.local import LocalSandbox

BARS = list(reference_bars(700))
HEAD = """import ta
from inalpha import SMA, Strategy


def centred(close):
    return close.rolling(9, center=True, min_periods=1).mean()


class Mine(Strategy):
    def on_start(self):
"""
TAIL = """
    def on_bar(self, bar):
        pass
"""


def strategy(start: str) -> bytes:
    return f"{HEAD}        {start}\n{TAIL}".encode()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox() as found:
        yield found


def examined(sandbox: LocalSandbox, source: bytes) -> Examination:
    return examine(sandbox, source, {}, Instrument("REF"), "1m", 1, BARS)


CENTRED = strategy('self.mean = self.ta(centred, "close", lookback=50)')


def test_the_culprit_is_named_with_function_columns_lookback_and_line(sandbox: LocalSandbox) -> None:
    (culprit,) = examined(sandbox, CENTRED).culprits
    assert culprit.declaration == "line 11: self.mean = self.ta(centred, close, lookback=50)"
    assert culprit.told().startswith(f"{culprit.declaration} looks ahead: bar ")


def test_library_functions_are_named_in_full_and_the_longest_lookback_is_known(sandbox: LocalSandbox) -> None:
    start = 'self.slow = self.indicator(SMA(90)); self.rsi = self.ta(ta.momentum.rsi, "close", lookback=20)'
    found = examined(sandbox, strategy(start))
    assert found.longest == 90
    assert [indicator.function for indicator in found.indicators] == ["ta.momentum.rsi"]
    assert "lookback=" in found.warnings[0]


@pytest.mark.parametrize(
    "start",
    [
        "self.ta(lambda c: 1 / 0, 'close', lookback=5)",
        "self.on_stop = lambda: None; self.ta(centred, 'close', lookback=5)",
        "raise ValueError('no start')",
    ],
)
def test_a_file_that_spoils_its_examination_is_told_not_passed_in_silence(
    sandbox: LocalSandbox, start: str
) -> None:
    found = examined(sandbox, strategy(start))
    assert not found.culprits
    assert found.warnings


def test_a_file_too_large_to_examine_is_told(sandbox: LocalSandbox) -> None:
    assert "no room" in examined(sandbox, CENTRED + b"#" * (32_768 - len(CENTRED))).problem


def test_backtest_refuses_look_ahead_with_the_indicator_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "centred.py"
    path.write_bytes(CENTRED)
    arguments = ["backtest", str(path), "--bars", str(bundled("GOOG")), "--calendar", "weekdays", "--json"]
    monkeypatch.setattr("sys.argv", ["inalpha", *arguments])
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 4
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "LOOK_AHEAD"
    assert error["message"].startswith(
        "line 11: self.mean = self.ta(centred, close, lookback=50) looks ahead"
    )
    assert error["indicators"][0]["outcome"] == "look_ahead"
