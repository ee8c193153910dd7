"""Keys, epochs, accounts' money, limits and proposals: the lines behind which a person or the daemon itself stands."""

from __future__ import annotations

from typing import Any

from inalpha.verifier.amounts import amount, bounded, owner_account
from inalpha.verifier.books import Books
from inalpha.verifier.checks import require
from inalpha.verifier.line import Line
from inalpha.verifier.state import Account


def ledger_genesis(books: Books, line: Line, data: dict[str, Any]) -> None:
    require(line.seq == 0, "I17", "a second genesis")
    own = owner_account(line.actor.partition(":")[2])
    require(data["owner"] == line.actor and data["account"] == own, "I5", "the account is not the owner's")
    require(amount(data["cash"]) >= 0, "I13", "negative opening cash")
    books.keys.enrol(data["owner_vkey"], "owner", 0, line.actor)
    books.keys.enrol(data["recovery_vkey"], "recovery", 0, line.actor)
    books.accounts[data["account"]] = Account(line.actor, data["currency"], data["cash"])


def epoch_open(books: Books, line: Line, data: dict[str, Any]) -> None:
    require(data["previous_clean"] == books.closed, "I16", "the end of the earlier epoch is told wrongly")
    books.recovering = not books.closed
    books.closed = False


def epoch_close(books: Books, line: Line, data: dict[str, Any]) -> None:
    books.closed = True


def recovery(books: Books, line: Line, data: dict[str, Any]) -> None:
    fits_here = data["from_epoch"] == line.epoch - 1 and data["size"] == line.seq
    require(
        books.recovering and fits_here, "I16", "a recovery line out of place, or of another epoch or size"
    )
    books.recovering = False


def key_rotate(books: Books, line: Line, data: dict[str, Any]) -> None:
    books.keys.rotate(data["vkey"], books.origin, line.seq)


def key_enrol(books: Books, line: Line, data: dict[str, Any]) -> None:
    role, principal, sponsor = data["role"], data["principal"], data["sponsor"]
    prefix = {"owner": "op:", "operator": "op:", "proposer": "agent:"}.get(role)
    named = principal.startswith(prefix) if prefix and principal else principal is None and prefix is None
    require(named, "I5", f"{principal} is no principal for the role {role}")
    require((sponsor is not None) == (role == "proposer"), "I5", "agents, and they alone, have a sponsor")
    live = [key for key in books.keys.of_principal(principal or "-") if key.until is None]
    require(all(key.role == "recovery" for key in live), "I5", f"{principal} has a key")
    people = {key.principal for key in books.keys.all.values() if key.role in ("owner", "operator")}
    require(sponsor is None or sponsor in people, "I5", f"the sponsor {sponsor} is unknown")
    if prefix == "op:":
        others = {owner_account(str(other).partition(":")[2]) for other in people if other != principal}
        taken = owner_account(principal.partition(":")[2]) in others
        require(not taken, "I5", f"{principal} leads to another person's account")
    if role == "log":
        books.keys.rotate(data["vkey"], books.origin, line.seq)
    else:
        books.keys.enrol(data["vkey"], role, line.seq, principal, sponsor)


def key_revoke(books: Books, line: Line, data: dict[str, Any]) -> None:
    key = books.keys.all.get(data["vkey"])
    last = data["valid_through_seq"]
    live = key is not None and key.until is None and key.principal == data["principal"] and key.since <= last
    require(live, "I15", "the revoked key is not enrolled, or was revoked before")
    if key is not None:
        key.until = last


def account_open(books: Books, line: Line, data: dict[str, Any]) -> None:
    require(data["account"] == books.keys.account_of(data["owner"]), "I5", "the account is not the owner's")
    require(books.keys.of_principal(data["owner"]), "I5", "the owner has no key")
    require(amount(data["cash"]) >= 0, "I13", "negative opening cash")
    require(data["account"] not in books.accounts, "I17", "the account is open already")
    books.accounts[data["account"]] = Account(data["owner"], data["currency"], data["cash"])


def account_deposit(books: Books, line: Line, data: dict[str, Any]) -> None:
    account = books.account(data["account"], "I13")
    account.cash = bounded(account.cash + amount(data["amount"]))


def account_snapshot(books: Books, line: Line, data: dict[str, Any]) -> None:
    found = books.account(data["account"], "I13").claims()
    require(
        found["cash"] == data["cash"],
        "I13",
        f"the snapshot says cash {data['cash']}, the fills {found['cash']}",
    )
    require(
        found["positions"] == data["positions"],
        "I13",
        "the snapshot's positions do not follow from the fills",
    )


def limits_set(books: Books, line: Line, data: dict[str, Any]) -> None:
    account = books.account(data["account"], "I8")
    loosens = data["direction"] == "loosen"
    require(loosens or account.limits is not None, "I19", "the first limits need a person")
    if loosens and account.limits is not None:
        account.loosened_at = line.seq
    account.limits = data["rules_sha256"]


def policy_opt_out(books: Books, line: Line, data: dict[str, Any]) -> None:
    books.opt_outs[data["rule"], data["run"]] = data["expires"]


def proposal_open(books: Books, line: Line, data: dict[str, Any]) -> None:
    books.number(data["proposal"])
    books.proposals[data["proposal"]] = line.actor


def proposal_close(books: Books, line: Line, data: dict[str, Any]) -> None:
    opened_by = books.proposals.pop(data["proposal"], None)
    allowed = opened_by is not None and (not line.actor.startswith("agent:") or opened_by == line.actor)
    require(allowed, "I15", f"{data['proposal']} is not open, or another agent's")


def witness_cosign(books: Books, line: Line, data: dict[str, Any]) -> None:
    require(data["size"] <= line.seq, "I17", "a cosignature of lines to come")
