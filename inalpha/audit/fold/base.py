"""What every fold shares: the violation, counters, ids and money as text."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from importlib import resources
from typing import Any

from inalpha.audit.event import Event
from inalpha.audit.schema import gate_role
from inalpha.model.errors import Refused
from inalpha.model.money import E8, e8_from_text, multiply_e8, text_from_e8
from inalpha.model.ownership import owner_account_id

Fold = Callable[[sqlite3.Connection, Event], None]
SCRATCH_CACHE_KIB = 8192

# More than anybody's money; beyond it decimal contexts begin to round, each in its own way.
WHOLE_DIGITS = 19
LARGEST_E8 = 10**WHOLE_DIGITS * E8
# Per kind: the members that are amounts, in the line, its mandate or its plan's body.
AMOUNTS = {
    "ledger.genesis": ("cash",),
    "account.open": ("cash",),
    "account.deposit": ("amount",),
    "account.snapshot": ("cash",),
    "run.start": ("allocation",),
    "plan.create": ("quantity", "limit", "stop", "stop_loss", "take_profit"),
    "risk.check": ("measured", "limit"),
    "fill": ("quantity", "price", "fee", "cash", "position"),
}

TABLES = (
    "fold", "counter", "key", "nonce", "account", "position", "limits", "candidate", "run", "step", "plan",
    "risk_check", "token", "orders", "fill", "decision", "halt", "resumed", "opt_out", "proposal", "erased", "cosign",
)  # fmt: skip


class Violation(Refused):
    """A line that the record must not hold. check: the invariant it breaks (I1..I19, I22)."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(f"INVARIANT_{check}", f"{reason}.", "Nothing was written.")
        self.check = check
        self.reason = reason


def create_projections(conn: sqlite3.Connection) -> None:
    """Make the empty projection tables, in the ledger or in a verifier's scratch database."""
    for statement in _schema().split(";\n"):
        conn.execute(statement)


def schema_sha256() -> str:
    """Which projections this program makes; a copy made by another is of no use to it."""
    return hashlib.sha256(_schema().encode()).hexdigest()


def _schema() -> str:
    return resources.files("inalpha.audit.fold").joinpath("projections.sql").read_text("utf-8")


def create_scratch() -> sqlite3.Connection:
    """Empty projections in a private temporary file, inside one long transaction.

    Not in memory: the rows of a million lines are larger than the lines that a reader of them should need.
    """
    conn = sqlite3.connect("", isolation_level=None, cached_statements=512)
    conn.execute("PRAGMA journal_mode = MEMORY")
    conn.execute(f"PRAGMA cache_size = -{SCRATCH_CACHE_KIB}")
    create_projections(conn)
    conn.execute("BEGIN")
    return conn


def require(holds: object, check: str, reason: str) -> None:
    if not holds:
        raise Violation(check, reason)


def only(cursor: sqlite3.Cursor, check: str, reason: str) -> None:
    """Raise unless the conditional statement changed exactly one row."""
    if cursor.rowcount != 1:
        raise Violation(check, reason)


def row(conn: sqlite3.Connection, sql: str, *values: Any) -> tuple[Any, ...] | None:
    found: tuple[Any, ...] | None = conn.execute(sql, values).fetchone()
    return found


def take_number(conn: sqlite3.Connection, name: str) -> None:
    """Ids are counters without gaps: `order-7` must come right after `order-6`."""
    prefix, _, number = name.rpartition("-")
    require(int(number) == last_number(conn, prefix) + 1, "I17", f"{name} is out of order")
    conn.execute("INSERT OR REPLACE INTO counter VALUES (?, ?)", (prefix, int(number)))


def last_number(conn: sqlite3.Connection, prefix: str) -> int:
    found = conn.execute("SELECT n FROM counter WHERE prefix = ?", (prefix,)).fetchone()
    return int(found[0]) if found else 0


def get(conn: sqlite3.Connection, key: str, default: str = "") -> str:
    found = conn.execute("SELECT value FROM fold WHERE key = ?", (key,)).fetchone()
    return str(found[0]) if found else default


def put(conn: sqlite3.Connection, key: str, value: str) -> None:
    conn.execute("INSERT OR REPLACE INTO fold VALUES (?, ?)", (key, value))


def is_gated(event: Event) -> bool:
    return gate_role(event.kind, event.actor, event.data) is not None


def handle_of(principal: str) -> str:
    return principal.partition(":")[2]


def account_of(conn: sqlite3.Connection, principal: str) -> str | None:
    """The account that a principal's work belongs to; None for `system:*`, which owns nothing."""
    if principal.startswith("op:"):
        return owner_account_id(handle_of(principal))
    if principal.startswith("agent:"):
        found = row(conn, "SELECT sponsor FROM key WHERE principal = ? ORDER BY enrolled_seq DESC", principal)
        return owner_account_id(handle_of(found[0])) if found and found[0] else None
    return None


def e8(text: str) -> int:
    """Decimal text to 1e-8 units; whole numbers, most of the traffic, without the decimal module."""
    return int(text) * E8 if "." not in text else e8_from_text(text)


def bounded(amount_e8: int) -> int:
    """An amount that stays within what every verifier reckons exactly. Raises Violation I13."""
    if not -LARGEST_E8 < amount_e8 < LARGEST_E8:
        raise Violation("I13", f"an amount of {WHOLE_DIGITS} whole digits or more")
    return amount_e8


def check_amounts(event: Event) -> None:
    """The same for the amounts that a line tells."""
    data: Any = event.data
    if event.kind == "plan.create":
        data = data["body"]
    elif event.kind == "run.start":
        data = data["mandate"]
    told = [data[name] for name in AMOUNTS[event.kind]]
    if event.kind == "account.snapshot":
        told += [quantity for _, quantity in data["positions"]]
    for text in told:
        if text is not None and len(text.partition(".")[0].lstrip("-")) > WHOLE_DIGITS:
            raise Violation("I13", f"an amount of more than {WHOLE_DIGITS} whole digits")


def plus(left: str, right_e8: int) -> str:
    return text_from_e8(bounded(e8(left) + right_e8))


def sign_of(side: str) -> int:
    return 1 if side == "buy" else -1


def notional(quantity: str, price: str) -> int:
    return bounded(multiply_e8(e8(quantity), e8(price)))


def position(conn: sqlite3.Connection, account: str, symbol: str) -> str:
    found = row(conn, "SELECT quantity FROM position WHERE account = ? AND symbol = ?", account, symbol)
    return str(found[0]) if found else "0"


def reduces(side: str, quantity: str, held: str) -> bool:
    """Whether an order can only make the position smaller."""
    holding = e8(held)
    return sign_of(side) * holding < 0 and e8(quantity) <= abs(holding)
