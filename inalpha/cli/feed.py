"""`feed check`: every bar of a source through the gate, and what the gate has to say, before a run depends on it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option
from inalpha.cli.output import emit_json, say, table
from inalpha.daemon.config import Config, load_config
from inalpha.market.bargate import PASSING, BarGate, Verdict, VerdictKind
from inalpha.market.bars import finest_tick
from inalpha.market.feedspec import split_feed
from inalpha.market.rawbar import RawBar
from inalpha.market.sources.file import read_csv
from inalpha.market.sources.sim import SimMarket, parse_sim
from inalpha.market.timeframes import Timeframe, infer_timeframe, parse_timeframe
from inalpha.model.bar import utc_from_ns
from inalpha.model.errors import EXIT_FAILURE, ConfigError
from inalpha.model.instrument import Instrument
from inalpha.model.money import text_from_e8

SHOWN = 20
_QUIET = frozenset({VerdictKind.ACCEPTED, VerdictKind.DUPLICATE, VerdictKind.FORMING})


@click.group()
def feed() -> None:
    """Sources of bars."""


@feed.command()
@click.argument("spec")
@click.option("--symbol", help="Its tick and calendar are read from inalpha.toml. Default: the file's name.")
@click.option("--timeframe", help="Default: the distance between the lines; 1h for a simulation.")
@click.option("--calendar", help="Instead of the home's: 24/7, weekdays, fx, or an exchange such as XNYS.")
@home_option
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    spec: str,
    symbol: str | None,
    timeframe: str | None,
    calendar: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Bars accepted, gaps with their causes, duplicates, revisions, and every bar that would be refused."""
    kind, path, _ = split_feed(spec)
    name = symbol or ("SIM" if kind == "sim" else Path(path).stem.split("-")[0].upper())
    config = _config(ctx, home_override)
    instrument = config.instrument(name)
    if calendar is not None:
        instrument = replace(instrument, calendar=calendar)
    frame, verdicts = _open(kind, path, instrument, timeframe, keep_tick=bool(config.market(name).tick))
    found = list(verdicts)
    counts = Counter(verdict.kind.value for _, verdict in found)
    bars = [verdict.bar for _, verdict in found if verdict.bar is not None]
    notes = [_item(raw, verdict) for raw, verdict in found if verdict.kind not in _QUIET]
    notes = [note for note in notes if note["cause"] != "holiday"]
    # As a run would have them: bars carry the tick that their prices needed.
    tick = text_from_e8(bars[0].tick_e8) if bars else instrument.price_text(1)
    lot = instrument.quantity_text(1)
    refused = sum(verdict.kind not in PASSING | _QUIET for _, verdict in found)
    if as_json:
        emit_json(
            {
                "feed": spec, "symbol": name, "timeframe": frame.name, "calendar": instrument.calendar,
                "tick": tick, "lot": lot, "bars": len(bars), "first": str(bars[0].open_time) if bars else None,
                "last": str(bars[-1].close_time) if bars else None, "verdicts": dict(counts), "notes": notes,
                "refused": refused,
            }
        )  # fmt: skip
    else:
        span = (
            f"{bars[0].open_time:%Y-%m-%d %H:%M} to {bars[-1].close_time:%Y-%m-%d %H:%M}" if bars else "none"
        )
        say(f"{name} {frame.name} on {instrument.calendar}: {len(bars)} bars, {span} UTC")
        say(f"tick {tick}, lot {lot}: a run rounds orders down to the lot ([instruments.{name}] lot)")
        say(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
        if notes:
            columns = ("time", "verdict", "missing", "cause", "line", "detail")
            table([[note[column] or "-" for column in columns] for note in notes[:SHOWN]], columns)
        if len(notes) > SHOWN:
            say(f"and {len(notes) - SHOWN} more: --json lists all")
    if refused:
        sys.exit(EXIT_FAILURE)


def _config(ctx: click.Context, home_override: str | None) -> Config:
    """The home's settings where there is a home: a file can be checked before one is made."""
    try:
        return load_config(home_of(ctx, home_override).config)
    except ConfigError as error:
        if error.code != "NO_HOME":
            raise
        return Config()


def _open(
    kind: str, path: str, instrument: Instrument, timeframe: str | None, *, keep_tick: bool
) -> tuple[Timeframe, Iterator[tuple[RawBar, Verdict]]]:
    if kind == "sim":
        frame = parse_timeframe(timeframe or "1h")
        market = SimMarket(parse_sim(path), instrument, frame)
        deliveries = ((made.bar, made.now_ns) for made in market.deliveries)
        return frame, _judge(BarGate(frame, instrument), deliveries, market)
    raws = read_csv(Path(path))
    if not keep_tick:
        instrument = replace(instrument, tick_e8=finest_tick(raws, instrument.tick_e8))
    inferred = None if timeframe else infer_timeframe([raw.open_ns or 0 for raw in raws])
    frame = inferred or parse_timeframe(timeframe or "1d")
    closes = ((raw, (raw.open_ns or 0) + frame.ns) for raw in raws)
    return frame, _judge(BarGate(frame, instrument), closes, None)


def _judge(
    gate: BarGate, deliveries: Iterable[tuple[RawBar, int]], market: SimMarket | None
) -> Iterator[tuple[RawBar, Verdict]]:
    """As a run would take them: what the source gives on request first, then the bar itself."""
    for raw, now_ns in deliveries:
        gap = gate.gap_before(raw) if market else None
        for found in market.backfill(*gap) if market and gap else ():
            yield found, gate.offer(found, now_ns)
        yield raw, gate.offer(raw, now_ns)


def _item(raw: RawBar, verdict: Verdict) -> dict[str, Any]:
    when = None if raw.open_ns is None else f"{utc_from_ns(raw.open_ns):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "time": when, "verdict": verdict.kind.value, "missing": verdict.missing, "cause": verdict.cause,
        "line": raw.line, "detail": verdict.detail,
    }  # fmt: skip
