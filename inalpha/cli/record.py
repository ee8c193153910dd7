"""`decisions`, `fills`, `positions`, `account`, `report`: the night, line by line."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

import click

from inalpha.cli.accounts import deposit, open_
from inalpha.cli.client import reading
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option
from inalpha.cli.output import emit_items, emit_json, iso, table
from inalpha.ledger import readers
from inalpha.ledger.runbook import account_equity, run_money
from inalpha.model.errors import EXIT_USAGE, InalphaError
from inalpha.model.money import text_from_e8


def since_seq(reader: sqlite3.Connection, text: str | None, home: Any) -> int:
    """The line after which items count: a seq, a time, or `last` (where this person stopped reading)."""
    if text is None:
        return -1
    if text.isdigit():
        return int(text)
    if text == "last":
        mark = home.clients / "read.json"
        return int(json.loads(mark.read_text())["seq"]) if mark.exists() else -1
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InalphaError(
            "SINCE", f"{text!r} is neither a line number nor a time.", "Write 120, 2026-01-31T08:00Z or last.",
            exit_code=EXIT_USAGE,
        ) from error  # fmt: skip
    wanted = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)
    for event in readers.lines(reader):
        if event.ts >= wanted:
            return event.seq - 1
    return readers.size(reader)


@click.command()
@click.option("--run", "run_name", metavar="RUN")
@click.option("--since", metavar="WHEN|last")
@home_option
@json_option
@click.pass_context
def decisions(
    ctx: click.Context, run_name: str | None, since: str | None, home_override: str | None, as_json: bool
) -> None:
    """Every intent: what was asked on which bar, and what became of it."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        rows = readers.decisions(reader, run_name, since_seq(reader, since, home))
        items = [_decision(reader, row) for row in rows]
    if as_json:
        emit_items(items)
        return
    columns = ("bar_time", "run", "side", "quantity", "close", "outcome", "plan", "order", "code", "reason")
    table([[item[name] for name in columns] for item in items], columns)


def _decision(reader: sqlite3.Connection, row: dict[str, Any]) -> dict[str, Any]:
    outcome = row["outcome"]
    if row["plan_state"] is not None and outcome in ("working", "pending"):
        outcome = {"executed": "filled" if row["fills"] else "working"}.get(
            row["plan_state"], row["plan_state"]
        )
    refusals = json.loads(row["refusals"] or "[]")
    return {
        "run": row["run"],
        "sequence": row["bar"],
        "bar_time": iso(row["close"]),
        "close": _close(reader, row["run"], row["bar"]),
        "intent": row["intent"],
        "side": row["side"],
        "quantity": row["quantity"],
        "outcome": outcome,
        "plan": row["plan"],
        "order": row["order"],
        "code": row["code"],
        "reason": refusals[0]["message"] if refusals else row["reason"],
        "decided_by": row["decided_by"],
        "line": row["seq"],
    }


def _close(reader: sqlite3.Connection, run: str, bar: int) -> str | None:
    found = reader.execute(
        "SELECT j.input, h.input FROM journal j JOIN journal h ON h.run = j.run AND h.n = 0"
        " WHERE j.run = ? AND j.bar = ? AND j.kind = 'bar'",
        (run, bar),
    ).fetchone()
    if found is None:
        return None
    return text_from_e8(json.loads(found[0])["bar"][5] * json.loads(found[1])["instrument"]["tick_e8"])


@click.command()
@click.option("--run", "run_name", metavar="RUN")
@click.option("--since", metavar="WHEN|last")
@home_option
@json_option
@click.pass_context
def fills(
    ctx: click.Context, run_name: str | None, since: str | None, home_override: str | None, as_json: bool
) -> None:
    """Every fill, with who approved its plan."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        rows = readers.fills(reader, run_name, since_seq(reader, since, home))
    items = [
        {
            "run": row["run"],
            "fill": row["fill"],
            "order": row["order"],
            "plan": row["plan"],
            "sequence": row["bar"],
            "time": iso(row["time_us"]),
            "symbol": row["symbol"],
            "side": row["side"],
            "quantity": row["quantity"],
            "price": row["price"],
            "fee": row["fee"],
            "reason": row["reason"],
            "approved_by": row["approved_by"],
            "line": row["seq"],
        }
        for row in rows
    ]
    if as_json:
        emit_items(items)
        return
    columns = ("time", "run", "order", "side", "quantity", "symbol", "price", "fee", "approved_by", "reason")
    table([[item[name] for name in columns] for item in items], columns)


@click.command()
@click.option("--account", "account_name", metavar="NAME")
@home_option
@json_option
@click.pass_context
def positions(ctx: click.Context, account_name: str | None, home_override: str | None, as_json: bool) -> None:
    """Open positions, by run, at their last close."""
    home = home_of(ctx, home_override)
    items: list[dict[str, Any]] = []
    with reading(home) as reader:
        only = readers.account(reader, account_name)["account"] if account_name else None
        for row in readers.runs(reader):
            money = run_money(reader, row["run"])
            if money is None or money.position == "0" or (only and row["account"] != only):
                continue
            items.append(
                {
                    "account": row["account"],
                    "symbol": row["symbol"],
                    "run": row["run"],
                    "run_state": row["state"],
                    "quantity": money.position,
                    "average": money.average,
                    "mark": money.close,
                    "marked_at": iso(row["last_close"]),
                    "unrealised": money.unrealised,
                }
            )
    if as_json:
        emit_items(items)
        return
    columns = ("symbol", "quantity", "average", "mark", "marked_at", "unrealised", "run", "run_state")
    table([[item[name] for name in columns] for item in items], columns)


class _Account(click.Group):
    """`account NAME` shows one; `account open` and `account deposit` are its verbs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = next((word for word in args if not word.startswith("-")), None)
        if named is not None and named not in self.commands:
            at = args.index(named)
            if at == 0 or args[at - 1] != "--home":
                args = [*args[:at], "show", *args[at:]]
        return super().parse_args(ctx, args)


@click.group(cls=_Account, invoke_without_command=True)
@home_option
@json_option
@click.pass_context
def account(ctx: click.Context, home_override: str | None, as_json: bool) -> None:
    """Cash, equity, fees and live runs of an account; open one, deposit."""
    if ctx.invoked_subcommand is None:
        _show_account(ctx, None, home_override, as_json)


@account.command("show")
@click.argument("name", required=False)
@home_option
@json_option
@click.pass_context
def show_account(ctx: click.Context, name: str | None, home_override: str | None, as_json: bool) -> None:
    """One account."""
    _show_account(ctx, name, home_override, as_json)


account.add_command(open_)
account.add_command(deposit)


def _show_account(ctx: click.Context, name: str | None, home_override: str | None, as_json: bool) -> None:
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        found = readers.account(reader, name or readers.accounts(reader)[0]["account"])
        found["equity"] = account_equity(reader, found["account"])
        found["halt"] = readers.halt_of(reader, found["account"]).value
    if as_json:
        emit_json(found)
        return
    for key, value in found.items():
        click.echo(f"{key:10} {value}")


@click.command()
@click.option("--since", metavar="WHEN|last", default=None)
@home_option
@json_option
@click.pass_context
def report(ctx: click.Context, since: str | None, home_override: str | None, as_json: bool) -> None:
    """The morning read, in Markdown: a verdict, exceptions first, then every run and intent."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        start = since_seq(reader, since, home)
        runs = [(row, run_money(reader, row["run"])) for row in readers.runs(reader)]
        intents = [_decision(reader, row) for row in readers.decisions(reader, None, start)]
        halts = readers.halts(reader)
        alerts = readers.alerts(reader)
        pending = readers.plans(reader, "pending")
        size, root = readers.head(home.root, reader)
    failed = [row for row, _ in runs if row["state"] == "failed"]
    verdict = "All is well." if not (failed or halts or alerts) else "Look at the exceptions."
    if as_json:
        emit_json(
            {"verdict": verdict, "failed": [row["run"] for row in failed], "halts": [h["scope_key"] for h in halts],
             "pending": [p["plan"] for p in pending], "alerts": [a["text"] for a in alerts], "decisions": intents,
             "audit": {"size": size, "root": root}}
        )  # fmt: skip
        return
    click.echo(f"# Report\n\n{verdict}\n")
    told = [f"- {row['run']} failed: {row['reason']}" for row in failed]
    told += [f"- {h['scope_key']} is {h['state']} since {iso(h['ts'])}, by {h['actor']}" for h in halts]
    told += [f"- {a['kind']} {a['scope']}: {a['text']}" for a in alerts]
    told += [f"- {p['plan']} waits for a person until {iso(p['expires'])}" for p in pending]
    click.echo("## Exceptions\n\n" + ("\n".join(told) or "None.") + "\n\n## Runs\n")
    for row, money in runs:
        equity = money.equity if money else row["allocation"]
        click.echo(
            f"- {row['run']} {row['symbol']} {row['timeframe']} {row['state']}: {row['bars']} bars, {row['intents']} "
            f"intents, {row['fills']} fills, {row['refused']} refused, equity {equity}"
        )
    click.echo("\n## Decisions\n")
    for item in intents:
        click.echo(
            f"- {item['bar_time']} {item['run']} {item['side']} {item['quantity']}: {item['outcome']}"
            f" {item['code'] or ''} {item['reason'] or ''}".rstrip()
        )
    click.echo(f"\nAudit log: {size} lines, root {root}. Verify it: inalpha audit verify")
