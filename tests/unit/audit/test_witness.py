"""A witness signs one history: continuations, and nothing that contradicts what it saw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.attacks import Export, load_verifier
from support.ledger_story import Story

from inalpha.audit import witness
from inalpha.audit.cosignature import check_cosignature
from inalpha.audit.notes import Signer, SigningKey
from inalpha.audit.verify import verify
from inalpha.ledger.readers import open_reader
from inalpha.model.errors import IntegrityError, Refused
from inalpha.verifier.checkpoints import Policy

DATA = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
SECONDS = 1_780_000_100


def story_with_witness(root: Path) -> tuple[Story, str]:
    story = Story(root / "home").create().prepare()
    vkey = witness.create(root / "bob", "bob", story.ledger.origin, story.genesis).text
    story.gated("key.enrol", {"principal": None, "role": "witness", "sponsor": None, "vkey": vkey})
    return story, vkey


def ask(story: Story, directory: Path) -> bytes:
    reader = open_reader(story.home)
    try:
        return witness.make_request(story.home, reader, witness.seen(directory)[0])
    finally:
        reader.close()


def record(story: Story, note: bytes) -> int:
    def job(txn):  # type: ignore[no-untyped-def]
        name, size = check_cosignature(txn.conn, txn.context, note.decode())
        return txn.line(
            "witness.cosign", "system:daemon", {"note": note.decode(), "size": size, "witness": name}
        )

    return int(story.do(job))


def test_cosigned_heads_anchor_the_log_across_key_rotations(tmp_path: Path) -> None:
    story, _ = story_with_witness(tmp_path)
    record(story, witness.cosign(tmp_path / "bob", ask(story, tmp_path / "bob"), SECONDS))
    story.close()
    story.open()
    story.close()
    last = witness.cosign(tmp_path / "bob", ask(story, tmp_path / "bob"), SECONDS + 60)
    assert verify(story.home, story.genesis).reason is None
    found = Export.of(story.home, last).verify(require_anchor=True)
    assert found["reason"] is None
    assert found["anchor"] == "cosignatures under the policy"
    assert Export.of(story.home).verify()["unanchored_since"] is not None


def test_rewritten_history_is_refused(tmp_path: Path) -> None:
    story, _ = story_with_witness(tmp_path)
    shutil.copytree(story.home, tmp_path / "fork")
    fork = Story(tmp_path / "fork", clock=story.clock)
    story.do(lambda txn: txn.line("refusal", "system:daemon", DATA))
    story.close()
    witness.cosign(tmp_path / "bob", ask(story, tmp_path / "bob"), SECONDS)
    fork.open()
    for _ in range(3):
        fork.do(lambda txn: txn.line("refusal", "system:daemon", DATA | {"count": 2}))
    fork.close()
    before = witness.seen(tmp_path / "bob")
    with pytest.raises(IntegrityError, match="no continuation"):
        witness.cosign(tmp_path / "bob", ask(fork, tmp_path / "bob"), SECONDS)
    assert witness.seen(tmp_path / "bob") == before


def test_smaller_head_and_edited_requests_are_refused(tmp_path: Path) -> None:
    story, _ = story_with_witness(tmp_path)
    old = ask(story, tmp_path / "bob")
    witness.cosign(tmp_path / "bob", old, SECONDS)
    story.do(lambda txn: txn.line("refusal", "system:daemon", DATA))
    story.close()
    with pytest.raises(IntegrityError):
        witness.cosign(tmp_path / "bob", old, SECONDS)
    good = ask(story, tmp_path / "bob")
    for name in ("checkpoint", "proof", "old"):
        edited = json.loads(good)
        edited[name] = {"checkpoint": edited["checkpoint"].replace("\n", "\n1", 1), "proof": [], "old": 2}[
            name
        ]
        text = json.dumps(edited, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        with pytest.raises(IntegrityError):
            witness.cosign(tmp_path / "bob", text, SECONDS)
    again = witness.cosign(tmp_path / "bob", good, SECONDS)
    assert witness.seen(tmp_path / "bob")[0] == int(again.split(b"\n")[1])


def test_log_takes_no_foreign_cosignature(tmp_path: Path) -> None:
    story, _ = story_with_witness(tmp_path)
    witness.create(tmp_path / "eve", "eve", story.ledger.origin, story.genesis)
    note = witness.cosign(tmp_path / "eve", ask(story, tmp_path / "eve"), SECONDS)
    with pytest.raises(Refused, match="not exactly one enrolled witness"):
        record(story, note)
    story.close()


def cosigned_by(tmp_path: Path, handles: tuple[str, ...]) -> tuple[Story, dict[str, str]]:
    """A closed ledger of two witnesses, one head of which these have cosigned into the log."""
    story = Story(tmp_path / "home").create().prepare()
    vkeys = {}
    for handle in ("bob", "carol"):
        vkeys[handle] = witness.create(tmp_path / handle, handle, story.ledger.origin, story.genesis).text
        data = {"principal": None, "role": "witness", "sponsor": None, "vkey": vkeys[handle]}
        story.gated("key.enrol", data)
    reader = open_reader(story.home)
    note = (story.home / "head.checkpoint").read_bytes()
    for handle in handles:
        asked = witness.make_request(story.home, reader, 1, note)
        record(story, witness.cosign(tmp_path / handle, asked, SECONDS))
    reader.close()
    story.close()
    return story, vkeys


def policy_of(story: Story, vkeys: dict[str, str], least: str) -> str:
    reader = open_reader(story.home)
    log = reader.execute("SELECT vkey FROM key WHERE role = 'log' ORDER BY enrolled_seq").fetchone()[0]
    reader.close()
    lines = [f"log {log}", *(f"witness {name} {vkey}" for name, vkey in vkeys.items())]
    return "\n".join([*lines, f"group both {least} bob carol", "quorum both  # of mine", ""])


@pytest.mark.parametrize(
    ("handles", "least", "holds"),
    [
        (("bob", "carol"), "all", True),
        (("bob", "carol"), "2", True),
        (("bob",), "any", True),
        (("bob",), "all", False),
        (("carol",), "2", False),
        ((), "any", False),
    ],
)
def test_quorum_of_the_auditors_policy_decides(
    tmp_path: Path, handles: tuple[str, ...], least: str, *, holds: bool
) -> None:
    story, vkeys = cosigned_by(tmp_path, handles)
    policy = policy_of(story, vkeys, least)
    ours = verify(story.home, story.genesis, policy=Policy(policy))
    alone = Export.of(story.home).verify(policy)
    assert (ours.passed, alone["reason"] is None) == (holds, holds)
    if not holds:
        assert "no checkpoint carries the quorum both" in str(ours.reason)
        assert "no checkpoint carries the quorum both" in alone["reason"]
        assert list(ours.failures) == ["C7"]


def test_policy_of_another_log_or_of_strange_rules_is_refused(tmp_path: Path) -> None:
    story, vkeys = cosigned_by(tmp_path, ("bob", "carol"))
    other = Signer("example.org/log", SigningKey(b"x" * 32)).vkey.text
    lines = policy_of(story, vkeys, "any").split("\n")
    foreign = "\n".join([f"log {other}", *lines[1:]])
    assert "another log" in str(verify(story.home, policy=Policy(foreign)).reason)
    assert "another log" in Export.of(story.home).verify(foreign)["reason"]
    spoilt = [
        lines[:-2],
        [*lines, "quorum bob"],
        [*lines, "frob bob"],
        [*lines[:3], "group both 3 bob carol", "quorum both"],
        [*lines[:3], "group both any dave", "quorum both"],
        [*lines[:3], "group bob any carol", "quorum bob"],
        [*lines[:3], "quorum dave"],
        [lines[0], f"witness bob {other}x", "quorum bob"],
        [lines[0], f"witness bob {other}", "quorum bob"],
    ]
    for rules in spoilt:
        with pytest.raises(load_verifier().Malformed):
            load_verifier().Policy("\n".join(rules))


def test_uncovered_tail_fails_where_an_anchor_is_required(tmp_path: Path) -> None:
    story, _ = cosigned_by(tmp_path, ("bob",))
    kept = (story.home / "head.checkpoint").read_bytes()
    assert verify(story.home, story.genesis).unanchored_since is not None
    assert "nothing outside" in str(verify(story.home, story.genesis, require_anchor=True).reason)
    assert verify(story.home, story.genesis, kept=kept, require_anchor=True).reason is None
