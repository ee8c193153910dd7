"""Gates that carry nothing, sent to a real daemon: each refused by its code, exit 4, one line on record, no more."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation

from inalpha.audit import gate
from inalpha.audit.client import tree_of
from inalpha.audit.event import read_event
from inalpha.audit.notes import Signer, SigningKey
from inalpha.cli.client import Operator, send, unlock
from inalpha.cli.client import gate as signed_gate
from inalpha.client.operator import reading
from inalpha.ledger.readers import open_reader
from inalpha.model.errors import EXIT_REFUSED, InalphaError
from inalpha.model.home import Home

KIND, SECOND = "account.deposit", 1_000_000
Members = dict[str, Any]


class Bench:
    """A running home with an owner, an operator, and an operator whose key was revoked."""

    def __init__(self, home: Installation) -> None:
        self.home, self.at = home, Home.at(home.home)
        for name in ("bob", "carl"):
            home("operator", "add", name, "--insecure-no-passphrase", "--operator", "alice")
        self.alice, self.bob, self.carl = (unlock(self.at, name, None) for name in ("alice", "bob", "carl"))
        home("operator", "revoke", "carl", "--operator", "alice")
        self.data = {"account": home.json("account")["account"], "amount": "10"}

    def members(self, **changes: Any) -> Members:
        """What the owner would sign for the deposit now."""
        with reading(self.at) as reader:
            tree, origin = tree_of(reader), self.alice.signer.name.partition("/op/")[0]
            now = time.time_ns() // 1000
            told = {"log": origin, "action": KIND, "subject": self.data, "base_size": tree.size,
                    "base_root": tree.root(), "ts": now, "exp": now + 200 * SECOND}  # fmt: skip
        return told | changes

    def note(self, who: Operator | Signer, **changes: Any) -> str:
        signer = who if isinstance(who, Signer) else who.signer
        return gate.sign(signer, gate.gate_text(**self.members(**changes)))

    def lines(self) -> Counter[str]:
        reader = open_reader(self.home.home)
        try:
            return Counter(read_event(entry).kind for (entry,) in reader.execute("SELECT entry FROM ev"))
        finally:
            reader.close()

    def cash(self) -> str:
        return str(self.home.json("account")["cash"])

    def refused(self, command: str, args: Members, who: Operator) -> str:
        """The code; asserts that nothing but one refusal line came of it."""
        before, cash = self.lines(), self.cash()
        with pytest.raises(InalphaError) as raised:
            send(self.at, command, args, who)
        assert raised.value.exit_code == EXIT_REFUSED
        assert (self.lines() - before, before - self.lines()) == (Counter({"refusal": 1}), Counter())
        assert self.cash() == cash
        return raised.value.code


Spoil = Callable[[Bench], str]
STRANGER = SigningKey(b"s" * 32)


def _bad_signature(bench: Bench) -> str:
    good, other = bench.note(bench.alice), bench.note(bench.alice)
    return good[: good.rindex("\n\n")] + other[other.rindex("\n\n") :]


SPOILT: dict[str, tuple[str, Spoil]] = {
    "no note": ("GATE_SYNTAX", lambda bench: "x"),
    "expired": ("GATE_EXPIRED", lambda b: b.note(b.alice, ts=_ago(400), exp=_ago(200))),
    "of tomorrow": ("GATE_FUTURE", lambda b: b.note(b.alice, ts=_ago(-60), exp=_ago(-90))),
    "for an hour": ("GATE_LIFETIME", lambda b: b.note(b.alice, exp=_ago(-3600))),
    "of another ledger": ("GATE_LOG", lambda b: b.note(b.alice, log="inalpha.local/ledger/" + "0" * 32)),
    "by another ledger's owner": (
        "GATE_UNKNOWN_KEY",
        lambda b: b.note(Signer("inalpha.local/ledger/" + "0" * 32 + "/op/alice", STRANGER)),
    ),
    "by a namesake": ("GATE_UNKNOWN_KEY", lambda b: b.note(Signer(b.alice.signer.name, STRANGER))),
    "by a revoked key": ("GATE_REVOKED", lambda b: b.note(b.carl)),
    "by somebody else": ("GATE_ACTOR", lambda b: b.note(b.bob)),
    "for another act": ("GATE_ACTION", lambda b: b.note(b.alice, action="account.open")),
    "for another amount": ("GATE_SUBJECT", lambda b: b.note(b.alice, subject={**b.data, "amount": "11"})),
    "for another account": (
        "GATE_SUBJECT",
        lambda b: b.note(b.alice, subject={**b.data, "account": "0" * 36}),
    ),
    "over another tree": ("GATE_BASE", lambda b: b.note(b.alice, base_root=b"\0" * 32)),
    "over a tree to come": ("GATE_BASE", lambda b: b.note(b.alice, base_size=10**6)),
    "with another note's signature": ("GATE_SIGNATURE", _bad_signature),
}


def _ago(seconds: int) -> int:
    return time.time_ns() // 1000 - seconds * SECOND


def test_each_spoilt_gate_is_refused_by_its_code_and_changes_nothing(tmp_path: Path) -> None:
    home = Installation(tmp_path / "home")
    home.init()
    home.start()
    try:
        bench = Bench(home)
        for name, (code, spoil) in SPOILT.items():
            args = {"data": bench.data, "gate": spoil(bench)}
            if code in seen(bench):  # equal refusals of one minute fold: only the first writes a line
                lines = bench.lines()
                with pytest.raises(InalphaError) as raised:
                    send(bench.at, KIND, args, bench.alice)
                assert (raised.value.code, bench.lines()) == (code, lines), name
            else:
                assert bench.refused(KIND, args, bench.alice) == code, name
        # An operator signs in his own name for what only an owner may do.
        args = {"data": bench.data, "gate": bench.note(bench.bob)}
        assert bench.refused(KIND, args, bench.bob) == "ROLE_FORBIDS"
        words = ("account", "deposit", "5", "--account", "alice")
        assert "ROLE_FORBIDS" in home(*words, "--operator", "bob", code=EXIT_REFUSED)
        good = {"data": bench.data, "gate": signed_gate(bench.at, bench.alice, KIND, bench.data)}
        send(bench.at, KIND, good, bench.alice)
        assert bench.refused(KIND, good, bench.alice) == "GATE_REPLAYED"
        lines, cash = bench.lines(), bench.cash()
        for _ in range(5):
            with pytest.raises(InalphaError, match="used"):
                send(bench.at, KIND, good, bench.alice)
        assert (bench.lines(), bench.cash()) == (lines, cash)
        resumed_elsewhere(bench)
        home("audit", "verify", "--no-exec")
    finally:
        home.stop()


def seen(bench: Bench) -> list[str]:
    reader = open_reader(bench.home.home)
    try:
        events = [read_event(entry) for (entry,) in reader.execute("SELECT entry FROM ev")]
        return [str(event.data["code"]) for event in events if event.kind == "refusal"]
    finally:
        reader.close()


def resumed_elsewhere(bench: Bench) -> None:
    """A signature for one scope resumes no other."""
    for scope in ("all", "account"):
        halt = {"scope": scope, "state": "HALTED", "reason": "why"}
        send(bench.at, "halt", halt, bench.alice)
    account = bench.data["account"]
    words = {"reason": "why", "salt": "0" * 64}
    commit = hmac.new(bytes.fromhex(words["salt"]), b"why", hashlib.sha256).hexdigest()
    of_account = {"account": account, "reason_commit": commit, "run": None, "scope": "account"}
    note = bench.note(bench.alice, action="halt.resume", subject=of_account)
    args = {"scope": "all", "gate": note, "reason_commit": commit, **words}
    assert bench.refused("halt.resume", args, bench.alice) == "GATE_SUBJECT"
    reader = open_reader(bench.home.home)
    states = [state for (state,) in reader.execute("SELECT state FROM halt")]
    reader.close()
    assert set(states) == {"HALTED"}
