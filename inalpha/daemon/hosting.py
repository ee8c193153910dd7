"""The local runner host as a child: started, watched, started again; and the link that asks it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nacl.signing import SigningKey

from inalpha.bus import slots
from inalpha.bus.client import BusClient
from inalpha.bus.hosts import HostLink
from inalpha.daemon.link import Evidence, RunnerLink
from inalpha.model.bar import Bar
from inalpha.model.home import Home
from inalpha.model.runner import RunnerEnded
from inalpha.model.step import StepReply, StepRequest

if TYPE_CHECKING:
    from inalpha.daemon.office import Office
    from inalpha.daemon.runplan import RunPlan

HOST = "host-local"
# Every runner as (pid, start time, boot id): a new host ends exact matches before its first run.
ORPHANS = "runners.json"


class BusRunnerLink(RunnerLink):
    """Asks one host over the bus, and remembers which process holds which run."""

    def __init__(self, link: HostLink, orphans: Path) -> None:
        self._link = link
        self._orphans = orphans
        self._pids: dict[str, int] = {}
        self._recorded: dict[str, tuple[int, int, str]] = {}

    def measured(self) -> tuple[str, str | None] | None:
        state = self._link.state
        return (self._link.host, state.level) if state is not None and state.up else None

    async def load(self, plan: RunPlan, level: str = "sealed") -> Evidence:
        """A fresh runner; one that is left from before is ended first."""
        spec, settings = plan.spec, plan.rules.controls.runner_limits
        await self._link.kill(spec.run)
        loaded = await self._link.load(
            spec.run,
            plan.source,
            spec.strategy_sha256,
            dict(spec.params),
            spec.instrument,
            spec.timeframe,
            spec.seed,
            step_s=float(settings.bar_s),
            memory_bytes=settings.memory_mib << 20,
            level=level,
        )
        self._pids[spec.run] = loaded.pid
        self._recorded[spec.run] = (loaded.pid, loaded.start_ticks, loaded.boot_id)
        self._orphans.write_text(json.dumps(list(self._recorded.values())), encoding="utf-8")
        return Evidence(self._link.host, loaded.level, loaded.evidence)

    async def warm(self, run: str, bars: Sequence[Bar]) -> None:
        await self._link.warm(run, bars)

    async def step(self, run: str, request: StepRequest) -> StepReply:
        try:
            return await self._link.step(run, request)
        except RunnerEnded:
            self._pids.pop(run, None)
            raise

    async def stop(self, run: str) -> None:
        self._pids.pop(run, None)
        await self._link.stop(run)

    async def kill(self, run: str) -> None:
        self._pids.pop(run, None)
        await self._link.kill(run)

    def pids(self) -> dict[str, int]:
        return dict(self._pids)

    def forget(self) -> None:
        """The host is gone, and every runner with it."""
        self._pids.clear()


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
        host_key = bytes(slots.read_key(run_dir, HOST).verify_key)
        self._link = HostLink(
            client,
            HOST,
            key=key,
            host_key=host_key,
            instance=instance,
            epoch=office.ledger.epoch,
            on_ended=self._runner_ended,
            on_log=lambda run, text: office.log("runner_output", run=run, text=text),
        )
        self._bus_link = BusRunnerLink(self._link, run_dir / ORPHANS)
        self._instance = instance
        self._bus = client.address
        self._daemon_key = bytes(key.verify_key).hex()

    async def start(self) -> None:
        """Start it and wait for its measured level. Raises TryAgain("HOST_DOWN")."""
        await self._link.start()
        self._office.link = self._bus_link
        self._spawn()
        state = await self._link.wait_up()
        self._office.log("host_up", host=HOST, isolation=state.level, pid=self.pid)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def describe(self) -> dict[str, object]:
        state = self._link.state
        return {"name": HOST, "pid": self.pid, "level": state.level if state else None}

    def _spawn(self) -> None:
        """From the main thread: the child dies with the thread that started it."""
        sandbox = self._office.config.sandbox
        orphans = self._run_dir / ORPHANS
        slot = self._run_dir / "slots"
        command = [
            sys.executable, "-P", "-m", *self.program, "--child", "--name", HOST.removeprefix("host-"),
            "--bus", self._bus, "--instance", self._instance, "--epoch", str(self._office.ledger.epoch),
            "--token-file", str(slot / f"{HOST}.token"), "--key-file", str(slot / f"{HOST}.seed"),
            "--daemon-key", self._daemon_key, "--latch", str(self._home.latch), "--orphans", str(orphans),
            "--uid-base", str(sandbox.uid_base), "--max-runs", str(sandbox.max_runs),
            "--memory-share", str(sandbox.memory_share / 100),
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
                self._office.log("host_restart", "warning", host=HOST, code=self._process.returncode)
                self._bus_link.forget()
                self._link.state = None
                for actor in self._office.actors.values():
                    await actor.quiesce()
                self._spawn()
                await self._link.wait_up()
                changed()
                for actor in self._office.actors.values():
                    await actor.restart()
            await asyncio.sleep(0.05)

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
