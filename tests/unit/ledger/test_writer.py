"""The writer: all or nothing, one owner, fenced epochs, latched disks, durable settings."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.ledger_story import ACCOUNT, Story, TestClock, whole_story

from inalpha.audit import keys
from inalpha.audit.gate import GateRefused
from inalpha.audit.notes import SigningKey
from inalpha.audit.verify import verify
from inalpha.ledger import committer, database
from inalpha.ledger.committer import EpochFenced
from inalpha.ledger.projections import Violation
from inalpha.ledger.readers import lines, open_reader, read_blob, read_text, size
from inalpha.ledger.txn import Txn
from inalpha.ledger.writer import Ledger
from inalpha.model.errors import ConfigError, InalphaError, IntegrityError, Refused, TryAgain

REFUSAL = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}


def note(txn: Txn) -> int:
    return txn.line("refusal", "system:daemon", REFUSAL)


@pytest.fixture
def story(tmp_path: Path) -> Any:
    story = Story(tmp_path / "home").create()
    yield story
    story.close()


def hashes(home: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in home.iterdir() if path.is_file()
    }


def test_new_home_opens_with_its_first_epoch(story: Story) -> None:
    kinds = [event.kind for event in lines(open_reader(story.home))]
    assert kinds == ["ledger.genesis", "epoch.open", "key.rotate"]
    assert (story.ledger.epoch, story.ledger.size, story.ledger.genesis) == (1, 3, story.genesis)


def test_line_returns_its_seq_and_counters_have_no_gaps(story: Story) -> None:
    assert story.do(lambda txn: [note(txn), note(txn)]) == [3, 4]
    assert story.do(lambda txn: [txn.next_id("run"), txn.next_id("run")]) == ["run-1", "run-2"]
    assert story.do(lambda txn: txn.next_id("run")) == "run-1"


def test_failing_job_rolls_everything_back_and_tells_its_waiter_alone(story: Story) -> None:
    before = (story.ledger.size, story.ledger.root)

    def broken(txn: Txn) -> None:
        note(txn)
        txn.conn.execute("INSERT INTO meta VALUES ('x', 'y')")
        raise ZeroDivisionError

    failed = story.ledger.submit(broken)
    kept = story.ledger.submit(note)
    with pytest.raises(ZeroDivisionError):
        failed.result()
    assert kept.result() == before[0]
    assert story.do(lambda txn: txn.conn.execute("SELECT * FROM meta WHERE key = 'x'").fetchall()) == []
    assert verify(story.home).passed


def test_commit_callback_hears_size_and_root_from_the_writer(story: Story) -> None:
    heard: list[tuple[int, bytes]] = []
    story.ledger.on_commit = lambda size, root: heard.append((size, root))
    story.do(note)
    assert heard == [(story.ledger.size, story.ledger.root)]


def test_bad_lines_are_refused_before_they_are_written(story: Story) -> None:
    for kind, data in (
        ("refusal", {**REFUSAL, "more": 1}),
        ("refusal", {**REFUSAL, "count": 1.0}),
        ("refusal", {**REFUSAL, "count": True}),
        ("unknown", {}),
    ):
        with pytest.raises(InalphaError, match="LINE_FORM"):
            story.do(lambda txn, kind=kind, data=data: txn.line(kind, "system:daemon", data))
    with pytest.raises(InalphaError, match="needs a gate"):
        story.do(lambda txn: txn.line("account.deposit", "op:anna", {"account": ACCOUNT, "amount": "5"}))
    assert story.ledger.size == 3


def test_gate_is_checked_by_the_line_itself(story: Story) -> None:
    data = {"account": ACCOUNT, "amount": "5"}
    signed = story.gate("account.deposit", data)
    with pytest.raises(GateRefused, match="GATE_SUBJECT"):
        story.do(lambda txn: txn.line("account.deposit", "op:anna", {**data, "amount": "6"}, gate=signed))
    story.do(lambda txn: txn.line("account.deposit", "op:anna", data, gate=signed))
    with pytest.raises(GateRefused, match="GATE_REPLAYED"):
        story.do(lambda txn: txn.line("account.deposit", "op:anna", data, gate=signed))
    stranger = keys.operator_name(story.ledger.origin, "anna")
    forged = story.gate("account.deposit", data, signer=committer.Signer(stranger, SigningKey(b"x" * 32)))
    with pytest.raises(GateRefused, match="GATE_UNKNOWN_KEY"):
        story.do(lambda txn: txn.line("account.deposit", "op:anna", data, gate=forged))


def test_text_lies_in_its_own_file_and_can_be_erased(story: Story) -> None:
    secret = "because I say so, 8f1c"
    commit = story.do(lambda txn: txn.commit_text(secret))
    assert read_text(story.home, commit) == secret
    assert secret.encode() not in (story.home / "ledger.db").read_bytes()
    data = {"commit": commit, "reason": "asked"}
    signed = story.gate("blob.erase", data)

    def erase(txn: Txn) -> None:
        txn.line("blob.erase", "op:anna", data, gate=signed)
        txn.erase_text(commit)

    story.do(erase)
    assert read_blob(story.home, commit) is None
    assert verify(story.home).passed


def test_orphan_text_is_dropped_at_start(story: Story) -> None:
    commit = story.do(lambda txn: txn.commit_text("its line never came"))
    story.close()
    story.open()
    assert read_blob(story.home, commit) is None


def test_crash_is_recovered_with_a_line(story: Story) -> None:
    story.do(note)
    story.ledger.abandon()
    story.open()
    found = list(lines(open_reader(story.home)))
    assert [event.kind for event in found[-3:]] == ["epoch.open", "key.rotate", "recovery"]
    assert found[-1].data == {"from_epoch": 1, "open_runs": 0, "size": 6}
    assert found[-3].data["previous_clean"] is False
    assert verify(story.home).passed


def test_second_daemon_is_refused_and_writes_nothing(story: Story) -> None:
    before = hashes(story.home)
    with pytest.raises(Refused) as caught:
        Ledger.open(story.home)
    assert caught.value.exit_code == 4
    assert hashes(story.home) == before


def test_stale_epoch_is_fenced(story: Story) -> None:
    other = sqlite3.connect(story.home / "ledger.db", isolation_level=None)
    other.execute("UPDATE meta SET value = '9' WHERE key = 'epoch'")
    other.close()
    with pytest.raises(EpochFenced):
        story.do(note)
    assert story.ledger.latched
    assert size(open_reader(story.home)) == 3


def test_newer_schema_is_refused_without_a_write(story: Story) -> None:
    story.close()
    conn = sqlite3.connect(story.home / "ledger.db", isolation_level=None)
    conn.execute("PRAGMA user_version = 99")
    conn.close()
    before = hashes(story.home)
    with pytest.raises(ConfigError) as caught:
        Ledger.open(story.home)
    assert caught.value.exit_code == 78
    assert hashes(story.home) == before


@pytest.mark.parametrize("pragma", ["journal_mode", "synchronous", "foreign_keys", "trusted_schema"])
def test_setting_that_does_not_hold_stops_the_start(
    story: Story, monkeypatch: pytest.MonkeyPatch, pragma: str
) -> None:
    story.close()
    wrong = tuple(
        (name, value, "nonsense" if name == pragma else want) for name, value, want in database._PRAGMAS
    )
    monkeypatch.setattr(database, "_PRAGMAS", wrong)
    with pytest.raises(ConfigError, match=pragma):
        Ledger.open(story.home)


def test_sqlite_versions_with_the_wal_fix() -> None:
    table = {
        (3, 51, 3): True,
        (3, 52, 0): True,
        (3, 51, 2): False,
        (3, 50, 7): True,
        (3, 50, 6): False,
        (3, 44, 6): True,
        (3, 44, 5): False,
        (3, 45, 0): False,
        (3, 40, 1): False,
    }
    assert {version: database.wal_reset_fixed(version) for version in table} == table


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ev SET entry = x'00' WHERE seq = 0",
        "DELETE FROM ev WHERE seq = 0",
        "REPLACE INTO ev VALUES (0, x'00', x'00')",
        "INSERT OR REPLACE INTO ev VALUES (1, x'00', x'00')",
    ],
)
def test_log_is_append_only_in_sql(story: Story, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        story.do(lambda txn: txn.conn.execute(statement))


@pytest.mark.parametrize(
    "fault",
    [
        sqlite3.OperationalError("disk I/O error"),
        OSError(5, "Input/output error"),
    ],
    ids=["sqlite", "os"],
)
def test_disk_failure_latches_the_writer(story: Story, fault: Exception) -> None:
    if isinstance(fault, sqlite3.Error):
        fault.sqlite_errorname = "SQLITE_IOERR_WRITE"

    def broken(txn: Txn) -> None:
        raise fault

    with pytest.raises(TryAgain, match="LEDGER_LATCHED") as caught:
        story.do(broken)
    assert caught.value.exit_code == 75
    with pytest.raises(TryAgain, match="LEDGER_LATCHED"):
        story.do(note)
    story.close()
    story.open()
    assert story.do(note) == story.ledger.size - 1


def test_cancelled_waiters_leave_no_half_transaction(story: Story) -> None:
    async def storm() -> None:
        tasks = [
            asyncio.ensure_future(story.ledger.run(lambda txn: [note(txn), note(txn)])) for _ in range(40)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(storm())
    story.do(note)
    assert story.ledger.size == 3 + 80 + 1
    assert verify(story.home).passed


def test_wall_clock_steps_are_recorded(tmp_path: Path) -> None:
    clock = TestClock()
    story = Story(tmp_path / "home", clock).create()
    clock.wall_us += 3_600_000_000
    story.do(note)
    clock.wall_us -= 7_200_000_000
    for _ in range(3):
        clock.advance(2_000_000)
        story.do(note)
    found = list(lines(open_reader(story.home)))
    stamps = [event.ts for event in found]
    assert stamps == sorted(stamps)
    assert [event.kind for event in found].count("clock.step") >= 2
    assert verify(story.home).passed
    story.close()


def test_each_day_takes_a_new_log_key(story: Story) -> None:
    before = (story.home / "log.key").read_bytes()
    story.clock.advance(committer.ROTATE_EVERY_US + 1)
    story.do(note)
    assert (story.home / "log.key").read_bytes() != before
    assert not (story.home / "log.key.next").exists()
    assert verify(story.home).passed


def test_interrupted_rotation_is_finished(story: Story) -> None:
    """Crash between COMMIT and rename: the ledger names the key that still lies in log.key.next."""
    old = (story.home / "log.key").read_bytes()
    story.close()
    story.open()
    story.ledger.abandon()
    os.replace(story.home / "log.key", story.home / "log.key.next")
    (story.home / "log.key").write_bytes(old)
    os.chmod(story.home / "log.key", 0o600)
    story.open()
    assert verify(story.home).passed


def test_unused_next_key_is_dropped(story: Story) -> None:
    story.close()
    keys.write_open(story.home / "log.key.next", keys.new_key())
    story.open()
    assert verify(story.home).passed


STARTS: dict[str, tuple[Callable[[Path], Any], type[InalphaError], int]] = {
    "open key": (lambda home: os.chmod(home / "log.key", 0o644), ConfigError, 78),
    "open home": (lambda home: os.chmod(home, 0o755), ConfigError, 78),
    "key is a link": (
        lambda home: [os.rename(home / "log.key", home / "k"), os.symlink(home / "k", home / "log.key")],
        ConfigError,
        78,
    ),
    "cash edited": (
        lambda home: _sql(home, "UPDATE account SET cash = '100001' WHERE 1"),
        IntegrityError,
        6,
    ),
    "no head file": (lambda home: (home / "head").unlink(), IntegrityError, 6),
    "torn head file": (lambda home: (home / "head").write_bytes(b"\0" * 1024), IntegrityError, 6),
    "tail cut": (
        lambda home: _sql(home, "DROP TRIGGER ev_no_delete", "DELETE FROM ev WHERE seq = 33"),
        IntegrityError,
        6,
    ),
    "line edited": (
        lambda home: _sql(
            home,
            "DROP TRIGGER ev_no_update",
            "UPDATE ev SET entry = CAST(replace(entry, '65000', '64000') AS BLOB)",
        ),
        IntegrityError,
        6,
    ),
}


def _sql(home: Path, *statements: str) -> None:
    conn = sqlite3.connect(home / "ledger.db", isolation_level=None)
    for statement in statements:
        conn.execute(statement)
    conn.close()


@pytest.mark.parametrize("name", STARTS)
def test_damage_stops_the_start(tmp_path: Path, name: str) -> None:
    spoil, error, code = STARTS[name]
    home = whole_story(tmp_path / "home").home
    spoil(home)
    with pytest.raises(error) as caught:
        Ledger.open(home)
    assert caught.value.exit_code == code


def test_one_torn_head_slot_is_survived(tmp_path: Path) -> None:
    story = whole_story(tmp_path / "home")
    data = bytearray((story.home / "head").read_bytes())
    newest = 0 if b" 34 " in data[:512] else 512
    data[newest : newest + 40] = b"\0" * 40
    (story.home / "head").write_bytes(bytes(data))
    story.open()
    story.close()


def test_older_copy_of_the_database_is_refused(tmp_path: Path) -> None:
    story = Story(tmp_path / "home").create()
    story.close()
    shutil.copy(story.home / "ledger.db", tmp_path / "older.db")
    story.open()
    story.do(note)
    story.close()
    shutil.copy(tmp_path / "older.db", story.home / "ledger.db")
    with pytest.raises(IntegrityError, match="tail"):
        story.open()


def test_backup_is_a_whole_ledger(story: Story, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    story.do(note)
    source = sqlite3.connect(story.home / "ledger.db")
    database.back_up(source, target)
    source.close()
    reader = sqlite3.connect(target)
    assert verify(reader, story.genesis).passed
    reader.close()


def test_fold_refuses_what_the_verifier_would_name(story: Story) -> None:
    data = {"plan": "plan-7", "reason": "stop"}
    with pytest.raises(Violation, match="I15"):
        story.do(lambda txn: txn.line("plan.cancel", "system:daemon", data))


def test_genesis_refuses_a_second_ledger(story: Story) -> None:
    with pytest.raises(Refused, match="LEDGER_EXISTS"):
        Ledger.create(
            story.home,
            owner="anna",
            owner_signer=story.owner,
            cash="1",
            currency="USD",
            config_sha256="0" * 64,
            app="x",
        )


def test_page_of_rubbish_stops_the_start_as_damage(tmp_path: Path) -> None:
    story = Story(tmp_path / "home").create()
    story.close()
    path = story.home / "ledger.db"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(IntegrityError):
        story.open()
