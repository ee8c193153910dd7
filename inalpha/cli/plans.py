"""`plan`: create, list, show, approve, reject."""

from __future__ import annotations

import json
from typing import Any

import click

from inalpha.cli.client import Commitment, gate, reading, send, unlock, unlock_agent
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, parse_duration, signing_options, usage
from inalpha.cli.output import emit_items, emit_json, iso, plain, table
from inalpha.cli.propose import approve_plan, book_for, propose
from inalpha.daemon.presence import require
from inalpha.execution.plans import plan_digest
from inalpha.execution.proposed import Target
from inalpha.ledger import readers
from inalpha.model.errors import EXIT_USAGE, InalphaError, IntegrityError


@click.group()
def plan() -> None:
    """Plans: one proposed order each, with its digest, risk results and expiry."""


def plan_item(row: dict[str, Any]) -> dict[str, Any]:
    """One plan as `plan list --json` prints it."""
    return {
        "plan": row["plan"],
        "state": row["state"],
        "run": row["run"],
        "account": row["account"],
        "symbol": row["symbol"],
        "side": row["side"],
        "quantity": row["quantity"],
        "type": row["type"],
        "limit": row["limit"],
        "digest": row["digest"],
        "proposed_by": row["proposed_by"],
        "created_at": iso(row["created_ts"]),
        "expires_at": iso(row["expires"]),
        "approved_by": row["decided_by"] if row["state"] == "executed" else None,
        "decided_by": row["decided_by"],
        "decided_at": iso(row["decided_ts"]),
        "code": row["code"],
        "order": row["order"],
    }


@plan.command("list")
@click.option("--state", type=click.Choice(["pending", "executed", "rejected", "expired", "cancelled"]))
@click.option("--run", "run_name", metavar="RUN")
@home_option
@json_option
@click.pass_context
def list_(
    ctx: click.Context, state: str | None, run_name: str | None, home_override: str | None, as_json: bool
) -> None:
    """Plans, oldest first."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        items = [plan_item(row) for row in readers.plans(reader, state, run_name)]
    if as_json:
        emit_items(items)
        return
    columns = (
        "plan",
        "state",
        "run",
        "side",
        "quantity",
        "symbol",
        "proposed_by",
        "decided_by",
        "expires_at",
    )
    table([[item[name] for name in columns] for item in items], columns)


@plan.command()
@click.option("--symbol", required=True)
@click.option("--side", required=True, type=click.Choice(["buy", "sell"]))
@click.option("--quantity", required=True, metavar="Q")
@click.option("--limit", metavar="P", help="A limit order; else the market's next open.")
@click.option("--rationale", required=True, help="Why: the person who decides reads it.")
@click.option("--account", metavar="NAME", help="The account's owner (default: the signer).")
@click.option("--run", "run_name", metavar="RUN", help="One of several books of the symbol.")
@click.option("--reduce-only", is_flag=True, help="Only ever make the position smaller.")
@click.option("--expires", default="5m", show_default=True, help="How long it waits for its approval.")
@click.option("--agent", metavar="NAME", help="Propose with this agent's key.")
@signing_options
@home_option
@json_option
@click.pass_context
def create(
    ctx: click.Context,
    symbol: str,
    side: str,
    quantity: str,
    limit: str | None,
    rationale: str,
    account: str | None,
    run_name: str | None,
    reduce_only: bool,
    expires: str,
    agent: str | None,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Propose one order in the book of the symbol's run; it works once a person approves it."""
    home = home_of(ctx, home_override)
    require(home)
    who = unlock_agent(home, agent) if agent else unlock(home, operator, passphrase_file)

    def order(book: Target, commit: str, expires_us: int) -> dict[str, Any]:
        if book.instrument.symbol != symbol:
            raise usage(
                "SYMBOL", f"{run} trades {book.instrument.symbol}, not {symbol}.", "Name its own symbol."
            )
        return book.body(side, quantity, limit, commit, expires_us, reduce_only=reduce_only)

    run = run_name or book_for(home, who, account, symbol)
    found = propose(home, who, run, order, rationale, parse_duration(expires))
    assert found is not None
    if as_json:
        emit_json({name: found[name] for name in ("plan", "run", "plan_sha256")} | {"state": "pending"})
    else:
        click.echo(f"{found['plan']}  pending in the book of {found['run']}")
        click.echo(f"decide it: inalpha plan show {found['plan']}")


@plan.command()
@click.argument("name", metavar="PLAN")
@home_option
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, home_override: str | None, as_json: bool) -> None:
    """The card that a person decides by."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        card = readers.plan_card(home.root, reader, name)
    body = json.loads(card["body"])
    same = plan_digest(body) == card["digest"]
    if as_json:
        emit_json({**plan_item(card), "body": body, "rationale": card["rationale"], "risk": card["risk"],
                   "recomputed": same})  # fmt: skip
        return
    click.echo(f"{name}  {card['state'].upper()}  expires {iso(card['expires'])}")
    price = f"limit {card['limit']}" if card["limit"] else card["type"]
    click.echo(
        f"  {card['side'].upper()} {card['quantity']} {plain(card['symbol'])} {price}  held {card['held']}"
    )
    click.echo(f"  why   “{plain(card['rationale'] or 'missing')}”")
    click.echo(f"  from  {_proposer(card)}, created {iso(card['created_ts'])}")
    for check in card["risk"]:
        told = f"{check['rule']} {check['measured']} / {check['limit']}" if check["rule"] else ""
        click.echo(f"  risk  {check['result']} {told}".rstrip())
    click.echo(f"  sign  {card['digest']}  {'recomputed ✓' if same else 'DIFFERS from its body'}")
    if card["decided_by"]:
        click.echo(f"  done  {card['decided_by']} {iso(card['decided_ts'])} {card['code'] or ''}".rstrip())


@plan.command()
@click.argument("name", metavar="PLAN")
@signing_options
@home_option
@json_option
@click.pass_context
def approve(
    ctx: click.Context,
    name: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Sign one plan's digest, recomputed here; the order works from the next bar."""
    home = home_of(ctx, home_override)
    require(home)
    digest = _own_digest(ctx, home_override, name)
    found = approve_plan(home, unlock(home, operator, passphrase_file), name, digest)
    if as_json:
        emit_json(found)
    else:
        click.echo(f"{name}  approved, {found['order']} works from the next bar")


def _proposer(card: dict[str, Any]) -> str:
    """A plan's run speaks for its strategy; whoever else proposes one is named."""
    run = str(card["run"])
    return run if card["intent"] is not None else f"{card['proposed_by']} in the book of {run}"


def _own_digest(ctx: click.Context, home_override: str | None, name: str) -> str:
    """The digest of the body as stored, computed here: what is signed is what was read."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        card = readers.plan_card(home.root, reader, name)
    digest = plan_digest(json.loads(card["body"]))
    if digest != card["digest"]:
        raise IntegrityError(
            "PLAN_DIGEST_MISMATCH", f"{name} is not what was planned.", "inalpha audit verify"
        )
    return digest


@plan.command()
@click.argument("name", metavar="PLAN")
@click.option("--reason", required=True)
@signing_options
@home_option
@json_option
@click.pass_context
def reject(
    ctx: click.Context,
    name: str,
    reason: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Sign a no, with its reason."""
    home = home_of(ctx, home_override)
    require(home)
    if not reason.strip():
        raise InalphaError("REASON", "the reason is empty.", "--reason TEXT", exit_code=EXIT_USAGE)
    digest = _own_digest(ctx, home_override, name)
    who, why = unlock(home, operator, passphrase_file), Commitment.of(reason)
    subject = {"plan": name, "plan_sha256": digest, "reason_commit": why.commit}
    note = gate(home, who, "plan.reject", subject)
    found = send(home, "plan.reject", {"plan": name, "plan_sha256": digest, "gate": note, **why.args()}, who)
    emit_json(found) if as_json else click.echo(f"{name}  rejected")
