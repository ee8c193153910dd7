"""A witness follows the log's key: through a lost one by an owner's gate, and by nothing less."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.ledger_story import Story

from inalpha.audit import keys, merkle, witness
from inalpha.audit.canonical import encode
from inalpha.audit.checkpoint import Checkpoint
from inalpha.audit.event import read_event, sign_event
from inalpha.audit.notes import Signer, SigningKey, b64encode
from inalpha.audit.prove import tlog_proof
from inalpha.ledger import mend
from inalpha.ledger.readers import open_reader
from inalpha.ledger.writer import Ledger
from inalpha.model.errors import IntegrityError

SECONDS = 1_780_000_100
SECOND_OWNER = SigningKey(b"2" * 32)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A witness has seen the log; since then a second owner was enrolled, and the log's key was lost."""
    story = Story(tmp_path / "home").create().prepare()
    witness.create(tmp_path / "bob", "bob", story.ledger.origin, story.genesis)
    story.close()
    witness.cosign(tmp_path / "bob", request(story, tmp_path), SECONDS)
    story.open()
    second = Signer(keys.operator_name(story.ledger.origin, "olga"), SECOND_OWNER).vkey.text
    story.gated("key.enrol", {"principal": "op:olga", "role": "owner", "sponsor": None, "vkey": second})
    story.close()
    return story


def request(story: Story, root: Path) -> bytes:
    reader = open_reader(story.home)
    try:
        return witness.make_request(story.home, reader, witness.seen(root / "bob")[0])
    finally:
        reader.close()


def replaced(story: Story, handle: str, key: SigningKey) -> None:
    """The log's key is lost; an owner enrols a new one."""
    (story.home / "log.key").unlink()
    reader = open_reader(story.home)
    origin = reader.execute("SELECT value FROM fold WHERE key = 'origin'").fetchone()[0]
    reader.close()
    signer = Signer(keys.operator_name(origin, handle), key)
    story.clock.wall_us = max(story.clock.wall_us, _now())
    made = mend.prepare(story.home, signer, f"op:{handle}", "lost")
    story._ledger = Ledger.open(story.home, app="inalpha test", clock=story.clock, mend=made)
    story.close()


def _now() -> int:
    import time

    return time.time_ns() // 1000


@pytest.mark.parametrize(("handle", "key"), [("anna", None), ("olga", SECOND_OWNER)])
def test_replaced_log_key_is_followed(
    story: Story, tmp_path: Path, handle: str, key: SigningKey | None
) -> None:
    """By the first owner, or by one whom the witness heard of only now."""
    replaced(story, handle, key or story.owner)
    witness.cosign(tmp_path / "bob", request(story, tmp_path), SECONDS + 60)
    story.open()
    story.close()  # and from there on by rotation
    note = witness.cosign(tmp_path / "bob", request(story, tmp_path), SECONDS + 120)
    assert witness.seen(tmp_path / "bob")[0] == Checkpoint(*_head(note)).size


def _head(note: bytes) -> tuple[str, int, bytes]:
    origin, size, root = note.decode().split("\n")[:3]
    return origin, int(size), root.encode()


def forged(story: Story, asked: bytes, change: Callable[[Any], Any]) -> bytes:
    """The same request over a tree whose line of the replacement was changed, signed by a thief's log key."""
    thief = Signer(str(json.loads(asked)["checkpoint"]).split("\n")[0], SigningKey(b"t" * 32))
    reader = open_reader(story.home)
    entries = [bytes(entry) for (entry,) in reader.execute("SELECT entry FROM ev ORDER BY seq")]
    reader.close()
    (at,) = (n for n, entry in enumerate(entries) if b'"role":"log"' in entry)
    event = read_event(entries[at])
    event = replace(event, data={**event.data, "vkey": thief.vkey.text})
    entries = [*entries[:at], sign_event(change(event), thief)]
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    tree = merkle.Tree(lambda start, end: leaves[start:end])
    for leaf in leaves:
        tree.append(leaf)
    told = json.loads(asked)
    known = [json.loads(item["entry"].split("\n")[1])["seq"] for item in told["keys"]]
    told["keys"] = [
        {"entry": entries[seq].decode(), "proof": tlog_proof(tree, seq, len(entries), b"")}
        for seq in known
        if seq <= at
    ]
    told["proof"] = [b64encode(node) for node in tree.consistency(told["old"], len(entries))]
    told["checkpoint"] = Checkpoint(thief.name, len(entries), tree.root()).sign(thief).decode()
    return encode(told) + b"\n"


def _as_told(event: Any) -> Any:
    return event


def _by_stranger(event: Any) -> Any:
    return replace(event, gate=_signed(event, SigningKey(b"z" * 32)))


def _without_right(event: Any) -> Any:
    return replace(event, actor="op:olga")


def _signed(event: Any, key: SigningKey) -> str:
    from inalpha.audit import gate

    text = gate.gate_text(
        log=event.log, action=event.kind, subject=gate.subject_of(event.kind, event.data), base_size=1,
        base_root=b"\0" * 32, ts=event.ts, exp=event.ts + 60_000_000,
    )  # fmt: skip
    return gate.sign(Signer(keys.operator_name(event.log, "anna"), key), text)


@pytest.mark.parametrize("change", [_as_told, _by_stranger, _without_right])
def test_thief_cannot_replace_the_log_key(story: Story, tmp_path: Path, change: Callable[[Any], Any]) -> None:
    """The owner's gate names the key that it stands for, and nobody else's gate stands for any."""
    replaced(story, "anna", story.owner)
    before = witness.seen(tmp_path / "bob")
    with pytest.raises(IntegrityError, match=r"GATE_|ROLE_"):
        witness.cosign(tmp_path / "bob", forged(story, request(story, tmp_path), change), SECONDS)
    assert witness.seen(tmp_path / "bob") == before


def test_forgery_passes_with_the_owners_own_key(story: Story, tmp_path: Path) -> None:
    """The control: what refuses the thief is the gate, not some other flaw of the forgery."""
    replaced(story, "anna", story.owner)
    asked = forged(
        story, request(story, tmp_path), lambda event: replace(event, gate=_signed(event, story.owner))
    )
    before = witness.seen(tmp_path / "bob")
    witness.cosign(tmp_path / "bob", asked, SECONDS)
    assert witness.seen(tmp_path / "bob") != before


def test_rotations_alone_carry_no_owners_lines(story: Story, tmp_path: Path) -> None:
    """Requests stay small: people's lines go along only where an owner had to act."""
    kinds = [
        item["entry"].split('"kind":"')[1].split('"')[0]
        for item in json.loads(request(story, tmp_path))["keys"]
    ]
    assert kinds == ["key.rotate"]
