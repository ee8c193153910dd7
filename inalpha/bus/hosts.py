"""HostLink: the daemon's proxy of one runner host. Requests are resent by id until answered."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from nacl.signing import SigningKey

from inalpha.bus import envelope, hostwire, topics
from inalpha.bus.client import BusClient
from inalpha.bus.envelope import wall_us
from inalpha.bus.hearing import Ears, Hearing
from inalpha.bus.hostwire import (
    EMPTY,
    HOST_LOST_S,
    PROBE,
    RESEND_S,
    Down,
    HostState,
    LoadBody,
    LoadedBody,
    ProbeBody,
    ProbedBody,
    Up,
    WarmBody,
    against_protocol,
    read_end,
)
from inalpha.model.bar import Bar
from inalpha.model.errors import TryAgain
from inalpha.model.instrument import Instrument
from inalpha.model.runner import HostLost, RunnerEnded
from inalpha.model.step import StepReply, StepRequest

_T = TypeVar("_T")
MAX_WARM_BARS = 100
_loaded = msgspec.json.Decoder(LoadedBody)
_probed = msgspec.json.Decoder(ProbedBody)


@dataclass(slots=True)
class _Run:
    """The daemon's memory of one loading of a run on this host. first: seq of its load; they go on over loadings."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    seq: int = 0
    first: int = 0
    awaited: str = ""
    answer: asyncio.Future[Up] | None = None


class HostLink:
    """One host, by its bus identity.

    on_ended: a runner ended unasked; on_log: output of a runner; on_flood: how many words of a run (of the host
    itself: "") were too many in the last minute. probed: what it answered to the last probe.
    host_key: the public key that the host signs with. Every await may raise RunnerEnded or HostLost.
    """

    def __init__(
        self,
        client: BusClient,
        host: str,
        *,
        key: SigningKey,
        host_key: bytes,
        instance: str,
        epoch: int,
        on_ended: Callable[[str, RunnerEnded], None] | None = None,
        on_log: Callable[[str, str], None] | None = None,
        on_flood: Callable[[str, int], None] | None = None,
        now_us: Callable[[], int] = wall_us,
    ) -> None:
        self.host = topics.check_identity(host)
        self.state: HostState | None = None
        self.probed: ProbedBody | None = None
        self._client, self._key = client, key
        self._instance, self._epoch = instance, epoch
        self._on_ended = on_ended
        self._runs: dict[str, _Run] = {}
        self._seqs: dict[str, int] = {}
        self._changed = asyncio.Event()
        ears = Ears(
            holds=self._runs.__contains__,
            on_state=self._stated,
            on_up=self._answered,
            on_log=on_log or _unheard,
            on_flood=on_flood or _unheard,
            on_word=self._changed.set,
        )
        self._hearing = Hearing(self.host, host_key, instance, epoch, ears, now_us)

    async def start(self) -> None:
        """Listen to the host from now on."""
        self._hearing.begin()
        await self._client.subscribe(f"hosts/{self.host}/#", self._hearing.arrived)

    async def close(self) -> None:
        """Hear it no more; its runs are told to end there and are lost here."""
        for run, state in self._runs.items():
            self._kill_unheard(run, state)
        await self._client.unsubscribe(f"hosts/{self.host}/#")
        self.lose()

    def lose(self) -> None:
        """The host is gone for all its runs: each is told once."""
        for run in list(self._runs):
            self._lost(run)

    @property
    def runs(self) -> int:
        """How many runs it holds."""
        return len(self._runs.keys() - {PROBE})

    @property
    def dropped(self) -> dict[str, int]:
        """Words that did not count, by why."""
        return self._hearing.dropped

    @property
    def level(self) -> str | None:
        """The level that it says it has: at its start, or less where a later probe found less."""
        found = [told.level for told in (self.state, self.probed) if told is not None]
        return min(found, key=hostwire.rank, default=None)

    @property
    def age_s(self) -> float:
        """Seconds since the host was last heard."""
        return self._hearing.age_s

    @property
    def is_up(self) -> bool:
        # A retained state may be of a host that died with the broker: only a living word counts.
        return self.state is not None and self.state.up and self._hearing.is_living

    async def wait_up(self, timeout_s: float = 20.0) -> HostState:
        """Wait until the host beats and has measured its level. Raises TryAgain("HOST_DOWN")."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self.is_up or self.state is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TryAgain("HOST_DOWN", f"{self.host} did not come up within {timeout_s:g} s") from None
        return self.state

    async def load(
        self,
        run: str,
        source: bytes,
        sha256: str,
        params: Mapping[str, hostwire.Scalar],
        instrument: Instrument,
        timeframe: str,
        seed: int,
        *,
        step_s: float = 2.0,
        memory_bytes: int = 128 << 20,
        level: str = "sealed",
    ) -> LoadedBody:
        """Fork, lock down and load; level: the least that the mandate (or the waiver) accepts."""
        await self.wait_up(HOST_LOST_S)
        self._take(topics.check_run(run))
        text = base64.b64encode(source).decode()
        form = hostwire.instrument_members(instrument)
        body = LoadBody(text, sha256, dict(params), form, timeframe, str(seed), step_s, memory_bytes, level)
        try:
            return await self._ask(run, "load", body, _loaded.decode)
        except RunnerEnded:
            self._runs.pop(run, None)
            raise

    async def probe(self) -> ProbedBody:
        """Have it measure its isolation now; the answer is signed and names this request's nonce.

        Of the daemon's own child that is a measurement. Of another machine it is that machine's claim: whoever
        holds its key may answer anything, only not with what was true at another time.
        """
        nonce = envelope.new_id()
        self._take(PROBE)
        try:
            found = await self._ask(PROBE, "probe", ProbeBody(nonce), _probed.decode)
        finally:
            self._runs.pop(PROBE, None)
        if found.nonce != nonce or hostwire.rank(found.level) < 0:
            raise against_protocol(ValueError("a probe's answer with another nonce, or a level that is none"))
        self.probed = found
        return found

    def _take(self, run: str) -> None:
        """A new loading; its numbers go on behind those of the former one."""
        former = self._seqs.get(run, 0)
        self._runs[run] = _Run(seq=former, first=former + 1)
        self._hearing.forget(run)

    async def warm(self, run: str, bars: Sequence[Bar]) -> None:
        """Bars for indicators and history only."""
        for first in range(0, len(bars), MAX_WARM_BARS):
            chunk = [hostwire.bar_members(bar) for bar in bars[first : first + MAX_WARM_BARS]]
            await self._ask(run, "warm", WarmBody(chunk), bytes)

    async def step(self, run: str, request: StepRequest) -> StepReply:
        """One bar; the strategy sees it once however often it is resent."""
        return await self._ask(run, "step", request, lambda body: hostwire.read_reply(body, request.seq))

    async def stop(self, run: str) -> tuple[str, ...]:
        """Run on_stop and end the runner; its last logs. A runner that is gone already is no error."""
        return await self._end(run, "stop")

    async def kill(self, run: str) -> None:
        """End the runner at once, even while a step is open."""
        if run in self._runs:
            state = self._runs[run]
            if state.answer is not None and not state.answer.done():
                # The open request is answered by what the kill makes of the runner.
                self._send(run, state, "kill", EMPTY, envelope.new_id())
                return
            await self._end(run, "kill")

    async def _end(self, run: str, kind: str) -> tuple[str, ...]:
        if run not in self._runs:
            return ()
        try:
            await self._ask(run, kind, EMPTY, bytes)
        except RunnerEnded as error:
            logs = error.detail.get("logs", ())
            return tuple(str(log) for log in logs) if isinstance(logs, list | tuple) else ()
        finally:
            self._runs.pop(run, None)
        return ()

    async def _ask(self, run: str, kind: str, body: object, read: Callable[[bytes], _T]) -> _T:
        state = self._runs.get(run)
        if state is None:
            raise RunnerEnded("host_lost", f"{run} is not loaded on {self.host}")
        async with state.lock:
            if self._runs.get(run) is not state:  # it ended while we waited for our turn
                raise RunnerEnded("killed", f"{run} ended before it was asked")
            identifier = envelope.new_id()
            state.seq += 1
            self._seqs[run] = state.seq
            state.awaited = identifier
            state.answer = asyncio.get_running_loop().create_future()
            began = time.monotonic()
            try:
                while not state.answer.done():
                    self._send(run, state, kind, body, identifier)
                    await asyncio.wait([state.answer], timeout=RESEND_S)
                    # A host is judged by its beats, but never before one could have come.
                    if min(self.age_s, time.monotonic() - began) > HOST_LOST_S:
                        raise HostLost(self.host, self.age_s)
                up = state.answer.result()
            finally:
                state.awaited, state.answer = "", None
        if up.type == "ended":
            self._runs.pop(run, None)
            raise read_end(up.body)
        try:
            if up.type != hostwire.ANSWERS[kind]:
                raise ValueError(f"{up.type!r} does not answer {kind}")
            return read(bytes(up.body))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            if self._runs.pop(run, None) is not None:
                self._kill_unheard(run, state)
            raise against_protocol(error) from None

    def _kill_unheard(self, run: str, state: _Run) -> None:
        """Tell the host to end a run that is none here any more."""
        self._seqs[run] = state.seq = state.seq + 1
        self._send(run, state, "kill", EMPTY, envelope.new_id())

    def _send(self, run: str, state: _Run, kind: str, body: object, identifier: str) -> None:
        raw = body if isinstance(body, msgspec.Raw) else hostwire.raw(body)
        session = self.state.session if self.state is not None else ""
        down = Down(self._instance, self._epoch, self.host, session, run, kind, state.seq, identifier, raw)
        payload = envelope.seal(self._key, topics.DAEMON, msgspec.json.encode(down))
        self._client.post(topics.down(self.host, run, kind), payload)

    def _stated(self, state: HostState) -> None:
        previous, self.state = self.state, state
        self._changed.set()
        if previous is None or previous.session != state.session:
            self.probed = None
        if previous is not None and state.up and previous.session != state.session:
            self.lose()  # another process answers under this name: what the former one ran is gone

    def _lost(self, run: str) -> None:
        state = self._runs.pop(run)
        error = HostLost(self.host, self.age_s)
        if state.answer is not None and not state.answer.done():
            state.answer.set_exception(error)
        elif self._on_ended is not None:
            self._on_ended(run, error)

    def _answered(self, up: Up) -> None:
        state = self._runs[up.run]
        if up.corr and up.corr == state.awaited and state.answer is not None:
            if not state.answer.done():
                state.answer.set_result(up)
        elif up.type == "ended" and not up.corr and up.seq >= state.first:
            self._ended_unasked(up.run, state, up)
        elif up.type == "ended":
            self._hearing.drop("LATE")  # an answer to what was asked before a cut, of a runner that is gone

    def _ended_unasked(self, run: str, state: _Run, up: Up) -> None:
        if state.answer is not None and not state.answer.done():
            state.answer.set_result(up)
            return
        self._runs.pop(run, None)
        if self._on_ended is not None:
            self._on_ended(run, read_end(up.body))


def _unheard(run: str, word: object) -> None:
    """Nobody listens."""
