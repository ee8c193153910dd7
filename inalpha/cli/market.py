"""What a run over stored bars needs to know beside the strategy's file: options, and the run that they describe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from inalpha.cli.main import home_of
from inalpha.cli.options import usage
from inalpha.daemon.config import Market, load_config
from inalpha.kernel.costs import FeeModel, SlippageModel, parse_share
from inalpha.kernel.spec import RunSpec
from inalpha.market.bars import BarData, load_bars, symbol_of
from inalpha.model.calendar import calendar_of
from inalpha.model.instrument import Instrument
from inalpha.model.money import e8_from_text
from inalpha.risk.rules import Rules, default_rules, load_rules, parse_rules

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
        "--no-risk",
        is_flag=True,
        help="Only cash, tick, lot and minimum notional are checked; stamped on the report.",
    ),
)


def market_options(function: F) -> F:
    """The options of a verb that runs a file over stored bars; run_spec takes them."""
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
        name, tick or known.tick or "0.01", lot or known.lot, calendar or known.calendar, known.currency,
        known.min_notional,
    )  # fmt: skip
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


def _instrument(
    symbol: str, tick: str, lot: str, calendar: str, currency: str, min_notional: str
) -> Instrument:
    calendar_of(calendar)
    try:
        return Instrument.from_text(symbol, tick, lot, currency, calendar, min_notional)
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
