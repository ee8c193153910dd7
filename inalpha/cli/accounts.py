"""`account open` and `account deposit`, `blob erase`: signed acts about accounts and texts."""

from __future__ import annotations

import sqlite3
from typing import Any

import click

from inalpha.audit.event import read_event
from inalpha.cli.client import gate, reading, send, unlock
from inalpha.cli.keys import check_handle
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, signing_options
from inalpha.cli.output import emit_items, emit_json, say
from inalpha.daemon.presence import require
from inalpha.ledger import readers
from inalpha.ledger.blobs import commits_in
from inalpha.model.errors import EXIT_USAGE, InalphaError, Refused
from inalpha.model.money import MOST_CASH_E8, e8_from_text, text_from_e8
from inalpha.model.ownership import owner_account_id
from inalpha.risk.rules import load_rules


def amount_of(text: str) -> str:
    """A decimal above zero in its canonical spelling."""
    try:
        value = e8_from_text(text)
    except ValueError:
        value = 0
    if not 0 < value <= MOST_CASH_E8:
        raise InalphaError(
            "AMOUNT",
            f"{text!r} is no amount above zero and below ten thousand million.",
            "Such as 2500.",
            exit_code=EXIT_USAGE,
        )
    return text_from_e8(value)


@click.command("open")
@click.argument("name", metavar="OPERATOR")
@click.option("--cash", default="100000", show_default=True)
@click.option("--currency", default="USD", show_default=True)
@signing_options
@home_option
@json_option
@click.pass_context
def open_(
    ctx: click.Context,
    name: str,
    cash: str,
    currency: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """OPERATOR's paper account with the limits of risk.toml; the owner signs both."""
    home = home_of(ctx, home_override)
    check_handle(name)
    require(home)
    who = unlock(home, operator, passphrase_file)
    account = owner_account_id(name)
    data = {"account": account, "cash": amount_of(cash), "currency": currency, "owner": f"op:{name}"}
    rules = load_rules(home.risk, name)
    limits = {"account": account, "direction": "loosen", "rules_sha256": rules.sha256}
    args = {
        "data": data, "gate": gate(home, who, "account.open", data),
        "limits": limits, "limits_gate": gate(home, who, "limits.set", limits),
    }  # fmt: skip
    found = send(home, "account.open", args, who)
    emit_json(found) if as_json else say(f"{account}  {found['cash']} {currency}")


@click.command()
@click.argument("amount", metavar="AMOUNT")
@click.option("--account", metavar="NAME", help="Whose account (default: the signer's).")
@signing_options
@home_option
@json_option
@click.pass_context
def deposit(
    ctx: click.Context,
    amount: str,
    account: str | None,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Add paper cash; the owner signs."""
    home = home_of(ctx, home_override)
    require(home)
    who = unlock(home, operator, passphrase_file)
    with reading(home) as reader:
        row = readers.account(reader, account or who.handle)
    data = {"account": row["account"], "amount": amount_of(amount)}
    found = send(
        home, "account.deposit", {"data": data, "gate": gate(home, who, "account.deposit", data)}, who
    )
    emit_json(found) if as_json else say(f"cash {found['cash']}")


@click.group()
def blob() -> None:
    """Texts behind the commitments that lines hold."""


@blob.command()
@click.argument("commit", metavar="COMMIT")
@click.option("--reason", metavar="WORDS", help="At most 64 plain characters; stands in the log for ever.")
@click.option("--list", "only_list", is_flag=True, help="Only show the lines that name the text.")
@signing_options
@home_option
@json_option
@click.pass_context
def erase(
    ctx: click.Context,
    commit: str,
    reason: str | None,
    only_list: bool,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Erase the text of a rationale or reason, signed. The lines that name it stay; exports no longer hold it."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        naming = _naming(reader, commit)
    if not naming:
        raise Refused("NO_TEXT", f"no line names {commit[:16]}.", "inalpha audit log shows commitments.")
    if only_list or not reason:
        if not only_list:
            raise InalphaError("REASON", "the reason is empty.", "--reason WORDS", exit_code=EXIT_USAGE)
        if as_json:
            emit_items(naming)
        for item in () if as_json else naming:
            say(f"{item['seq']:>7} {item['kind']}")
        return
    require(home)
    who = unlock(home, operator, passphrase_file)
    data = {"commit": commit, "reason": reason}
    found = send(home, "blob.erase", {"data": data, "gate": gate(home, who, "blob.erase", data)}, who)
    if as_json:
        emit_json({**found, "named_by": naming})
        return
    say(f"erased in line {found['seq']}; named by {', '.join(str(item['seq']) for item in naming)}")
    for run in found["still_in_journal_of"]:
        say(f"warning: the strategy of {run} logged the same text; its journal keeps that.", err=True)


def _naming(reader: sqlite3.Connection, commit: str) -> list[dict[str, Any]]:
    """The lines whose commitments this is."""
    rows = reader.execute("SELECT entry FROM ev WHERE instr(entry, CAST(? AS BLOB)) ORDER BY seq", (commit,))
    events = [read_event(bytes(entry)) for (entry,) in rows]
    return [{"seq": e.seq, "kind": e.kind} for e in events if commit in commits_in(e.data)]
