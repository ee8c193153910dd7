"""Folds of genesis, epochs, keys, accounts, limits, proposals and erasures."""

from __future__ import annotations

import sqlite3

from inalpha.audit.event import Event
from inalpha.audit.fold.base import (
    Violation,
    account_of,
    e8,
    get,
    handle_of,
    only,
    plus,
    put,
    require,
    row,
    take_number,
)
from inalpha.model.ownership import owner_account_id

# Lines that an unclosed epoch allows between its epoch.open and the recovery line.
BEFORE_RECOVERY = frozenset({"key.rotate", "clock.step", "recovery"})


def genesis(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    require(event.seq == 0, "I17", "a second genesis")
    require(data["owner"] == event.actor, "I5", "the genesis names another owner")
    require(data["account"] == owner_account_id(handle_of(event.actor)), "I5", "not the owner's account")
    require(e8(data["cash"]) >= 0, "I13", "the opening cash is negative")
    enrol = "INSERT INTO key VALUES (?, ?, ?, NULL, 0, NULL)"
    conn.execute(enrol, (data["log_vkey"], None, "log"))
    conn.execute(enrol, (data["owner_vkey"], event.actor, "owner"))
    conn.execute(enrol, (data["recovery_vkey"], event.actor, "recovery"))
    conn.execute(
        "INSERT INTO account VALUES (?, ?, ?, ?, ?)",
        (data["account"], event.actor, data["currency"], *[plus(data["cash"], 0)] * 2),
    )
    put(conn, "origin", data["origin"])
    put(conn, "log_vkey", data["log_vkey"])
    put(conn, "epoch", "0")
    put(conn, "closed", "1")


def epoch_open(conn: sqlite3.Connection, event: Event) -> None:
    was_closed = get(conn, "closed") == "1"
    require(event.data["previous_clean"] == was_closed, "I16", "the earlier epoch's end is told wrongly")
    put(conn, "epoch", str(event.epoch))
    put(conn, "closed", "0")
    put(conn, "recovering", "0" if was_closed else "1")


def epoch_close(conn: sqlite3.Connection, event: Event) -> None:
    put(conn, "closed", "1")


def recovery(conn: sqlite3.Connection, event: Event) -> None:
    require(get(conn, "recovering") == "1", "I16", "a recovery line after a clean end")
    require(event.data["from_epoch"] == event.epoch - 1, "I16", "the recovery names another epoch")
    require(event.data["size"] == event.seq, "I16", "the recovery names another size")
    put(conn, "recovering", "0")


def key_rotate(conn: sqlite3.Connection, event: Event) -> None:
    vkey = event.data["vkey"]
    conn.execute("INSERT INTO key VALUES (?, NULL, 'log', NULL, ?, NULL)", (vkey, event.seq))
    put(conn, "log_vkey", vkey)


def key_enrol(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    principal, role, sponsor = data["principal"], data["role"], data["sponsor"]
    is_agent, is_person = role == "proposer", role in ("owner", "operator")
    require((sponsor is not None) == is_agent, "I5", "agents, and they alone, have a sponsor")
    wanted = "agent:" if is_agent else "op:" if is_person else None
    if wanted is None:
        require(principal is None, "I5", f"a {role} is no principal")
    else:
        require(principal and principal.startswith(wanted), "I5", f"a {role} needs a principal {wanted}")
        live = row(
            conn,
            "SELECT 1 FROM key WHERE principal = ? AND role != 'recovery' AND revoked_after IS NULL",
            principal,
        )
        require(live is None, "I5", f"{principal} has a key (IDENTITY_TAKEN)")
    if sponsor is not None:
        known = row(conn, "SELECT 1 FROM key WHERE principal = ? AND role IN ('owner','operator')", sponsor)
        require(sponsor.startswith("op:") and known, "I5", f"the sponsor {sponsor} is unknown")
    if is_person:
        account = owner_account_id(handle_of(principal))
        for (other,) in conn.execute(
            "SELECT principal FROM key WHERE role IN ('owner','operator')"
        ).fetchall():
            same = other != principal and owner_account_id(handle_of(other)) == account
            require(not same, "I5", f"{principal} leads to the account of {other} (IDENTITY_TAKEN)")
    conn.execute(
        "INSERT INTO key VALUES (?, ?, ?, ?, ?, NULL)", (data["vkey"], principal, role, sponsor, event.seq)
    )
    if role == "log":
        put(conn, "log_vkey", data["vkey"])


def key_revoke(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    cursor = conn.execute(
        "UPDATE key SET revoked_after = ? WHERE vkey = ? AND principal IS ? AND revoked_after IS NULL"
        " AND enrolled_seq <= ?",
        (data["valid_through_seq"], data["vkey"], data["principal"], data["valid_through_seq"]),
    )
    only(cursor, "I15", "the revoked key is not enrolled, or revoked before")


def account_open(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    require(data["account"] == account_of(conn, data["owner"]), "I5", "not the owner's account")
    require(row(conn, "SELECT 1 FROM key WHERE principal = ?", data["owner"]), "I5", "the owner has no key")
    require(e8(data["cash"]) >= 0, "I13", "the opening cash is negative")
    conn.execute(
        "INSERT INTO account VALUES (?, ?, ?, ?, ?)",
        (data["account"], data["owner"], data["currency"], *[plus(data["cash"], 0)] * 2),
    )


def account_deposit(conn: sqlite3.Connection, event: Event) -> None:
    found = row(conn, "SELECT cash FROM account WHERE account = ?", event.data["account"])
    if found is None:
        raise Violation("I13", "a deposit to an unknown account")
    cash = plus(found[0], e8(event.data["amount"]))
    conn.execute("UPDATE account SET cash = ? WHERE account = ?", (cash, event.data["account"]))


def account_snapshot(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    found = row(conn, "SELECT cash FROM account WHERE account = ?", data["account"])
    require(found and found[0] == data["cash"], "I13", "the snapshot's cash does not follow from the fills")
    held = conn.execute(
        "SELECT symbol, quantity FROM position WHERE account = ? AND quantity != '0' ORDER BY symbol",
        (data["account"],),
    ).fetchall()
    require([list(item) for item in held] == data["positions"], "I13", "the snapshot's positions differ")


def limits_set(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    known = row(conn, "SELECT 1 FROM account WHERE account = ?", data["account"])
    require(known, "I8", "limits of an unknown account")
    first = row(conn, "SELECT 1 FROM limits WHERE account = ?", data["account"]) is None
    require(not first or data["direction"] == "loosen", "I19", "the first limits need a person")
    if not first and data["direction"] == "loosen":
        key = f"loosen:{data['account']}"
        conn.execute("INSERT OR REPLACE INTO fold VALUES (?, ?)", (key, str(event.seq)))
    conn.execute(
        "INSERT OR REPLACE INTO limits VALUES (?, ?, ?)", (data["account"], data["rules_sha256"], event.seq)
    )


def opt_out(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    conn.execute(
        "INSERT INTO opt_out VALUES (?, ?, ?, ?)", (event.seq, data["rule"], data["run"], data["expires"])
    )


def proposal_open(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    take_number(conn, data["proposal"])
    conn.execute(
        "INSERT INTO proposal VALUES (?, ?, ?, ?, 'open', ?, ?, NULL, NULL)",
        (
            data["proposal"],
            data["what"],
            data["subject_sha256"],
            data["rationale_commit"],
            event.actor,
            event.seq,
        ),
    )


def proposal_close(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    cursor = conn.execute(
        "UPDATE proposal SET state = ?, closed_seq = ?, reason_commit = ? WHERE proposal = ?"
        " AND state = 'open'"
        " AND (? NOT LIKE 'agent:%' OR opened_by = ?)",
        (data["state"], event.seq, data["reason_commit"], data["proposal"], event.actor, event.actor),
    )
    only(cursor, "I15", f"{data['proposal']} is not open, or another agent's")


def blob_erase(conn: sqlite3.Connection, event: Event) -> None:
    conn.execute("INSERT OR IGNORE INTO erased VALUES (?, ?)", (event.data["commit"], event.seq))


def witness_cosign(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    require(data["size"] <= event.seq, "I17", "a cosignature of lines to come")
    conn.execute(
        "INSERT INTO cosign VALUES (?, ?, ?, ?)", (event.seq, data["witness"], data["size"], data["note"])
    )


def nothing(conn: sqlite3.Connection, event: Event) -> None:
    """Lines that are only read, never folded."""
