"""The kill switch needs nothing but its home's folder: real daemons, real runners, and homes that lost something."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import Installation, first_bars, inalpha, until

from inalpha.client.presence import start_ticks
from inalpha.model import latch
from inalpha.model.states import HaltState

NOBODY = 54321  # a user whom the password file does not know
NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME")
NAMELESS = {name: value for name, value in os.environ.items() if name not in NAMES}
BUY = """from inalpha import Strategy


class Buy(Strategy):
    def on_bar(self, bar):
        self.buy(1, reason="in")
"""
FILES = (("GOOG", "GOOG-1d.csv"), ("IBM", "IBM-1d.csv"))


class Trading(Installation):
    """A home whose replays run for long; prefix: what the processes are started by."""

    def begin(self) -> None:
        folder = self.home.parent
        (folder / "buy.py").write_text(BUY)
        self.init()
        self.start()
        candidate = self.promote(folder / "buy.py")
        for symbol, file in FILES:
            self.run(candidate, first_bars(file, 2000, folder / f"{symbol}.csv"), "20", symbol)
        until(lambda: len(self.presence().get("runners", {})) == len(FILES), what="the runners")

    def runners(self) -> list[int]:
        return [pid for pid in self.presence()["runners"].values() if start_ticks(pid) is not None]

    def until_dead(self, pids: list[int]) -> None:
        until(lambda: all(start_ticks(pid) is None for pid in pids), 1.0, "the runners' end")

    def rows(self) -> list[latch.LatchRow]:
        return latch.read_rows(self.home / "halt.latch")


@pytest.fixture
def trading(tmp_path: Path) -> Iterator[Trading]:
    found = Trading(tmp_path / "home")
    found.begin()
    yield found
    found.stop()


def kill(home: Trading, *more: str) -> tuple[dict[str, object], list[int]]:
    """`halt --kill` and what it answered; all runners are dead a second after it at the latest."""
    pids = home.runners()
    assert len(pids) == len(FILES)
    found = inalpha(
        home.home, "halt", *(more or ("--all",)), "--kill", "--reason", "stop it", "--json", **home.env
    )
    home.until_dead(pids)
    assert found.returncode == 0, (found.stdout, found.stderr)
    assert "Traceback" not in found.stderr
    return json.loads(found.stdout), pids


def test_a_home_whose_ledger_is_gone_can_be_killed(trading: Trading) -> None:
    for path in trading.home.glob("ledger.db*"):
        path.unlink()
    found, _ = kill(trading)
    assert found["state"] == "KILLED"  # the living daemon may have been quicker with a runner or two
    assert "ledger.db is gone" in trading("status", code=78)
    trading("stop-daemon")
    assert trading.daemon is not None and trading.daemon.wait(10) == 0
    assert "Traceback" not in (trading.home / "test.log").read_text()


@pytest.mark.campaign
def test_a_kill_with_the_daemon_hung_and_its_ledger_gone_leaves_its_row(trading: Trading) -> None:
    assert trading.daemon is not None
    (trading.home / "ledger.db").unlink()
    (trading.home / "inalpha.toml").write_text("[broken")
    trading.daemon.send_signal(19)  # SIGSTOP: nobody answers, nobody copies the row away
    try:
        found, _ = kill(trading)
        assert (found["by"], found["killed"]) == ("latch", 2)
        assert [(row.scope, row.state) for row in trading.rows()] == [("all", HaltState.KILLED)]
    finally:
        trading.daemon.send_signal(18)


@pytest.mark.campaign
def test_a_run_and_an_account_are_killed_without_a_ledger_that_could_name_them(trading: Trading) -> None:
    assert trading.daemon is not None
    (trading.home / "ledger.db").unlink()
    trading.daemon.send_signal(19)
    try:
        pids = trading.presence()["runners"]
        found = inalpha(trading.home, "halt", "--run", "run-1", "--kill", "--reason", "this one", "--json")
        assert found.returncode == 0, found.stderr
        assert "cannot be read" in json.loads(found.stdout)["warnings"][0]
        trading.until_dead([pids["run-1"]])
        assert start_ticks(pids["run-2"]) is not None
        found = inalpha(trading.home, "halt", "--account", "alice", "--kill", "--reason", "hers")
        assert found.returncode == 0, found.stderr
        trading.until_dead([pids["run-2"]])
        assert [row.scope for row in trading.rows()] == ["run", "account"]
    finally:
        trading.daemon.send_signal(18)


def test_a_latch_that_is_a_folder_kills_and_says_so(trading: Trading) -> None:
    (trading.home / "halt.latch").unlink()
    (trading.home / "halt.latch").mkdir()
    found, _ = kill(trading)
    assert "an unreadable latch counts as KILLED for all" in " ".join(map(str, found["warnings"]))  # type: ignore[call-overload]
    until(lambda: trading.json("run", "show", "run-1")["state"] == "failed", what="the killed run's end")
    trading("resume", "all", "--reason", "made it anew")
    assert trading.rows() == []


@pytest.mark.campaign
def test_a_kill_does_not_wait_for_whoever_holds_the_ledger(trading: Trading) -> None:
    other = sqlite3.connect(trading.home / "ledger.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        began = time.monotonic()
        found, _ = kill(trading)
        assert time.monotonic() - began < 5
        assert found["by"] == "latch"
        assert [row.state for row in trading.rows()] == [HaltState.KILLED]
    finally:
        other.execute("ROLLBACK")
        other.close()
    until(lambda: trading.json("run", "show", "run-1")["state"] == "failed", what="the killed run's end")
    until(lambda: trading.rows() == [], what="the row's way into the ledger")
    trading("audit", "verify", "--no-exec")


def test_a_folder_that_never_was_an_installation_is_not_halted(tmp_path: Path) -> None:
    found = inalpha(tmp_path, "halt", "--all", "--kill", "--reason", "mistyped")
    assert (found.returncode, list(tmp_path.iterdir())) == (78, [])
    assert "NO_HOME" in found.stderr


def test_a_user_whom_no_password_file_names_kills_running_replays(trading: Trading) -> None:
    become = ["unshare", "-m", "sh", "-c", 'mount --bind /dev/null /etc/passwd && exec "$@"', "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*become, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("nothing may be mounted here")
    pids = trading.runners()
    found = subprocess.run(
        [*become, sys.executable, "-m", "inalpha", "--home", str(trading.home), "halt", "--all", "--kill",
         "--reason", "nobody says so", "--json"],
        capture_output=True, text=True, env=NAMELESS, check=False,
    )  # fmt: skip
    trading.until_dead(pids)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["state"] == "KILLED"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach."""
    folder = Path(tempfile.mkdtemp(prefix="inalpha-open-"))
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None, reason="only root becomes another user"
)
def test_another_user_without_a_name_kills_what_is_his(open_folder: Path) -> None:
    become = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    can = subprocess.run(
        [*become, sys.executable, "-c", "import inalpha.cli.main"], capture_output=True, check=False
    )
    if can.returncode:
        pytest.skip("this checkout is not open to other users")
    home = open_folder / "home"
    (home / "run").mkdir(mode=0o700, parents=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    runner = subprocess.Popen([*become, "sleep", "60"])
    try:
        until(lambda: b"sleep" in Path(f"/proc/{runner.pid}/cmdline").read_bytes()[:6], what="the process")
        (home / "run" / "runners.json").write_text(json.dumps([[runner.pid, start_ticks(runner.pid), boot]]))
        (home / "halt.latch").touch(0o600)
        for path in (home, *home.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        found = subprocess.run(
            [*become, sys.executable, "-m", "inalpha", "--home", str(home), "halt", "--all", "--kill",
             "--reason", "nobody says so"],
            capture_output=True, text=True, env=NAMELESS, check=False,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr
        assert runner.wait(1) == -9
        assert [row.actor for row in latch.read_rows(home / "halt.latch")] == [f"cli:uid-{NOBODY}"]
    finally:
        runner.kill()
        runner.wait()


@pytest.mark.campaign
def test_a_ledger_that_another_program_spoils_keeps_nobody_from_killing(trading: Trading) -> None:
    assert trading.daemon is not None
    pids = trading.runners()
    with (trading.home / "ledger.db").open("r+b") as file:
        file.write(b"spoiled by another program" * 20_000)
    began = time.monotonic()
    found = inalpha(trading.home, "halt", "--all", "--kill", "--reason", "spoiled", "--json")
    assert found.returncode == 0, (found.stdout, found.stderr)
    trading.until_dead(pids)
    assert time.monotonic() - began < 5
    until(lambda: trading.daemon is not None and trading.daemon.poll() is not None, 20, "the daemon's end")
    assert trading.daemon.poll() in (6, 75)
    assert [row.state for row in trading.rows()] == [HaltState.KILLED]
    assert "Traceback" not in (trading.home / "test.log").read_text()
