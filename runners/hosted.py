"""One runner under the asyncio host: its requests, deadlines, pings, output and end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from inalpha.model.runner import RunnerEnded
from runners import messages
from runners.messages import ProtocolError
from runners.process import RunnerProcess
from runners.protocol import Conversation

FIRST_PING_S = 1.0
NEXT_PING_S = 30.0
_LOGGED_BYTES = 2048


class HostedRunner:
    """Every answer or end arrives by the event loop; nothing here waits for a runner.

    on_end is called once, with what the end means; on_output with text as it is printed.
    """

    def __init__(
        self,
        process: RunnerProcess,
        *,
        on_end: Callable[[RunnerEnded], None],
        on_output: Callable[[str], None] | None = None,
    ) -> None:
        self.process = process
        self.end: RunnerEnded | None = None
        self._on_end, self._on_output = on_end, on_output
        self._talk = Conversation(process.pid)
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._answer: asyncio.Future[messages.Answer] | None = None
        self._unsent = b""
        self._what = "starting"
        self._seconds = process.limits.ready_s
        self._asked_s = time.monotonic()
        self._cpu_s = 0.0
        self._deadline: asyncio.TimerHandle | None = None
        self._ping: asyncio.TimerHandle | None = None
        self._pinging: asyncio.Task[None] | None = None
        self._socket_fd = process.sock.fileno()
        self._loop.add_reader(self._socket_fd, self._readable)
        self._loop.add_reader(process.output_fd, self._printed)
        self._loop.add_reader(process.pidfd, self._died)

    async def ready(self, layers: frozenset[str]) -> None:
        """Await the lockdown and check it from outside. Raises RunnerEnded."""
        async with self._turn:
            await self._await(b"", "starting", self.process.limits.ready_s)
            try:
                self.process.check(layers)
            except RunnerEnded as error:
                raise await self.kill(error) from None

    async def ask(self, frame: Callable[[Conversation], bytes], what: str, seconds: float) -> messages.Answer:
        """Send what frame() builds and await the answer. Raises RunnerEnded."""
        async with self._turn:
            if self.end is not None:
                raise self.end
            self._check_between()
            if self.end is not None:
                raise self.end
            self.process.meter.begin_step()
            return await self._await(frame(self._talk), what, seconds)

    async def kill(self, why: RunnerEnded) -> RunnerEnded:
        """SIGKILL and await the reaping; answers what its end means (the first reason stands)."""
        self.process.kill(why)
        while self.end is None:
            self._cancel_timers()
            await asyncio.sleep(0.001)
        return self.end

    async def _await(self, data: bytes, what: str, seconds: float) -> messages.Answer:
        if self._ping is not None:
            self._ping.cancel()
        if self.end is not None:
            raise self.end
        self._what, self._seconds = what, seconds
        self._asked_s, self._cpu_s = time.monotonic(), self.process.cpu_s()
        self._answer = self._loop.create_future()
        self._deadline = self._loop.call_later(seconds, self._late)
        self._unsent = data
        self._write()
        try:
            answer = await self._answer
        finally:
            self._deadline.cancel()
            self._answer = None
        self._asked_s, self._cpu_s = time.monotonic(), self.process.cpu_s()
        pause = NEXT_PING_S if isinstance(answer, messages.Pong) else FIRST_PING_S
        self._ping = self._loop.call_later(pause, self._begin_ping)
        return answer

    def _write(self) -> None:
        try:
            if self._unsent:
                self._unsent = self._unsent[os.write(self._socket_fd, self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = b""  # it has closed its end; the read side tells
        if self._unsent:
            self._loop.add_writer(self._socket_fd, self._write)
        else:
            self._loop.remove_writer(self._socket_fd)

    def _readable(self) -> None:
        try:
            data = os.read(self._socket_fd, 4 + messages.MAX_FRAME)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            # End of file: either dead, as the pidfd will tell, or it closed its socket and lives.
            self._loop.remove_reader(self._socket_fd)
            self._loop.call_later(0.25, self._closed)
            return
        try:
            answer = self._talk.receive(data)
        except ProtocolError as error:
            self._loop.remove_reader(self._socket_fd)
            self.process.kill(RunnerEnded("protocol", str(error)))
            return
        if answer is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _closed(self) -> None:
        self.process.kill(RunnerEnded("protocol", "closed its socket"))

    def _printed(self) -> None:
        passed = self.process.read_output()
        if passed:
            self._loop.remove_reader(self.process.output_fd)
            self.process.kill(RunnerEnded("output", passed))
        elif self._on_output is not None:
            self._on_output(self.process.meter.take_fresh(_LOGGED_BYTES))

    def _late(self) -> None:
        wall = time.monotonic() - self._asked_s
        used = self.process.cpu_s() - self._cpu_s
        self.process.kill(self.process.deadline_passed(self._what, self._seconds, wall, used))

    def _begin_ping(self) -> None:
        if self.end is None:
            self._pinging = asyncio.ensure_future(self._ping_once())

    async def _ping_once(self) -> None:
        try:
            async with self._turn:
                if self.end is not None:
                    return
                self._check_between()
                limit = self.process.limits.ping_s
                await self._await(self._talk.ping(), "a ping", limit)
        except RunnerEnded:
            return  # on_end has told

    def _check_between(self) -> None:
        used = self.process.cpu_s() - self._cpu_s
        if used > self.process.limits.between_cpu_s:
            self.process.kill(RunnerEnded("between", f"worked outside on_bar ({used:.2f} s of processor)"))

    def _died(self) -> None:
        self._cancel_timers()
        for fd in (self._socket_fd, self.process.output_fd, self.process.pidfd):
            self._loop.remove_reader(fd)
        self._loop.remove_writer(self._socket_fd)
        ended = self.process.ended()
        if ended.code == "deadline" and self._what == "a ping":
            ended = RunnerEnded("between", f"{ended.message} between bars")
        self.end = ended
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ended)
        self._on_end(ended)

    def _cancel_timers(self) -> None:
        for timer in (self._deadline, self._ping):
            if timer is not None:
                timer.cancel()
