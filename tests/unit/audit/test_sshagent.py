"""Gates by a key that lives in a real ssh-agent: accepted by both verifiers, refused when anything differs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.attacks import Export
from support.ledger_story import ACCOUNT, Story

from inalpha.audit import sshagent
from inalpha.audit.gate import GATE_HEADER, GateRefused
from inalpha.audit.notes import verify_ed25519
from inalpha.audit.verify import verify
from inalpha.model.errors import Refused

pytestmark = pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs ssh-agent")
DEPOSIT = {"account": ACCOUNT, "amount": "5"}


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """An agent of this test's own with one key; answers its public half."""
    path = tmp_path / "agent.sock"
    child = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    try:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "of carol", "-f", tmp_path / "id"],
            check=True,
        )
        while not path.exists():
            assert child.poll() is None
        subprocess.run(["ssh-add", "-q", tmp_path / "id"], check=True, env=os.environ)
        (found,) = sshagent.identities()
        assert found.comment == "of carol"
        yield found.public
    finally:
        child.terminate()
        child.wait()


def enrolled(tmp_path: Path, public: bytes) -> tuple[Story, sshagent.AgentSigner]:
    story = Story(tmp_path / "home").create()
    signer = sshagent.AgentSigner(f"{story.ledger.origin}/op/carol", public)
    data = {"principal": "op:carol", "role": "owner", "sponsor": None, "vkey": signer.vkey.text}
    story.gated("key.enrol", data)
    return story, signer


def test_gate_of_the_agent_carries_a_deposit(tmp_path: Path, agent: bytes) -> None:
    story, signer = enrolled(tmp_path, agent)
    note = story.gate("account.deposit", DEPOSIT, signer=signer)
    assert "BEGIN SSH SIGNATURE" in note
    story.do(lambda txn: txn.line("account.deposit", "op:carol", DEPOSIT, gate=note))
    story.close()
    assert verify(story.home, story.genesis).reason is None
    assert Export.of(story.home).verify()["reason"] is None


def test_ssh_keygen_accepts_the_signature(tmp_path: Path, agent: bytes) -> None:
    allowed, file = tmp_path / "allowed", tmp_path / "sig"
    allowed.write_text("carol " + (tmp_path / "id.pub").read_text())
    file.write_text(sshagent.sign_armoured(agent, b"a gate's text\n", GATE_HEADER))
    check = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "carol", "-n", GATE_HEADER, "-s", file]
    assert subprocess.run(check, input=b"a gate's text\n", check=False, capture_output=True).returncode == 0
    assert subprocess.run(check, input=b"another text\n", check=False, capture_output=True).returncode != 0


def test_other_text_other_namespace_and_other_person_are_refused(tmp_path: Path, agent: bytes) -> None:
    story, signer = enrolled(tmp_path, agent)
    note = story.gate("account.deposit", DEPOSIT, signer=signer)
    text, _, _ = note.partition("-----BEGIN")
    strange = text + sshagent.sign_armoured(agent, text[:-1].encode(), "git")
    tries = {
        "GATE_SIGNATURE": ("op:carol", note.replace('"amount":"5"', '"amount":"6"')),
        "GATE_SIGNATURE ": ("op:carol", strange),
        "GATE_ACTOR": ("op:anna", note),
        "GATE_SYNTAX": ("op:carol", note.replace("-----END SSH SIGNATURE-----\n", "")),
    }
    for code, (actor, bad) in tries.items():
        with pytest.raises(GateRefused, match=code.strip()):
            story.do(lambda txn, actor=actor, bad=bad: txn.line("account.deposit", actor, DEPOSIT, gate=bad))
    story.close()


def test_agent_without_the_key_or_absent_is_named(agent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verify_ed25519(agent, b"data", sshagent.sign_raw(agent, b"data"))
    with pytest.raises(Refused, match="does not hold this key"):
        sshagent.sign_raw(bytes(32), b"data")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nonexistent")
    with pytest.raises(Refused, match="does not answer"):
        sshagent.identities()
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(Refused, match="not set"):
        sshagent.identities()
