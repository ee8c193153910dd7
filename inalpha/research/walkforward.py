"""Parameters chosen on some bars and judged on others: what choosing them was worth out of sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Any

from inalpha.kernel.spec import ParamValue
from inalpha.model.bar import Bar
from inalpha.model.errors import EXIT_USAGE, InalphaError
from inalpha.model.runner import RunnerEnded
from inalpha.research import returns as series
from inalpha.research.backtest import BacktestResult
from inalpha.research.folds import Fold, Stretch
from inalpha.research.metrics import buy_and_hold, equity_points, periods_per_year
from inalpha.research.outcomes import Ended, is_denied_by_rules, outcomes, reasons
from inalpha.research.trial import Trial

MAX_COMBINATIONS = 500
Params = dict[str, ParamValue]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One fold. Sharpe ratios are annualised, returns fractions; None where undefined.

    train_sharpe: of the chosen parameters. refused: combinations that failed in training. orders, reasons: how
    the orders of the test ended, and why some failed. by_rules: the rules refused most of them.
    """

    fold: Fold
    params: Params
    train_sharpe: float | None
    test_sharpe: float | None
    test_return: float | None
    buy_and_hold: float | None
    trades: int
    refused: int
    error: str = ""
    orders: tuple[Ended, ...] = ()
    reasons: tuple[str, ...] = ()
    by_rules: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """All folds. test_sharpe: of the daily returns of all tests joined; efficiency: it / mean train Sharpe."""

    combinations: int
    outcomes: tuple[Outcome, ...]
    test_sharpe: float | None
    test_return: float | None
    train_sharpe: float | None
    efficiency: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def parse_grid(texts: Sequence[str]) -> list[Params]:
    """Every combination of `name=first:last:step` and `name=a,b,c`, the last name moving fastest.

    Whole numbers stay whole; steps are exact decimals, last included where it is met. Raises
    InalphaError("GRID").
    """
    axes: dict[str, list[ParamValue]] = {}
    for text in texts:
        name, _, given = text.partition("=")
        if not name.isidentifier() or not given or name in axes:
            raise _bad(f"--param {text!r}")
        try:
            axes[name] = list(_range(given)) if ":" in given else [_value(part) for part in given.split(",")]
        except (ValueError, InvalidOperation):
            raise _bad(f"--param {text!r}") from None
    count = 1
    for values in axes.values():
        count *= len(values)
    if not 1 <= count <= MAX_COMBINATIONS:
        raise _bad(f"{count} combinations, at most {MAX_COMBINATIONS}")
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _bad(what: str) -> InalphaError:
    return InalphaError("GRID", f"{what}.", "Write name=5:20:5 or name=5,10,20.", exit_code=EXIT_USAGE)


def _range(text: str) -> Iterator[ParamValue]:
    parts = text.split(":")
    first, last = Decimal(parts[0]), Decimal(parts[1])
    step = Decimal(parts[2]) if len(parts) == 3 else Decimal(1)
    whole = all("." not in part and "e" not in part.lower() for part in parts)
    if (
        len(parts) > 3
        or not all(value.is_finite() for value in (first, last, step))
        or step <= 0
        or last < first
    ):
        raise ValueError(text)
    for index in range(min(int((last - first) / step), MAX_COMBINATIONS) + 1):
        value = first + index * step
        yield int(value) if whole else float(value)


def _value(text: str) -> ParamValue:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def search(
    trial: Trial,
    bars: Sequence[Bar],
    folds: Sequence[Fold],
    grid: Sequence[Params],
    warm: int = 0,
    progress: Progress | None = None,
) -> Search:
    """Choose by the Sharpe ratio of the training bars, then run the choice once on the test bars.

    Each stretch is a run of its own: flat, with the opening cash, its indicators warmed on the `warm` bars
    before it. The first of equals is chosen; the training of a fold never reads a bar of its test.
    """
    outcomes, joined, done = [], [], 0
    total = sum(len(grid) * len(fold.train) + 1 for fold in folds)
    periods = 0.0

    def run(fold: Fold, stretch: Stretch, params: Params) -> BacktestResult:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)
        before = bars[slice(*fold.warm_up(stretch, warm))]
        return trial.run(bars[slice(*stretch)], params, warm=before)

    for fold in folds:
        scores = [_train(run, fold, params) for params in grid]
        refused = sum(isinstance(score, str) for score in scores)
        if refused == len(grid):
            raise InalphaError("NO_COMBINATION", f"every combination failed: {scores[0]}.")
        ranked = [score if isinstance(score, float) else float("-inf") for score in scores]
        best = ranked.index(max(ranked))
        if isinstance(scores[best], str):
            best = next(index for index, score in enumerate(scores) if not isinstance(score, str))
        score = scores[best]
        outcome, returns, periods = _test(run, fold, grid[best], score, refused)
        outcomes.append(outcome)
        joined += returns
    train = series.mean([o.train_sharpe for o in outcomes if o.train_sharpe is not None])
    test = series.sharpe(joined, periods)
    growth = 1.0
    for value in joined:
        growth *= 1 + value
    return Search(
        len(grid), tuple(outcomes), test, growth - 1 if joined else None, train,
        test / train if test is not None and train is not None and train > 0 else None,
    )  # fmt: skip


Run = Callable[[Fold, Stretch, Params], BacktestResult]


def _train(run: Run, fold: Fold, params: Params) -> float | str | None:
    """The Sharpe ratio over all training stretches; text: why there is none."""
    returns: list[float] = []
    for stretch in fold.train:
        try:
            result = run(fold, stretch, params)
        except RunnerEnded as error:
            return error.message
        if result.error:
            return result.error
        returns += series.simple_returns(equity_points(result))
    return series.sharpe(returns, periods_per_year(result))


def _test(
    run: Run, fold: Fold, params: Params, score: float | str | None, refused: int
) -> tuple[Outcome, list[float], float]:
    result = run(fold, fold.test, params)
    returns, periods = series.simple_returns(equity_points(result)), periods_per_year(result)
    opening, held = result.spec.opening_cash_e8, buy_and_hold(result)
    outcome = Outcome(
        fold,
        dict(result.spec.params),
        score if isinstance(score, float) else None,
        series.sharpe(returns, periods),
        result.final_equity_e8 / opening - 1,
        held[-1] / opening - 1 if held else None,
        sum(fill.position_lots == 0 for fill in result.fills),
        refused,
        result.error,
        tuple(outcomes(result)),
        tuple(reasons(result)),
        is_denied_by_rules(result),
    )
    return outcome, returns, periods
