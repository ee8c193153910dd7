"""`risk locks`: what is not entered now, why, and until when."""

from __future__ import annotations

from typing import Any

import click

from inalpha.cli.client import reading
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option
from inalpha.cli.output import emit_json, iso, plain, say, table
from inalpha.ledger import readers

SIDES = {1: "buy", -1: "sell", 0: "both"}


@click.command("locks")
@click.option("--account", metavar="NAME")
@click.option("--all", "every", is_flag=True, help="Those that are over, too.")
@home_option
@json_option
@click.pass_context
def locks(
    ctx: click.Context, account: str | None, every: bool, home_override: str | None, as_json: bool
) -> None:
    """Locks of entries, by rule and scope. Times are market time: a lock binds a run at the bar it has reached."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        wanted = readers.account(reader, account)["account"] if account else None
        found = [_shown(lock) for lock in readers.locks(reader, wanted) if every or lock["binds"]]
    if as_json:
        emit_json({"items": found})
        return
    rows = [
        (
            plain(lock["rule"]), plain(lock["scope"]), lock["side"], lock["until"], " ".join(lock["binds"]) or "none",
            plain(lock["reason"]),
        )
        for lock in found
    ]  # fmt: skip
    if not rows:
        say("no lock binds a run now" if not every else "no lock was ever set")
        return
    table(rows, ("rule", "scope", "side", "until", "binds", "reason"))


def _shown(lock: dict[str, Any]) -> dict[str, Any]:
    times = {"from": iso(lock.pop("from_ns") // 1000), "until": iso(lock.pop("until_ns") // 1000)}
    return {**lock, "side": SIDES[lock["side"]], **times}
