"""An upgrade of the kernel: ended runs are named, not called broken; a live one is parked until the way back."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support.installation import STRATEGIES, Installation, first_bars, until

UPGRADED = """
import sys
from inalpha.kernel import version
version.KERNEL_VERSION, version.OLDER_VERSIONS = {new}, frozenset({old})
from inalpha.cli.main import main
sys.argv = ["inalpha", *sys.argv[1:]]
main()
"""


def upgraded(
    home: Installation, *args: str, new: int = 3, old: tuple[int, ...] = (2,)
) -> subprocess.CompletedProcess[str]:
    """A verb of a later release, whose kernel means something else."""
    return subprocess.run(
        [sys.executable, "-c", UPGRADED.format(new=new, old=old), "--home", str(home.home), *args],
        capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def start_upgraded(home: Installation) -> None:
    with (home.home / "test.log").open("ab") as log:
        home.daemon = subprocess.Popen(
            [sys.executable, "-c", UPGRADED.format(new=3, old=(2,)), "--home", str(home.home), "--daemon"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=dict(os.environ),
        )  # fmt: skip
    until(home._is_ready, what="the daemon")


@pytest.mark.campaign
def test_runs_of_an_older_kernel_are_named_and_live_ones_parked(tmp_path: Path) -> None:
    home = Installation(tmp_path / "home")
    home.init()
    home.start()
    try:
        candidate = home.promote(STRATEGIES / "fast_cross.py")
        ended = home.run(candidate, first_bars("GOOG-1d.csv", 30, tmp_path / "a.csv"))
        home("run", "wait", ended, "--timeout", "60")
        live = home.run(candidate, first_bars("IBM-1d.csv", 400, tmp_path / "b.csv"), "2", "IBM")
        other = home.run(candidate, first_bars("MSFT-1d-adjusted.csv", 400, tmp_path / "c.csv"), "2", "MSFT")
        until(lambda: home.json("run", "show", other)["bars"] > 2, what="bars")
        home.stop()

        found = upgraded(home, "audit", "verify", "--json")
        said = next(item for item in json.loads(found.stdout)["checks"] if item["name"] == "I20")
        assert found.returncode == 0 and said["passed"]
        assert f"{ended} (made by kernel 2)" in said["detail"] and live in said["detail"]
        assert "NOT EXECUTED AGAIN by this program's kernel 3" in said["detail"]
        # A version that nobody knows, and none at all, are failures.
        assert upgraded(home, "audit", "verify", old=()).returncode == 6
        assert upgraded(home, "replay", ended).returncode == 4

        start_upgraded(home)
        shown = home.json("run", "show", live)
        assert shown["state"] == "parked" and "kernel 2" in shown["error"] and shown["pid"] is None
        bars = shown["bars"]
        home("run", "stop", other)
        assert home.json("run", "show", other)["state"] == "stopped"
        home.stop()
        home.start()  # the way back: the release that made it goes on with it
        until(lambda: home.json("run", "show", live)["bars"] > bars, what="more bars")
        assert home.json("run", "show", live)["state"] == "running"
        home("run", "stop", live)
        home.stop()
        assert upgraded(home, "audit", "verify").stderr.startswith("warning: ")

        # Claiming an older version is no way around re-execution: the signed heads cover the header.
        conn = sqlite3.connect(home.home / "ledger.db")
        header = "SELECT input FROM journal WHERE run = ? AND n = 0"
        text = conn.execute(header, (ended,)).fetchone()[0].replace('"kernel":2', '"kernel":1')
        conn.execute("UPDATE journal SET input = ? WHERE run = ? AND n = 0", (text, ended))
        conn.commit()
        conn.close()
        forged = upgraded(home, "audit", "verify", "--json", new=2, old=(1,))
        assert forged.returncode == 6
        assert "signed head" in json.loads(forged.stdout)["reason"]
    finally:
        home.stop()
