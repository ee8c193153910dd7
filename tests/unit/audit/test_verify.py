"""The verifier on real and published ledgers: honest ones pass, each tampering is named at its line."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.ledger_story import Story, whole_story

from inalpha.audit import refold
from inalpha.audit.event import Event
from inalpha.audit.fold.apply import apply
from inalpha.audit.fold.base import Violation
from inalpha.audit.head import SLOT
from inalpha.audit.merkle import leaf_hash
from inalpha.audit.report import Report
from inalpha.audit.verify import verify
from inalpha.verifier.ledgertree import LedgerTree
from inalpha.verifier.tree import Tree

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return whole_story(tmp_path_factory.mktemp("honest") / "home")


@pytest.fixture
def copy(honest: Story, tmp_path: Path) -> Path:
    home = tmp_path / "home"
    shutil.copytree(honest.home, home)
    return home


def edit(home: Path, *statements: str, name: str = "ledger.db") -> None:
    """Change stored rows as an attacker with file access would: triggers dropped first."""
    conn = sqlite3.connect(home / name, isolation_level=None)
    for (trigger,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        conn.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        conn.execute(statement)
    conn.close()


def bare(name: str) -> tuple[sqlite3.Connection, dict[str, Any]]:
    ledger = json.loads((VECTORS / name).read_text("utf-8"))
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.execute("CREATE TABLE ev(seq INTEGER PRIMARY KEY, entry BLOB, leaf BLOB)")
    for seq, item in enumerate(ledger["entries"]):
        conn.execute(
            "INSERT INTO ev VALUES (?, ?, ?)",
            (seq, item["entry"].encode(), bytes.fromhex(item["leaf_hash_hex"])),
        )
    return conn, ledger


def test_honest_ledger_passes_every_check(honest: Story) -> None:
    seen: list[tuple[int, int]] = []
    report = verify(honest.home, honest.genesis, progress=lambda done, total: seen.append((done, total)))
    assert report.reason is None
    assert report.passed
    assert report.size == 34
    assert seen[-1] == (34, 34)
    assert [check["name"] for check in report.checks][-1] == "I22"


def test_last_gate_is_the_anchor(honest: Story) -> None:
    report = verify(honest.home)
    gate_of_start = 9
    assert report.unanchored_since is not None
    assert report.unanchored_since <= gate_of_start
    assert report.unanchored_ts is not None


def test_other_genesis_is_c4(honest: Story) -> None:
    assert (verify(honest.home, "0" * 64).failures["C4"]).seq == 0


def test_published_human_ledger_passes() -> None:
    conn, ledger = bare("ledger_human.json")
    report = verify(conn, ledger["genesis_sha256"], kept=ledger["checkpoint"].encode())
    assert report.reason is None
    assert report.unanchored_since is None


def test_published_machine_ledger_breaks_only_its_allocation() -> None:
    conn, ledger = bare("ledger_machine.json")
    report = verify(conn, ledger["genesis_sha256"], kept=ledger["checkpoint"].encode())
    assert {name: failure.seq for name, failure in report.failures.items()} == {"I8": 18}


TAMPERINGS: dict[str, tuple[Callable[[Path], None], str | None, int | None]] = {
    "tail cut by one line": (
        lambda home: edit(home, "DELETE FROM ev WHERE seq = 33"),
        "C11",
        33,
    ),
    "line dropped": (lambda home: edit(home, "DELETE FROM ev WHERE seq = 12"), "C3", 12),
    "two lines swapped": (
        lambda home: edit(
            home,
            "UPDATE ev SET seq = -1 WHERE seq = 12",
            "UPDATE ev SET seq = 12 WHERE seq = 13",
            "UPDATE ev SET seq = 13 WHERE seq = -1",
        ),
        "C3",
        12,
    ),
    "line duplicated at the end": (
        lambda home: edit(home, "INSERT INTO ev SELECT 34, entry, leaf FROM ev WHERE seq = 20"),
        "C3",
        34,
    ),
    "stored leaf changed": (
        lambda home: edit(home, "UPDATE ev SET leaf = zeroblob(32) WHERE seq = 7"),
        "C5",
        7,
    ),
    "cash edited": (lambda home: edit(home, "UPDATE account SET cash = '100044.375'"), "C11", 33),
    "fill row removed": (lambda home: edit(home, "DELETE FROM fill WHERE fill = 'fill-2'"), "C11", 33),
    "halt row removed or added": (
        lambda home: edit(home, "INSERT INTO halt VALUES ('all','all',NULL,NULL,'HALTED',1,1,'op:anna','')"),
        "C11",
        33,
    ),
    "source edited": (
        lambda home: edit(home, "UPDATE blob SET data = x'00' WHERE kind = 'data'", name="blobs.db"),
        "C10",
        None,
    ),
    "reason edited": (
        lambda home: edit(home, "UPDATE blob SET data = x'00' WHERE kind = 'text'", name="blobs.db"),
        "C10",
        None,
    ),
    "text deleted without a line": (
        lambda home: edit(home, "DELETE FROM blob WHERE kind = 'text'", name="blobs.db"),
        "C10",
        None,
    ),
    "head file removed": (lambda home: (home / "head").unlink(), "C11", 0),
    "signed head removed": (lambda home: (home / "head.checkpoint").unlink(), "C11", 0),
    "blobs removed": (lambda home: (home / "blobs.db").unlink(), "C10", 0),
    "ledger removed": (lambda home: (home / "ledger.db").unlink(), "C11", 0),
    "head file of another tree": (
        lambda home: (home / "head").write_bytes(_forged_head(home)),
        "C11",
        32,
    ),
    "checkpoint of another size": (
        lambda home: (home / "checkpoints" / "34").write_bytes(
            (home / "checkpoints" / "34").read_bytes().replace(b"\n34\n", b"\n33\n")
        ),
        "C5",
        34,
    ),
}


def _forged_head(home: Path) -> bytes:
    text = f"inalpha.head/v1 33 {'0' * 64}"
    slot = f"{text} {hashlib.sha256(text.encode()).hexdigest()[:16]}\n".encode().ljust(SLOT, b"\0")
    return slot + slot


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_named(copy: Path, name: str) -> None:
    tamper, check, seq = TAMPERINGS[name]
    tamper(copy)
    report = verify(copy)
    assert check in report.failures, report.failures
    if seq is not None:
        assert report.failures[check].seq == seq
        assert report.first_bad == min(failure.seq for failure in report.failures.values())


def flipped(honest: Path, seq: int, at: int) -> Report:
    """Verify a memory copy of the ledger with one bit of one entry flipped and its leaf recomputed."""
    source = sqlite3.connect(f"{(honest / 'ledger.db').as_uri()}?mode=ro", uri=True)
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.execute("CREATE TABLE ev(seq INTEGER PRIMARY KEY, entry BLOB, leaf BLOB)")
    for number, entry in source.execute("SELECT seq, entry FROM ev"):
        data = bytearray(entry)
        if number == seq:
            data[at % len(data)] ^= 1 << (at % 8)
        conn.execute("INSERT INTO ev VALUES (?, ?, ?)", (number, bytes(data), leaf_hash(data)))
    source.close()
    return verify(conn)


def lengths(home: Path) -> list[int]:
    conn = sqlite3.connect(f"{(home / 'ledger.db').as_uri()}?mode=ro", uri=True)
    found = [length for (length,) in conn.execute("SELECT length(entry) FROM ev ORDER BY seq")]
    conn.close()
    return found


def test_one_flipped_bit_is_named_at_its_line(honest: Story) -> None:
    chooser = random.Random(7)
    sizes = lengths(honest.home)
    for _ in range(150):
        seq = chooser.randrange(len(sizes))
        at = chooser.randrange(sizes[seq])
        report = flipped(honest.home, seq, at)
        assert report.first_bad == seq, (seq, at, report.failures)


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(4))
def test_every_flipped_byte_is_named_at_its_line(honest: Story, part: int) -> None:
    flips = 0
    for seq, size in enumerate(lengths(honest.home)):
        for at in range(part, size, 4):
            assert flipped(honest.home, seq, at).first_bad == seq, (seq, at)
            flips += 1
    print(f"{flips} of {flips} flips named at their line")  # noqa: T201


def test_rewritten_chain_without_the_key_is_c2() -> None:
    """All hashes recomputed after an edit: only the signatures tell."""
    conn, _ = bare("ledger_human.json")
    entry = bytes(conn.execute("SELECT entry FROM ev WHERE seq = 30").fetchone()[0])
    changed = entry.replace(b'"sigterm"', b'"sigkill"')
    conn.execute("UPDATE ev SET entry = ?, leaf = ? WHERE seq = 30", (changed, leaf_hash(changed)))
    assert verify(conn).failures["C2"].seq == 30


def test_writing_meanwhile_raises_no_alarm(tmp_path: Path) -> None:
    story = Story(tmp_path / "home").create().prepare()
    data = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}

    def grow(done: int, total: int) -> None:
        story.do(lambda txn: [txn.line("refusal", "system:daemon", data) for _ in range(20)])

    for _ in range(3):
        grow(0, 0)
    for _ in range(5):
        report = verify(story.home, story.genesis, progress=grow)
        assert report.reason is None
    story.close()


def test_a_line_that_the_writers_fold_alone_refuses_is_told(
    honest: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(conn: sqlite3.Connection, event: Event, nonces: list[str]) -> None:
        if event.seq == 20:
            raise Violation("I1", "too strict")
        apply(conn, event, nonces)

    monkeypatch.setattr(refold, "apply", strict)
    report = verify(honest.home)
    assert {name: failure.seq for name, failure in report.failures.items()} == {"C11": 20}
    assert "too strict" in str(report.reason)


def test_a_fold_that_takes_everything_blinds_no_check(honest: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier's verdict is its own: with the fold taken out, only the tables go unproven."""
    monkeypatch.setattr(refold, "apply", lambda *_: None)
    conn, ledger = bare("ledger_machine.json")
    report = verify(conn, ledger["genesis_sha256"], kept=ledger["checkpoint"].encode())
    assert {name: failure.seq for name, failure in report.failures.items()} == {"I8": 18}
    assert list(verify(honest.home).failures) == ["C11"]


def test_re_execution_is_asked_and_believed(honest: Story) -> None:
    assert verify(honest.home, execute=lambda reader: (None, "4 runs equal")).passed
    report = verify(honest.home, execute=lambda reader: (17, "run-1: fill price differs"))
    assert report.failures["I20"].seq == 17


def test_a_tree_that_keeps_its_last_tile_has_the_roots_of_one_that_keeps_all() -> None:
    entries = [b"%d" % number for number in range(70_000)]
    whole, lean = Tree(), LedgerTree(lambda start, end: entries[start:end])
    asked = random.Random(5)
    for number, entry in enumerate(entries):
        whole.add(leaf_hash(entry))
        lean.add(leaf_hash(entry))
        if number < 600 or number % 997 == 0 or number > 69_990:
            for size in (number + 1, asked.randrange(number + 2)):
                assert lean.root(size) == whole.root(size), (number, size)
    assert lean.size == whole.size == 70_000
