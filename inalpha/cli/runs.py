"""`run`: start, list, show, log, stop, pause, resume, wait."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from inalpha.bus.topics import LOCAL_HOST
from inalpha.cli.candidates import read_evidence
from inalpha.cli.client import Operator, reading, send, unlock
from inalpha.cli.cosign import NOBODY, Second, cosign_options, send_signed
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, parse_duration, signing_options, usage
from inalpha.cli.output import bar_words, emit_items, emit_json, iso, plain, refusal_text, say, table
from inalpha.cli.propose import flatten
from inalpha.client import halting
from inalpha.daemon.config import load_config
from inalpha.daemon.presence import find, require
from inalpha.execution.mandates import mandate, mandate_digest
from inalpha.ledger import outcomes, readers
from inalpha.ledger.dropped import dropped_words, in_words
from inalpha.ledger.halts import binding, standing
from inalpha.ledger.runbook import run_money
from inalpha.market.bars import load_bars
from inalpha.market.feedspec import FeedSpec, split_feed
from inalpha.market.sources.sim import SimMarket, parse_sim
from inalpha.market.timeframes import parse_timeframe
from inalpha.model import latch
from inalpha.model.bar import utc_from_ns
from inalpha.model.errors import EXIT_PENDING, InalphaError, Refused
from inalpha.model.home import Home
from inalpha.model.money import e8_from_text, text_from_e8
from inalpha.model.plain import json_text
from inalpha.model.states import HaltState
from inalpha.model.whoami import user_name
from inalpha.risk.rules import load_rules
from inalpha.strategy.params import BadParam, merge_params


@click.group()
def run() -> None:
    """Runs: one promoted candidate on one market, inside a signed mandate."""


def parse_params(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`k=v` pairs as mandate parameters: integers, booleans, decimal strings or words."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise usage("PARAM", f"{pair!r} is no parameter.", "Write --param name=value.")
        if value in ("true", "false"):
            found[key] = value == "true"
        else:
            found[key] = int(value) if re.fullmatch(r"-?\d{1,15}", value) else value
    return found


def declared_params(home: Home, candidate: str) -> dict[str, Any] | None:
    """The candidate's parameters and their defaults, as the gate found them; None where it did not look."""
    with reading(home) as reader:
        row = readers.candidate(reader, candidate)
    return read_evidence(home, row["evidence_sha256"]).get("params")


def checked_params(pairs: tuple[str, ...], declared: dict[str, Any] | None) -> dict[str, Any]:
    """The same pairs, held against what the candidate declares: a slip is told before anything is signed."""
    values = parse_params(pairs)
    if declared is None:
        return values
    for key, _, text in (pair.partition("=") for pair in pairs):
        if isinstance(declared.get(key), str):
            values[key] = text
    try:
        merge_params(declared, values)
    except BadParam as error:
        raise usage("PARAM", f"{error}.", "Write --param name=value.") from error
    return values


@run.command()
@click.argument("candidate", metavar="CAND")
@click.option("--symbol", required=True)
@click.option("--timeframe", required=True)
@click.option("--feed", required=True, metavar="SPEC", help="file:PATH or replay:PATH@SPEED")
@click.option("--account", metavar="NAME", help="The account's owner (default: the signer).")
@click.option(
    "--allocation", metavar="CASH", help="Opening cash of the run's book (default: the account's cash)."
)
@click.option("--approval", type=click.Choice(["machine", "human"]), default="machine", show_default=True)
@click.option("--expires", default="30d", show_default=True)
@click.option(
    "--fill", type=click.Choice(["next_open", "same_close"]), default="next_open", show_default=True
)
@click.option("--param", "params", multiple=True, metavar="K=V")
@click.option("--host", metavar="NAME", help="Which host runs it (default: this machine's).")
@cosign_options
@signing_options
@home_option
@json_option
@click.pass_context
def start(
    ctx: click.Context,
    candidate: str,
    symbol: str,
    timeframe: str,
    feed: str,
    account: str | None,
    allocation: str | None,
    approval: str,
    expires: str,
    fill: str,
    params: tuple[str, ...],
    host: str | None,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
    second: Second = NOBODY,
) -> None:
    """Build, show and sign the mandate; print the run's id."""
    home = home_of(ctx, home_override)
    require(home)
    seconds, values = parse_duration(expires), checked_params(params, declared_params(home, candidate))
    spec = make_feed(home, feed, symbol, timeframe)
    who = unlock(home, operator, passphrase_file)
    body = build_mandate(
        home, who.handle if account is None else account, candidate, spec,
        allocation=allocation, approval=approval, expires_s=seconds, fill=fill, params=values,
    )  # fmt: skip
    if not as_json:
        say(*json.dumps(body, indent=2, sort_keys=True).split("\n"), err=True)
        say(f"digest {mandate_digest(body)}", err=True)
    found = sign_and_start(home, who, body, spec, host, second)
    if as_json:
        emit_json({**found, "mandate": body})
    else:
        say(found["run"])


def make_feed(home: Home, text: str, symbol: str, timeframe: str) -> FeedSpec:
    """The feed as the mandate names it; a defect in the file is refused here, by line."""
    if not symbol.strip():
        raise usage("SYMBOL", "the symbol is empty.", "--symbol GOOG")
    kind, path, speed = split_feed(text)
    config = load_config(home.config)
    market = config.market(symbol)
    if kind == "sim":
        instrument = config.instrument(symbol)
        frame = parse_timeframe(timeframe)
        _demand_past(text, (SimMarket(parse_sim(path), instrument, frame).bars[-1].open_ns or 0) + frame.ns)
        return FeedSpec(kind, path, symbol, timeframe, instrument, speed)
    data = load_bars(Path(path), config.instrument(symbol), timeframe, keep_tick=bool(market.tick))
    if kind == "replay":
        _demand_past(path, data.bars[-1].close_time_ns)
    digest = data.sha256 if kind == "replay" else ""
    return FeedSpec(kind, path, symbol, timeframe, data.instrument, speed, digest)


def _demand_past(name: str, closes_ns: int) -> None:
    """A finite feed is history: a bar that is still forming fills nothing, and its line would be refused."""
    if closes_ns > time.time_ns():
        raise Refused(
            "FORMING",
            f"the last bar of {name} closes at {utc_from_ns(closes_ns)}, which is yet to come.",
            "End the feed earlier, or follow a file with file:PATH.",
        )


def build_mandate(
    home: Home,
    owner: str,
    candidate: str,
    spec: FeedSpec,
    *,
    allocation: str | None,
    approval: str,
    expires_s: int,
    fill: str = "next_open",
    params: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The object that will be signed, from what the ledger and risk.toml say now."""
    with reading(home) as reader:
        row = readers.candidate(reader, candidate)
        account = readers.account(reader, owner)
    try:
        cash = text_from_e8(e8_from_text(allocation)) if allocation else account["cash"]
    except ValueError as error:
        raise usage("ALLOCATION", f"{allocation!r} is no amount.", "A decimal such as 25000.") from error
    if e8_from_text(cash) <= 0:
        raise usage("ALLOCATION", f"the allocation {cash} is not above zero.", "A decimal such as 25000.")
    return mandate(
        account=account["account"],
        candidate_sha256=row["sha256"],
        symbol=spec.symbol,
        timeframe=spec.timeframe,
        feed_kind=spec.kind,
        feed_name=spec.name,
        feed_sha256=spec.sha256,
        allocation=cash,
        limits_sha256=load_rules(home.risk, owner).sha256,
        approval=approval,
        expires_us=time.time_ns() // 1000 + expires_s * 1_000_000,
        fill=fill,
        params=params,
    )


def sign_and_start(
    home: Home,
    who: Operator,
    body: dict[str, Any],
    spec: FeedSpec,
    host: str | None = None,
    second: Second = NOBODY,
) -> dict[str, Any]:
    """Sign the mandate, two people where asked, and hand it to the daemon."""
    subject = {"mandate": body, "mandate_sha256": mandate_digest(body)}
    args = {"mandate": body, "feed": spec.canonical()} | ({} if host is None else {"host": host})
    return send_signed(home, who, "run.start", subject, args, second)


def run_item(home: Home, reader: sqlite3.Connection, row: dict[str, Any]) -> dict[str, Any]:
    """One run as `run show --json` prints it."""
    money = run_money(reader, row["run"])
    errors = readers.run_errors(reader, row["run"], 1)
    found = find(home)
    return {
        "run": row["run"],
        "candidate": row["candidate"],
        "sha256": row["sha256"],
        "state": row["state"],
        "reason": row["reason"],
        "watched": row["is_watched"],
        "account": row["account"],
        "symbol": row["symbol"],
        "timeframe": row["timeframe"],
        "approval": row["approval"],
        "feed": row["feed_kind"],
        "halt": binding(standing(reader, latch.read_rows(home.latch)), row["account"], row["run"]).value,
        "bars": row["bars"],
        "intents": row["intents"],
        "fills": row["fills"],
        "refused": row["refused"],
        "pending": readers.count(reader, "plan", f"state = 'pending' AND run = '{row['run']}'"),
        "position": row["position"],
        "equity": money.equity if money else row["allocation"],
        "cash": money.cash if money else row["allocation"],
        "realised": money.realised if money else "0",
        "realised_gross": money.realised if money else "0",
        "realised_net": money.realised_net if money else "0",
        "unrealised": money.unrealised if money else "0",
        "fees": money.fees if money else "0",
        "isolation": row["level"],
        # A remote host's level is its own word.
        "isolation_is": row["host"] and ("measured" if row["host"] == LOCAL_HOST else "claimed"),
        "host": row["host"],
        "waivers": [
            {"rule": waiver["rule"], "expires_at": iso(waiver["expires"]), "seq": waiver["seq"]}
            for waiver in readers.waivers(reader, time.time_ns() // 1000, row["run"])
        ],
        "pid": found.runners.get(row["run"]) if found and row["is_live"] else None,
        "last_bar": iso(row["last_close"]),
        "started_by": row["started_by"],
        "started_at": iso(row["started_ts"]),
        "expires_at": iso(row["expires"]),
        "error": f"{errors[0]['code']}: {errors[0]['text']}" if errors else None,
        "orders": outcomes.order_counts(reader, row["run"]),
        "working": [order["order"] for order in outcomes.orders(reader, row["run"], working_only=True)],
        "journal_head": row["head"],
    }


@run.command("list")
@home_option
@json_option
@click.pass_context
def list_(ctx: click.Context, home_override: str | None, as_json: bool) -> None:
    """Every run, oldest first."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        rows = readers.runs(reader)
        items = [run_item(home, reader, row) for row in rows]
    if as_json:
        emit_items(items)
        return
    for item, row in zip(items, rows, strict=True):
        item["last_bar"] = bar_words(row["last_close"], row["timeframe"])
    columns = ("run", "state", "reason", "symbol", "timeframe", "approval", "bars", "fills", "position", "equity",
               "last_bar", "error")  # fmt: skip
    for item in items:
        item["state"] += " watched" if item["watched"] else ""
    table([[item[name] for name in columns] for item in items], columns)


@run.command()
@click.argument("name", metavar="RUN")
@home_option
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, home_override: str | None, as_json: bool) -> None:
    """One run: state, money, isolation, last error."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        row = readers.run(reader, name)
        dropped = dropped_words(reader, name)
        item = run_item(home, reader, row) | {"dropped_words": dropped}
    if as_json:
        emit_json(item)
        return
    item["dropped_words"] = in_words(dropped)
    item["last_bar"] = bar_words(row["last_close"], row["timeframe"])
    for key, value in item.items():
        if key == "realised":  # the same as gross, under the name that scripts know
            continue
        say(f"{key:14} {plain(_in_words(value))}")


def _in_words(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{count} {word}" for word, count in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "-" if value is None else value


@run.command()
@click.argument("name", metavar="RUN")
@click.option("--follow", is_flag=True, help="Go on as new entries arrive.")
@home_option
@json_option
@click.pass_context
def log(ctx: click.Context, name: str, follow: bool, home_override: str | None, as_json: bool) -> None:
    """The run's journal: what it saw, asked and got, and its strategy's own words."""
    home = home_of(ctx, home_override)
    after = -1
    while True:
        with reading(home) as reader:
            row = readers.run(reader, name)
            entries = readers.journal(reader, name, after)
        for entry in entries:
            after = entry["n"]
            _print_entry(entry, as_json)
        if entries:
            continue
        if not follow or not row["is_live"]:
            return
        time.sleep(0.2)


_REFUSAL = ("code", "control", "measured", "limit", "unit", "setting", "message")


def _at_the_fill(ends: Sequence[Any]) -> list[Any]:
    return [[refusal[name] for name in _REFUSAL] for end in ends for found in end[4:] for refusal in found]


def _print_refusals(refusals: Sequence[Any]) -> None:
    for members in refusals:
        if isinstance(members, str):  # a journal of an earlier kernel holds the code alone
            say(f"  {plain(members)}")
            continue
        say(f"  {refusal_text(dict(zip(_REFUSAL, members, strict=True)))}")


def _print_entry(entry: dict[str, Any], as_json: bool) -> None:
    inputs, outputs = json.loads(entry["input"]), json.loads(entry["output"])
    if as_json:
        body = {"schema": 1, "seq": entry["n"], "kind": entry["kind"], "bar": entry["bar"], "input": inputs,
                "output": outputs, "head": entry["head"]}  # fmt: skip
        say(json_text(body))
        return
    if entry["kind"] == "bar":
        reply = outputs.get("reply", {"logs": [], "error": "", "intents": []})
        told = [f"{len(reply['intents'])} intents"] if reply["intents"] else []
        told += [f"{len(outputs['fills'])} fills"] if "fills" in outputs else []
        refused = [refusal for decision in outputs.get("decisions", ()) for refusal in decision[4]]
        refused += _at_the_fill(outputs.get("ends", ()))
        told += [f"{len(refused)} refusals"] if refused else []
        told += [f"error {reply['error']}"] if reply["error"] else []
        told += [f"“{text}”" for text in reply["logs"]]
        told += [f"dropped {reply['dropped']:,} bytes of its words"] if reply.get("dropped") else []
        say(plain(f"{iso(inputs['bar'][1] // 1000)} bar {entry['bar']} {', '.join(told)}").rstrip())
        _print_refusals(refused)
    elif entry["kind"] == "command":
        say(plain(f"command {inputs['kind']} {inputs['intent'] or ''} {inputs['state'] or ''}").rstrip())
        _print_refusals(outputs["refusals"])
    elif entry["kind"] == "anomaly":
        say(plain(f"{inputs['kind']} {inputs['detail']}"))


@run.command()
@click.argument("name", metavar="RUN")
@click.option("--flatten", "flattens", is_flag=True, help="Also close its position: a plan, signed at once.")
@click.option("--reason", default="", help="Why: kept with the run's last line.")
@signing_options
@home_option
@json_option
@click.pass_context
def stop(
    ctx: click.Context,
    name: str,
    flattens: bool,
    reason: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """End a run; its position stays open unless --flatten. Without it no key is needed."""
    home = home_of(ctx, home_override)
    who = unlock(home, operator, passphrase_file) if flattens else None
    with reading(home) as reader:
        row = readers.run(reader, name)
    if who is not None and row is not None and row["ended_seq"] is not None:
        found = {"run": name, "state": row["state"]}  # over already: what it left can still be closed
    else:
        found = send(home, "stop", {"run": name, "user": user_name(), "reason": reason}, who)
    closing = flatten(home, who, name) if who is not None else None
    if as_json:
        emit_json({**found, "flatten": closing} if flattens else found)
        return
    say(f"{name}  {found['state']}")
    if closing is not None:
        say(f"{closing['plan']}  approved, {closing['order']} closes the position at the next bar")
    elif flattens:
        say(f"{name}  holds nothing")


@run.command()
@click.argument("name", metavar="RUN")
@click.option("--reason", default="paused", show_default=True)
@home_option
@json_option
@click.pass_context
def pause(ctx: click.Context, name: str, reason: str, home_override: str | None, as_json: bool) -> None:
    """REDUCING: no entries, exits run; `halt --run RUN --reducing` in short. Resuming is signed."""
    from inalpha.cli.safety import set_halt

    home = home_of(ctx, home_override)
    scope, unsure = halting.scope_of(home, name, None)
    found = set_halt(home, scope, HaltState.REDUCING, reason)
    found["warnings"] = [*unsure, *found["warnings"]]
    emit_json(found) if as_json else say(f"{name}  {found['state']}  {found['by']}")
    for warning in found["warnings"]:
        say(f"warning: {warning}", err=True)


@run.command()
@click.argument("name", metavar="RUN")
@click.option("--reducing", is_flag=True, help="Only exits: the run stays REDUCING.")
@click.option("--reason", required=True)
@signing_options
@home_option
@json_option
@click.pass_context
def resume(
    ctx: click.Context,
    name: str,
    reducing: bool,
    reason: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Lift this run's halt, signed, with a reason."""
    from inalpha.cli.safety import sign_resume

    home = home_of(ctx, home_override)
    require(home)
    found = sign_resume(home, unlock(home, operator, passphrase_file), name, reason, reducing=reducing)
    emit_json(found) if as_json else say(f"{name}  {found['state']}")


@run.command()
@click.argument("name", metavar="RUN")
@click.option("--timeout", "timeout_s", type=float, default=None, metavar="S", help="Default: for ever.")
@click.option("--state", default="stopped", show_default=True, help="Also: failed, running.")
@home_option
@json_option
@click.pass_context
def wait(
    ctx: click.Context,
    name: str,
    timeout_s: float | None,
    state: str,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Exit 0 once the run has reached the state, 5 when a plan of it still awaits a person, 75 on timeout."""
    home = home_of(ctx, home_override)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        with reading(home) as reader:
            item = run_item(home, reader, readers.run(reader, name))
        if item["state"] == state:
            emit_json(item) if as_json else say(f"{name}  {state}")
            return
        if item["state"] in ("stopped", "failed"):
            why = item["error"] or item["reason"]
            raise InalphaError("RUN_STATE", f"{name} is {item['state']}: {why}.", f"It will not be {state}.")
        if deadline is not None and time.monotonic() > deadline:
            if item["pending"]:
                raise InalphaError(
                    "PENDING", f"{name} waits for a person: {item['pending']} pending.", "inalpha plan list",
                    exit_code=EXIT_PENDING,
                )  # fmt: skip
            raise InalphaError("TIMEOUT", f"{name} is {item['state']} at bar {item['bars']}.", "Wait longer.",
                               exit_code=75)  # fmt: skip
        time.sleep(0.05)
