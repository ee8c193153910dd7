"""A backup verifies or is none; nothing but a backup is unpacked; no key is part of it."""

from __future__ import annotations

import io
import sqlite3
import tarfile
from pathlib import Path

import pytest
from support.ledger_story import Story, whole_story

from inalpha.ledger import backup
from inalpha.model.errors import IntegrityError, Refused


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return whole_story(tmp_path_factory.mktemp("backup") / "home")


def restored(file: Path, target: Path) -> int:
    backup.unpack(file, target)
    return backup.check(target).size


def test_backup_holds_the_lines_and_texts_but_no_key(story: Story, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    report = backup.back_up(story.home, file)
    assert restored(file, tmp_path / "copy") == report.size > 20
    with tarfile.open(file) as archive:
        assert set(archive.getnames()) <= {*backup.NEEDED, *backup.SETTINGS}
    assert story.owner.seed not in file.read_bytes()
    assert not list(story.home.glob("backup-*"))


def test_backup_beside_a_writer_is_one_moment(tmp_path: Path) -> None:
    story = Story(tmp_path / "home").create().prepare()
    data = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
    futures = [
        story.ledger.submit(lambda txn: txn.line("refusal", "system:daemon", data)) for _ in range(300)
    ]
    backup.back_up(story.home, tmp_path / "b.tar")
    for future in futures:
        future.result()
    story.close()
    assert restored(tmp_path / "b.tar", tmp_path / "copy") > 5


def test_spoilt_home_gets_no_backup(tmp_path: Path) -> None:
    story = whole_story(tmp_path / "home")
    conn = sqlite3.connect(story.home / "blobs.db")
    conn.execute("DELETE FROM blob WHERE kind = 'data'")
    conn.commit()
    conn.close()
    with pytest.raises(IntegrityError, match="BACKUP_DAMAGED"):
        backup.back_up(story.home, tmp_path / "b.tar")
    assert list(tmp_path.iterdir()) == [story.home]


def test_each_spoilt_byte_range_is_refused(story: Story, tmp_path: Path) -> None:
    backup.back_up(story.home, tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar") as archive:
        member = archive.getmember("ledger.db")
    data = bytearray((tmp_path / "b.tar").read_bytes())
    start = member.offset_data + 4096
    entry = data.index(b"inalpha.audit/event/v1", start)
    data[entry + 40] ^= 1
    (tmp_path / "bad.tar").write_bytes(data)
    with pytest.raises(IntegrityError, match="BACKUP_DAMAGED"):
        restored(tmp_path / "bad.tar", tmp_path / "copy")


@pytest.mark.parametrize("name", ["../escape", "log.key", "/abs", "keys/op/a.key"])
def test_strange_members_are_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        for member in (*backup.NEEDED, name):
            info = tarfile.TarInfo(member)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    with pytest.raises(Refused, match="BACKUP_FILE"):
        backup.unpack(tmp_path / "b.tar", tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []
    assert not (tmp_path / "escape").exists()


def test_links_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        for member in backup.NEEDED:
            info = tarfile.TarInfo(member)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    with pytest.raises(Refused, match="BACKUP_FILE"):
        backup.unpack(tmp_path / "b.tar", tmp_path / "copy")


def test_paths_that_are_no_files_are_refused(story: Story, tmp_path: Path) -> None:
    for call in (
        lambda: backup.back_up(story.home, tmp_path),
        lambda: backup.back_up(story.home, tmp_path / "absent" / "file"),
        lambda: backup.unpack(tmp_path / "absent", tmp_path / "a"),
        lambda: backup.unpack(tmp_path, tmp_path / "b"),
    ):
        with pytest.raises(Refused, match=r"file|directory"):
            call()
    assert not list(tmp_path.parent.glob("*.part"))
