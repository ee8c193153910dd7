"""What an editor of the files without the log key can do so that a daemon still starts: nothing to a line."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ledger_story import Story, whole_story

from inalpha.audit import keys, merkle
from inalpha.audit.checkpoint import Checkpoint
from inalpha.audit.head import SLOT, Head, encode_slot
from inalpha.audit.notes import Signer, SigningKey
from inalpha.audit.verify import verify
from inalpha.ledger import folded
from inalpha.ledger.committer import ROTATE_EVERY_US
from inalpha.ledger.startup import _Opening
from inalpha.ledger.txn import Txn
from inalpha.model.errors import IntegrityError


def note(txn: Txn) -> int:
    data = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
    return txn.line("refusal", "system:daemon", data)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    story = Story(tmp_path / "home").create()
    for _ in range(5):
        story.do(note)
    story.close()
    yield story


def edit(home: Path, seq: int, old: bytes, new: bytes, *, rehash: bool) -> None:
    """Change bytes of a line; with rehash also its stored leaf, the head's slots and the signed head's text."""
    conn = sqlite3.connect(home / "ledger.db", isolation_level=None)
    conn.execute("DROP TRIGGER ev_no_update")
    entry = conn.execute("SELECT entry FROM ev WHERE seq = ?", (seq,)).fetchone()[0]
    assert old in entry
    entry = entry.replace(old, new)
    leaf = merkle.leaf_hash(entry)
    conn.execute("UPDATE ev SET entry = ? WHERE seq = ?", (entry, seq))
    if rehash:
        conn.execute("UPDATE ev SET leaf = ? WHERE seq = ?", (leaf, seq))
        leaves = [found for (found,) in conn.execute("SELECT leaf FROM ev ORDER BY seq")]
        root = merkle.root_of(leaves)
        (home / "head").write_bytes(encode_slot(Head(len(leaves), root)) + b"\0" * SLOT)
        origin = (home / "head.checkpoint").read_text().split("\n")[0]
        stranger = Signer(origin, SigningKey(b"x" * 32))
        (home / "head.checkpoint").write_bytes(Checkpoint(origin, len(leaves), root).sign(stranger))
    conn.close()


@pytest.mark.parametrize("rehash", [False, True], ids=["line alone", "line, leaf and heads"])
def test_an_edited_line_is_named_at_the_start(story: Story, rehash: bool) -> None:
    edit(story.home, 4, b'"count":1', b'"count":9', rehash=rehash)
    with pytest.raises(IntegrityError, match="line 5" if rehash else "line 4"):
        story.open()


def test_an_edited_last_line_is_not_signed(story: Story) -> None:
    last = story.ledger.size - 1
    edit(story.home, last, b'"reason":"', b'"reason":"x', rehash=True)
    with pytest.raises(IntegrityError, match=f"line {last}: the epoch.close line is not signed"):
        story.open()


# What was folded before.


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every start keeps a copy; the list tells, per pass over the lines, at which line its fold began."""
    begins: list[int] = []
    monkeypatch.setattr(folded, "WORTH_LINES", 1)
    chain = _Opening.chain

    def told(self: _Opening) -> object:
        begins.append(self.known.size if self.known else 0)
        return chain(self)

    monkeypatch.setattr(_Opening, "chain", told)
    return begins


def test_a_start_goes_on_from_what_was_folded(tmp_path: Path, folding: list[int]) -> None:
    story = whole_story(tmp_path / "home")
    story.close()
    for _ in range(3):
        story.open()
        story.do(note)
        text = story.do(lambda txn: txn.commit_text("kept"))
        story.close()
    sizes = [begin for begin in folding if begin]
    assert len(sizes) == 3 and sizes == sorted(set(sizes)) and text
    assert verify(story.home).passed
    (story.home / "folded.note").unlink()
    story.open()  # folds every line again and finds the same projections
    assert folding[-1] == 0
    story.close()


def test_texts_named_before_the_copy_survive_the_start(tmp_path: Path, folding: list[int]) -> None:
    story = whole_story(tmp_path / "home")
    blobs = sqlite3.connect(story.home / "blobs.db")
    count = "SELECT count(*) FROM blob WHERE kind = 'text'"
    before = blobs.execute(count).fetchone()
    for _ in range(3):
        story.close()
        story.open()
    assert folding[-1] > 0 and before[0] > 1
    assert blobs.execute(count).fetchone() == before
    story.close()


def test_the_copy_is_still_believed_after_a_crash_and_after_a_daily_rotation(
    tmp_path: Path, folding: list[int]
) -> None:
    story = Story(tmp_path / "home").create()
    story.clock.advance(ROTATE_EVERY_US + 1)
    story.do(note)
    story.ledger.abandon()
    story.open()
    assert folding[-1] > 0
    story.close()


def spoil_copy(home: Path) -> None:
    data = bytearray((home / "folded.db").read_bytes())
    data[len(data) // 2] ^= 1
    (home / "folded.db").write_bytes(data)


def sign_by_a_stranger(home: Path) -> None:
    lines = (home / "folded.note").read_text().split("\n")
    known = folded.Folded(int(lines[2]), folded.b64decode(lines[3]), lines[5])
    known.sign(home, Signer(lines[1], SigningKey(b"x" * 32)))


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_copy,
        sign_by_a_stranger,
        lambda home: (home / "folded.note").write_bytes(b"no note"),
        lambda home: (home / "folded.db").unlink(),
    ],
    ids=["copy", "stranger's note", "garbage", "gone"],
)
def test_a_spoiled_copy_is_not_believed_and_does_no_harm(
    tmp_path: Path, folding: list[int], spoil: Callable[[Path], object]
) -> None:
    story = whole_story(tmp_path / "home")
    story.close()
    story.open()
    story.close()
    spoil(story.home)
    story.open()
    assert folding[-1] == 0
    story.close()


def test_a_line_edited_before_the_copy_is_still_named(tmp_path: Path, folding: list[int]) -> None:
    story = Story(tmp_path / "home").create()
    for _ in range(5):
        story.do(note)
    for _ in range(2):
        story.close()
        story.open()
    story.close()
    edit(story.home, 4, b'"count":1', b'"count":9', rehash=True)
    with pytest.raises(IntegrityError, match="line 5"):
        story.open()
    assert folding[-2] > 5 and folding[-1] == 0


def test_projections_edited_together_with_the_copy_are_found(tmp_path: Path, folding: list[int]) -> None:
    story = whole_story(tmp_path / "home")
    story.close()
    story.open()
    story.close()
    for name in ("ledger.db", "folded.db"):
        conn = sqlite3.connect(story.home / name)
        conn.execute("UPDATE account SET cash = '999999'")
        conn.commit()
        conn.close()
    with pytest.raises(IntegrityError, match="table account"):
        story.open()


def test_a_tail_cut_below_the_copy_is_missed(tmp_path: Path, folding: list[int]) -> None:
    """Also when the heads are cut with it: the log key has vouched for more lines."""
    story = Story(tmp_path / "home").create()
    for _ in range(5):
        story.do(note)
    story.close()
    story.open()
    size = story.ledger.size
    known = folded.find(story.home)
    story.close()
    assert known is not None and known.size < size
    conn = sqlite3.connect(story.home / "ledger.db", isolation_level=None)
    conn.execute("DROP TRIGGER ev_no_delete")
    conn.execute("DELETE FROM ev WHERE seq >= 5")
    root = merkle.root_of([leaf for (leaf,) in conn.execute("SELECT leaf FROM ev ORDER BY seq")])
    conn.close()
    (story.home / "head").write_bytes(encode_slot(Head(5, root)) + b"\0" * SLOT)
    origin = (story.home / "head.checkpoint").read_text().split("\n")[0]
    (story.home / "head.checkpoint").write_bytes(
        Checkpoint(origin, 5, root).sign(Signer(origin, SigningKey(b"x" * 32)))
    )
    with pytest.raises(IntegrityError, match=f"line 5: {known.size} lines were folded before"):
        story.open()


def enrich(*files: Path) -> None:
    """What no line says, where the projections are read."""
    for file in files:
        conn = sqlite3.connect(file)
        conn.execute("UPDATE account SET cash = '999999'")
        conn.commit()
        conn.close()


def folded_story(home: Path) -> Story:
    """A closed ledger with a copy beside it that the next start believes."""
    story = whole_story(home)
    story.close()
    story.open()
    story.close()
    return story


def test_a_copy_signed_by_a_key_that_was_in_force_once_is_not_believed(
    tmp_path: Path, folding: list[int]
) -> None:
    """A stolen key is worth nothing after its rotation, also where the present one is called `.next` again."""
    story = whole_story(tmp_path / "home")
    home = story.home
    stolen = (home / "log.key").read_bytes()
    story.close()
    story.open()
    story.close()
    enrich(home / "ledger.db", home / "folded.db")
    (home / "log.key").rename(home / "log.key.next")
    (home / "log.key").write_bytes(stolen)
    (home / "log.key").chmod(0o600)
    lines = (home / "folded.note").read_text().split("\n")
    sha256 = hashlib.sha256((home / "folded.db").read_bytes()).hexdigest()
    known = folded.Folded(int(lines[2]), folded.b64decode(lines[3]), sha256)
    known.sign(home, keys.load_signer(home / "log.key", lines[1]))
    with pytest.raises(IntegrityError, match="table account"):
        story.open()


@pytest.mark.parametrize("how", ["changed", "gone", "cut"])
def test_a_copy_that_changes_while_it_is_read_is_not_believed(
    tmp_path: Path, folding: list[int], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    story = folded_story(tmp_path / "home")
    copy, load = story.home / "folded.db", folded.load
    if how == "changed":
        enrich(story.home / "ledger.db")

    def swapped(*args: Any) -> Any:
        if how == "changed":
            enrich(copy)
        elif how == "gone":
            copy.unlink()
        else:
            copy.write_bytes(copy.read_bytes()[:5000])
        return load(*args)

    monkeypatch.setattr(folded, "load", swapped)
    if how == "changed":
        with pytest.raises(IntegrityError, match="table account"):
            story.open()
    else:
        story.open()
        story.close()


def test_a_copy_of_another_ledger_or_of_an_older_day_does_no_harm(tmp_path: Path, folding: list[int]) -> None:
    story, other = folded_story(tmp_path / "home"), folded_story(tmp_path / "other")
    older = {name: (story.home / name).read_bytes() for name in ("folded.db", "folded.note")}
    story.open()
    story.close()
    for source in (lambda name: older[name], lambda name: (other.home / name).read_bytes()):
        for name in older:
            (story.home / name).write_bytes(source(name))
        story.open()
        assert folding[-1] == 0
        story.close()
    assert verify(story.home).passed
