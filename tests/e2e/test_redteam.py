"""The red team finds no breach in an installation as it ships, and finds one where a control is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inalpha.bus.start import find_mosquitto
from inalpha.cli.setup import create_home
from inalpha.model.errors import ConfigError
from inalpha.model.home import Home
from inalpha.redteam import clients, strategies, weakened
from inalpha.redteam.outcome import Outcome
from inalpha.redteam.scratch import Scratch

# Each control: attacks that must come through without it.
BREACHES = {
    "seccomp": {"executable_memory", "look_at_file", "ask_peer"},
    "limits": {"allocate", "allocate_from_c"},
    "environment": {"environment"},
    "layers": {"write_file", "connect_tcp", "fork", "read_public_file"},
    "acl": {"forge state", "listen to all", "be the daemon"},
    "signature": {"altered"},
    "nonce": {"replayed"},
}


def breached(found: list[Outcome]) -> set[str]:
    return {outcome.name for outcome in found if outcome.is_breach}


def quiet(_: Outcome) -> None:
    pass


def test_every_attack_is_held_and_its_control_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inalpha", "redteam", "--json"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    found = json.loads(done.stdout)
    assert (found["breaches"], done.returncode) == ([], 0)
    assert len(found["attacks"]) >= 60
    assert all(attack["control"] for attack in found["attacks"])
    assert {attack["family"] for attack in found["attacks"]} == {"strategy", "bus", "agent"}


@pytest.mark.campaign
@pytest.mark.parametrize("control", sorted(BREACHES))
def test_without_a_control_its_attacks_come_through(control: str) -> None:
    if control == "acl" and find_mosquitto() is None:
        pytest.skip("the fallback broker's ACL is its own code: nothing to leave out")
    names = frozenset(BREACHES[control])
    with Scratch(control) as scratch:
        player = strategies if control in weakened.HOST_CONTROLS else clients
        assert breached(player.play(scratch, names, quiet)) >= names


def test_the_verb_tells_of_a_breach_and_leaves_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from inalpha.cli.redteam import redteam

    monkeypatch.setattr(strategies, "play", lambda *_: [])
    acts = tuple(act for act in clients.ACTS if act.name == "altered")
    monkeypatch.setattr(clients, "ACTS", acts)
    found = CliRunner().invoke(redteam, ["--without", "signature"])
    assert found.exit_code == 1
    assert "BREACH altered" in found.stdout


def test_no_control_can_be_taken_from_a_real_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    create_home(home, "alice", "1000", "USD", None)
    with pytest.raises(ConfigError, match="not made by the red team"):
        weakened.demand_scratch(home.root)
    done = subprocess.run(
        [sys.executable, "-m", "inalpha.redteam.weakened", "daemon", str(home.root), "seccomp"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "NOT_SCRATCH" in done.stderr or "not made by the red team" in done.stderr
    assert not (home.root / "daemon.json").exists()
