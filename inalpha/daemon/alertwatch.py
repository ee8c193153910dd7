"""T8: an alert that nobody acknowledges escalates once; a person acknowledges what he has seen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from inalpha.daemon.call import Body, Call
from inalpha.ledger.txn import Txn
from inalpha.model.errors import Refused

if TYPE_CHECKING:
    from inalpha.daemon.office import Office

ESCALATED = "escalated"
EVERY_S = 2.0  # so that none is more than five seconds late
# state: the alert that it stands for, so that there is one for each, whatever becomes of it.
_DUE = (
    "SELECT a.id, a.kind, a.scope, a.text FROM alert a WHERE a.acked_ts IS NULL AND a.kind != 'escalated' AND a.ts <= ?"
    " AND NOT EXISTS (SELECT 1 FROM alert e WHERE e.kind = 'escalated' AND e.state = CAST(a.id AS TEXT))"
)


def limit_us(office: Office, txn: Txn) -> int | None:
    """How long an alert may wait: the tightest of the accounts' rules; None where all have it off."""
    accounts = [office.accounts[account] for (account,) in txn.conn.execute("SELECT account FROM account")]
    found = [book.rules.controls.monitoring for book in accounts]
    return min((one.escalate_s * 1_000_000 for one in found if one.enabled), default=None)


def escalate(office: Office, txn: Txn) -> int:
    """On the writer's thread: tell again, once, what has waited too long. Answers how many."""
    limit = limit_us(office, txn)
    due = [] if limit is None else txn.conn.execute(_DUE, (txn.now_us - limit,)).fetchall()
    for number, kind, scope, text in due:
        minutes = (limit or 0) // 60_000_000
        office.alert(txn, ESCALATED, scope, f"nobody saw it for {minutes} min: {kind}: {text}", str(number))
        office.log("alert_escalated", "error", alert=number, kind=kind, scope=scope, text=text)
    return len(due)


async def watch_alerts(office: Office) -> None:
    """Every two seconds while the daemon lives; nothing is written while nothing is due."""
    while True:
        due = await office.write(lambda txn: limit_is_reached(office, txn))
        if due:
            await office.write(lambda txn: escalate(office, txn), ("alert", []))
        await asyncio.sleep(EVERY_S)


def limit_is_reached(office: Office, txn: Txn) -> bool:
    limit = limit_us(office, txn)
    return limit is not None and txn.conn.execute(_DUE, (txn.now_us - limit,)).fetchone() is not None


async def acknowledge(office: Office, call: Call) -> Body:
    """A person has seen an alert; what escalated from it is over too. Halts stay as they are."""
    number, by = call.args.get("alert"), call.principal
    if type(number) is not int or not 0 < number < 1 << 53:
        raise Refused("NO_ALERT", f"{number!r} is no alert's number.", "inalpha alerts")

    def job(txn: Txn) -> Body:
        cursor = txn.conn.execute(
            "UPDATE alert SET acked_by = ?, acked_ts = ? WHERE acked_ts IS NULL"
            " AND (id = ? OR (kind = 'escalated' AND state = ?))",
            (by, txn.now_us, number, str(number)),
        )
        if cursor.rowcount == 0:
            raise Refused("NO_ALERT", f"there is no open alert {number}.", "inalpha alerts")
        return {"alert": number, "acked_by": by}

    return await call.commit(office, job, ("alert", [str(number)]))
