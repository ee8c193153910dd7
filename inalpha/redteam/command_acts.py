"""Acts with commands: altered, replayed, retained, out of time or place, or none at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nacl.signing import SigningKey

from inalpha.bus import envelope, topics
from inalpha.redteam.stage import STOLEN, Stage, lift


def halt_args() -> dict[str, Any]:
    return {"scope": "all", "state": "HALTED", "reason": "red team", "user": "attacker"}


def refused(cmd: str, args: Callable[[Stage], dict[str, Any]], control: str, **other: Any) -> Any:
    """A halt (or another command) that must be refused; other: how its envelope differs from a good one."""

    async def play(stage: Stage) -> tuple[str, str]:
        given = {key: value(stage) if callable(value) else value for key, value in other.items()}
        code = await stage.ask(*stage.command(stage.slot(), cmd, args(stage), **given))
        if stage.halted():
            await lift(stage)
            return "a halt was set", ""
        return (f"accepted: {cmd}", "") if code == "OK" else ("", f"{control} ({code})")

    return play


async def altered(stage: Stage) -> tuple[str, str]:
    """A signed stop, its payload replaced by a halt of everything, its signature kept."""
    import base64

    _, signed = stage.command(stage.slot(), "stop", {"run": "run-0"})
    identifier, other = stage.command((SigningKey.generate(), STOLEN), "halt", halt_args())
    sealed = json.loads(signed)
    sealed["payload"] = json.loads(other)["payload"]
    assert base64.b64decode(sealed["payload"])
    code = await stage.ask(identifier, json.dumps(sealed).encode())
    if stage.halted():
        await lift(stage)
        return "an altered command took effect", ""
    return "", f"signature ({code})"


async def replayed(stage: Stage) -> tuple[str, str]:
    """A person's halt, recorded, and sent again after it was lifted."""
    identifier, raw = stage.command(stage.slot(), "halt", halt_args())
    first = await stage.ask(identifier, raw)
    if first != "OK":
        return f"the honest halt was refused: {first}", ""
    await lift(stage)
    before = stage.halts()
    for _ in range(3):
        await stage.ask(identifier, raw)
    count = stage.halts() - before
    await lift(stage)
    return (f"it took effect {count} times more", "") if count else ("", "each id once")


async def retained(stage: Stage) -> tuple[str, str]:
    identifier, raw = stage.command(stage.slot(), "halt", halt_args(), now_us=envelope.wall_us() - 60_000_000)
    code = await stage.ask(identifier, raw, retain=True)
    if stage.halted():
        await lift(stage)
        return "a retained old halt took effect", ""
    return "", f"expiry ({code})"


async def garbage(stage: Stage) -> tuple[str, str]:
    """Nothing of it may stop the daemon or leave a line."""
    peer = await stage.peer(STOLEN)
    before = stage.lines()
    good = stage.command(stage.slot(), "stop", {"run": "run-0"})[1]
    for raw in (b"", b"{", b"\xff" * 500, b"[" * 50_000, good[:-1], good + b"x", b'{"v":1}' * 9000,
                json.dumps({"v": 1, "kid": "x" * 90_000, "sig": "", "payload": ""}).encode()):  # fmt: skip
        peer.publish(stage.full(topics.command(STOLEN)), raw)
    await peer.ping()
    peer.cut()
    answer = await stage.ask(*stage.command(stage.slot(), "stop", {"run": "run-0"}))
    if answer == "silence":
        return "the daemon fell silent", ""
    grown = stage.lines() - before
    return (f"{grown} lines were written", "") if grown > 5 else ("", "strict decoding")


async def oversize(stage: Stage) -> tuple[str, str]:
    peer = await stage.peer(STOLEN)
    try:
        peer.publish(stage.full(topics.command(STOLEN)), b"x" * (8 << 20))
        await peer.ping()
        seen = "kept open"
    except (EOFError, TimeoutError, ConnectionError):
        seen = "closed"
    peer.cut()
    answer = await stage.ask(*stage.command(stage.slot(), "stop", {"run": "run-0"}))
    return ("the daemon fell silent", "") if answer == "silence" else ("", f"packet limit ({seen})")


# -- gates -------------------------------------------------------------------------------------------


def no_args(_: Stage) -> dict[str, Any]:
    return halt_args()
