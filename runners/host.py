"""The runner host, `python -m runners.host --name NAME ...`: asks for runners, watches them, uses the bus.

It holds one bus session that is limited to its own topics, and no authority: cash, risk and matching
live in the daemon. Its level of isolation is measured at each zygote start.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import Any

import msgspec

from inalpha.bus import envelope, hostwire, topics
from inalpha.bus.client import BusClient, Will
from inalpha.bus.hostwire import EndedBody, LoadBody, LoadedBody, WarmBody
from inalpha.model.bar import Bar
from inalpha.model.errors import Refused
from inalpha.model.instrument import Instrument
from inalpha.model.latch import read_rows
from inalpha.model.memory import close_memory
from inalpha.model.plain import plain
from inalpha.model.runner import RunnerEnded
from inalpha.model.states import HaltState
from inalpha.model.step import StepRequest
from runners import messages, syscalls
from runners.admission import admit, available_bytes
from runners.forkserver import ZygoteError
from runners.hosted import HostedRunner
from runners.inbox import Inbox
from runners.local import demand_level, load_failure, step_error
from runners.nursery import Nursery
from runners.outgoing import Outgoing
from runners.process import kill_recorded, read_boot_id
from runners.protocol import Limits
from runners.settings import Settings, parse

_load = msgspec.json.Decoder(LoadBody)
_warm = msgspec.json.Decoder(WarmBody)
_probe = msgspec.json.Decoder(hostwire.ProbeBody)
_step = msgspec.json.Decoder(StepRequest)


@dataclass(slots=True)
class _Run:
    """One run on this host. last_id: of the request that it serves, or has answered."""

    slot: int
    memory_bytes: int
    seq: int
    last_id: str
    is_answered: bool = False
    runner: HostedRunner | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Host:
    """Runs by id, one bus session, one zygote."""

    def __init__(self, settings: Settings, nursery: Nursery) -> None:
        self._settings = settings
        self._nursery = nursery
        session = envelope.new_id()
        self._inbox = Inbox(settings, session, on_down=self._accept, on_epoch=self._follow)
        self._runs: dict[str, _Run] = {}
        self._seqs: dict[str, int] = {}
        self._starting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._available = available_bytes()
        self._trouble = ""
        self._client = BusClient(
            settings.bus,
            settings.identity,
            settings.token,
            settings.root,
            on_connect=self._connected,
            will=lambda: Will(topics.host_state(settings.identity), self._state(is_up=False)),
            ca_file=settings.ca_file,
        )
        self._out = Outgoing(settings, session, self._client.post, lambda: self._inbox.epoch)

    async def serve(self) -> None:
        """Until the parent is gone, or a signal asks to end."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        await self._client.subscribe(f"hosts/{self._settings.identity}/runs/+/down/#", self._inbox.arrived)
        await self._client.subscribe(topics.DAEMON_BEAT, self._inbox.beat)
        await self._client.start(timeout_s=None)
        parent = os.getppid()
        while not ended.is_set():
            self._out.beat()
            if self._settings.is_child and os.getppid() != parent:
                break
            self._check_daemon()
            self._tell_trouble()
            self._out.tell_dropped(self._runs)
            try:
                async with asyncio.timeout(hostwire.BEAT_S):
                    await ended.wait()
            except TimeoutError:
                continue
        for run in list(self._runs):
            await self._kill(run, RunnerEnded("killed", "the host ends"))
        if self._client.is_connected:
            await self._client.publish(
                topics.host_state(self._settings.identity), self._state(is_up=False), retain=True
            )
        await self._client.close()
        self._nursery.close()

    # -- the bus -------------------------------------------------------------------------------------

    def _state(self, *, is_up: bool = True) -> bytes:
        return self._out.state(self._nursery.evidence.level, self._runs, is_up=is_up)

    async def _connected(self) -> None:
        self._show_state()

    def _show_state(self) -> None:
        self._client.post(topics.host_state(self._settings.identity), self._state(), retain=True)

    def _check_daemon(self) -> None:
        # A child dies with its daemon; a remote host has only the beat to tell.
        silent_s = self._inbox.silent_s
        if not self._settings.is_child and self._runs and silent_s > hostwire.DAEMON_LOST_S:
            for run in list(self._runs):
                why = RunnerEnded("host_lost", f"no beat of the daemon for {silent_s:.1f} s")
                self._spawn(None, self._kill(run, why))

    def _tell_trouble(self) -> None:
        """A broker that cannot be reached or verified is told once, for whoever started this machine's host."""
        trouble = "" if self._client.is_connected else self._client.last_error
        if trouble and trouble != self._trouble:
            print(plain(f"warning: BUS_DOWN: {self._settings.bus}: {trouble}"), file=sys.stderr, flush=True)  # noqa: T201
        self._trouble = trouble

    def _follow(self) -> None:
        """A later daemon signs: the runs of the one before it are over, and so are its words."""
        self._seqs.clear()
        for run in list(self._runs):
            self._spawn(None, self._kill(run, RunnerEnded("host_lost", "a later daemon took over")))

    def _accept(self, down: hostwire.Down) -> None:
        run = self._runs.get(down.run)
        if self._out.again(down.run, down.id) or (run is not None and down.id == run.last_id):
            return  # asked again: the same words once more, when there are any yet
        # A run's numbers go on over its loadings: what the bus held back must not undo what came later.
        last = self._seqs.get(down.run, 0)
        is_new = down.seq > last
        self._seqs[down.run] = max(down.seq, last)
        if down.seq < last:
            self._inbox.drop("SEQUENCE")
        elif down.type == "kill":
            self._spawn(run, self._killed(down))
        elif down.type in ("load", "probe") and is_new:
            self._starting.add(down.id)
            self._spawn(None, self._loading(down) if down.type == "load" else self._probing(down))
        elif run is None and down.id not in self._starting:
            self._send(down.run, down.seq, down.id, "ended", _ended("host_lost", "this host has no such run"))
        elif run is None or not is_new:
            self._inbox.drop("SEQUENCE")
        else:
            run.seq, run.last_id, run.is_answered = down.seq, down.id, False
            self._spawn(run, self._serve(run, down))

    def _spawn(self, run: _Run | None, work: Any) -> None:
        tasks = run.tasks if run is not None else self._tasks
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _send(self, run: str, seq: int, corr: str, kind: str, body: object) -> None:
        known = self._runs.get(run)
        if known is not None and corr and known.last_id == corr:
            known.is_answered = True
        self._out.send(run, seq, corr, kind, body)

    # -- runs ----------------------------------------------------------------------------------------

    async def _loading(self, down: hostwire.Down) -> None:
        await self._kill(down.run, RunnerEnded("killed", "loaded anew"))
        try:
            body = _load.decode(down.body)
            limits = Limits(step_s=body.step_s, memory_bytes=body.memory_bytes)
            budgets = [run.memory_bytes for run in self._runs.values()]
            s = self._settings
            admit(budgets, limits.memory_bytes, self._available, share=s.memory_share, max_runs=s.max_runs)
            source = base64.b64decode(body.source, validate=True)
            self._refuse_killed(down.run)
            await self._nursery.ensure()
            demand_level(self._nursery.evidence, body.level, s.identity)
            loaded = await self._start(down, body, source, limits)
            self._send(down.run, down.seq, down.id, "loaded", loaded)
        except RunnerEnded as error:
            self._end(down, error)
        except Refused as error:
            self._end(down, RunnerEnded("isolation", f"{error.code}: {error.message}"))
        except (msgspec.MsgspecError, ValueError, binascii.Error) as error:
            self._end(down, RunnerEnded("load", f"load request refused: {error}"))
        except (ZygoteError, OSError) as error:
            self._end(down, RunnerEnded("killed", f"no runner could be started: {error}"))
        finally:
            self._starting.discard(down.id)
        self._show_state()

    async def _probing(self, down: hostwire.Down) -> None:
        """Measure now. A level that is less than before holds from now on."""
        try:
            nonce = _probe.decode(down.body).nonce
            found = await self._nursery.measure_again()
            body = hostwire.ProbedBody(nonce, found.level, found.as_dict())
            self._send(down.run, down.seq, down.id, "probed", body)
        except (msgspec.MsgspecError, ZygoteError, OSError) as error:
            self._send(down.run, down.seq, down.id, "ended", _ended("killed", f"no probe: {error}"))
        finally:
            self._starting.discard(down.id)
        self._show_state()

    def _end(self, down: hostwire.Down, error: RunnerEnded) -> None:
        self._send(down.run, down.seq, down.id, "ended", _ended_of(error))
        run = self._runs.get(down.run)
        if run is not None and run.last_id == down.id:  # a later load of the same run is not its to end
            del self._runs[down.run]

    async def _start(self, down: hostwire.Down, body: LoadBody, source: bytes, limits: Limits) -> LoadedBody:
        if hashlib.sha256(source).hexdigest() != body.sha256:
            raise RunnerEnded("load", "the source is not the one that its sha256 names")
        evidence, layers = self._nursery.evidence, self._nursery.layers
        used = {run.slot for run in self._runs.values()}
        slot = next(n for n in range(self._settings.max_runs + 1) if n not in used)
        run = self._runs[down.run] = _Run(slot, limits.memory_bytes, down.seq, down.id)
        process = await self._nursery.fork(slot, limits, layers)
        runner = run.runner = HostedRunner(
            process,
            on_end=lambda end: self._runner_ended(down.run, run, end),
            on_output=lambda text: self._printed(down.run, text),
        )
        await runner.ready(layers)
        if self._runs.get(down.run) is not run:
            raise await runner.kill(RunnerEnded("killed", "ended while it was loading"))
        instrument = Instrument(*body.instrument)
        answer = await runner.ask(
            lambda talk: talk.load(
                down.run, source, body.sha256, body.params, instrument, body.timeframe, int(body.seed)
            ),
            "loading",
            limits.load_s,
        )
        if isinstance(answer, messages.Failed):
            raise await runner.kill(load_failure(answer.error))
        assert isinstance(answer, messages.Loaded)
        return LoadedBody(
            answer.name,
            answer.params,
            process.pid,
            process.start_ticks,
            read_boot_id(),
            self._nursery.uid(slot) or os.geteuid(),
            evidence.level or "",
            evidence.as_dict(),
        )

    async def _serve(self, run: _Run, down: hostwire.Down) -> None:
        runner = run.runner
        if runner is None:
            return
        limits = runner.process.limits
        try:
            self._refuse_killed(down.run)
            if down.type == "step":
                await self._step(runner, down, limits)
            elif down.type == "warm":
                bars = [Bar(*values) for values in _warm.decode(down.body).bars]
                await runner.ask(lambda talk: talk.warm(bars), "warm-up", limits.warm_s)
                self._send(down.run, down.seq, down.id, "warmed", {})
            elif down.type == "stop":
                await self._stop(runner, down, limits)
        except RunnerEnded as error:
            if runner.end is None:
                error = await runner.kill(error)
            self._end(down, error)
            self._show_state()
        except (msgspec.MsgspecError, ValueError) as error:
            ended = await runner.kill(RunnerEnded("killed", f"request refused by the host: {error}"))
            self._end(down, ended)

    async def _step(self, runner: HostedRunner, down: hostwire.Down, limits: Limits) -> None:
        request = _step.decode(down.body)
        answer = await runner.ask(
            lambda talk: talk.step(request), f"on_bar at bar {request.seq}", limits.step_s
        )
        assert isinstance(answer, messages.Reply)
        reply = messages.step_reply(answer)
        self._send(down.run, down.seq, down.id, "reply", reply)
        if reply.error:
            ended = await runner.kill(step_error(reply.error, limits))
            self._runs.pop(down.run, None)
            self._send(down.run, down.seq, "", "ended", _ended_of(ended))
            self._show_state()

    async def _stop(self, runner: HostedRunner, down: hostwire.Down, limits: Limits) -> None:
        logs: list[str] = []
        try:
            answer = await runner.ask(lambda talk: talk.stop(), "on_stop", limits.stop_s)
            logs = answer.logs if isinstance(answer, messages.Stopped) else []
        except RunnerEnded as error:
            logs = [f"on_stop: {error}"]
        self._runs.pop(down.run, None)
        await runner.kill(RunnerEnded("exit", "stopped as asked"))
        self._send(down.run, down.seq, down.id, "ended", EndedBody("", "", "", {}, logs))
        self._show_state()

    async def _killed(self, down: hostwire.Down) -> None:
        await self._kill(down.run, RunnerEnded("killed", "killed as asked"))
        self._send(down.run, down.seq, down.id, "ended", EndedBody("", "", "", {}, []))

    async def _kill(self, name: str, why: RunnerEnded) -> None:
        run = self._runs.get(name)
        if run is not None and run.runner is not None:
            await run.runner.kill(why)
        self._runs.pop(name, None)

    def _runner_ended(self, name: str, run: _Run, end: RunnerEnded) -> None:
        """An end that no request will report."""
        if self._runs.get(name) is run and not run.tasks and run.is_answered:
            del self._runs[name]
            self._send(name, run.seq, "", "ended", _ended_of(end))
            self._show_state()

    def _printed(self, run: str, text: str) -> None:
        if text and run in self._runs:
            self._out.log(run, text)

    def _refuse_killed(self, run: str) -> None:
        if self._settings.latch is None:
            return
        for row in read_rows(self._settings.latch):
            binds = row.scope == "all" or (row.scope == "run" and row.run == run)
            if binds and row.state is HaltState.KILLED:
                raise RunnerEnded("killed", f"the halt latch says KILLED: {messages.shown(row.reason)}")


def _ended(code: str, message: str) -> EndedBody:
    return EndedBody(code, message, "", {}, [])


def _ended_of(error: RunnerEnded) -> EndedBody:
    detail = json.loads(json.dumps(error.detail, default=str))
    return EndedBody(error.code, error.message, error.fix, detail, [])


def main(arguments: list[str] | None = None) -> None:
    """Start the zygote from the main thread, measure, then serve."""
    close_memory()
    settings, orphans = parse(arguments)
    parent = os.getppid()
    if settings.is_child:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent or parent == 1:
            sys.exit("the parent is gone")
    if orphans is not None and orphans.exists():
        for pid, start_ticks, boot_id in json.loads(orphans.read_text(encoding="utf-8")):
            kill_recorded(int(pid), int(start_ticks), str(boot_id))
    nursery = Nursery(settings)

    async def run() -> None:
        await Host(settings, nursery).serve()

    asyncio.run(run())


if __name__ == "__main__":
    main()
