"""What holds keys and passphrases in memory is closed to other programs of the same user, and leaves no core."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox import judge
from support.installation import until

SNOOP = Path(__file__).parents[1] / "support" / "snoop.py"
CLOSED = {"core": ["0", "0"], "attach": False, "mem": False, "environ": False, "maps": False}


@pytest.fixture(scope="module")
def command() -> Iterator[list[str]]:
    """As an ordinary user: root may read whatever it likes, and without its rights not even an open program of root."""
    if os.geteuid() != 0:
        yield [sys.executable]
        return
    yield from judge.as_ordinary_user()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private folder of that user."""
    with tempfile.TemporaryDirectory(prefix="closed-") as name:
        if os.geteuid() == 0:
            os.chown(name, judge.ORDINARY_UID, judge.ORDINARY_UID)
        yield Path(name)


def snoop(command: list[str], pid: int) -> dict[str, object]:
    found = subprocess.run(
        [*command, str(SNOOP), str(pid)], capture_output=True, text=True, check=True, cwd="/"
    )
    told: dict[str, object] = json.loads(found.stdout)
    return told


def test_a_program_that_does_not_close_itself_is_read(command: list[str]) -> None:
    """The attack on an open process: without it the tests below would prove nothing."""
    with subprocess.Popen([*command, "-c", "input()"], stdin=subprocess.PIPE) as victim:
        until(lambda: b"input" in Path(f"/proc/{victim.pid}/cmdline").read_bytes(), what="the program")
        found = snoop(command, victim.pid)
        victim.communicate(b"\n")
    if not found["attach"]:
        pytest.skip("this machine lets no program trace another (yama)")
    assert found["mem"] and found["environ"] and found["maps"]


def test_the_command_line_is_closed_while_it_asks_for_a_passphrase(command: list[str], folder: Path) -> None:
    pipe = folder / "passphrase"
    os.mkfifo(pipe, 0o600)
    if os.geteuid() == 0:
        os.chown(pipe, judge.ORDINARY_UID, judge.ORDINARY_UID)
    verb = ["-m", "inalpha", "--home", f"{folder}/home", "init", "--passphrase-file", str(pipe)]
    with subprocess.Popen([*command, *verb], cwd="/", stderr=subprocess.PIPE) as asking:
        writing = until(lambda: writer(pipe, asking), what="the verb's question")
        found = snoop(command, asking.pid)
        os.write(writing, b"weak\n")
        os.close(writing)
        _, told = asking.communicate(timeout=60)
    assert found == CLOSED and b"PASSPHRASE" in told


def writer(pipe: Path, asking: subprocess.Popen[bytes]) -> int | None:
    """A descriptor for writing, once somebody reads."""
    assert asking.poll() is None, asking.communicate()
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        assert error.errno == errno.ENXIO
        return None


def test_daemon_broker_and_host_are_closed_and_still_seal_their_runners(
    command: list[str], folder: Path
) -> None:
    home = folder / "home"
    verb = [*command, "-m", "inalpha", "--home", str(home)]
    made = [*verb, "init", "--operator", "alice", "--insecure-no-passphrase", "--json"]
    subprocess.run(made, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=60)

    def presence() -> Any:
        assert daemon.poll() is None
        try:
            found = json.loads((home / "daemon.json").read_text())
        except (OSError, ValueError):
            return None
        return found if found["state"] == "running" else None

    with subprocess.Popen([*verb, "--daemon"], cwd="/", stdout=subprocess.DEVNULL) as daemon:
        try:
            found = until(presence, what="the daemon")
            pids = [found["pid"], found["broker"]["pid"], found["hosts"][0]["pid"]]
            told = [snoop(command, pid) for pid in pids]
        finally:
            daemon.terminate()
            daemon.wait(timeout=20)
    assert found["hosts"][0]["level"] == "sealed"
    # mosquitto holds the digests of tokens; it is no program of ours, so its parent's limit is all that it has.
    is_ours = [True, found["broker"]["kind"] != "mosquitto", True]
    assert [one for one, ours in zip(told, is_ours, strict=True) if ours] == [CLOSED] * sum(is_ours)
    assert [one["core"] for one in told] == [["0", "0"]] * 3
