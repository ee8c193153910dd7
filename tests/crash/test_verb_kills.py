"""SIGKILL between the steps of a verb that makes a key or a file beside a line: nothing that counts is lost by it."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation, inalpha, secret_file
from support.kills import STRACE, calls_of, killed_in

from inalpha.audit.keys import load_key, operator_name, operator_path
from inalpha.audit.notes import Signer
from inalpha.client import newkeys
from inalpha.model.home import Home

pytestmark = pytest.mark.skipif(STRACE is None, reason="needs strace")
SEED = 21


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("verbs") / "home")
    secret_file(made.home.parent / "seed", made.init()["recovery_seed"])
    made.start()
    yield made
    made.stop()


class Names:
    """New handles for each try."""

    def __init__(self, word: str) -> None:
        self.word, self.count = word, 0

    def next(self) -> str:
        self.count += 1
        return f"{self.word}{self.count}"


def enrolled(home: Installation, kind: str, name: str) -> dict[str, Any] | None:
    principal = {"operator": "op", "agent": "agent"}[kind] + f":{name}"
    rows = [item for item in home.items(kind, "list") if item["principal"] == principal]
    return rows[-1] if rows else None


def add_killed(home: Installation, kind: str, name: str, call: str, when: int) -> str:
    """Kill `KIND add NAME`; what the ledger enrolled must be usable, what it did not can be added."""
    verb = [
        kind,
        "add",
        name,
        *(["--insecure-no-passphrase"] if kind == "operator" else []),
        "--operator",
        "alice",
    ]
    assert killed_in(call, when, home.home, *verb) == -9, (call, when)
    known = enrolled(home, kind, name) is not None
    # Any verb that chooses a key settles first; with the key enrolled its file must be there then.
    newkeys.settle(Home.at(home.home))
    folder = {"operator": "op", "agent": "agent"}[kind]
    path = home.home / "keys" / folder / f"{name}.key"
    if known:
        row = enrolled(home, kind, name)
        assert row is not None
        signer = Signer(row["vkey"].partition("+")[0], load_key(path))
        assert signer.vkey.text == row["vkey"], (call, when)
        return "enrolled"
    assert not path.exists()
    home(*verb)
    assert enrolled(home, kind, name)
    return "not enrolled"


def key_points(home: Installation, kind: str) -> list[tuple[str, int]]:
    extra = ["--insecure-no-passphrase"] if kind == "operator" else []
    return calls_of(home.home, kind, "add", f"{kind[:3]}0", *extra, "--operator", "alice")


def test_a_key_that_the_ledger_names_is_never_lost(home: Installation) -> None:
    """Killed before the rename, which comes after the enrolment, and at a random earlier point."""
    kind = "operator"
    names, points = Names(kind[:3]), key_points(home, kind)
    last = max(index for index, (call, _) in enumerate(points) if call == "rename")
    print(f"seed {SEED}")  # noqa: T201
    assert add_killed(home, kind, names.next(), *points[last]) == "enrolled"
    assert (
        add_killed(home, kind, names.next(), *random.Random(SEED).choice(points[: last - 2]))
        == "not enrolled"
    )
    home("audit", "verify")


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["operator", "agent"])
def test_an_enrolment_killed_at_every_point(home: Installation, kind: str) -> None:
    names = Names(f"{kind[:2]}all")
    outcomes = [add_killed(home, kind, names.next(), *point) for point in key_points(home, kind)]
    print({word: outcomes.count(word) for word in outcomes})  # noqa: T201
    assert {"enrolled", "not enrolled"} == set(outcomes)


def test_recover_killed_after_its_enrolment_keeps_the_new_key(home: Installation) -> None:
    seed = str(home.home.parent / "seed")
    verb = ["operator", "recover", "alice", "--seed-file", seed, "--insecure-no-passphrase"]
    before = operator_path(home.home, "alice").read_bytes()
    points = calls_of(home.home, *verb)
    last = [point for point in points if point[0] == "rename"][-1]
    assert killed_in(*last, home.home, *verb) == -9
    assert operator_path(home.home, "alice").read_bytes() != before  # calls_of recovered once
    home("account", "deposit", "1", "--operator", "alice")  # the new key has its place and counts
    row = enrolled(home, "operator", "alice")
    assert row is not None
    key = load_key(operator_path(home.home, "alice"))
    assert Signer(operator_name(row["vkey"].partition("/op/")[0], "alice"), key).vkey.text == row["vkey"]


def init_killed(root: Path, call: str, when: int) -> str:
    home = Installation(root / "home")
    args = ("init", "--operator", "alice", "--insecure-no-passphrase", "--json")
    assert killed_in(call, when, home.home, *args) == -9, (call, when)
    if Home.at(home.home).exists:
        home("audit", "verify")
        outcome = "made"
    else:
        assert inalpha(home.home, "status").returncode == 78
        genesis = json.loads(home(*args))["genesis"]
        home("audit", "verify", "--genesis", genesis)
        outcome = "anew"
    home("backup", str(root / "b.tar"))
    shutil.rmtree(root)
    return outcome


def init_points(root: Path) -> list[tuple[str, int]]:
    return calls_of(root / "first", "init", "--operator", "alice", "--insecure-no-passphrase", "--json")


def test_an_init_that_was_killed_is_made_anew(tmp_path: Path) -> None:
    """After the genesis line but before the recovery seed was shown, too: it would never be shown again."""
    points = init_points(tmp_path)
    (tmp_path / "again").mkdir()
    assert init_killed(tmp_path / "again", *points[-3]) == "anew", points[-3]


@pytest.mark.campaign
def test_an_init_killed_at_every_point(tmp_path: Path) -> None:
    outcomes = []
    for index, point in enumerate(init_points(tmp_path)):
        (tmp_path / str(index)).mkdir()
        outcomes.append(init_killed(tmp_path / str(index), *point))
    print({word: outcomes.count(word) for word in outcomes})  # noqa: T201
    assert "anew" in outcomes
