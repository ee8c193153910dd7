"""Measures which level of isolation a fresh zygote's runners have, by probe runners."""

from __future__ import annotations

import os
import platform
import select
import signal
import sys
from importlib import metadata

import msgspec

from inalpha.model.runner import RunnerEnded
from runners import lockdown
from runners.forkserver import Zygote
from runners.messages import FrameReader, ProtocolError
from runners.probe import FATAL, LAYERS_OF, LEVELS, NEEDS, Evidence, Findings
from runners.process import RunnerProcess
from runners.protocol import Conversation, Limits

_TIMEOUT_S = 5.0


def measure(zygote: Zygote, uid: int | None) -> Evidence:
    """The strictest level whose every need is refused to a probe. uid: a spare one when root."""
    unlocked = _probe(zygote, uid, frozenset({"uid"}), "all")
    attempts: dict[str, str] = {}
    level = None
    for candidate in LEVELS:
        attempts = _attempts(zygote, uid, LAYERS_OF[candidate], candidate)
        refused = {name for name, outcome in attempts.items() if outcome.startswith("refused")}
        if attempts.get("control") == "allowed" and NEEDS[candidate] <= refused:
            level = candidate
            break
    return Evidence(level, attempts, unlocked, _facts(zygote))


def _attempts(zygote: Zygote, uid: int | None, layers: frozenset[str], level: str) -> dict[str, str]:
    found = _probe(zygote, uid, layers, "all")
    if level == "sealed" and found:
        for name in FATAL:
            found[name] = _probe(zygote, uid, layers, name).get(name, "allowed")
    return found


def _probe(zygote: Zygote, uid: int | None, layers: frozenset[str], role: str) -> dict[str, str]:
    """Outcomes by attempt; empty when the lockdown itself failed. Dying by SIGSYS is a refusal."""
    runner = zygote.spawn(uid=uid, limits=Limits(), layers=layers, role="probe" if role == "all" else role)
    talk, frames = Conversation(runner.pid), FrameReader()
    try:
        while talk.receive(_read(runner)) is None:
            pass
        runner.check(layers)
        runner.sock.sendall(talk.ping())
        while (text := frames.feed(_read(runner))) is None:
            pass
        return dict(msgspec.json.decode(text, type=Findings).attempts)
    except (RunnerEnded, ProtocolError, msgspec.MsgspecError, OSError, EOFError):
        pass
    finally:
        runner.kill(RunnerEnded("exit", "the probe is done"))
        gone = runner.reap()
    return {role: "refused: SIGSYS"} if role in FATAL and gone.signal == signal.SIGSYS else {}


def _read(runner: RunnerProcess) -> bytes:
    poll = select.poll()
    poll.register(runner.sock, select.POLLIN)
    if not poll.poll(_TIMEOUT_S * 1000):
        raise TimeoutError("a probe runner did not answer")
    data = runner.sock.recv(4096)
    if not data:
        raise EOFError("a probe runner ended")
    return data


def _facts(zygote: Zygote) -> dict[str, object]:
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": sys.version.split()[0],
        "packages": {name: metadata.version(name) for name in ("numpy", "pandas", "ta", "msgspec")},
        "landlock_abi": lockdown.landlock_abi(),
        "filter_sha256": lockdown.filter_sha256(),
        "namespaces": zygote.namespaces,
        "root": os.geteuid() == 0,
        "warm_up_failed": list(zygote.failed),
    }
