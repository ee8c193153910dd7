"""The local runner host as a child: started, watched, started again; remote ones beside it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nacl.signing import SigningKey

from inalpha.bus import slots
from inalpha.bus.client import BusClient
from inalpha.bus.envelope import wall_us
from inalpha.bus.hosts import HostLink
from inalpha.bus.topics import LOCAL_HOST
from inalpha.daemon.commands import refresh_hosts
from inalpha.daemon.fleet import Fleet
from inalpha.model.home import Home
from inalpha.model.runner import RunnerEnded

if TYPE_CHECKING:
    from inalpha.daemon.office import Office

BOUND = "hosts.json"
PROBE_EVERY_S = 600.0
# Every runner as (pid, start time, boot id): a new host ends exact matches before its first run.
ORPHANS = "runners.json"


class HostChild:
    """The runner host as the daemon's child: `python -m` with this program and the arguments below."""

    program: tuple[str, ...] = ("runners.host",)

    def __init__(
        self, home: Home, office: Office, client: BusClient, run_dir: Path, instance: str, key: SigningKey
    ) -> None:
        self._home = home
        self._office = office
        self._run_dir = run_dir
        self._process: subprocess.Popen[bytes] | None = None

        def make(host: str, host_key: bytes) -> HostLink:
            return HostLink(
                client,
                host,
                key=key,
                host_key=host_key,
                instance=instance,
                epoch=office.ledger.epoch,
                on_ended=self._runner_ended,
                on_log=lambda run, text: office.log("runner_output", run=run, text=text),
                on_flood=lambda run, count: office.log(
                    "host_flood", "warning", run, host=host, dropped=count
                ),
            )

        self._link = make(LOCAL_HOST, bytes(slots.read_key(run_dir, LOCAL_HOST).verify_key))
        self._fleet = Fleet(self._link, make, run_dir / ORPHANS, home.root / BOUND)
        self._instance = instance
        self._client = client
        self._daemon_key = bytes(key.verify_key).hex()

    async def start(self) -> None:
        """Start it and wait for its measured level. Raises TryAgain("HOST_DOWN")."""
        await self._link.start()
        self._office.link = self._fleet
        await refresh_hosts(self._office)
        self._spawn()
        state = await self._link.wait_up()
        self._office.log("host_up", host=LOCAL_HOST, isolation=state.level, pid=self.pid)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def describe(self) -> list[dict[str, object]]:
        """Each host, the local one first. beat_us: wall time of its last word.

        level_is: `measured` by our own child, or `claimed` by another machine, which may say what it likes.
        """
        now_us = wall_us()
        return [
            {
                "name": link.host,
                "pid": self.pid if link is self._link else None,
                "level": link.level,
                "level_is": "measured" if link is self._link else "claimed",
                "is_remote": link is not self._link,
                "is_up": link.is_up,
                "beat_us": now_us - int(link.age_s * 1e6),
                "runs": link.runs,
            }
            for link in (self._link, *self._fleet.remotes)
        ]

    def _spawn(self) -> None:
        """From the main thread: the child dies with the thread that started it."""
        sandbox = self._office.config.sandbox
        orphans = self._run_dir / ORPHANS
        slot = self._run_dir / "slots"
        command = [
            sys.executable, "-P", "-m", *self.program, "--child", "--name", LOCAL_HOST.removeprefix("host-"),
            "--bus", self._client.address, "--root", self._client.root,
            "--instance", self._instance, "--epoch", str(self._office.ledger.epoch),
            "--token-file", str(slot / f"{LOCAL_HOST}.token"), "--key-file", str(slot / f"{LOCAL_HOST}.seed"),
            "--daemon-key", self._daemon_key, "--latch", str(self._home.latch), "--orphans", str(orphans),
            "--uid-base", str(sandbox.uid_base), "--max-runs", str(sandbox.max_runs),
            "--memory-share", str(sandbox.memory_share / 100),
            *(["--ca-file", self._client.ca_file] if self._client.ca_file else []),
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with open(self._run_dir / "host.log", "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd="/"
            )

    async def watch(self, changed: Callable[[], None]) -> None:
        """A dead host is started again; its runs come back by replay."""
        while True:
            if self._process is not None and self._process.poll() is not None:
                self._office.log("host_restart", "warning", host=LOCAL_HOST, code=self._process.returncode)
                self._fleet.forget()
                self._link.state = None
                actors = [a for run, a in self._office.actors.items() if self._fleet.is_local(run)]
                for actor in actors:
                    await actor.quiesce()
                self._spawn()
                await self._link.wait_up()
                changed()
                for actor in actors:
                    await actor.restart()
            await asyncio.sleep(0.05)

    async def watch_remotes(self, changed: Callable[[], None]) -> None:
        """A remote host that falls silent loses its runs; they come back by replay when it does."""
        was_up: dict[str, bool] = {}
        probed: dict[str, float] = {}
        while True:
            for link in self._fleet.remotes:
                before, is_up = was_up.get(link.host, False), link.is_up
                was_up[link.host] = is_up
                if is_up and not before and link.state is not None:
                    self._office.log("host_up", host=link.host, isolation=link.state.level)
                    changed()
                if (is_up and probed.get(link.host, 0.0) + PROBE_EVERY_S <= time.monotonic()) or (
                    is_up and not before
                ):
                    probed[link.host] = time.monotonic()
                    self._office.later(self._probe(link))
                elif before and not is_up:
                    self._office.log("host_lost", "warning", host=link.host, age_s=round(link.age_s, 1))
                    await self._alert_silence(link.host)
                    link.lose()
                    changed()
            await asyncio.sleep(0.1)

    async def _probe(self, link: HostLink) -> None:
        """Ask another machine to measure itself now; less than it said before is an alert."""
        said = link.level
        try:
            found = await link.probe()
        except RunnerEnded as error:
            self._office.log("host_probe", "warning", host=link.host, error=error.message)
            return
        self._office.log("host_probe", host=link.host, claims=found.level)
        if found.level != said:
            text = f"{link.host} said {said} and now claims {found.level or 'no level at all'}"
            await self._office.write(lambda txn: self._office.alert(txn, "host_level", link.host, text))

    async def _alert_silence(self, host: str) -> None:
        text = f"{host} is silent: its runs wait for it"
        await self._office.write(lambda txn: self._office.alert(txn, "host_lost", host, text))

    def _runner_ended(self, run: str, error: RunnerEnded) -> None:
        """A runner ended between bars."""
        actor = self._office.actors.get(run)
        if actor is not None and not actor.ended:
            self._office.later(actor.runner_ended(error))

    async def stop(self) -> None:
        """End it; its zygote and runners die with it."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        for _ in range(100):
            if process.poll() is not None:
                return
            await asyncio.sleep(0.02)
        process.kill()
        process.wait()
