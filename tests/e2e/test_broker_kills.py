"""SIGKILL of the broker again and again while runs trade and two consoles listen: nothing is lost."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.installation import STRATEGIES, Installation, first_bars

from inalpha.bus import envelope, slots, topics
from inalpha.bus.client import BusClient, Message
from inalpha.ledger import readers

SOURCES = {
    "GOOG": "GOOG-1d.csv",
    "IBM": "IBM-1d.csv",
    "AAPL": "AAPL-1d-adjusted.csv",
    "MSFT": "MSFT-1d-adjusted.csv",
}


class Console:
    """A console's end of the bus: when it came back, and how far the ledger reached by what it heard."""

    def __init__(self, run_dir: Path, slot: slots.Slot) -> None:
        self.head = 0
        self.back_at: list[float] = []
        self.client = BusClient(
            str(run_dir / "bus.sock"),
            slot.identity,
            lambda: slots.read_token(run_dir, slot.identity),
            on_connect=self._connected,
        )

    async def start(self) -> None:
        await self.client.subscribe(topics.DAEMON_BEAT, self._heard)
        await self.client.subscribe(topics.NOTICE, self._heard)
        await self.client.start()

    async def _connected(self) -> None:
        self.back_at.append(time.monotonic())

    def _heard(self, message: Message) -> None:
        found = envelope.decode(
            message.payload, topic=message.topic, is_retained=False, now_us=envelope.wall_us()
        )
        body: dict[str, Any] = msgspec.json.decode(found.body)
        self.head = max(self.head, body.get("head", 0), body.get("seq", 0))


async def poll(holds: Any, what: str, timeout_s: float = 20.0) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while not holds():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{what} did not come within {timeout_s} s") from None


async def kill_again_and_again(home: Installation, count: int, pause_s: float) -> list[float]:
    """Seconds from each SIGKILL until a console is subscribed again."""
    run_dir = Path(home.presence()["run_dir"])
    delays = []
    with ExitStack() as stack:
        consoles = [
            Console(run_dir, stack.enter_context(slots.take_slot(run_dir, "console"))) for _ in range(2)
        ]
        for console in consoles:
            await console.start()
        for number in range(count):
            await asyncio.sleep(random.uniform(0.2, 1.0) * pause_s)
            pid = home.presence()["broker"]["pid"]
            began = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            await poll(lambda pid=pid: home.presence()["broker"]["pid"] != pid, "a new broker")
            for console in consoles:
                await poll(lambda c=console, n=number: len(c.back_at) == n + 2, "the console")
                delays.append(console.back_at[-1] - began)
        runs = [item["run"] for item in home.items("run", "list")]
        for run in runs:
            await asyncio.to_thread(home, "run", "wait", run, "--timeout", "120")
        for console in consoles:
            await poll(lambda c=console: c.head == _size(home), "the last line's notice or beat")
            await console.client.close()
    return sorted(delays)


def _size(home: Installation) -> int:
    reader = readers.open_reader(home.home)
    try:
        return readers.size(reader)
    finally:
        reader.close()


def start_runs(home: Installation, folder: Path, count: int, bars: int, speed: str) -> list[str]:
    home.init()
    home.start()
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    started = []
    for symbol, source in list(SOURCES.items())[:count]:
        file = first_bars(source, bars, folder / f"{home.home.name}-{symbol}.csv")
        started.append(home.run(candidate, file, speed, symbol))
    return started


def bars_stepped(home: Installation, run: str) -> list[int]:
    """Bar numbers in the journal, in order: a step made twice would be there twice."""
    reader = readers.open_reader(home.home)
    try:
        rows = reader.execute("SELECT bar FROM journal WHERE run = ? AND kind = 'bar' ORDER BY n", (run,))
        return [row[0] for row in rows]
    finally:
        reader.close()


def torment(tmp_path: Path, kills: int, runs_of: int, bars: int, speed: str, pause_s: float) -> list[float]:
    hit, calm = Installation(tmp_path / "hit"), Installation(tmp_path / "calm")
    try:
        runs = start_runs(hit, tmp_path, runs_of, bars, speed)
        delays = asyncio.run(kill_again_and_again(hit, kills, pause_s))
        whole = start_runs(calm, tmp_path, runs_of, bars, "max")
        for run in whole:
            calm("run", "wait", run, "--timeout", "60")
        for run, other in zip(runs, whole, strict=True):
            assert bars_stepped(hit, run) == list(range(bars))
            assert hit.fills(run) == calm.fills(other) != []
        hit("audit", "verify")
    finally:
        hit.stop()
        calm.stop()
    logging.info(
        "back after median %.3f s, slowest %.3f s of %d", delays[len(delays) // 2], delays[-1], len(delays)
    )
    return delays


def test_broker_kill_loses_nothing(tmp_path: Path) -> None:
    assert len(torment(tmp_path, 1, 1, 60, "40", 0.6)) == 2


@pytest.mark.campaign
def test_fifty_broker_kills_lose_nothing(tmp_path: Path) -> None:
    assert len(torment(tmp_path, 50, 4, 300, "4", 2.0)) == 100
