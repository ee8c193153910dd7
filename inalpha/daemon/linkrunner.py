"""The runner as a replay sees it: synchronous, asking over the bus from a worker thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from inalpha.model.bar import Bar
from inalpha.model.step import StepReply, StepRequest

if TYPE_CHECKING:
    from inalpha.daemon.office import Office


class LinkRunner:
    """The runner as the replay sees it: asks over the bus from a worker thread."""

    def __init__(self, office: Office, run: str, loop: asyncio.AbstractEventLoop) -> None:
        self._office = office
        self._run = run
        self._loop = loop

    def warm(self, bars: list[Bar]) -> None:
        asyncio.run_coroutine_threadsafe(self._office.link.warm(self._run, bars), self._loop).result()

    def step(self, request: StepRequest) -> StepReply:
        future = asyncio.run_coroutine_threadsafe(self._office.link.step(self._run, request), self._loop)
        return future.result()
