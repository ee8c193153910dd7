"""Every runner host as one: a run is bound to one of them, the local one unless its start named another.

A run waits for the host it was given to, and comes back there by replay; once that host's key is revoked
it goes on at the local one. Which host a run has is kept in a file: it decides where code runs, never what
is true, and each `run.isolated` line says where it did run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inalpha.bus.hosts import HostLink
from inalpha.bus.topics import LOCAL_HOST
from inalpha.daemon.link import Evidence, RunnerLink
from inalpha.model.bar import Bar
from inalpha.model.errors import Refused, TryAgain
from inalpha.model.runner import HostLost, RunnerEnded
from inalpha.model.step import StepReply, StepRequest
from inalpha.risk.settings import RunnerLimits

if TYPE_CHECKING:
    from inalpha.daemon.runplan import RunPlan

LEVELS = ("process", "fenced", "sealed")


class Fleet(RunnerLink):
    """Asks the host of each run. make: a link to a host, by its name and public key."""

    def __init__(self, local: HostLink, make: Callable[[str, bytes], HostLink], orphans: Path, bound: Path):
        self._links = {LOCAL_HOST: local}
        self._keys: dict[str, bytes] = {}
        self._make = make
        self._orphans, self._bound_file = orphans, bound
        self._bound: dict[str, str] = json.loads(bound.read_text("utf-8")) if bound.exists() else {}
        self._pids: dict[str, int] = {}
        self._recorded: dict[str, tuple[int, int, str]] = {}

    @property
    def remotes(self) -> list[HostLink]:
        return [link for name, link in self._links.items() if name != LOCAL_HOST]

    def bind(self, run: str, host: str | None) -> None:
        """Give a run to a host, for good; None is the local one. Raises Refused("NO_HOST")."""
        name = f"host-{host}" if host else LOCAL_HOST
        if name not in self._links:
            raise Refused("NO_HOST", f"there is no host {host}.", "List them: inalpha host list")
        if self._bound.get(run, LOCAL_HOST) == name:
            return
        self._bound[run] = name
        temporary = self._bound_file.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(self._bound, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._bound_file)

    async def enrolled(self, keys: dict[str, bytes]) -> None:
        """The remote hosts that count from now on: name -> public key. The runs of others are lost to them.

        A key enrolled under the local host's name takes nothing from it: that one's key is made at each start.
        """
        keys = {name: key for name, key in keys.items() if name != LOCAL_HOST}
        for name in [name for name, key in self._keys.items() if keys.get(name) != key]:
            del self._keys[name]
            await self._links.pop(name).close()
        for name, key in keys.items():
            if name not in self._keys:
                self._keys[name] = key
                self._links[name] = self._make(name, key)
                await self._links[name].start()

    def measured(self, run: str) -> tuple[str, str | None] | None:
        link = self._of(run)
        return (link.host, link.level) if link.state is not None and link.state.up else None

    def _of(self, run: str) -> HostLink:
        return self._links.get(self._bound.get(run, LOCAL_HOST), self._links[LOCAL_HOST])

    async def load(self, plan: RunPlan, limits: RunnerLimits, level: str = "sealed") -> Evidence:
        """A fresh runner; one that is left from before is ended first."""
        spec = plan.spec
        link = self._of(spec.run)
        await link.kill(spec.run)
        try:
            loaded = await link.load(
                spec.run,
                plan.source,
                spec.strategy_sha256,
                dict(spec.params),
                spec.instrument,
                spec.timeframe,
                spec.seed,
                step_s=float(limits.bar_s),
                memory_bytes=limits.memory_mib << 20,
                level=level,
            )
        except TryAgain:  # it is down
            raise HostLost(link.host, link.age_s) from None
        if loaded.level not in LEVELS[LEVELS.index(level) :]:
            await link.kill(spec.run)
            raise RunnerEnded(
                "isolation", f"{link.host} loaded it {loaded.level or 'unmeasured'}, not {level}"
            )
        if link.host == LOCAL_HOST:
            self._pids[spec.run] = loaded.pid
            self._recorded[spec.run] = (loaded.pid, loaded.start_ticks, loaded.boot_id)
            self._orphans.write_text(json.dumps(list(self._recorded.values())), encoding="utf-8")
        return Evidence(link.host, loaded.level, loaded.evidence)

    async def warm(self, run: str, bars: Sequence[Bar]) -> None:
        await self._of(run).warm(run, bars)

    async def step(self, run: str, request: StepRequest) -> StepReply:
        try:
            return await self._of(run).step(run, request)
        except RunnerEnded:
            self._pids.pop(run, None)
            raise

    async def stop(self, run: str) -> None:
        self._pids.pop(run, None)
        await self._of(run).stop(run)

    async def kill(self, run: str) -> None:
        self._pids.pop(run, None)
        await self._of(run).kill(run)

    def pids(self) -> dict[str, int]:
        """Of this machine's runners."""
        return dict(self._pids)

    def forget(self) -> None:
        """The local host is gone, and every runner with it."""
        self._pids.clear()

    def is_local(self, run: str) -> bool:
        return self._of(run).host == LOCAL_HOST
