"""Signed verbs end to end: two people where the limits demand them, witnesses on the network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.attacks import built_verifier
from support.installation import STRATEGIES, Installation, first_bars, secret_file, until

from inalpha.audit.event import read_event
from inalpha.audit.notes import parse_vkey
from inalpha.ledger import readers


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "home")
    secret_file(tmp_path / "seed", made.init()["recovery_seed"])
    yield made
    made.stop()


def passed(home: Installation) -> str:
    """A candidate that waits for its promotion."""
    few = first_bars("GOOG-1d.csv", 320, home.home / "gate.csv")
    words = (
        "--rationale",
        "a rule that a test wants to see running",
        "--bars",
        str(few),
        "--operator",
        "alice",
    )
    name: str = home.json("candidate", "submit", str(STRATEGIES / "fast_cross.py"), *words)["candidate"]
    return name


def test_two_people_promote_and_start_where_the_limits_say_so(home: Installation, tmp_path: Path) -> None:
    home.start()
    home("operator", "add", "bob", "--insecure-no-passphrase", "--operator", "alice")
    risk = home.home / "risk.toml"
    risk.write_text(risk.read_text().replace("two_person = false", "two_person = true"))
    home("risk", "apply", "--operator", "alice")
    name, alice = passed(home), ("--operator", "alice")
    promote = ("candidate", "promote", name, "--reason", "read it", *alice)
    assert "SECOND_GATE" in home(*promote, code=4)
    assert "GATE_ACTOR" in home(*promote, "--second-operator", "alice", code=4)
    # Bob is elsewhere: a file goes to him and comes back.
    file = tmp_path / "promote.json"
    assert "waits for a second operator" in home(*promote, "--cosign", str(file), code=5)
    assert "waits for a second operator" in home(*promote, "--cosign", str(file), code=5)
    other = ("candidate", "promote", name, "--reason", "another reason", *alice, "--cosign", str(file))
    assert "COSIGN_OTHER" in home(*other, code=2)
    home("policy", "cosign", str(file), "--operator", "bob")
    assert home.json(*promote, "--cosign", str(file))["state"] == "promoted"
    # Bob's key is here too.
    bars = first_bars("GOOG-1d.csv", 60, tmp_path / "bars.csv")
    start = (
        "run",
        "start",
        name,
        "--symbol",
        "GOOG",
        "--timeframe",
        "1d",
        "--feed",
        f"replay:{bars}@max",
        *alice,
    )
    assert "SECOND_GATE" in home(*start, code=4)
    assert home.json(*start, "--second-operator", "bob")["run"] == "run-1"
    home("run", "wait", "run-1", "--timeout", "60")
    # Giving the second person up is a loosening: saving the file alone changes nothing.
    with closing(readers.open_reader(home.home)) as reader:
        before = reader.execute("SELECT rules_sha256 FROM limits").fetchall()
        risk.write_text(risk.read_text().replace("two_person = true", "two_person = false"))
        home("risk", "check", str(risk))
        assert "LIMITS_CHANGED" in home(*start, "--second-operator", "bob", code=4)
        assert reader.execute("SELECT rules_sha256 FROM limits").fetchall() == before
    home("audit", "verify", "--no-exec")


def test_daemon_hands_its_heads_to_two_witnesses(home: Installation, tmp_path: Path) -> None:
    with closing(readers.open_reader(home.home)) as reader:
        origin, genesis = readers.origin(reader), readers.genesis(reader)
        log = reader.execute("SELECT vkey FROM key WHERE role = 'log' ORDER BY enrolled_seq").fetchone()[0]
    served, urls, keys = [], [], {}
    try:
        for name in ("bob", "carol"):
            words = ("--name", name, "--log", origin, "--genesis", genesis)
            keys[name] = home("audit", "witness", "new", str(tmp_path / name), *words).strip()
            child = subprocess.Popen(
                [sys.executable, "-m", "inalpha", "audit", "witness", "serve", "--state", str(tmp_path / name),
                 "--listen", "127.0.0.1:0"],
                stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}, text=True,
            )  # fmt: skip
            served.append(child)
            assert child.stdout is not None
            urls.append(child.stdout.readline().strip())
        config = home.home / "inalpha.toml"
        text = config.read_text().replace("witnesses = []", f"witnesses = {json.dumps(urls)}")
        config.write_text(text.replace("witness_every_s = 300", "witness_every_s = 1"))
        home.start()
        for key in keys.values():
            home("audit", "witness", "enrol", key)
        assert home.json("audit", "witness", "submit", urls[0])["witness"] == parse_vkey(keys["bob"]).name
        policy = tmp_path / "policy"
        lines = [f"log {log}", *(f"witness {name} {key}" for name, key in keys.items())]
        policy.write_text("\n".join([*lines, "group both all bob carol", "quorum both", ""]))
        verify = ("audit", "verify", "--no-exec", "--genesis", genesis, "--policy", str(policy), "--json")

        def quorum() -> bool:
            with closing(readers.open_reader(home.home)) as reader:
                sizes = reader.execute("SELECT count(*) FROM cosign GROUP BY size").fetchall()
            return (2,) in sizes

        until(quorum, what="a head that both cosigned")
        checks = {check["name"]: check["detail"] for check in json.loads(home(*verify))["checks"]}
        assert checks["C7"].startswith("quorum both up to")
        home.stop()
        file = tmp_path / "export.zip"
        home("audit", "export", str(file))
        script = built_verifier()
        alone = [sys.executable, str(script), str(file), "--genesis", genesis, "--policy", str(policy)]
        assert subprocess.run(alone, check=False, capture_output=True).returncode == 0
    finally:
        for child in served:
            child.terminate()
            child.wait()


def test_accounts_deposits_erasure_and_rollback(home: Installation, tmp_path: Path) -> None:
    home.start()
    home("operator", "add", "bob", "--insecure-no-passphrase", "--operator", "alice")
    alice = ("--operator", "alice")
    # The owner opens and fills accounts; an operator does not.
    assert "ROLE_FORBIDS" in home("account", "open", "bob", "--operator", "bob", code=4)
    assert home.json("account", "open", "bob", "--cash", "500", *alice)["owner"] == "op:bob"
    assert "ACCOUNT_OPEN" in home("account", "open", "bob", *alice, code=4)
    assert home.json("account", "deposit", "250.5", "--account", "bob", *alice)["cash"] == "750.5"
    assert "ROLE_FORBIDS" in home("account", "deposit", "1", "--operator", "bob", code=4)
    assert home.json("account", "bob")["cash"] == "750.5"
    assert (
        home.json("account", "deposit", "0.5", *alice)["cash"]
        == home.json("account", "alice")["cash"]
        == "100000.5"
    )
    # More than a line or a column holds never comes in, at once or bit by bit.
    home("account", "deposit", "9" * 38, *alice, code=2)
    assert "AMOUNT" in home("account", "deposit", "9999999999", *alice, code=4)
    # A text goes, the line stays, and neither verifier takes it for missing.
    words = "a name that has to go"
    home("halt", "--all", "--reason", words)
    with closing(readers.open_reader(home.home)) as reader:
        (entry,) = reader.execute('SELECT entry FROM ev WHERE instr(entry, \'"kind":"halt.set"\')').fetchone()
        commit = read_event(bytes(entry)).data["reason_commit"]
    assert readers.read_text(home.home, commit)
    assert home.items("blob", "erase", commit, "--list")[0]["kind"] == "halt.set"
    found = home.json("blob", "erase", commit, "--reason", "a name stood in it", *alice)
    assert [item["kind"] for item in found["named_by"]] == ["halt.set"]
    assert readers.read_text(home.home, commit) is None
    assert "NO_TEXT" in home("blob", "erase", commit, "--reason", "again", *alice, code=4)
    home.stop()
    erased = words.encode()
    assert not any(erased in path.read_bytes() for path in home.home.glob("blobs.db*"))
    checks = home.json("audit", "verify", "--no-exec")["checks"]
    assert "1 texts were erased" in next(check["detail"] for check in checks if check["name"] == "C10")
    # An older database under newer head files opens by the owner alone.
    old = (home.home / "ledger.db").read_bytes()
    home.start()
    home.stop()
    (home.home / "ledger.db").write_bytes(old)
    for left in home.home.glob("ledger.db-*"):
        left.unlink()
    assert "tail is missing" in home("--daemon", code=6)
    assert "ROLE_FORBIDS" in home("rollback", "accept", "--reason", "disk", "--operator", "bob", code=4)
    accepted = home.json("rollback", "accept", "--reason", "the disk died", *alice)
    assert accepted["from_size"] > accepted["to_size"]
    home.start()
    assert home.json("status")["halt"] == "HALTED"
    home("resume", "all", "--reason", "looked at it", *alice)
    assert home.json("account", "bob")["cash"] == "750.5"
    home.stop()
    # The log key is gone.
    (home.home / "log.key").unlink()
    assert "KEY_MISSING" in home("--daemon", code=78)
    assert home.json("rollback", "accept", "--reason", "lost it", *alice)["new_log_key"]
    home("audit", "verify", "--no-exec")
    home("audit", "export", str(tmp_path / "export.zip"))


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs ssh-agent")
def test_owner_whose_key_is_in_ssh_agent(home: Installation, tmp_path: Path) -> None:
    sock = tmp_path / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL)
    try:
        home.env = {"SSH_AUTH_SOCK": str(sock)}
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "carol", "-f", str(tmp_path / "id")]
        subprocess.run(make, check=True)
        until(sock.exists, what="the agent")
        add = ["ssh-add", "-q", str(tmp_path / "id")]
        subprocess.run(add, check=True, env={**os.environ, **home.env})
        home.start()
        home("operator", "add", "carol", "--role", "owner", "--ssh-agent", "carol", "--operator", "alice")
        by_carol = ("account", "deposit", "7", "--account", "alice", "--operator", "carol")
        assert home.json(*by_carol)["cash"] == "100007"
        subprocess.run(["ssh-add", "-q", "-D"], check=True, env={**os.environ, **home.env})
        assert "SSH_AGENT" in home(*by_carol, code=4)
        home("audit", "verify", "--no-exec")
    finally:
        agent.terminate()
        agent.wait()


def test_owner_who_lost_his_key_gets_another_by_the_seed_on_paper(home: Installation, tmp_path: Path) -> None:
    home.start()
    (home.home / "keys" / "op" / "alice.key").rename(tmp_path / "found.key")
    wrong = secret_file(tmp_path / "wrong", "0" * 64)
    recover = ("operator", "recover", "alice", "--insecure-no-passphrase", "--seed-file")
    home(*recover, str(wrong), code=4)
    for name, exit_code in (("../alice", 2), ("nobody", 4)):  # a slip of the pen makes no new owner
        words = ("--insecure-no-passphrase", "--seed-file", str(tmp_path / "seed"))
        home("operator", "recover", name, *words, code=exit_code)
    home(*recover, str(tmp_path / "seed"))
    assert home.json("account", "deposit", "1")["cash"] == "100001"
    # Whoever found the old key cannot use it.
    (home.home / "keys" / "op" / "alice.key").unlink()
    shutil.copy(tmp_path / "found.key", home.home / "keys" / "op" / "alice.key")
    home("account", "deposit", "1", code=4)
    home("audit", "verify", "--no-exec")
