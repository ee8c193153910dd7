"""What the console sends: sign, send, and let the ledger's row be the proof."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from typing import Any

from inalpha.client.operator import Commitment, Operator, gate
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home
from inalpha.model.whoami import user_name
from tui.link import Sender

REPLY_S = 5.0

Said = tuple[str, str]  # text, role


async def approve(home: Home, link: Sender, who: Operator, plan: str, digest: str) -> Said:
    """A gate note over the tree as this console sees it, then the command. Answers what to say."""
    subject = {"plan": plan, "plan_sha256": digest}
    return await _signed(home, link, who, "plan.approve", subject, {}, f"{plan} APPROVED")


async def reject(home: Home, link: Sender, who: Operator, plan: str, digest: str, reason: str) -> Said:
    why = Commitment.of(reason)
    subject = {"plan": plan, "plan_sha256": digest, "reason_commit": why.commit}
    return await _signed(home, link, who, "plan.reject", subject, why.args(), f"{plan} REJECTED")


async def _signed(
    home: Home,
    link: Sender,
    who: Operator,
    command: str,
    subject: Mapping[str, str],
    more: Mapping[str, str],
    done: str,
) -> Said:
    try:
        note = await asyncio.to_thread(gate, home, who, command, dict(subject))
        args = {"plan": subject["plan"], "plan_sha256": subject["plan_sha256"], "gate": note, **more}
        found = await link.request(command, args, who, REPLY_S)
    except InalphaError as error:
        return told(error)
    except sqlite3.Error as error:
        return f"not signed: the ledger cannot be read: {error}", "bad"
    return f"{done}{_more(found)}", "good"


def told(error: InalphaError) -> Said:
    """A lost reply is no refusal: the ledger will say what happened."""
    if error.code == "NO_REPLY":
        return "UNKNOWN, reading the ledger: no reply within 5 s", "warn"
    if error.code == "PLAN_STATE":
        by = error.detail.get("decided_by")
        return (
            f"decided before you: {error.detail.get('state')} by {by}; your signature changed nothing",
            "warn",
        )
    return f"{error.code}: {error.message} {error.fix}".rstrip(), "bad"


def _more(found: Mapping[str, Any]) -> str:
    order = found.get("order")
    return f", {order} works from the next bar" if order else ""


async def stop_run(link: Sender, run: str, note: str, who: Operator | None) -> Said:
    """Needs no operator key: the slot's own key may stop things. An open key signs, so that no name is a claim."""
    args = {"run": run, "user": user_name(), "reason": note}
    return await _tighten(link, "stop", args, who, f"{run} STOPPED; its position stays")


async def pause_run(link: Sender, run: str, reason: str, who: Operator | None) -> Said:
    args = {"scope": "run", "run": run, "state": "REDUCING", "reason": reason, "user": user_name()}
    return await _tighten(link, "halt", args, who, f"{run} REDUCING: no entries, exits run")


async def _tighten(
    link: Sender, command: str, args: Mapping[str, Any], who: Operator | None, done: str
) -> Said:
    try:
        await link.request(command, args, who, REPLY_S)
    except InalphaError as error:
        return told(error)
    return done, "good"
