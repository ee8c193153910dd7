"""A backup that promises more than it holds, or holds more than ours do: refused before it is written to the disk."""

from __future__ import annotations

import io
import sqlite3
import tarfile
from collections import namedtuple
from pathlib import Path

import pytest
from support.ledger_story import Story, whole_story

from inalpha.ledger import backup
from inalpha.model.errors import IntegrityError, Refused

GIB = 1 << 30


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    story: Story = whole_story(tmp_path_factory.mktemp("bombs") / "home")
    file = story.home.parent / "honest.tar"
    backup.back_up(story.home, file)
    return file


def header(name: str, kind: bytes = b"0", size: int = 3) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def archive(*parts: bytes) -> bytes:
    return b"".join(part + b"\0" * (-len(part) % 512) for part in parts) + b"\0" * 1024


def others(but: str = "") -> list[bytes]:
    return [part for name in backup.NEEDED if name != but for part in (header(name), b"abc")]


def sparse(size: int) -> bytes:
    """GNU's old form: a header that names no data, and a real size far beyond the archive."""
    block = bytearray(header("ledger.db", tarfile.GNUTYPE_SPARSE, 0))
    block[483:495] = b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def extended(records: bytes, name: str = "ledger.db") -> list[bytes]:
    return [header("x", b"x", len(records)), records, header(name), b"abc"]


def pax(key: str, value: str) -> bytes:
    text = f" {key}={value}\n"
    length = len(text) + 2
    return f"{length}{text}".encode()


BOMBS = {
    "an old sparse member": archive(*others("ledger.db"), sparse(64 * GIB)),
    "a sparse member by extension": archive(
        *others("ledger.db"),
        *extended(pax("GNU.sparse.size", "99999999999") + pax("GNU.sparse.map", "0,1")),
    ),
    "a size beyond the file": archive(header("ledger.db", size=4 * GIB), b"abc", *others("ledger.db")),
    "a size beyond the file by extension": archive(*others("ledger.db"), *extended(pax("size", "99999999999"))),
    "an extension that fills the memory": archive(header("x", b"x", 1 << 20), b"x" * (1 << 20), *others()),
    "settings of megabytes": archive(*others(), header("inalpha.toml", size=3 << 20), b"#" * (3 << 20)),
    "a negative size": archive(
        header("ledger.db").replace(b"00000000003", b"-0000000003"), b"abc", *others("ledger.db")
    ),
    "a size in base 256": archive(header("ledger.db", size=1 << 40), b"abc", *others("ledger.db")),
    "a long name": archive(header("././@LongLink", b"L", 5), b"abcd\0", *others()),
    "a global header": archive(header("g", b"g", 20), pax("path", "ledger.db"), *others()),
    "a device": archive(header("ledger.db", b"3", 0), *others("ledger.db")),
    "a hard link": archive(header("ledger.db", b"1", 0), *others("ledger.db")),
    "thousands of members": archive(*[header("risk.toml", size=0)] * 2000, *others()),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_writes_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "b.tar").write_bytes(BOMBS[name])
    with pytest.raises(Refused, match="BACKUP_FILE"):
        backup.unpack(tmp_path / "b.tar", tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []


def test_a_sparse_member_would_expand_without_the_look_at_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack itself, of a size that a test can afford: 3 KiB on the disk become 8 MiB."""
    monkeypatch.setattr(backup, "_scan", lambda file, raw: None)
    monkeypatch.setattr(tarfile.TarInfo, "issparse", lambda self: False)
    (tmp_path / "b.tar").write_bytes(archive(*others("ledger.db"), sparse(8 << 20)))
    assert (tmp_path / "b.tar").stat().st_size < 4096
    backup.unpack(tmp_path / "b.tar", tmp_path / "copy")
    assert (tmp_path / "copy" / "ledger.db").stat().st_size == 8 << 20


def test_a_file_with_holes_is_weighed_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda path: usage(0, 0, GIB))
    with (tmp_path / "b.tar").open("wb") as file:
        file.write(header("ledger.db", size=2 * GIB))
        file.seek(2 * GIB, io.SEEK_CUR)
        file.write(archive(*others("ledger.db")))
    with pytest.raises(Refused, match="DISK_FULL"):
        backup.unpack(tmp_path / "b.tar", tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []


@pytest.mark.parametrize("database", ["ledger.db", "blobs.db"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON {table} BEGIN SELECT 1; END",
        "CREATE VIEW v AS SELECT * FROM {table}",
    ],
)
def test_a_trigger_or_view_of_somebody_else_is_refused(
    honest: Path, tmp_path: Path, database: str, statement: str
) -> None:
    backup.unpack(honest, tmp_path / "copy")
    assert backup.check(tmp_path / "copy").passed
    (tmp_path / "copy" / "head").unlink()
    conn = sqlite3.connect(tmp_path / "copy" / database)
    conn.execute(statement.format(table={"ledger.db": "limits", "blobs.db": "blob"}[database]))
    conn.commit()
    conn.close()
    with pytest.raises(IntegrityError, match="none of ours"):
        backup.check(tmp_path / "copy")
