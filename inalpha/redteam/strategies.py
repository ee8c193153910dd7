"""Hostile strategies in real runs of the scratch installation, judged by what they left behind."""

from __future__ import annotations

import hashlib
import re
import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from inalpha.bus import slots
from inalpha.model.states import LIVE_RUN_STATES
from inalpha.redteam.outcome import Outcome, Progress
from inalpha.redteam.scratch import Scratch

BARS, SPEED, SIDE_BY_SIDE = 8, "40", 4
_END_S = 20.0
LIVE_STATES = {state.value for state in LIVE_RUN_STATES}

# Who has the last word where a run ended with this code.
_CONTROL_OF = {
    "sigsys": "seccomp", "memory": "limits", "deadline": "deadline", "between": "ping",
    "output": "output cap", "protocol": "step protocol", "exit": "watchdog", "signal": "watchdog",
    "load": "loader", "isolation": "level check",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Payload:
    """One bundled file. held_by: the control that is expected to hold it where its end does not tell."""

    name: str
    what: str
    held_by: str
    source: str


def payloads() -> list[Payload]:
    """Every bundled file, by name."""
    found = []
    for entry in sorted(resources.files("inalpha.redteam").joinpath("payloads").iterdir(), key=str):
        if entry.name.endswith(".py"):
            text = entry.read_text(encoding="utf-8")
            held = re.search(r"^# held by: (.*)$", text, re.M)
            what = text.partition('"""')[2].partition('"""')[0]
            found.append(Payload(entry.name[:-3], what, held.group(1) if held else "", text))
    return found


class Canaries:
    """Real files, a listener and the installation's own secrets; `fired` names what was reached.

    One set for each payload: they run side by side, and a breach has to be laid at the right door.
    """

    def __init__(self, scratch: Scratch, name: str) -> None:
        self._scratch = scratch
        home, run_dir = scratch.home, scratch.run_dir
        folder = scratch.folder(f"{name}-canaries")
        self._secret_file = folder / "secret.txt"
        self._secret_file.write_text(scratch.secret, encoding="ascii")
        self._secret_file.chmod(0o644)
        self._out = scratch.folder(f"{name}-out")
        token = run_dir / "slots" / "console-32.token"
        key = home.keys / "op" / "redteam.key"
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        ledger = next(home.root.glob("*.db"))
        self.targets: dict[str, Any] = {
            "key": str(key),
            "ledger": str(ledger),
            "token": str(token),
            "secret": str(self._secret_file),
            "out": str(self._out),
            "latch": str(home.latch),
            "bus": str(run_dir / "bus.sock"),
            "port": self._listener.getsockname()[1],
        }
        self._marks = {
            "secret": scratch.secret,
            "bus token": slots.read_token(run_dir, "console-32"),
            "operator's key": key.read_text(encoding="ascii").strip().splitlines()[-1],
            "ledger": ledger.read_bytes()[:30].hex(),
        }
        self._latch = self._digest(home.latch)

    @staticmethod
    def _digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def fired(self, said: str) -> list[str]:
        found = [f"{name} was read" for name, mark in self._marks.items() if mark in said]
        if "ESCAPED" in said:
            found.append(said[said.index("ESCAPED") :].partition("\\n")[0][:100].partition('"')[0])
        if left := sorted(path.name for path in self._out.iterdir()):
            found.append(f"left {', '.join(left)}")
        if select.select([self._listener], [], [], 0)[0]:
            found.append("a connection was made")
        if self._digest(self._scratch.home.latch) != self._latch:
            found.append("the halt latch changed")
        return found

    def close(self) -> None:
        self._listener.close()


def play(scratch: Scratch, only: frozenset[str] | None, progress: Progress) -> list[Outcome]:
    """Every payload in a run of its own, an honest run beside them. only: payload names, None for all."""
    chosen = [payload for payload in payloads() if only is None or payload.name in only]
    bundle = {payload.name: payload.source for payload in payloads()}
    trojan = scratch.promote(scratch.submit("trojan.py", f"PAYLOADS = {bundle!r}\n"))
    honest = scratch.promote(scratch.submit("bystander.py"))
    bars = scratch.bars(BARS)
    neighbour = scratch.start_run(honest, "CALM", scratch.bars(2000), "20")
    found: list[Outcome] = []

    def one(position: int, payload: Payload) -> Outcome:
        canaries = Canaries(scratch, payload.name)
        params = {"which": payload.name, **{f"at_{name}": at for name, at in canaries.targets.items()}}
        run = scratch.start_run(trojan, f"R{position:02d}", bars, SPEED, params=params)
        try:
            return judge(scratch, canaries, payload, run)
        finally:
            canaries.close()

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for outcome in pool.map(one, range(len(chosen)), chosen):
            found.append(outcome)
            progress(outcome)
    found.append(_neighbour(scratch, neighbour))
    progress(found[-1])
    return found


def judge(scratch: Scratch, canaries: Canaries, payload: Payload, run: str) -> Outcome:
    """Wait for the run's end and look at the canaries, never at what the file claims to have failed."""
    until = time.monotonic() + _END_S
    item = scratch.run(run)
    while item["state"] in LIVE_STATES and time.monotonic() < until:
        time.sleep(0.05)
        item = scratch.run(run)
    texts = scratch.texts(run)
    breaches = canaries.fired(texts)
    if item["state"] in LIVE_STATES:
        breaches.append(f"still {item['state']} after {_END_S:.0f} s")
    if item["fills"]:
        breaches.append(f"{item['fills']} fills")
    told = item["error"] or f"went on; {item['reason'] or item['state']}"
    if breaches:
        return Outcome("strategy", payload.name, payload.what, "", "; ".join(breaches), True)
    return Outcome("strategy", payload.name, payload.what, _control(item, payload), told, False)


def _control(item: dict[str, Any], payload: Payload) -> str:
    code = str(item["reason"] or "")
    if code == "exception":
        refused = "PermissionError" in item["error"] or "can't start new thread" in item["error"]
        return "seccomp" if refused else payload.held_by
    return _CONTROL_OF.get(code, payload.held_by)


def _neighbour(scratch: Scratch, run: str) -> Outcome:
    """The honest run has to trade on, bar after bar."""
    item = scratch.run(run)
    is_well = item["state"] == "running" and item["bars"] > 0 and item["error"] is None
    told = f"{item['state']}, {item['bars']} bars, {item['fills']} fills"
    what = "An honest run beside them all loses no bar."
    return Outcome("strategy", "neighbour", what, "process per run" if is_well else "", told, not is_well)
