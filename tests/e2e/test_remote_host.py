"""A host on another machine, played by a second network namespace: joined over TLS, cut off, and back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.installation import STRATEGIES, Installation, first_bars, inalpha, until
from support.tlsbroker import TlsBroker, need_tools

NAME = "barn"


@dataclass
class Net:
    """A namespace behind a cable that can be pulled."""

    space: str
    near: str
    far: str
    address: str

    def pull(self) -> None:
        ip("-n", self.space, "link", "set", self.far, "down")

    def plug(self) -> None:
        ip("-n", self.space, "link", "set", self.far, "up")


def ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)


@pytest.fixture
def net() -> Iterator[Net]:
    need_tools("ip")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    number = os.getpid()
    found = Net(
        f"ina{number}", f"ina{number}n"[-15:], f"ina{number}f"[-15:], f"10.{number >> 8 & 255}.{number & 255}"
    )
    try:
        ip("netns", "add", found.space)
        ip("link", "add", found.near, "type", "veth", "peer", "name", found.far, "netns", found.space)
        ip("addr", "add", f"{found.address}.1/30", "dev", found.near)
        ip("link", "set", found.near, "up")
        ip("-n", found.space, "addr", "add", f"{found.address}.2/30", "dev", found.far)
        found.plug()
    except subprocess.CalledProcessError as error:
        subprocess.run(["ip", "netns", "del", found.space], capture_output=True, check=False)
        pytest.skip(f"no network namespaces here: {error.stderr!r}")
    yield found
    subprocess.run(["ip", "netns", "del", found.space], capture_output=True, check=False)


@pytest.fixture
def broker(net: Net, tmp_path: Path) -> Iterator[TlsBroker]:
    home = Installation(tmp_path / "home")
    home.init()
    made = TlsBroker(home, tmp_path / "bus", f"{net.address}.1")
    made.start()
    home.start()
    yield made
    home.stop()
    made.stop()


def join(broker: TlsBroker, net: Net, credentials: Path) -> subprocess.Popen[bytes]:
    with (credentials.parent / "host.log").open("ab") as log:
        return subprocess.Popen(
            ["ip", "netns", "exec", net.space, sys.executable, "-m", "runners.host", "--name", NAME,
             "--url", broker.url, "--credentials", str(credentials)],
            stdout=log, stderr=log,
        )  # fmt: skip


def children(pid: int) -> set[int]:
    return {int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def seen(home: Installation) -> dict:
    return next((host for host in home.json("status")["hosts"] if host["name"] == f"host-{NAME}"), {})


def bars_of(home: Installation, run: str) -> int:
    return int(home.json("run", "show", run)["bars"])


def uninterrupted(folder: Path, bars: Path) -> list:
    """The fills of the same run on a home of its own, with nothing in its way."""
    other = Installation(folder / "other")
    other.init()
    other.start()
    try:
        run = other.run(other.promote(STRATEGIES / "fast_cross.py"), bars)
        other("run", "wait", run, "--timeout", "60")
        return other.fills(run)
    finally:
        other.stop()


def enrol(broker: TlsBroker, net: Net, credentials: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The host, up and measured, and a promoted candidate."""
    home = broker.home
    home("host", "add", NAME, "--out", str(credentials))
    assert credentials.stat().st_mode & 0o777 == 0o600
    broker.export()
    assert until(lambda: seen(home), what="the enrolled host")["is_up"] is False
    host = join(broker, net, credentials)
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    up = until(lambda: (item := seen(home)) and item["is_up"] and item, what="the remote host")
    assert (up["level"], up["is_remote"], up["pid"]) == ("sealed", True, None)
    assert up["beat_age_s"] < 5
    return host, candidate


def end(host: subprocess.Popen[bytes]) -> None:
    host.send_signal(signal.SIGTERM)
    host.wait(timeout=10)


def test_run_on_another_machine_fills_as_at_home(broker: TlsBroker, net: Net, tmp_path: Path) -> None:
    home = broker.home
    for own in ("local", "selftest-a", "selftest-b"):  # their tokens would be thrown away
        assert "IDENTITY_TAKEN" in home("host", "add", own, "--out", str(tmp_path / own), code=4)
    host, candidate = enrol(broker, net, tmp_path / "barn.json")
    try:
        bars = first_bars("GOOG-1d.csv", 60, tmp_path / "bars.csv")
        away = home.run(candidate, bars, "max", "GOOG", "--host", NAME)
        here = home.run(candidate, bars, "max", "IBM")
        for run in (away, here):
            home("run", "wait", run, "--timeout", "60")
        assert home.json("run", "show", away)["host"] == f"host-{NAME}"
        assert home.fills(away) == home.fills(here) != []
        home("audit", "verify")
    finally:
        end(host)


@pytest.mark.campaign
def test_run_on_another_machine_survives_a_pulled_cable(broker: TlsBroker, net: Net, tmp_path: Path) -> None:
    home = broker.home
    host, candidate = enrol(broker, net, tmp_path / "barn.json")
    try:
        bars = first_bars("GOOG-1d.csv", 150, tmp_path / "bars.csv")
        idle = children(host.pid)
        away = home.run(candidate, bars, "12", "GOOG", "--host", NAME)
        until(lambda: bars_of(home, away) > 20, what="bars")
        assert home.json("run", "show", away)["host"] == f"host-{NAME}"
        runners = children(host.pid) - idle
        assert runners

        net.pull()
        whole = uninterrupted(tmp_path, bars)
        until(lambda: not children(host.pid) & runners, 14.0, "the end of its runners")
        assert not seen(home)["is_up"]
        assert 20 < bars_of(home, away) < 150
        net.plug()

        home("run", "wait", away, "--timeout", "90")
        assert home.fills(away) == whole != []
        home("audit", "verify")
    finally:
        end(host)


@pytest.mark.campaign
def test_revoked_host_loses_its_run_to_the_local_one(broker: TlsBroker, net: Net, tmp_path: Path) -> None:
    home, credentials = broker.home, tmp_path / "barn.json"
    assert "NO_HOST" in inalpha(home.home, "run", "start", home.promote(STRATEGIES / "fast_cross.py"),
        "--symbol", "GOOG", "--timeframe", "1d", "--host", NAME,
        "--feed", f"replay:{first_bars('GOOG-1d.csv', 9, tmp_path / 'b.csv')}@max").stderr  # fmt: skip
    home("host", "add", NAME, "--out", str(credentials))
    broker.export()
    host = join(broker, net, credentials)
    try:
        until(lambda: seen(home).get("is_up"), what="the remote host")
        bars = first_bars("GOOG-1d.csv", 150, tmp_path / "bars.csv")
        candidate = home.items("candidate", "list")[0]["candidate"]
        idle = children(host.pid)
        run = home.run(candidate, bars, "20", "GOOG", "--host", NAME)
        until(lambda: bars_of(home, run) > 5, what="bars")
        runners = children(host.pid) - idle
        home("host", "revoke", NAME)
        until(lambda: not children(host.pid) & runners, what="the end of its runners")
        until(lambda: home.json("run", "show", run)["host"] == "host-local", what="the local host")
        home("run", "wait", run, "--timeout", "60")
        assert bars_of(home, run) == 150
        assert seen(home) == {}
        home("audit", "verify")
    finally:
        host.send_signal(signal.SIGTERM)
        host.wait(timeout=10)


def test_credentials_that_others_may_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "barn.json"
    file.write_text("{}")
    file.chmod(0o644)
    done = subprocess.run(
        [sys.executable, "-m", "runners.host", "--name", NAME, "--credentials", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "chmod 600" in done.stderr) == (78, True)
