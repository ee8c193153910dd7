"""LocalSandbox: the same sandbox, protocol and deadlines without a bus, for synchronous users.

Backtests, the candidate gate, replay and verification use it; no path evaluates a strategy elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import select
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.runner import RunnerEnded
from inalpha.model.step import StepReply, StepRequest
from runners import messages
from runners.forkserver import Zygote
from runners.measure import measure
from runners.messages import MAX_WARM_BARS, ProtocolError, Scalar
from runners.probe import LAYERS_OF, LEVELS, Evidence
from runners.process import RunnerProcess
from runners.protocol import Conversation, Limits

# Below 65,536, the most that small containers map; apart from the daemon host's own block.
_UID_FIRST = 60_200
_UID_BLOCKS = 40
_UIDS_PER_BLOCK = 100
_END_GRACE_S = 0.25  # a dying process closes its socket a little before it is gone


class LocalSandbox:
    """A zygote of one's own; a context manager. level: the least that is accepted ("sealed").

    Lower levels need the owner's waiver, which the caller has checked. Start it from the main thread:
    the zygote ends with the thread that started it. without: layers (or "namespaces") left out, and
    environment: for tests alone, no setting or message reaches them.
    """

    def __init__(
        self,
        level: str = "sealed",
        *,
        hash_seed: int = 0,
        without: frozenset[str] = frozenset(),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._wanted = level
        self._without = without
        self._zygote = Zygote(hash_seed=hash_seed, environment=environment, is_shared="namespaces" in without)
        self.runners: list[SandboxRunner] = []
        self._next_slot = 0
        self._begun = False
        self._layers: frozenset[str] = frozenset()
        self.evidence = Evidence(None)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self) -> None:
        """Let the zygote warm up while the caller does something else; start() then waits for it."""
        if not self._begun:
            self._zygote.begin()
            self._begun = True

    def start(self) -> None:
        """Start and measure. Raises RunnerEnded("isolation") below the wanted level."""
        self.begin()
        try:
            self._zygote.await_ready()
            self.evidence = measure(self._zygote, self._uid())
            demand_level(self.evidence, self._wanted)
        except BaseException:
            self.close()
            raise
        self._layers = LAYERS_OF[self.evidence.level or "process"] - self._without

    def start_run(
        self,
        source: bytes,
        sha256: str,
        params: Mapping[str, Scalar],
        instrument: Instrument,
        timeframe: str,
        seed: int,
        limits: Limits | None = None,
        *,
        run: str = "local",
    ) -> SandboxRunner:
        """Fork, lock down, load. Raises RunnerEnded (`load` names type, text and line)."""
        if hashlib.sha256(source).hexdigest() != sha256:
            raise RunnerEnded("load", "the source is not the one that its sha256 names")
        if len(source) > messages.MAX_SOURCE:
            raise RunnerEnded(
                "load", f"the source has {len(source)} bytes, at most {messages.MAX_SOURCE} allowed"
            )
        limits = limits or Limits()
        process = self._zygote.spawn(uid=self._uid(), limits=limits, layers=self._layers)
        runner = SandboxRunner(process, self._layers)
        self.runners = [r for r in self.runners if not r.is_ended]
        self.runners.append(runner)
        runner.load(run, source, sha256, params, instrument, timeframe, seed)
        return runner

    @property
    def next_uid(self) -> int:
        """The uid that the next runner gets: its own when we are root, else ours."""
        if os.geteuid() != 0:
            return os.geteuid()
        block = os.getpid() % _UID_BLOCKS
        return _UID_FIRST + block * _UIDS_PER_BLOCK + self._next_slot

    def _uid(self) -> int | None:
        uid = self.next_uid
        self._next_slot = (self._next_slot + 1) % _UIDS_PER_BLOCK
        return uid if os.geteuid() == 0 else None

    def close(self) -> None:
        """End every runner and the zygote."""
        for runner in self.runners:
            runner.kill()
        self.runners = []
        self._zygote.close()


def demand_level(evidence: Evidence, wanted: str, host: str = "HOST") -> None:
    """Raises RunnerEnded("isolation") naming the missing layers and the waiver."""
    measured = evidence.level
    if measured is not None and LEVELS.index(measured) <= LEVELS.index(wanted):
        return
    allowed = sorted(name for name, outcome in evidence.attempts.items() if outcome == "allowed")
    raise RunnerEnded(
        "isolation",
        f"measured level {measured or 'none'}, {wanted} demanded"
        + (f"; not refused: {', '.join(n for n in allowed if n != 'control')}" if measured else ""),
        f"An owner's waiver isolation.{measured}.{host} would be needed." if measured else "",
    )


class SandboxRunner:
    """One loaded strategy; a kernel Runner. Every call may raise RunnerEnded, after which it is gone."""

    def __init__(self, process: RunnerProcess, layers: frozenset[str]) -> None:
        self.process = process
        self.name = ""
        self.params: dict[str, Scalar] = {}
        self._talk = Conversation(process.pid)
        self._fd = process.sock.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._poll.register(process.output_fd, select.POLLIN)
        self._limits = process.limits
        self._answered_s = time.monotonic()
        self._answered_cpu_s = 0.0
        self._end: RunnerEnded | None = None
        self._bar = -1
        self._await("starting", self._limits.ready_s)
        try:
            process.check(layers)
        except RunnerEnded as error:
            raise self._kill(error) from None

    @property
    def is_ended(self) -> bool:
        return self._end is not None

    @property
    def output(self) -> str:
        """The last 64 KiB that it printed, escaped."""
        return self.process.meter.tail

    def load(
        self,
        run: str,
        source: bytes,
        sha256: str,
        params: Mapping[str, Scalar],
        instrument: Instrument,
        timeframe: str,
        seed: int,
    ) -> None:
        answer = self._ask(
            self._talk.load(run, source, sha256, params, instrument, timeframe, seed),
            "loading",
            self._limits.load_s,
        )
        if isinstance(answer, messages.Failed):
            raise self._kill(load_failure(answer.error))
        assert isinstance(answer, messages.Loaded)
        self.name, self.params = answer.name, answer.params

    def warm(self, bars: Iterable[Bar]) -> None:
        """Feed bars that only indicators and history see."""
        for chunk in _batches(list(bars), MAX_WARM_BARS):
            self._ask(self._talk.warm(chunk), "warm-up", self._limits.warm_s)

    def step(self, request: StepRequest) -> StepReply:
        self._bar = request.seq
        answer = self._ask(self._talk.step(request), "on_bar", self._limits.step_s)
        assert isinstance(answer, messages.Reply)
        reply = messages.step_reply(answer)
        if reply.error:
            self._kill(step_error(reply.error, self._limits))
        return reply

    def ping(self) -> None:
        """Show that it idles between bars."""
        self._ask(self._talk.ping(), "a ping", self._limits.ping_s)

    def stop(self) -> tuple[str, ...]:
        """Run on_stop, end the runner, return its last logs. A failure here changes nothing."""
        logs: tuple[str, ...] = ()
        if self._end is None:
            try:
                answer = self._ask(self._talk.stop(), "on_stop", self._limits.stop_s)
                assert isinstance(answer, messages.Stopped)
                logs = tuple(answer.logs)
            except RunnerEnded:
                return ()
        self.kill()
        return logs

    def kill(self) -> None:
        """End it now; does nothing twice."""
        if self._end is None:
            self._kill(RunnerEnded("exit", "ended by us"))

    def _ask(self, data: bytes, what: str, seconds: float) -> messages.Answer:
        if self._end is not None:
            raise self._end
        self._check_between()
        self.process.meter.begin_step()
        return self._await(what, seconds, data)

    def _check_between(self) -> None:
        if time.monotonic() - self._answered_s < self._limits.between_cpu_s:
            return
        used = self.process.cpu_s() - self._answered_cpu_s
        if used > self._limits.between_cpu_s:
            raise self._kill(RunnerEnded("between", f"worked outside on_bar ({used:.2f} s of processor)"))

    def _await(self, what: str, seconds: float, data: bytes = b"") -> messages.Answer:
        """Write data and read the one answer, both before the deadline."""
        began, cpu = time.monotonic(), self._answered_cpu_s
        poll_ms = seconds * 1000
        try:
            while True:
                if data:
                    data = self._write(data)
                events = self._poll.poll(poll_ms)
                for fd, _ in events:
                    if fd == self._fd:
                        continue
                    passed = self.process.read_output()
                    if passed:
                        raise self._kill(RunnerEnded("output", passed))
                if any(fd == self._fd and happened & ~select.POLLOUT for fd, happened in events):
                    received = os.read(self._fd, 4 + messages.MAX_FRAME)
                    if not received:
                        raise self._gone()
                    answer = self._talk.receive(received)
                    if answer is not None:
                        self._answered_s = time.monotonic()
                        self._answered_cpu_s = self.process.cpu_s()
                        return answer
                passed_s = time.monotonic() - began
                poll_ms = (seconds - passed_s) * 1000
                if poll_ms <= 0:
                    at = f"{what} at bar {self._bar}" if what == "on_bar" else what
                    used = self.process.cpu_s() - cpu
                    late = self.process.deadline_passed(at, seconds, passed_s, used)
                    if what == "a ping":
                        late = RunnerEnded("between", f"{late.message} between bars")
                    raise self._kill(late)
        except ProtocolError as error:
            raise self._kill(RunnerEnded("protocol", str(error))) from None
        except ConnectionError:
            raise self._gone() from None

    def _write(self, data: bytes) -> bytes:
        """What is still to be written; a runner that does not read is met by the deadline."""
        try:
            rest = data[os.write(self._fd, data) :]
        except BlockingIOError:
            rest = data
        self._poll.modify(self._fd, select.POLLIN | (select.POLLOUT if rest else 0))
        return rest

    def _gone(self) -> RunnerEnded:
        """End of file: it ends, or it closed its socket and lives on."""
        if not self.process.has_ended(_END_GRACE_S):
            self.process.kill(RunnerEnded("protocol", "closed its socket"))
        self._end = self.process.ended()
        return self._end

    def _kill(self, why: RunnerEnded) -> RunnerEnded:
        self.process.kill(why)
        ended = self.process.ended()
        self._end = ended
        return ended


def load_failure(error: messages.LoadFailure) -> RunnerEnded:
    """What a refused load means: type, text and line."""
    where = f" (line {error.line})" if error.line else ""
    text = messages.shown(f"{error.type}: {error.text}", messages.MAX_ERROR_CHARACTERS)
    return RunnerEnded("load", text + where, detail={"line": error.line})


def step_error(error: str, limits: Limits) -> RunnerEnded:
    """What a reply's error means: over memory, or an exception."""
    if error.startswith("MemoryError"):
        return RunnerEnded("memory", f"over {limits.memory_bytes >> 20} MiB")
    return RunnerEnded("exception", messages.shown(error, messages.MAX_ERROR_CHARACTERS))


def _batches(bars: Sequence[Bar], size: int) -> Iterable[Sequence[Bar]]:
    return (bars[first : first + size] for first in range(0, len(bars), size))
