"""`plan`: create, list, show, approve, reject."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

import click

from inalpha.cli import whole
from inalpha.cli.client import Commitment, gate, reading, send, unlock, unlock_agent
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, parse_duration, signing_options, usage
from inalpha.cli.output import emit_items, emit_json, iso, plain, refusal_text, say, table
from inalpha.cli.propose import approve_plan, book_for, propose
from inalpha.client.card import read_card
from inalpha.daemon.presence import require
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
        say(f"{found['plan']}  pending in the book of {found['run']}")
        say(f"decide it: inalpha plan show {found['plan']}")


@plan.command()
@click.argument("name", metavar="PLAN")
@home_option
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, home_override: str | None, as_json: bool) -> None:
    """The card that a person decides by."""
    home = home_of(ctx, home_override)
    with reading(home) as reader, readers.snapshot(reader):
        card = read_card(home.root, reader, name)
    row, figures = card.row, card.figures
    same, is_open = card.recomputed == row["digest"], row["state"] == "pending"
    if as_json:
        told = {name: _text(value) for name, value in asdict(figures).items() if name != "measures"}
        measures = [
            {"name": m.name, "measured": _text(m.measured), "limit": _text(m.limit), "unit": m.unit}
            for m in figures.measures
        ]
        emit_json({**plan_item(row), "body": card.body, "rationale": card.rationale, "risk": row["risk"],
                   "recomputed": same, "figures": {**told, "share_pct": _text(figures.share_pct)} if is_open else None,
                   "measures": measures if is_open else [],
                   "orders": [_order_item(order) for order in card.orders],
                   "refusals": list(card.refusals)})  # fmt: skip
        return
    until = f"  expires {iso(row['expires'])}" if is_open else ""
    say(f"{name}  {row['state'].upper()}{until}")
    price = f"limit {row['limit']}" if row["limit"] else row["type"]
    say(
        f"  {row['side'].upper()} {row['quantity']} {plain(row['symbol'])} {price}"
        + (f"  held {_text(figures.before)}" if is_open else "")
    )
    if is_open:
        how = "measured by risk" if figures.is_measured else f"estimate at {_text(figures.reference)}"
        say(
            f"  worth {_text(figures.notional)}, {_text(figures.share_pct)} % of the account's equity "
            f"{_text(figures.equity)} ({how})"
        )
        say(
            f"  moves position {_text(figures.before)} → {_text(figures.after)}, "
            f"run's cash {_text(figures.cash_before)} → {_text(figures.cash_after)}"
        )
    say(*whole.quoted("  why   ", card.rationale or "missing", whole.width()))
    say(f"  from  {_proposer(row)}, created {iso(row['created_ts'])}")
    for check in row["risk"]:
        of = check["rule"] or ("worth" if check["measured"] else "")
        measured = f" {check['measured']} / {check['limit']}" if check["measured"] else ""
        say(f"  risk  {check['result']} {of}{measured}".rstrip())
    for m in figures.measures if is_open else ():
        near = "!" if m.is_near else "✓"
        say(f"  {near}     {m.name} {_text(m.measured)} / {_text(m.limit)} {m.unit}")
    for refusal in card.refusals:
        say(f"  no    {refusal_text(refusal)}")
    say(f"  sign  {row['digest']}  {'recomputed ✓' if same else 'DIFFERS from its body'}")
    if row["decided_by"]:
        say(f"  done  {row['decided_by']} {iso(row['decided_ts'])} {row['code'] or ''}".rstrip())
    for order in card.orders:
        part = f" {order['filled']} at {order['price_filled']}" if order["filled"] != "0" else ""
        words = f"{order['order']} {order['kind']} {order['outcome']}{part} {order['code'] or ''}"
        say(f"  order {words}".rstrip())


def _text(value: object) -> object:
    """Decimals at two places where they are long; nothing becomes `missing` only where a person reads it."""
    if not isinstance(value, Decimal):
        return value
    short = value.quantize(Decimal("0.01")) if -(value.as_tuple().exponent or 0) > 8 else value.normalize()  # type: ignore[operator]
    return f"{short:f}"


def _order_item(order: dict[str, Any]) -> dict[str, Any]:
    names = ("order", "kind", "side", "quantity", "filled", "outcome", "code", "price_filled", "fee")
    return {name: order[name] for name in names}


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
        say(f"{name}  approved, {found['order']} works from the next bar")


def _proposer(card: dict[str, Any]) -> str:
    """A plan's run speaks for its strategy; whoever else proposes one is named."""
    run = str(card["run"])
    return run if card["intent"] is not None else f"{card['proposed_by']} in the book of {run}"


def _own_digest(ctx: click.Context, home_override: str | None, name: str) -> str:
    """The digest of the body as stored, computed here: what is signed is what was read."""
    home = home_of(ctx, home_override)
    with reading(home) as reader, readers.snapshot(reader):
        card = read_card(home.root, reader, name)
    digest = card.recomputed
    if digest != card.row["digest"]:
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
    emit_json(found) if as_json else say(f"{name}  rejected")
