"""`decisions`, `fills`, `positions`, `account`, `report`: the night, line by line."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from inalpha.cli.accounts import deposit, open_
from inalpha.cli.client import reading
from inalpha.cli.health import audit_text, halt_item, halt_text
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option
from inalpha.cli.output import bar_words, emit_items, emit_json, iso, say, table
from inalpha.ledger import outcomes, readers
from inalpha.ledger.halts import binding, standing
from inalpha.ledger.happened import LinesOf, Notable, counted, deposited, happened
from inalpha.ledger.runbook import account_equity, run_money
from inalpha.model import latch
from inalpha.model.errors import EXIT_USAGE, InalphaError
from inalpha.model.money import text_from_e8
from inalpha.model.plain import markdown, quoted


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
        rows = outcomes.decisions(reader, run_name, since_seq(reader, since, home))
        items = [_decision(reader, row) for row in rows]
    if as_json:
        emit_items(items)
        return
    _name_bars(items, rows)
    columns = ("bar_time", "run", "side", "quantity", "close", "outcome", "filled", "price", "plan", "order", "code",
               "reason")  # fmt: skip
    table([[item[name] for name in columns] for item in items], columns)


def _name_bars(items: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    for item, row in zip(items, rows, strict=True):
        item["bar_time"] = bar_words(row["close"], row["timeframe"])


def _decision(reader: sqlite3.Connection, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "run": row["run"],
        "sequence": row["bar"],
        "bar_time": iso(row["close"]),
        "close": _close(reader, row["run"], row["bar"]),
        "intent": row["intent"],
        "side": row["side"],
        "quantity": row["quantity"],
        "outcome": row["outcome"],
        "plan": row["plan"],
        "order": row["order"],
        "code": row["code"],
        "reason": row["told"],
        "refusals": row["refusals"],
        "filled": row["filled"] or "0",
        "price": row["price"],
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
        ends = outcomes.fill_outcomes(reader)
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
            "order_outcome": ends[row["order"]][0],
            "order_code": ends[row["order"]][1],
            "line": row["seq"],
        }
        for row in rows
    ]
    if as_json:
        emit_items(items)
        return
    columns = ("time", "run", "order", "side", "quantity", "symbol", "price", "fee", "order_outcome", "order_code",
               "approved_by", "reason")  # fmt: skip
    table([[item[name] for name in columns] for item in items], columns)


@click.command()
@click.option("--account", "account_name", metavar="NAME")
@home_option
@json_option
@click.pass_context
def positions(ctx: click.Context, account_name: str | None, home_override: str | None, as_json: bool) -> None:
    """Open positions, by run, at their last close, and the orders that work."""
    home = home_of(ctx, home_override)
    items: list[dict[str, Any]] = []
    marks: dict[str, str | None] = {}
    with reading(home) as reader, readers.snapshot(reader):
        only = readers.account(reader, account_name)["account"] if account_name else None
        working = [
            working_item(row)
            for row in outcomes.orders(reader, working_only=True)
            if only is None or row["account"] == only
        ]
        for row in readers.runs(reader):
            money = run_money(reader, row["run"])
            marks[row["run"]] = bar_words(row["last_close"], row["timeframe"])
            if row["position"] == "0" or (only and row["account"] != only):
                continue
            items.append(
                {
                    "account": row["account"],
                    "symbol": row["symbol"],
                    "run": row["run"],
                    "run_state": row["state"],
                    "quantity": row["position"],
                    "average": money.average if money else None,
                    "mark": money.close if money else None,
                    "marked_at": iso(row["last_close"]),
                    "unrealised": money.unrealised if money else None,
                }
            )
    if as_json:
        emit_json({"items": items, "working": working})
        return
    for item in items:
        item["marked_at"] = marks[item["run"]]
    columns = ("symbol", "quantity", "average", "mark", "marked_at", "unrealised", "run", "run_state")
    table([[item[name] for name in columns] for item in items], columns)
    say("", "working orders" + ("" if working else ": none"))
    if working:
        names = ("order", "run", "symbol", "side", "kind", "price", "rest", "filled", "plan")
        table([[item[name] for name in names] for item in working], names)


def working_item(row: dict[str, Any]) -> dict[str, Any]:
    """An order that works; kind stop_loss and take_profit are a bracket's protection."""
    names = (
        "order",
        "run",
        "account",
        "symbol",
        "side",
        "kind",
        "price",
        "quantity",
        "filled",
        "rest",
        "plan",
    )
    return {name: row[name] for name in names}


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
        found["deposited"] = deposited(LinesOf("account.deposit").since(reader), found["account"])
        found["equity"] = account_equity(reader, found["account"])
        halts = standing(reader, latch.read_rows(home.latch))
        found["halt"] = binding(halts, found["account"], None).value
    if as_json:
        emit_json(found)
        return
    for key, value in found.items():
        say(f"{key:10} {value}")


def _alert_text(row: dict[str, Any]) -> str:
    """One alert with its first and last time, and how often it came where that is more than once."""
    first, last = iso(row["ts"]), iso(row["last_ts"])
    when = first if row["count"] == 1 else f"{first} to {last}, {row['count']} times"
    return f"{row['kind']} {row['scope']}: {row['text']} ({when})"


@click.command()
@click.option("--since", metavar="WHEN|last", default=None)
@home_option
@json_option
@click.pass_context
def report(ctx: click.Context, since: str | None, home_override: str | None, as_json: bool) -> None:
    """The morning read, in Markdown: a verdict, exceptions first, then every run and intent."""
    home = home_of(ctx, home_override)
    with reading(home) as reader, readers.snapshot(reader):
        start = since_seq(reader, since, home)
        runs = [(row, run_money(reader, row["run"])) for row in readers.runs(reader)]
        decided = outcomes.decisions(reader, None, start)
        intents = [_decision(reader, row) for row in decided]
        halts = standing(reader, latch.read_rows(home.latch))
        found = happened(reader, start)
        alerts = readers.alerts(reader)
        pending = readers.plans(reader, "pending")
        covered, root = readers.head(home.root, reader)
        audit = {"size": readers.size(reader), "root": root, "root_size": covered}
    failed = [row for row, _ in runs if row["state"] == "failed"]
    told = [
        _exception("failed", f"{row['run']} failed: {row['reason']}", row["run"], row["reason"])
        for row in failed
    ]
    told += [
        _exception("halted", halt_text(halt_item(row)), row["run"], row["state"], row["seq"]) for row in halts
    ]
    told += [asdict(item) for item in found.exceptions]
    # A halt stands above by its own line, with who set it and why.
    told += [_exception("alert", _alert_text(a), code=a["kind"]) for a in alerts if a["kind"] != "halt"]
    waiting = [f"{p['plan']} waits for a person until {iso(p['expires'])}" for p in pending]
    verdict = "All is well." if not told else "Look at the exceptions."
    if as_json:
        emit_json(
            {"verdict": verdict, "failed": [row["run"] for row in failed], "halts": [h["scope_key"] for h in halts],
             "pending": [p["plan"] for p in pending], "alerts": [a["text"] for a in alerts], "decisions": intents,
             "happened": found.counts, "exceptions": told, "audit": audit}
        )  # fmt: skip
        return
    _name_bars(intents, decided)
    say("# Report", "", verdict, "", "## Exceptions", "")
    lines = [item["text"] for item in told] + waiting
    say(*([f"- {markdown(text)}" for text in lines] or ["None."]), "", "## Runs", "")
    for row, money in runs:
        equity = money.equity if money else row["allocation"]
        watched = " watched" if row["is_watched"] else ""
        say(
            f"- {row['run']} {markdown(row['symbol'])} {row['timeframe']} {row['state']}{watched}: {row['bars']} bars, "
            f"{row['intents']} intents, {row['fills']} fills, {row['refused']} refused, position {row['position']}, "
            f"equity {equity}"
        )
    happenings = ", ".join(counted(word, count) for word, count in found.counts.items()) or "nothing"
    say("", "## Decisions", "", f"Happened: {happenings}.", "")
    for item in intents:
        say(f"- {item['bar_time']} {_decision_text(item)}")
    say("", f"Audit log: {audit_text(audit)}. Verify it: inalpha audit verify")


def _exception(
    kind: str, text: str, run: str | None = None, code: str | None = None, line: int | None = None
) -> dict[str, Any]:
    return asdict(Notable(kind, run, code, text, line=line))


def _decision_text(item: dict[str, Any]) -> str:
    """``run-1 buy 10: filled 10 at 101.5 `MA_CROSS` ``: what was asked, its end with the part that filled, and why."""
    text = f"{item['run']} {item['side']} {item['quantity']}: {item['outcome']}"
    if item["filled"] != "0":
        text += f" {item['filled']} at {item['price']}"
    return " ".join(
        part for part in (markdown(text), markdown(item["code"] or ""), quoted(item["reason"] or "")) if part
    )
