"""Does the result stand on one value of a parameter? Each numeric one moved a little, the others kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inalpha.kernel.spec import ParamValue
from inalpha.model.bar import Bar
from inalpha.model.runner import RunnerEnded
from inalpha.research import returns as series
from inalpha.research.backtest import BacktestResult
from inalpha.research.metrics import equity_points, periods_per_year
from inalpha.research.trial import Trial

# A person waits for the gate, and one run of these takes about a third of a second.
MAX_RUNS = 8
MAX_BARS = 2500
STEP_SHARE = 0.1
# A neighbour that keeps less than this part of the Sharpe ratio stands beyond a cliff.
KEPT = 0.5


@dataclass(frozen=True, slots=True)
class Neighbour:
    """steps: how many steps away, below zero for a smaller value. error: why there are no figures."""

    name: str
    value: ParamValue
    steps: int
    total_return: float | None
    sharpe: float | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The candidate's own figures on these bars, its neighbours', and what about them should worry.

    left_out: numeric parameters that the number of runs did not reach.
    """

    bars: int
    total_return: float | None
    sharpe: float | None
    neighbours: tuple[Neighbour, ...]
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def neighbours(params: Mapping[str, ParamValue], most: int = MAX_RUNS) -> list[tuple[str, ParamValue, int]]:
    """(name, value, steps): one and two steps each way, one step where two would take more than `most` runs.

    A step is a tenth of the value; for a whole number at least 1. It never crosses or reaches zero, where a
    window or a share loses its meaning; a value of 0 is left out.
    """
    numbers = _numbers(params)
    for reach in (2, 1):
        found = [
            (name, moved, steps)
            for name, value in numbers.items()
            for steps in range(-reach, reach + 1)
            if steps and (moved := _moved(value, steps)) is not None
        ]
        if len(found) <= most:
            break
    return found[:most]


def _numbers(params: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
    return {name: value for name, value in params.items() if _is_number(value) and value != 0}


def _is_number(value: ParamValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moved(value: ParamValue, steps: int) -> ParamValue | None:
    if isinstance(value, int):
        whole = value + steps * max(1, round(abs(value) * STEP_SHARE))
        return whole if whole * value > 0 else None
    assert isinstance(value, float)
    return float(f"{value * (1 + steps * STEP_SHARE * (1 if value > 0 else -1)):.12g}")


def sensitivity(trial: Trial, bars: Sequence[Bar]) -> Sensitivity:
    """Run the neighbours on the last MAX_BARS bars; each is a run of its own in the sandbox."""
    bars = bars[-MAX_BARS:]
    base = trial.run(bars)
    total, sharpe = _figures(base)
    found = tuple(
        _neighbour(trial, bars, name, value, steps) for name, value, steps in neighbours(base.spec.params)
    )
    moved = {near.name for near in found}
    left_out = tuple(name for name in _numbers(base.spec.params) if name not in moved)
    return Sensitivity(
        len(bars), total, sharpe, found, left_out, tuple(_warnings(total, sharpe, found, base))
    )


def _neighbour(trial: Trial, bars: Sequence[Bar], name: str, value: ParamValue, steps: int) -> Neighbour:
    try:
        result = trial.run(bars, {name: value})
    except RunnerEnded as error:
        return Neighbour(name, value, steps, None, None, error.message)
    if result.error:
        return Neighbour(name, value, steps, None, None, result.error)
    return Neighbour(name, value, steps, *_figures(result))


def _figures(result: BacktestResult) -> tuple[float | None, float | None]:
    opening = result.spec.opening_cash_e8
    returns = series.simple_returns(equity_points(result))
    total = result.final_equity_e8 / opening - 1 if opening else None
    return total, series.sharpe(returns, periods_per_year(result))


def _warnings(
    total: float | None, sharpe: float | None, found: Sequence[Neighbour], base: BacktestResult
) -> list[str]:
    """Sign flips and cliffs one step away; a strategy that loses has nothing to lose by a step."""
    warnings = []
    for near in found:
        if abs(near.steps) != 1 or near.total_return is None:
            continue
        moved = f"{near.name} {base.spec.params[near.name]} -> {near.value}"
        if total is not None and total > 0 > near.total_return:
            warnings.append(f"sensitive: {moved} turns {total:+.2%} into {near.total_return:+.2%}")
        elif sharpe is not None and sharpe > 0 and (near.sharpe is None or near.sharpe < KEPT * sharpe):
            after = "none" if near.sharpe is None else f"{near.sharpe:.2f}"
            warnings.append(f"sensitive: {moved} takes the Sharpe ratio from {sharpe:.2f} to {after}")
    return warnings
