"""Commands that an owner or operator signs and that concern accounts and texts: open, deposit, erase."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from inalpha.daemon.call import Body, Call
from inalpha.ledger.txn import Txn
from inalpha.model.errors import Refused
from inalpha.model.money import MOST_CASH_E8, e8_from_text
from inalpha.risk.rules import load_rules

if TYPE_CHECKING:
    from inalpha.daemon.office import Office


async def open_account(office: Office, call: Call) -> Body:
    """An enrolled operator's account with its first limits, both signed."""
    data, gate, principal = call.mapping("data"), call.text("gate", 16_000), call.principal
    limits, limits_gate = call.mapping("limits"), call.text("limits_gate", 16_000)

    def job(txn: Txn) -> Body:
        account = str(data.get("account"))
        if txn.conn.execute("SELECT 1 FROM account WHERE account = ?", (account,)).fetchone():
            raise Refused("ACCOUNT_OPEN", f"{data.get('owner')} has an account.", "inalpha account deposit")
        _check_cash(_amount(data.get("cash")))
        rules = load_rules(office.home.risk, str(data.get("owner")).partition(":")[2])
        if limits.get("account") != account or limits.get("rules_sha256") != rules.sha256:
            raise Refused("LIMITS_CHANGED", "risk.toml changed since it was signed.", "Sign again.")
        seq = txn.line("account.open", principal, data, gate=gate)
        txn.blob(rules.canonical.encode())
        txn.line("limits.set", principal, limits, gate=limits_gate)
        office.accounts.open_account(account, e8_from_text(data["cash"]), rules)
        return {"seq": seq, **data}

    return await call.commit(office, job)


async def deposit(office: Office, call: Call) -> Body:
    """More paper cash for an account."""
    data, gate, principal = call.mapping("data"), call.text("gate", 16_000), call.principal

    def job(txn: Txn) -> Body:
        account = str(data.get("account"))
        seq = txn.line("account.deposit", principal, data, gate=gate)
        amount = _amount(data["amount"])
        if amount <= 0:
            raise Refused("AMOUNT", f"{data['amount']} is no deposit.", "An amount above zero.")
        cash = txn.conn.execute("SELECT cash FROM account WHERE account = ?", (account,)).fetchone()[0]
        _check_cash(e8_from_text(cash))
        office.accounts[account].deposit(amount)
        return {"seq": seq, "account": account, "cash": cash}

    return await call.commit(office, job)


def _amount(text: object) -> int:
    try:
        return e8_from_text(str(text))
    except ValueError as error:
        raise Refused("AMOUNT", f"{text!r} is no amount.", "Such as 2500.") from error


def _check_cash(amount_e8: int) -> None:
    """Before anything in memory changes: what a line, a column or a snapshot cannot hold would end every later run."""
    if amount_e8 > MOST_CASH_E8:
        raise Refused("AMOUNT", "an account holds at most ten thousand million.", "A smaller amount.")


async def erase_blob(office: Office, call: Call) -> Body:
    """Remove the text behind a commitment; the lines that name it stay and keep their meaning."""
    data, gate, principal = call.mapping("data"), call.text("gate", 16_000), call.principal

    def job(txn: Txn) -> Body:
        commit = str(data.get("commit"))
        text = txn.text_of(commit)
        if text is None:
            raise Refused(
                "NO_TEXT", f"no text stands behind {commit[:16]}…, or it was erased.", "inalpha audit log"
            )
        seq = txn.line("blob.erase", principal, data, gate=gate)
        txn.erase_text(commit)
        for actor in office.actors.values():
            actor.reasons.forget(commit)
        # Reasons stand in the journal as commitments; a strategy may have logged the same words.
        as_json = json.dumps(text, ensure_ascii=False)[1:-1]
        left = txn.conn.execute(
            "SELECT DISTINCT run FROM journal WHERE ?1 != '' AND instr(output, ?1) ORDER BY run", (as_json,)
        ).fetchall()
        return {"seq": seq, "commit": commit, "still_in_journal_of": [run for (run,) in left]}

    return await call.commit(office, job)
