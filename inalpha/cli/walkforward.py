"""`walkforward`: parameters chosen on some bars, judged on others."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inalpha.cli.backtest import print_notes
from inalpha.cli.candidates import lint_or_refuse
from inalpha.cli.market import OTHER_LIMITS, market_options, run_spec
from inalpha.cli.options import json_option
from inalpha.cli.output import emit_json, on_terminal, plain, progress_bar, say, table
from inalpha.model.bar import Bar, utc_from_ns

if TYPE_CHECKING:
    from inalpha.research.walkforward import Outcome, Search


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@market_options
@click.option("--param", "grid", multiple=True, required=True, metavar="K=FIRST:LAST:STEP", help="or K=A,B,C")
@click.option(
    "--scheme", type=click.Choice(["walk-forward", "purged-kfold"]), default="walk-forward", show_default=True
)
@click.option("--folds", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option(
    "--train", type=click.IntRange(1), metavar="BARS", help="A rolling window; default: all before."
)
@click.option("--test", type=click.IntRange(1), metavar="BARS", help="Default: bars / (folds + 1).")
@click.option(
    "--purge", type=click.IntRange(0), metavar="BARS", help="Default: the longest indicator's reach."
)
@click.option("--embargo", type=click.IntRange(0), default=0, show_default=True, metavar="BARS")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write the JSON there too.")
@json_option
@click.pass_context
def walkforward(
    ctx: click.Context,
    /,
    file: str,
    grid: tuple[str, ...],
    scheme: str,
    folds: int,
    train: int | None,
    test: int | None,
    purge: int | None,
    embargo: int,
    out: str | None,
    as_json: bool,
    **market: Any,
) -> None:
    """Choose FILE's parameters by Sharpe ratio on training bars and judge the choice on test bars.

    Every stretch is a run of its own in the sandbox. purged-kfold tests every part of the bars and trains on
    the others, without the purge bars before and the purge and embargo bars after the test.
    """
    from inalpha.research.causality import examine
    from inalpha.research.folds import purged_kfold, walk_forward
    from inalpha.research.trial import Trial
    from inalpha.research.walkforward import parse_grid, search
    from runners.local import LocalSandbox

    source = Path(file).read_bytes()
    notes = lint_or_refuse(source)
    combinations = parse_grid(grid)
    spec, data, rules = run_spec(ctx, "walkforward", source, **market)
    with ExitStack() as stack:
        sandbox = stack.enter_context(LocalSandbox())
        examined = [
            examine(sandbox, source, params, spec.instrument, spec.timeframe, spec.seed, data.bars)
            for params in (combinations[0], combinations[-1])
        ]
        for found in examined:
            found.refuse_look_ahead()
        reach = max(found.longest for found in examined)
        gap = reach if purge is None else purge
        count = len(data.bars)
        plan = (
            walk_forward(count, folds, train, test, gap)
            if scheme == "walk-forward"
            else purged_kfold(count, folds, gap, embargo)
        )
        show = None
        if on_terminal():
            runs = sum(len(combinations) * len(fold.train) + 1 for fold in plan)
            advance = stack.enter_context(progress_bar(runs, "runs"))

            def show(done: int, total: int) -> None:
                advance(done)

        result = search(Trial(sandbox, source, spec, rules), data.bars, plan, combinations, reach, show)
    names = list(combinations[0])
    body = {
        "strategy": {"name": Path(file).stem, "sha256": spec.strategy_sha256},
        "data": {"sha256": data.sha256, "bars": count},
        "scheme": scheme, "purge": gap, "embargo": embargo, "warm_up": reach,
        **result.as_dict(),
    }  # fmt: skip
    if out:
        Path(out).write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    if as_json:
        emit_json(body)
        return
    print_notes(notes)
    embargoed = f", embargo {embargo}" if scheme == "purged-kfold" else ""
    say(f"{spec.symbol} {spec.timeframe}, {count} bars, {scheme}: {len(combinations)} combinations")
    say(f"purge {gap} bars{embargoed}, warm-up {reach} bars (indicators; history() is not counted)")
    say("")
    _print(result, data.bars, names)


def _print(result: Search, bars: Any, names: list[str]) -> None:
    header = ["test from", "to", *names, "train SR", "test SR", "return", "hold", "trades"]
    table([_row(outcome, bars, names) for outcome in result.outcomes], header)
    say("")
    say(
        f"all tests joined: Sharpe {_ratio(result.test_sharpe)}, return {_percent(result.test_return)};"
        f" Sharpe in training {_ratio(result.train_sharpe)} on average, kept {_percent(result.efficiency)}"
    )
    _print_orders(result)
    refused = sum(outcome.refused for outcome in result.outcomes)
    if refused:
        say(f"note: {refused} training runs failed and were left out")
    for outcome in result.outcomes:
        if outcome.error:
            say(f"note: a test run failed: {plain(outcome.error)}")


def _print_orders(result: Search) -> None:
    """How the orders of all tests ended, and the reason of each failure as its first fold tells it."""
    from inalpha.research.outcomes import counted, together

    told = list(counted(together(group for outcome in result.outcomes for group in outcome.orders)))
    for title, text in told or [("orders", "the strategy placed none")]:
        say(f"{title} of all tests: {text}")
    firsts: dict[str, str] = {}
    for number, outcome in enumerate(result.outcomes, start=1):
        for reason in outcome.reasons:
            head, _, _ = reason.partition(":")
            firsts.setdefault(head.rsplit(" ", 1)[-1], f"note: in test {number} {reason}")
    for note in firsts.values():
        say(plain(note))
    if any(outcome.by_rules for outcome in result.outcomes):
        say(f"note: {OTHER_LIMITS}")


def _row(outcome: Outcome, bars: Any, names: list[str]) -> list[object]:
    first, last = outcome.fold.test
    return [
        _day(bars[first]), _day(bars[last - 1]), *(outcome.params[name] for name in names),
        _ratio(outcome.train_sharpe), _ratio(outcome.test_sharpe), _percent(outcome.test_return),
        _percent(outcome.buy_and_hold), outcome.trades,
    ]  # fmt: skip


def _day(bar: Bar) -> str:
    return f"{utc_from_ns(bar.open_time_ns):%Y-%m-%d}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1%}"
