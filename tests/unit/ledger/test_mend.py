"""An older copy, or a home without its log key, goes on by the owner's signature alone; the record tells it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.attacks import Export, load_verifier
from support.forgery import BOB
from support.ledger_story import ACCOUNT, Story, whole_story

from inalpha.audit.notes import Signer, b64encode
from inalpha.audit.prove import prove_fill
from inalpha.audit.verify import verify
from inalpha.ledger import mend
from inalpha.ledger.readers import open_reader
from inalpha.ledger.writer import Ledger
from inalpha.model.errors import InalphaError, IntegrityError, Refused

REFUSAL = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}


def older_copy(tmp_path: Path) -> Story:
    """A home whose database was put back to an earlier day; its head files were not."""
    story = Story(tmp_path / "home").create().prepare()
    story.close()
    shutil.copy(story.home / "ledger.db", tmp_path / "old.db")
    story.open()
    for _ in range(3):
        story.do(lambda txn: txn.line("refusal", "system:daemon", REFUSAL))
    story.close()
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (story.home / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "old.db", story.home / "ledger.db")
    return story


def signer(story: Story) -> Signer:
    with_origin = open_reader(story.home)
    origin = with_origin.execute("SELECT value FROM fold WHERE key = 'origin'").fetchone()[0]
    with_origin.close()
    return Signer(f"{origin}/op/anna", story.owner)


def reopen(story: Story, made: mend.Mend | None) -> None:
    story._ledger = Ledger.open(story.home, app="inalpha test", clock=story.clock, mend=made)


def prepare(story: Story) -> mend.Mend:
    story.clock.wall_us = max(story.clock.wall_us, _now())
    return mend.prepare(story.home, signer(story), "op:anna", "the disk died")


def _now() -> int:
    import time

    return time.time_ns() // 1000


def test_older_copy_opens_by_the_owners_gate_alone_and_halted(tmp_path: Path) -> None:
    story = older_copy(tmp_path)
    with pytest.raises(IntegrityError, match="the tail is missing"):
        story.open()
    made = prepare(story)
    reopen(story, made)
    found = story.do(lambda txn: txn.conn.execute("SELECT scope_key, state FROM halt").fetchall())
    assert found == [("all", "HALTED")]
    assert story.ledger.epoch == 2
    story.close()
    report = verify(story.home, story.genesis)
    assert report.reason is None and "rollback.accept at" in report.notes["I18"]
    assert Export.of(story.home).verify()["reason"] is None
    story.open()  # and again without a gate: its own heads are known now
    story.close()
    with pytest.raises(Refused, match="NOTHING_TO_MEND"):
        prepare(story)


def test_kept_checkpoint_still_tells_the_rollback(tmp_path: Path) -> None:
    story = older_copy(tmp_path)
    kept = (story.home / "head.checkpoint").read_bytes()
    reopen(story, prepare(story))
    story.close()
    assert str(verify(story.home, kept=kept).reason).startswith("C6")


def test_rollback_by_anybody_else_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    story = older_copy(tmp_path)
    owner, story.owner = story.owner, BOB
    made = prepare(story)
    before = (story.home / "ledger.db").read_bytes()
    with pytest.raises(InalphaError, match="GATE_UNKNOWN_KEY"):
        reopen(story, made)
    with pytest.raises(IntegrityError, match="the tail is missing"):
        story.open()
    assert (story.home / "ledger.db").read_bytes() == before
    story.owner = owner
    reopen(story, prepare(story))
    story.close()


def test_lost_log_key_is_replaced_by_the_owner(tmp_path: Path) -> None:
    story = whole_story(tmp_path / "home")
    (story.home / "log.key").unlink()
    with pytest.raises(InalphaError, match="KEY_MISSING"):
        story.open()
    reopen(story, prepare(story))
    story.do(lambda txn: txn.line("refusal", "system:daemon", REFUSAL))
    story.close()
    assert verify(story.home, story.genesis).reason is None
    assert Export.of(story.home).verify()["reason"] is None
    story.open()
    story.close()


def test_fill_is_proven_across_a_replaced_log_key(tmp_path: Path) -> None:
    story = whole_story(tmp_path / "home")
    (story.home / "log.key").unlink()
    reopen(story, prepare(story))
    story.close()
    reader = open_reader(story.home)
    bundle = prove_fill(story.home, reader, "fill-1")
    reader.close()
    assert load_verifier().check_bundle(bundle, story.genesis)["fill"] == "fill-1"


def test_old_log_key_counts_no_more(tmp_path: Path) -> None:
    story = whole_story(tmp_path / "home")
    thief = (story.home / "log.key").read_bytes()
    (story.home / "log.key").unlink()
    reopen(story, prepare(story))
    story.close()
    (story.home / "log.key").write_bytes(thief)
    with pytest.raises(IntegrityError, match="not the key"):
        story.open()


def test_accepted_rollback_to_another_tree_is_named_by_both(tmp_path: Path) -> None:
    story = Story(tmp_path / "home").create()
    size, root = story.ledger.size, b64encode(story.ledger.root)
    reason = story.do(lambda txn: txn.commit_text("why"))
    wrong = {"from_root": b64encode(b"x" * 32), "from_size": size + 5, "reason_commit": reason,
             "to_root": b64encode(b"y" * 32), "to_size": size}  # fmt: skip
    story.gated("rollback.accept", wrong)
    story.close()
    ours, theirs = verify(story.home).reason, Export.of(story.home).verify()["reason"]
    assert ours == theirs and str(ours).startswith("I18 at line")
    other = Story(tmp_path / "other").create()
    reason = other.do(lambda txn: txn.commit_text("why"))
    good = {
        **wrong,
        "reason_commit": reason,
        "to_root": b64encode(other.ledger.root),
        "to_size": other.ledger.size,
    }
    other.gated("rollback.accept", good | {"from_size": other.ledger.size + 5})
    other.close()
    assert verify(other.home).reason is None and root
    assert Export.of(other.home).verify()["reason"] is None


def test_log_key_is_enrolled_by_an_owner_and_signs_its_own_line(tmp_path: Path) -> None:
    story = Story(tmp_path / "home").create()
    bob = Signer(f"{story.ledger.origin}/op/bob", BOB)
    story.gated(
        "key.enrol", {"principal": "op:bob", "role": "operator", "sponsor": None, "vkey": bob.vkey.text}
    )
    origin = story.ledger.origin
    story.close()
    (story.home / "log.key").unlink()
    prepare(story)
    with pytest.raises(InalphaError, match="ROLE_FORBIDS"):
        reopen(story, mend.prepare(story.home, bob, "op:bob", "mine now"))
    made = prepare(story)
    reopen(story, replace(made, log=Signer(origin, BOB)))
    story.close()
    ours, theirs = verify(story.home).reason, Export.of(story.home).verify()["reason"]
    assert str(ours).startswith("C2 at line") and str(theirs).startswith("C2 at line")


def test_owner_key_is_replaced_by_the_recovery_key(tmp_path: Path) -> None:
    story = Story(tmp_path / "home")
    made = Ledger.create(
        story.home, owner="anna", owner_signer=story.owner, cash="100", currency="USD", config_sha256="0" * 64,
        app="t", clock=story.clock,
    )  # fmt: skip
    from inalpha.audit.notes import SigningKey

    story.open()
    origin = story.ledger.origin
    recovery = Signer(f"{origin}/recovery", SigningKey(bytes.fromhex(made.recovery_seed)))
    old = Signer(f"{origin}/op/anna", story.owner).vkey.text
    new = Signer(f"{origin}/op/anna", SigningKey(b"n" * 32))
    acts = [
        ("key.revoke", {"principal": "op:anna", "valid_through_seq": story.ledger.size - 1, "vkey": old}),
        ("key.enrol", {"principal": "op:anna", "role": "owner", "sponsor": None, "vkey": new.vkey.text}),
    ]
    for kind, data in acts:
        note = story.gate(kind, data, signer=recovery)
        story.do(lambda txn, kind=kind, data=data, note=note: txn.line(kind, "op:anna", data, gate=note))
    deposit = {"account": ACCOUNT, "amount": "5"}
    with pytest.raises(InalphaError, match="GATE_REVOKED"):
        story.gated("account.deposit", deposit)
    note = story.gate("account.deposit", deposit, signer=recovery)
    with pytest.raises(InalphaError, match="ROLE_FORBIDS"):
        story.do(lambda txn: txn.line("account.deposit", "op:anna", deposit, gate=note))
    story.owner = SigningKey(b"n" * 32)
    story.gated("account.deposit", deposit)
    story.close()
    assert verify(story.home).reason is None
    assert Export.of(story.home).verify()["reason"] is None


def test_log_key_changes_within_a_day_of_running(tmp_path: Path) -> None:
    story = Story(tmp_path / "home").create()

    def rotations() -> int:
        return int(
            story.do(
                lambda txn: txn.conn.execute("SELECT count(*) FROM key WHERE role = 'log'").fetchone()[0]
            )
        )

    before = rotations()
    story.clock.advance(86_000_000_000)
    assert rotations() == before
    story.clock.advance(500_000_000)
    assert rotations() == before + 1
    story.close()
    assert verify(story.home).reason is None
