"""One command to the daemon and its reply. Apart, since most verbs only read and need no bus."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inalpha.bus import slots
from inalpha.bus.client import BusClient
from inalpha.bus.command import CommandClient
from inalpha.client import presence
from inalpha.client.operator import Operator, bus_key


def ask(
    found: presence.Presence,
    command: str,
    args: Mapping[str, Any],
    operator: Operator | None,
    timeout_s: float,
) -> dict[str, Any]:
    """Sign with the operator's key, else with the slot's own. Raises what the daemon refused with, or TryAgain."""
    return asyncio.run(_ask(found, command, args, operator, timeout_s))


async def _ask(
    found: presence.Presence,
    command: str,
    args: Mapping[str, Any],
    operator: Operator | None,
    timeout_s: float,
) -> dict[str, Any]:
    with slots.take_slot(Path(found.run_dir), "cli") as slot:
        async with BusClient(identity=slot.identity, token=slot.token, **found.endpoint()) as client:
            key, kid = slot.key, slot.identity
            if operator is not None:
                key, kid = bus_key(operator.signer), operator.signer.vkey.text
            request = CommandClient(
                client, key, kid, instance=found.instance, daemon_key=bytes.fromhex(found.daemon_key)
            )
            await request.start()
            return await request.request(command, args, timeout_s)
