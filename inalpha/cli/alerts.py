"""`alerts`: what a person should have seen, and his word that he has."""

from __future__ import annotations

from typing import Any

import click

from inalpha.cli.client import reading, send, unlock
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, signing_options
from inalpha.cli.output import emit_items, emit_json, iso, say, table
from inalpha.daemon.presence import require
from inalpha.ledger import readers


@click.group(invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Acknowledged ones too.")
@home_option
@json_option
@click.pass_context
def alerts(ctx: click.Context, everything: bool, home_override: str | None, as_json: bool) -> None:
    """Open alerts, oldest first; `alerts ack ID` says that one was seen."""
    if ctx.invoked_subcommand is not None:
        return
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        items = [_item(row) for row in readers.alerts(reader, open_only=not everything)]
    if as_json:
        emit_items(items)
        return
    columns = ("id", "kind", "scope", "last", "count", "acked_by", "text")
    table([[item[name] for name in columns] for item in items], columns)


def _item(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "kind": row["kind"],
        "scope": row["scope"],
        "state": row["state"] or None,
        "text": row["text"],
        "count": row["count"],
        "first": iso(row["ts"]),
        "last": iso(row["last_ts"]),
        "acked_by": row["acked_by"],
        "acked_at": iso(row["acked_ts"]),
    }


@alerts.command()
@click.argument("number", type=int, metavar="ID")
@signing_options
@home_option
@json_option
@click.pass_context
def ack(
    ctx: click.Context,
    number: int,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Say that alert ID was seen; it then escalates no more."""
    home = home_of(ctx, home_override)
    require(home)
    found = send(home, "alert.ack", {"alert": number}, unlock(home, operator, passphrase_file))
    emit_json(found) if as_json else say(f"alert {number}  seen by {found['acked_by']}")
