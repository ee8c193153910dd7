"""Audit from the command line against a real daemon: witness, export, and a verifier that runs alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.attacks import built_verifier
from support.installation import Installation

SCRIPT = built_verifier()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "home")
    yield made
    made.stop()


def test_witness_enrolled_asked_and_recorded(installation: Installation, tmp_path: Path) -> None:
    genesis = str(installation.init()["genesis"])
    installation.start()
    origin = installation("audit", "checkpoint").split("\n")[0]
    bob, ask, note = str(tmp_path / "bob"), str(tmp_path / "ask"), str(tmp_path / "note")
    key = installation(
        "audit", "witness", "new", bob, "--name", "bob", "--log", origin, "--genesis", genesis
    ).strip()
    installation("audit", "witness", "enrol", key)
    installation("audit", "witness", "request", ask)
    installation("audit", "witness", "cosign", bob, ask, note)
    recorded = installation.json("audit", "witness", "record", note)
    assert installation.json("audit", "witness", "record", note)["seq"] == recorded["seq"]
    installation.stop()
    assert installation.json("audit", "verify", "--genesis", genesis)["first_bad"] is None
    export = tmp_path / "export.zip"
    installation("audit", "export", str(export))
    run = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(export), "--genesis", genesis, "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = json.loads(run.stdout)
    assert (run.returncode, found["reason"]) == (0, None)
    assert found["anchored"] >= recorded["size"]


def test_malformed_hash_and_unknown_names(installation: Installation, tmp_path: Path) -> None:
    installation.init()
    installation("audit", "verify", "--genesis", "zz", code=2)
    installation("replay", "run-9", code=4)
    installation("parity", "run-9", code=4)
    installation("prove", "fill-9", str(tmp_path / "x"), code=4)
    installation("audit", "trace", "fill-9", code=4)
    assert not (tmp_path / "x").exists()
