"""Consoles are told of halts, keys, waivers and every other line that no bar brought."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from support.installation import Installation

from inalpha.bus import envelope, slots, topics
from inalpha.bus.client import BusClient, Message


async def kinds_told(home: Installation, act: Callable[[], Any], wanted: set[str]) -> None:
    """Do it with a console attached, and wait until that has heard every kind."""
    heard: set[str] = set()

    def note(message: Message) -> None:
        found = envelope.decode(
            message.payload, topic=message.topic, is_retained=message.is_retained, now_us=envelope.wall_us()
        )
        heard.add(msgspec.json.decode(found.body)["kind"])

    run_dir = Path(home.presence()["run_dir"])
    with slots.take_slot(run_dir, "console") as slot:
        async with BusClient(str(run_dir / "bus.sock"), slot.identity, slot.token) as console:
            await console.subscribe(topics.NOTICE, note)
            await asyncio.to_thread(act)
            async with asyncio.timeout(10):
                while not wanted <= heard:
                    await asyncio.sleep(0.01)


def test_halts_keys_waivers_and_other_lines_ring(installation: Installation) -> None:
    home = installation

    def act() -> None:
        home("halt", "--reason", "a test")
        home("resume", "all", "--reason", "a test")
        home(
            "operator", "add", "bob", "--role", "operator", "--insecure-no-passphrase", "--operator", "alice"
        )
        waiver = ("policy", "opt-out", "duplicate", "--run", "run-1", "--reason", "a test")
        home(*waiver, "--expires", "1h", "--operator", "alice")
        home("account", "deposit", "100", "--account", "alice", "--operator", "alice")

    asyncio.run(kinds_told(home, act, {"halt", "key", "waiver", "lines"}))
