"""Where runners come from: one zygote, replaced when it is dead, and what probe runners found of its isolation."""

from __future__ import annotations

import asyncio
import os

from runners.forkserver import Zygote
from runners.measure import measure
from runners.probe import LAYERS_OF, Evidence
from runners.process import RunnerProcess
from runners.protocol import Limits
from runners.settings import Settings


class Nursery:
    """One fork or measurement at a time. To be made on the main thread: the zygote ends with its maker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()
        self._zygote = Zygote()
        self._zygote.start()
        self.evidence: Evidence = measure(self._zygote, self._spare_uid())

    @property
    def layers(self) -> frozenset[str]:
        return LAYERS_OF[self.evidence.level or "process"]

    def uid(self, slot: int) -> int | None:
        """A uid per runner when we are root; else all have ours."""
        return self._settings.uid_base + slot if os.geteuid() == 0 else None

    def _spare_uid(self) -> int | None:
        return self.uid(self._settings.max_runs + 1)

    async def ensure(self) -> None:
        """A living zygote, measured. Raises ZygoteError or OSError."""
        async with self._turn:
            if not self._zygote.is_alive:
                self._zygote = Zygote()
                self._zygote.begin()
                await asyncio.to_thread(self._zygote.await_ready)
                self.evidence = await asyncio.to_thread(measure, self._zygote, self._spare_uid())

    async def measure_again(self) -> Evidence:
        """What probe runners find now; it holds from now on. Raises ZygoteError or OSError."""
        await self.ensure()
        async with self._turn:
            self.evidence = await asyncio.to_thread(measure, self._zygote, self._spare_uid())
            return self.evidence

    async def fork(self, slot: int, limits: Limits, layers: frozenset[str]) -> RunnerProcess:
        async with self._turn:
            return await asyncio.to_thread(
                self._zygote.spawn, uid=self.uid(slot), limits=limits, layers=layers
            )

    def close(self) -> None:
        self._zygote.close()
