"""SIGKILL of the daemon after a commit and before the broker took its notice: the next daemon publishes it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.installation import STRATEGIES, Installation, first_bars, until

from inalpha.bus import envelope, slots, topics
from inalpha.bus.client import BusClient, Message
from inalpha.ledger import readers


def outbox(home: Installation) -> list[list[Any]]:
    reader = readers.open_reader(home.home)
    try:
        return [json.loads(row[0]) for row in reader.execute("SELECT body FROM outbox ORDER BY seq")]
    finally:
        reader.close()


async def hear_from_the_next_daemon(home: Installation, wanted: list[Any]) -> None:
    """A console that comes with the new broker, before the daemon says that it is ready."""
    former = home.presence()["epoch"]
    heard: list[list[Any]] = []

    def note(message: Message) -> None:
        found = envelope.decode(
            message.payload, topic=message.topic, is_retained=message.is_retained, now_us=envelope.wall_us()
        )
        body = msgspec.json.decode(found.body)
        heard.append([body["kind"], body["ids"]])

    starting = asyncio.create_task(asyncio.to_thread(home.start))
    async with asyncio.timeout(40):
        while home.presence().get("epoch", former) == former:
            await asyncio.sleep(0.01)
        run_dir = Path(home.presence()["run_dir"])
        with slots.take_slot(run_dir, "console") as slot:
            async with BusClient(str(run_dir / "bus.sock"), slot.identity, slot.token) as console:
                await console.subscribe(topics.NOTICE, note)
                while not any(kind == wanted[0] and set(wanted[1]) <= set(ids) for kind, ids in heard):
                    await asyncio.sleep(0.01)
        await starting


@pytest.mark.campaign
def test_notice_that_the_broker_never_took_is_published_after_a_sigkill(
    installation: Installation, tmp_path: Path
) -> None:
    home = installation
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    bars = first_bars("GOOG-1d.csv", 80, tmp_path / "goog.csv")
    run = home.run(candidate, bars, "max", "GOOG", "--approval", "human", "--expires", "4s")
    until(lambda: home.items("plan", "list", "--state", "pending"), what="a pending plan")
    broker = home.presence()["broker"]["pid"]
    os.kill(broker, signal.SIGSTOP)
    told = ["run", [run]]
    until(lambda: told in outbox(home), what="the end of its mandate, committed")
    home.kill("daemon")
    assert told in outbox(home)
    asyncio.run(hear_from_the_next_daemon(home, told))
    assert home.json("run", "show", run)["reason"] == "mandate_expired"
    home("audit", "verify")
