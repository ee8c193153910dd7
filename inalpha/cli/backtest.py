"""`backtest` and `lint`: a strategy file judged before anyone is asked to trust it."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from inalpha.cli.candidates import lint_or_refuse
from inalpha.cli.main import home_of
from inalpha.cli.options import json_option, usage
from inalpha.cli.output import emit_json, on_terminal, plain
from inalpha.cli.runs import parse_params
from inalpha.daemon.config import Market, load_config
from inalpha.kernel.costs import FeeModel, SlippageModel, parse_share
from inalpha.kernel.gateway import NoRisk
from inalpha.kernel.spec import RunSpec
from inalpha.market.bars import BarData, load_bars, symbol_of
from inalpha.model.calendar import calendar_of
from inalpha.model.errors import EXIT_REFUSED, InalphaError
from inalpha.model.instrument import Instrument
from inalpha.model.money import e8_from_text, text_from_e8
from inalpha.risk.rules import Rules, default_rules, load_rules, parse_rules

if TYPE_CHECKING:
    from inalpha.strategy.lint import Finding

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
OTHER_LIMITS = (
    "other limits for a trial: --risk FILE with rules such as a home's risk.toml, or --no-risk for none"
)
_MOST_E8 = 10**18  # ten thousand million: columns of equity are 64 bits wide


_MARKET = (
    click.option("--bars", required=True, type=click.Path(dir_okay=False), metavar="CSV"),
    click.option("--symbol", help="Default: the file's name."),
    click.option("--timeframe", help="Default: the distance between the lines."),
    click.option(
        "--tick", help="Default for these three: the home's [instruments.SYMBOL]; else 0.01 or finer."
    ),
    click.option("--lot", help="The smallest quantity step. Default: 1."),
    click.option("--calendar", help="24/7 (default), weekdays, fx, exchanges such as XNYS."),
    click.option("--cash", default="100000", show_default=True),
    click.option("--fee-bps", default="10", show_default=True),
    click.option("--slippage-bps", default="0", show_default=True),
    click.option("--fee", help="Instead of --fee-bps: fixed:1.50, per_unit:0.005 or bps:10."),
    click.option("--slippage", help="Instead of --slippage-bps: none, bps:5, ticks:1 or volume_share."),
    click.option("--limit-fill", type=click.Choice(["touch", "through"]), default="touch", show_default=True),
    click.option("--participation-cap", default="", metavar="SHARE", help="Of a bar's volume, such as 0.1."),
    click.option("--allow-short", is_flag=True, help="Sells may open a short, against own cash."),
    click.option(
        "--fill", type=click.Choice(["next_open", "same_close"]), default="next_open", show_default=True
    ),
    click.option(
        "--risk",
        "risk_file",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="Rules such as a home's risk.toml. Default: the home's, else the shipped ones.",
    ),
    click.option(
        "--no-risk", is_flag=True, help="Only cash, tick and lot are checked; stamped on the report."
    ),
)


def market_options(function: F) -> F:
    """What a run over stored bars needs to know beside the strategy's file; run_spec takes them."""
    for option in reversed(_MARKET):
        function = option(function)
    return function


def run_spec(
    ctx: click.Context,
    run: str,
    source: bytes,
    *,
    bars: str,
    symbol: str | None,
    timeframe: str | None,
    tick: str | None,
    lot: str | None,
    calendar: str | None,
    cash: str,
    fee_bps: str,
    slippage_bps: str,
    fee: str | None,
    slippage: str | None,
    limit_fill: str,
    participation_cap: str,
    allow_short: bool,
    fill: str,
    risk_file: str | None,
    no_risk: bool,
) -> tuple[RunSpec, BarData, Rules | None]:
    """The run that market_options describe, its bars and its rules (None without risk)."""
    name = symbol or symbol_of(Path(bars))
    # As a run of the home would have it, where there is a home: its rules are taken too.
    known = load_config(ctx.obj.config).market(name) if _has_home(ctx) else Market()
    instrument = _instrument(
        name, tick or known.tick or "0.01", lot or known.lot, calendar or known.calendar, known.currency
    )
    data = load_bars(Path(bars), instrument, timeframe)
    if no_risk and risk_file:
        raise usage("RISK_OPTION", "--risk and --no-risk exclude each other.", "Give one of them.")
    rules = None if no_risk else _rules(ctx, allow_short, risk_file)
    spec = RunSpec(
        run=run,
        strategy_sha256=hashlib.sha256(source).hexdigest(),
        symbol=data.instrument.symbol,
        timeframe=data.timeframe.name,
        instrument=data.instrument,
        opening_cash_e8=_amount("--cash", cash, least=1),
        fill=fill,
        fee=_model("--fee", FeeModel.parse, fee or f"bps:{fee_bps}"),
        slippage=_model("--slippage", SlippageModel.parse, slippage or _slippage(slippage_bps)),
        limit_fill=limit_fill,
        participation_cap_e8=_model("--participation-cap", parse_share, participation_cap),
        allow_short=allow_short,
        data_sha256=data.sha256,
        rules_sha256=rules.sha256 if rules else "",
    )
    return spec, data, rules


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@market_options
@click.option("--param", "params", multiple=True, metavar="K=V")
@click.option("--out", type=click.Path(file_okay=False), metavar="DIR")
@json_option
@click.pass_context
def backtest(
    ctx: click.Context, /, file: str, params: tuple[str, ...], out: str | None, as_json: bool, **market: Any
) -> None:
    """Run FILE over CSV in the sandbox: the same kernel, matching and risk as on paper."""
    from inalpha.research.metrics import compute_metrics
    from inalpha.research.outcomes import is_denied_by_rules
    from inalpha.research.report import write_report
    from inalpha.research.text import report_text

    source = Path(file).read_bytes()
    notes = lint_or_refuse(source)
    spec, data, rules = run_spec(ctx, "backtest", source, **market)
    spec = replace(spec, params=parse_params(params))
    result, elapsed = _run(spec, data, source, rules, Path(out) if out else None)
    if is_denied_by_rules(result):
        result.warnings.append(OTHER_LIMITS)
    metrics = compute_metrics(result)
    if out:
        write_report(result, Path(out))
    failed = None
    if result.error:
        failed = InalphaError("STRATEGY", f"the strategy failed: {result.error}.", "Mend that line.")
    if as_json:
        findings = [asdict(note) for note in notes]
        body = {**_summary(spec, data, result, metrics, elapsed, file), "findings": findings}
        # One object in any case: a failed strategy's figures stand beside the error.
        emit_json({**body, "error": failed.as_dict() if failed else None})
        ctx.exit(failed.exit_code if failed else 0)
    print_notes(notes)
    click.echo(report_text(result, metrics), nl=False)
    if rules is None:
        click.echo("note: risk was off")
    if failed:
        raise failed


def print_notes(notes: Sequence[Finding]) -> None:
    """What lint found, on stderr: it explains figures and changes none."""
    for note in notes:
        click.echo(f"line {note.line}: {plain(note.message)} {plain(note.fix)}".rstrip(), err=True)


def _amount(option: str, text: str, least: int = 0) -> int:
    try:
        value = e8_from_text(text)
    except ValueError as error:
        raise usage("NUMBER", f"{option} {text!r} is no number.", "Write a decimal such as 10.") from error
    if value < least:
        raise usage("NUMBER", f"{option} {text} is too small.", "Write a decimal such as 10.")
    if value > _MOST_E8:
        raise usage("NUMBER", f"{option} {text} is too large.", "At most ten thousand million.")
    return value


def _model(option: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise usage("NUMBER", f"{option}: {error}.", "inalpha backtest --help") from error


def _slippage(text: str) -> str:
    return f"bps:{text}" if _amount("--slippage-bps", text) else "none"


def _has_home(ctx: click.Context) -> bool:
    return ctx.obj is not None and bool(ctx.obj.exists)


def _instrument(symbol: str, tick: str, lot: str, calendar: str, currency: str) -> Instrument:
    calendar_of(calendar)
    try:
        return Instrument.from_text(symbol, tick, lot, currency, calendar)
    except ValueError as error:
        raise usage("INSTRUMENT", f"{error}.", "Tick and lot are decimals above zero.") from error


def _rules(ctx: click.Context, allow_short: bool, risk_file: str | None) -> Rules:
    """The file's, else a home's where one is, else the shipped defaults, less long_only where shorts are asked for."""
    if risk_file:
        return load_rules(Path(risk_file))
    if _has_home(ctx):
        return load_rules(home_of(ctx).risk)
    return (
        parse_rules("schema = 1\n[controls.direction]\nlong_only = false\n")
        if allow_short
        else default_rules()
    )


def _run(
    spec: RunSpec, data: BarData, source: bytes, rules: Rules | None, out: Path | None
) -> tuple[Any, float]:
    from inalpha.research.backtest import run_backtest
    from inalpha.research.causality import examine
    from inalpha.research.reexecute import limits_of
    from inalpha.research.report import JOURNAL_NAME, JournalFile
    from inalpha.research.risk_account import RiskAccount
    from inalpha.risk.engine import RiskEngine
    from inalpha.risk.guard import PositionGuard
    from runners.local import LocalSandbox

    with ExitStack() as stack:
        lines = None
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            lines = stack.enter_context(JournalFile(out / JOURNAL_NAME)).write
        sandbox = stack.enter_context(LocalSandbox())
        examined = examine(
            sandbox, source, dict(spec.params), spec.instrument, spec.timeframe, spec.seed, data.bars
        )
        examined.refuse_look_ahead()
        runner = sandbox.start_run(
            source, spec.strategy_sha256, dict(spec.params), spec.instrument, spec.timeframe, spec.seed,
            limits_of(rules) if rules else None,
        )  # fmt: skip
        spec = replace(spec, params=runner.params)
        show = None
        if on_terminal():
            progress = stack.enter_context(
                click.progressbar(length=len(data.bars), label="bars", file=sys.stderr)
            )

            def show(done: int, total: int) -> None:
                progress.update(done - progress.pos)

        began = time.monotonic()
        result = run_backtest(
            spec,
            data.bars,
            runner,
            RiskEngine(rules) if rules else NoRisk(),
            RiskAccount(spec.run, spec.symbol, spec.opening_cash_e8, rules) if rules else None,
            show,
            lines=lines,
            guard=PositionGuard(rules) if rules else None,
        )
        elapsed = time.monotonic() - began
        gaps = [gap for gap in data.gaps if gap.cause != "holiday"]
        result.warnings.extend(examined.warnings)
        result.gaps, result.missing_bars = len(gaps), sum(gap.missing for gap in gaps)
        runner.kill()
    return result, elapsed


def _summary(
    spec: RunSpec, data: BarData, result: Any, metrics: Any, elapsed: float, file: str
) -> dict[str, Any]:
    from inalpha.research.outcomes import outcomes
    from inalpha.research.report import time_text

    bars = len(data.bars)
    return {
        "strategy": {"name": Path(file).stem, "sha256": spec.strategy_sha256},
        "data": {
            "sha256": data.sha256,
            "bars": bars,
            "first": time_text(data.bars[0].open_time_ns),
            "last": time_text(data.bars[-1].open_time_ns),
        },
        "fill": spec.fill,
        "risk": bool(spec.rules_sha256),
        "fills": len(result.fills),
        "final_equity": text_from_e8(result.final_equity_e8),
        "fees": text_from_e8(sum(fill.fee_e8 for fill in result.fills)),
        "metrics": {metric.name: metric.value for metric in metrics},
        "orders": [ended.as_dict() for ended in outcomes(result)],
        "denials": dict(result.denials),
        "warnings": result.warnings,
        "journal_head": result.head,
        "elapsed_s": round(elapsed, 6),
        "bars_per_s": round(bars / elapsed, 1) if elapsed else 0.0,
    }


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@json_option
def lint(file: str, as_json: bool) -> None:
    """Explain early what would go wrong. It secures nothing; the sandbox does."""
    from inalpha.strategy.lint import lint as find

    findings = find(Path(file).read_bytes())
    errors = [finding for finding in findings if finding.level == "error"]
    if as_json:
        emit_json(
            {"file": file, "findings": [asdict(finding) for finding in findings], "errors": len(errors)}
        )
    else:
        for item in findings:
            where = f"{plain(file)}:{item.line}:{item.col}"
            click.echo(f"{where} {item.level} {item.code}: {plain(item.message)} {plain(item.fix)}".rstrip())
        click.echo(f"{len(errors)} errors, {len(findings) - len(errors)} notes")
    if errors:
        sys.exit(EXIT_REFUSED)
