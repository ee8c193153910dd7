"""Approval tokens: 32 random bytes bound to one plan's digest, minted and consumed in one transaction.

Only the SHA-256 is stored. The raw bytes never reach a log, the bus or a traceback: Token hides them.
"""

from __future__ import annotations

import hashlib
import os

from inalpha.audit.canonical import digest_of
from inalpha.ledger.txn import Txn
from inalpha.model.errors import Refused

TOKEN_LIFE_US = 30_000_000
_PLAN_HEADER = "inalpha.audit/plan/v1"


class Token:
    """The raw bytes; its text form shows none of them."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self._raw).hexdigest()

    def __repr__(self) -> str:
        return "Token(hidden)"


def mint(txn: Txn, plan_id: str, plan_sha256: str, approver: str, gate: str | None) -> Token:
    """Write plan.approve, gate checked, and return the token that it commits to."""
    token = Token(os.urandom(32))
    data = {
        "plan": plan_id,
        "plan_sha256": plan_sha256,
        "token_expires": txn.now_us + TOKEN_LIFE_US,
        "token_sha256": token.sha256,
    }
    txn.line("plan.approve", approver, data, gate=gate)
    return token


def execute(txn: Txn, plan_id: str, token: Token, plan_sha256: str, executor: str, now_us: int) -> str:
    """Consume the token and write plan.execute; returns `order-N`.

    Raises Refused with the first code that applies. The line's fold consumes the token by one conditional
    UPDATE whose row count must be 1, so two executes can never both pass.
    """
    code, message = _refusal(txn, plan_id, token.sha256, plan_sha256, now_us)
    if code:
        raise Refused(code, message, "Approve the plan again, or have it proposed again.")
    order = txn.next_id("order")
    data = {"order": order, "plan": plan_id, "plan_sha256": plan_sha256, "token_sha256": token.sha256}
    txn.line("plan.execute", executor, data)
    return order


def _refusal(txn: Txn, plan_id: str, token: str, plan_sha256: str, now_us: int) -> tuple[str, str]:
    found = txn.conn.execute(
        "SELECT t.plan, t.digest, t.expires, t.consumed_seq, p.digest, p.body, p.expires, p.state"
        " FROM token t JOIN plan p ON p.plan = t.plan WHERE t.token_sha256 = ?",
        (token,),
    ).fetchone()
    if found is None or found[0] != plan_id:
        return "TOKEN_WRONG", f"this token was not minted for {plan_id}."
    _, bound, expires, consumed, stored, body, plan_expires, state = found
    if consumed is not None:
        return "TOKEN_REPLAYED", f"the token of {plan_id} was used in line {consumed}."
    if now_us >= expires:
        return "TOKEN_EXPIRED", f"the token of {plan_id} lived for 30 s."
    if len({bound, stored, plan_sha256, digest_of(_PLAN_HEADER, body.encode())}) != 1:
        return "PLAN_DIGEST_MISMATCH", f"{plan_id} is not what was approved."
    if now_us >= plan_expires:
        return "PLAN_EXPIRED", f"{plan_id} has expired."
    if state != "approved":
        return "PLAN_STATE", f"{plan_id} is {state}."
    return "", ""
