"""The main job from the command line: demo, verification, tampering, replay and parity."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.installation import STRATEGIES, Installation, first_bars, inalpha


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """One headless demo for this module: its home and what it printed."""
    home = tmp_path_factory.mktemp("demo") / "home"
    found = inalpha(home, "demo", "--headless", "--bars", "300", "--speed", "max", "--json")
    assert found.returncode == 0, found.stderr
    yield home, json.loads(found.stdout)


def test_the_demo_fills_by_machine_and_waits_for_a_person(demo: tuple[Path, dict[str, Any]]) -> None:
    _, told = demo
    assert told["schema"] == 1 and told["audit"]["verified"] is True
    by_approval = {run["approval"]: run for run in told["runs"]}
    machine, human = by_approval["machine"], by_approval["human"]
    assert machine["fills"] > 0 and machine["bars"] == 300 and machine["state"] == "stopped"
    assert human["fills"] == 0 and human["bars"] == 300 and human["state"] == "running"
    assert told["plans"]["pending"] == 1


def test_the_demo_left_no_process(demo: tuple[Path, dict[str, Any]]) -> None:
    home, _ = demo
    found = json.loads(inalpha(home, "status", "--json").stdout)
    assert found["daemon"]["pid"] is None and found["broker"]["pid"] is None
    assert all(run["pid"] is None for run in found["runs"])
    assert not (home / "daemon.json").exists()


def test_a_home_that_holds_a_ledger_is_refused(demo: tuple[Path, dict[str, Any]]) -> None:
    found = inalpha(demo[0], "demo", "--headless", "--bars", "10")
    assert found.returncode == 4 and "LEDGER_EXISTS" in found.stderr


def test_every_demo_run_replays_and_compares_without_a_difference(demo: tuple[Path, dict[str, Any]]) -> None:
    home, told = demo
    for run in told["runs"]:
        replayed = json.loads(inalpha(home, "replay", run["run"], "--json").stdout)
        assert (replayed["steps"], replayed["divergence"]) == (300, None)
        compared = inalpha(home, "parity", run["run"], "--json")
        body = json.loads(compared.stdout)
        assert (compared.returncode, body["differences"], body["equal"]) == (0, [], run["fills"])


def _verify(home: Path, *more: str) -> tuple[int, dict[str, Any]]:
    found = inalpha(home, "audit", "verify", "--json", *more)
    body: dict[str, Any] = json.loads(found.stdout)
    return found.returncode, body


def test_the_genesis_hash_anchors_the_verification(demo: tuple[Path, dict[str, Any]]) -> None:
    home, told = demo
    code, body = _verify(home, "--genesis", told["audit"]["genesis"])
    assert (code, body["first_bad"]) == (0, None)
    assert all(check["passed"] for check in body["checks"])
    code, body = _verify(home, "--no-exec", "--genesis", "0" * 64)
    assert (code, body["first_bad"]) == (6, 0)


def _edit(home: Path, target: Path, *statements: str) -> Path:
    """A copy of the home with its ledger changed by hand."""
    shutil.copytree(home, target)
    conn = sqlite3.connect(target / "ledger.db", isolation_level=None)
    for trigger in ("ev_no_update", "ev_no_delete", "ev_no_replace"):
        conn.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        conn.execute(statement)
    conn.close()
    return target


def test_one_changed_byte_is_named_by_its_line(demo: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    home = tmp_path / "copy"
    shutil.copytree(demo[0], home)
    conn = sqlite3.connect(home / "ledger.db", isolation_level=None)
    conn.execute("DROP TRIGGER ev_no_update")
    entry = conn.execute("SELECT entry FROM ev WHERE seq = 100").fetchone()[0]
    changed = entry[:300] + bytes([entry[300] ^ 1]) + entry[301:]
    conn.execute("UPDATE ev SET entry = ? WHERE seq = 100", (changed,))
    conn.close()
    code, body = _verify(home, "--no-exec")
    assert (code, body["first_bad"]) == (6, 100)


def test_a_deleted_tail_a_swapped_pair_and_edited_cash_are_named(
    demo: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    last = demo[1]["audit"]["size"] - 1
    cut = _edit(demo[0], tmp_path / "cut", f"DELETE FROM ev WHERE seq = {last}")
    assert (_verify(cut, "--no-exec")[0], _verify(cut, "--no-exec")[1]["first_bad"]) == (6, last)
    swapped = _edit(
        demo[0], tmp_path / "swapped", "UPDATE ev SET seq = -1 WHERE seq = 50",
        "UPDATE ev SET seq = 50 WHERE seq = 51", "UPDATE ev SET seq = 51 WHERE seq = -1",
    )  # fmt: skip
    assert _verify(swapped, "--no-exec")[1]["first_bad"] == 50
    rich = _edit(demo[0], tmp_path / "rich", "UPDATE account SET cash = '999999'")
    code, body = _verify(rich, "--no-exec")
    assert code == 6 and "account" in body["reason"]


def test_an_edited_journal_fails_its_re_execution(demo: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    edited = _edit(
        demo[0], tmp_path / "journal",
        "UPDATE journal SET input = replace(input, '\"bar\":[', '\"bar\": [') WHERE n = 11",
    )  # fmt: skip
    code, body = _verify(edited)
    assert code == 6 and body["reason"].startswith("I20")
    assert _verify(edited, "--no-exec")[0] == 0  # the log itself was not touched


def test_a_damaged_ledger_does_not_start(demo: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    broken = _edit(demo[0], tmp_path / "broken", "UPDATE account SET cash = '999999'")
    assert inalpha(broken, "--daemon").returncode == 6


def test_a_run_trades_over_the_bundled_broker(tmp_path: Path) -> None:
    """From candidate to verified fills without mosquitto."""
    home = Installation(tmp_path / "home")
    home.init()
    text = (home.home / "inalpha.toml").read_text().replace('broker = "auto"', 'broker = "amqtt"')
    (home.home / "inalpha.toml").write_text(text)
    home.start()
    try:
        assert home.presence()["broker"]["kind"] == "amqtt"
        candidate = home.promote(STRATEGIES / "fast_cross.py")
        run = home.run(candidate, first_bars("GOOG-1d.csv", 120, tmp_path / "goog.csv"))
        home("run", "wait", run, "--timeout", "60")
        assert home.fills(run)
        home("audit", "verify")
    finally:
        home.stop()


def test_closed_output_is_no_error() -> None:
    found = subprocess.run(
        f"{sys.executable} -m inalpha --help | head -1",
        shell=True,
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert found.stdout and "Traceback" not in found.stderr
