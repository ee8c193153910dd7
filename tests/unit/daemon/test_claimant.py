"""A name without a key is a claim, in a form that both verifiers read."""

from __future__ import annotations

import re
import sqlite3

import pytest

from inalpha.daemon.claimant import claimant, latch_claimant, os_claimant

FORM = re.compile(r"(op|agent|os):[a-z0-9][a-z0-9-]{0,35}")


@pytest.mark.parametrize(
    "user", ["alice", "uid-54321", "Bob", "a b", "-x", "é" * 99, "?", "x" * 40, "caf\udce9"]
)
def test_every_user_name_becomes_a_claimant(user: str) -> None:
    found = os_claimant(user)
    assert found is not None and FORM.fullmatch(found)
    assert (found == f"os:{user}") is bool(FORM.fullmatch(f"os:{user}"))


def test_a_mapped_name_never_passes_for_another() -> None:
    assert len({os_claimant(user) for user in ("bob", "Bob", "BOB", "bob_", "_bob")}) == 5


def test_only_an_enrolled_principal_is_named() -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE key(principal, revoked_after)")
    conn.execute("INSERT INTO key VALUES ('op:alice', NULL), ('op:gone', 7)")
    assert claimant(conn, "op:alice", "root") == "op:alice"
    assert claimant(conn, "op:gone", "root") == "os:root"
    assert claimant(conn, "slot:cli-1", "root") == "os:root"
    assert claimant(conn, "slot:cli-1", None) is None


def test_a_latch_row_claims_its_user_and_the_program_claims_nobody() -> None:
    assert latch_claimant("cli:root") == "os:root"
    assert latch_claimant("console:uid-7") == "os:uid-7"
    assert latch_claimant("system:daemon") is None
