"""The runner: lockdown first, then one strategy, answering the host's requests over one socket.

Nothing here defends anything: the strategy shares this process and may alter every object of it. What
holds is the kernel's lockdown below and the host's checks on the other end of the socket.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.step import MAX_LOG_BYTES, MAX_LOGS, StepReply, StepRequest
from runners import lockdown, messages, probe

if TYPE_CHECKING:
    from inalpha.strategy.driver import StrategyDriver

EXIT_LOCKDOWN = 97
SOURCE_NAME = "strategy"  # module and file name of the candidate, as tracebacks show it
_WAIT_FOR_HOST_S = 2.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the zygote hands to a fresh fork. role: "runner" or a probe's name."""

    host_pid: int
    memory_bytes: int
    uid: int | None
    layers: frozenset[str]
    role: str


def become_runner(given: Assignment, socket_fd: int, output_fd: int) -> NoReturn:
    """Place descriptors, lock down, say ready, serve. Never returns."""
    try:
        os.setsid()
        _await_host(given.host_pid)
        os.dup2(output_fd, 1, inheritable=False)
        os.dup2(output_fd, 2, inheritable=False)
        os.dup2(socket_fd, lockdown.SOCKET_FD, inheritable=False)
        lockdown.close_descriptors(lockdown.SOCKET_FD + 1)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        lockdown.apply(lockdown.Lockdown(given.host_pid, given.memory_bytes, given.uid, given.layers))
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}".encode()[:500])
        os._exit(EXIT_LOCKDOWN)
    _send(messages.frame(messages.Ready(os.getpid())))
    if given.role != "runner":
        _receive(b"")
        _send(probe.answer(given.role, given.memory_bytes, given.host_pid))
        _receive(b"")
        os._exit(0)
    _serve()


def _await_host(host_pid: int) -> None:
    # The intermediate fork has to end before this process belongs to the host.
    until = time.monotonic() + _WAIT_FOR_HOST_S
    while os.getppid() != host_pid:
        if time.monotonic() > until:
            raise RuntimeError("the host did not become the parent")
        time.sleep(0.0002)


def _send(data: bytes) -> None:
    # os.write is looked up at each call on purpose: the attack suite replaces it to forge frames.
    while data:
        data = data[os.write(lockdown.SOCKET_FD, data) :]


def _receive(buffer: bytes) -> tuple[bytes, bytes]:
    """One frame's text and what came after it. Ends the process when the host has gone."""
    while True:
        if len(buffer) >= 4:
            end = 4 + int.from_bytes(buffer[:4], "big")
            if len(buffer) >= end:
                return buffer[4:end], buffer[end:]
        data = os.read(lockdown.SOCKET_FD, 4 + messages.MAX_FRAME)
        if not data:
            os._exit(0)
        buffer = buffer + data if buffer else data


def _serve() -> NoReturn:
    runner = _Runner()
    rest = b""
    while True:
        text, rest = _receive(rest)
        request = messages.decode_request(text)
        if isinstance(request, messages.Step):
            answer = runner.step(request)
        elif isinstance(request, messages.Load):
            answer = runner.load(request)
        elif isinstance(request, messages.Warm):
            answer = runner.warm(request)
        elif isinstance(request, messages.Ping):
            answer = messages.frame(messages.Pong(request.nonce))
        else:
            answer = runner.stop(request)
        _flush()
        _send(answer)


def _flush() -> None:
    # What was printed belongs to this step: it must be in the pipe before the answer.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


class _Runner:
    def __init__(self) -> None:
        self._driver: StrategyDriver
        self._tick_e8 = 0

    def load(self, request: messages.Load) -> bytes:
        from inalpha.strategy.driver import StrategyDriver
        from inalpha.strategy.loader import StrategyLoadError, load_strategy, read_params

        try:
            source = base64.b64decode(request.source)
            if hashlib.sha256(source).hexdigest() != request.sha256:
                raise StrategyLoadError("ValueError", "the source is not what its sha256 says")
            strategy = load_strategy(source, SOURCE_NAME)
            f = request.instrument
            instrument = Instrument(f.symbol, f.tick_e8, f.lot_e8, f.currency, f.calendar)
            self._tick_e8 = f.tick_e8
            params = {**read_params(strategy), **request.params}
            self._driver = StrategyDriver(
                strategy, request.params, instrument, request.timeframe, int(request.seed)
            )
            self._driver.start()
            return messages.frame(messages.Loaded(request.nonce, strategy.__name__, params))
        except StrategyLoadError as error:
            failure = messages.LoadFailure(error.type, error.text[:500], error.line or None)
        except BaseException as error:
            failure = messages.LoadFailure(*describe(error))
        return messages.frame(messages.Failed(request.nonce, failure))

    def warm(self, request: messages.Warm) -> bytes:
        self._driver.warm([Bar(*values, 0, self._tick_e8) for values in request.bars])
        return messages.frame(messages.Warmed(request.nonce))

    def step(self, request: messages.Step) -> bytes:
        r = request

        def ask() -> StepReply:
            step = StepRequest(r.seq, r.now, r.events, r.bar, r.position, r.account, r.orders)
            reply: StepReply = self._driver.step(step)
            if len(reply.logs) > MAX_LOGS or any(len(log) * 4 > MAX_LOG_BYTES for log in reply.logs):
                reply = StepReply(reply.seq, reply.intents, _cut(reply.logs), reply.error)
            return reply

        return _guarded(ask, r.seq, lambda reply: messages.reply_frame(r.nonce, reply))

    def stop(self, request: messages.Stop) -> bytes:
        try:
            logs = _cut(tuple(self._driver.stop()))
        except BaseException as error:
            logs = _cut((": ".join(describe(error)[:2]),))
        return messages.frame(messages.Stopped(request.nonce, list(logs)))


def _guarded(ask: Callable[[], StepReply], seq: int, encode: Callable[[StepReply], bytes]) -> bytes:
    """The encoded reply; whatever is raised on the way becomes its error."""
    try:
        return encode(ask())
    except BaseException as error:
        kind, text, line = describe(error)
    where = f" (line {line})" if line else ""
    return encode(StepReply(seq, error=f"{kind}: {text}{where}"))


def _cut(logs: tuple[str, ...]) -> tuple[str, ...]:
    """Logs as the protocol allows them: 32 of 2 KiB; the cut is told in the last one."""
    kept = [
        log.replace("\0", "\\0").encode("utf-8", "backslashreplace")[:MAX_LOG_BYTES].decode("utf-8", "ignore")
        for log in logs[:MAX_LOGS]
    ]
    if len(logs) > MAX_LOGS:
        kept[-1] = f"... {len(logs) - MAX_LOGS + 1} more lines were not kept"
    return tuple(kept)


def describe(error: BaseException) -> tuple[str, str, int | None]:
    """Type, text (500 characters) and the last line inside the strategy's own file."""
    lines = [
        number
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == SOURCE_NAME
    ]
    text = str(error)[:500].replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    return type(error).__name__[:100], text, lines[-1] if lines else None
