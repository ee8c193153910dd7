"""The search chooses on training bars alone, and its verb says what it chose and what that was worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.reference_bars import reference_bars

from inalpha.cli.main import main
from inalpha.data import bundled
from inalpha.kernel.spec import RunSpec
from inalpha.model.bar import Bar
from inalpha.model.errors import InalphaError
from inalpha.model.instrument import Instrument
from inalpha.model.timeframe import DAY_NS
from inalpha.research.backtest import BacktestResult
from inalpha.research.folds import purged_kfold, walk_forward
from inalpha.research.trial import numbered
from inalpha.research.walkforward import parse_grid, search

SPEC = RunSpec("t", "0" * 64, "REF", "1d", Instrument("REF"), 10**12)


@dataclass
class Script:
    """Stands for the sandbox: equity grows by `edge` a day on even days, and every bar that was fed is noted."""

    edges: dict[int, float]
    fed: list[tuple[int, str, set[int]]] = field(default_factory=list)

    def run(
        self, bars: Sequence[Bar], params: dict[str, Any] | None = None, *, warm: Sequence[Bar] = ()
    ) -> BacktestResult:
        value = (params or {})["n"]
        seen = {bar.open_time_ns // DAY_NS for bar in (*warm, *bars)}
        self.fed.append((value, "x", seen))
        result = BacktestResult(SPEC, numbered(bars), error="no" if value < 0 else "")
        result.spec = RunSpec("t", "0" * 64, "REF", "1d", Instrument("REF"), 10**12, params={"n": value})
        equity = 10**12
        for index, bar in enumerate(bars):
            equity += int(equity * (self.edges.get(value, 0.0) + (0.01 if index % 2 else -0.01)))
            result.times_ns.append(bar.close_time_ns)
            result.equity_e8.append(equity)
        return result


BARS = [
    Bar(n * DAY_NS, (n + 1) * DAY_NS, 100, 101, 99, 100, 10**8, n) for n, _ in enumerate(reference_bars(300))
]


def test_the_best_of_training_is_tested_once_per_fold() -> None:
    script = Script({1: 0.001, 2: 0.003, 3: 0.002})
    found = search(script, BARS, walk_forward(300, 2), [{"n": 1}, {"n": 2}, {"n": 3}])  # type: ignore[arg-type]
    assert [outcome.params for outcome in found.outcomes] == [{"n": 2}, {"n": 2}]
    assert [value for value, _, _ in script.fed] == [1, 2, 3, 2, 1, 2, 3, 2]


def test_no_training_run_is_fed_a_bar_of_its_test() -> None:
    script = Script({1: 0.001, 2: 0.003})
    folds = purged_kfold(300, 3, purge=5, embargo=3)
    search(script, BARS, folds, [{"n": 1}, {"n": 2}], warm=60)  # type: ignore[arg-type]
    runs = iter(script.fed)
    for fold in folds:
        tested = set(range(*fold.test))
        for _ in range(2 * len(fold.train)):
            assert not next(runs)[2] & tested
        assert next(runs)[2] >= tested


def test_equals_go_to_the_first_and_failures_are_counted() -> None:
    script = Script({1: 0.002, 2: 0.002})
    found = search(script, BARS, walk_forward(300, 1), [{"n": -1}, {"n": 1}, {"n": 2}])  # type: ignore[arg-type]
    assert found.outcomes[0].params == {"n": 1}
    assert found.outcomes[0].refused == 1


def test_nothing_that_works_is_an_error() -> None:
    with pytest.raises(InalphaError, match="every combination failed"):
        search(Script({}), BARS, walk_forward(300, 1), [{"n": -1}])  # type: ignore[arg-type]


def test_an_undefined_ratio_stays_undefined() -> None:
    class Flat(Script):
        def run(self, *arguments: Any, **others: Any) -> BacktestResult:
            result = super().run(*arguments, **others)
            for index in range(len(result.equity_e8)):
                result.equity_e8[index] = 10**12
            return result

    found = search(Flat({}), BARS, walk_forward(300, 1), [{"n": 1}])  # type: ignore[arg-type]
    assert (found.test_sharpe, found.train_sharpe, found.efficiency) == (None, None, None)
    assert found.outcomes[0].test_sharpe is None
    assert found.test_return == 0.0


def test_a_grid_is_exact_and_in_order() -> None:
    assert parse_grid(["fast=5:15:5", "share=0.1:0.3:0.1"])[:4] == [
        {"fast": 5, "share": 0.1}, {"fast": 5, "share": 0.2}, {"fast": 5, "share": 0.3}, {"fast": 10, "share": 0.1}
    ]  # fmt: skip
    assert parse_grid(["side=long,short", "on=true,false"])[0] == {"side": "long", "on": True}
    assert [params["n"] for params in parse_grid(["n=1:4:2"])] == [1, 3]


@pytest.mark.parametrize(
    "text", ["fast", "fast=", "=1:2", "n=5:1:1", "n=1:9:0", "n=a:b", "n=1:1000", "n=1:nan:1"]
)
def test_a_bad_grid_is_refused(text: str) -> None:
    with pytest.raises(InalphaError) as caught:
        parse_grid([text])
    assert (caught.value.code, caught.value.exit_code) == ("GRID", 2)


SOURCE = """
from inalpha import SMA, Strategy


class Cross(Strategy):
    fast: int = 10
    slow: int = 30

    def on_start(self):
        self.quick, self.calm = self.indicator(SMA(self.fast)), self.indicator(SMA(self.slow))

    def on_bar(self, bar):
        if self.calm.value is None or self.orders:
            return
        if self.quick.value > self.calm.value and self.position.is_flat:
            self.buy(10)
        elif self.quick.value < self.calm.value and self.position.is_long:
            self.close()
"""


@pytest.mark.parametrize("scheme", ["walk-forward", "purged-kfold"])
def test_the_verb_searches_in_the_sandbox(tmp_path: Path, scheme: str) -> None:
    path, out = tmp_path / "cross.py", tmp_path / "found.json"
    path.write_text(SOURCE)
    arguments = ["walkforward", str(path), "--bars", str(bundled("GOOG")), "--calendar", "weekdays"]
    arguments += ["--param", "fast=5:10:5", "--folds", "2", "--scheme", scheme, "--out", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert (found["purge"], found["warm_up"], found["combinations"]) == (30, 30, 2)
    assert [outcome["params"]["slow"] for outcome in found["outcomes"]] == [30, 30]
    assert all(outcome["trades"] > 0 for outcome in found["outcomes"])
    assert "all tests joined: Sharpe" in result.output
