"""The runner host over a real broker: many runs at once, ends, repeats, restarts."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from inalpha.bus import envelope, hostwire, slots, topics
from inalpha.bus.client import BusClient, Message
from inalpha.bus.hosts import HostLink
from inalpha.bus.start import Broker, start_broker
from inalpha.client.presence import start_ticks
from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.latch import LatchRow, encode_row
from inalpha.model.runner import HostLost, RunnerEnded
from inalpha.model.states import HaltState
from inalpha.model.step import StepRequest

DAY = 86_400_000_000_000


class Stage:
    """A broker, a host process and the daemon's link to it."""

    def __init__(self, broker: Broker, client: BusClient, folder: Path) -> None:
        self.broker, self.client, self.folder = broker, client, folder
        self.ended: list[tuple[str, RunnerEnded]] = []
        self.logged: list[tuple[str, str]] = []
        self.keys = slots.public_keys(broker.run_dir)
        self.latch = folder / "halt.latch"
        self.latch.write_bytes(b"")
        self.host: subprocess.Popen[bytes] | None = None
        self.link = HostLink(
            client,
            "host-local",
            key=slots.read_key(broker.run_dir, "daemon"),
            host_key=self.keys["host-local"],
            instance="abc",
            epoch=1,
            on_ended=lambda run, error: self.ended.append((run, error)),
            on_log=lambda run, text: self.logged.append((run, text)),
        )

    def start_host(self, *, is_child: bool = True) -> None:
        files = self.broker.run_dir / "slots"
        self.host = subprocess.Popen(
            [
                *(sys.executable, "-m", "runners.host", "--name", "local", "--bus", self.broker.socket),
                *("--instance", "abc", "--epoch", "1", *(["--child"] if is_child else [])),
                *("--token-file", files / "host-local.token", "--key-file", files / "host-local.seed"),
                *("--daemon-key", self.keys["daemon"].hex(), "--latch", self.latch),
            ]
        )

    async def load(self, run: str, body: str, **options: object) -> hostwire.LoadedBody:
        text = "from inalpha import Strategy\n\nclass Mine(Strategy):\n    def on_bar(self, bar):\n"
        source = (text + textwrap.indent(textwrap.dedent(body), "        ") + "\n").encode()
        digest = hashlib.sha256(source).hexdigest()
        return await self.link.load(run, source, digest, {}, Instrument("X"), "1d", 1, **options)  # type: ignore[arg-type]

    async def until(self, happened: object) -> None:
        """Poll until happened() is true."""
        async with asyncio.timeout(10):
            while not happened():  # type: ignore[operator]
                await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="host-"))
    broker = start_broker(folder / "run")
    client = BusClient(broker.socket, "daemon", broker.tokens["daemon"])
    await client.start()
    made = Stage(broker, client, folder)
    await made.link.start()
    made.start_host()
    await made.link.wait_up()
    yield made
    if made.host is not None:
        made.host.kill()
        made.host.wait()
    await client.close()
    broker.stop()
    shutil.rmtree(folder)


def request(sequence: int) -> StepRequest:
    bar = Bar(sequence * DAY, (sequence + 1) * DAY, 1, 2, 1, 2, 5, sequence)
    return StepRequest(sequence, (sequence + 1) * DAY, (), bar, (0, 0), (0, 0), ())


async def end_of(work: object) -> RunnerEnded:
    with pytest.raises(RunnerEnded) as caught:
        await work  # type: ignore[misc]
    return caught.value


async def test_run_from_load_to_stop(stage: Stage) -> None:
    loaded = await stage.load("run-1", "self.buy('1')\nprint('hello')\nself.log('bar')")
    assert (loaded.name, loaded.level) == ("Mine", "sealed")
    assert loaded.evidence["filter_sha256"]
    assert loaded.start_ticks > 0
    for sequence in range(5):
        reply = await stage.link.step("run-1", request(sequence))
        assert (reply.seq, reply.logs, len(reply.intents)) == (sequence, ("bar",), 1)
    await stage.until(lambda: ("run-1", "hello\n") in stage.logged)
    await stage.link.stop("run-1")
    assert not os.path.exists(f"/proc/{loaded.pid}")
    assert stage.ended == []


async def test_output_in_a_thousand_pieces_is_bounded_and_the_rest_is_told(stage: Stage) -> None:
    """A byte at a time would be a message each on the bus; the caps of bytes alone would let a million through."""
    body = "import os, time\nfor _ in range(400):\n    os.write(1, b'x'); time.sleep(0.001)"
    await stage.load("run-1", body)
    await stage.load("run-2", "print('quiet')")
    for sequence in range(2):
        await stage.link.step("run-1", request(sequence))
    await stage.link.step("run-2", request(0))
    await stage.until(lambda: ("run-2", "quiet\n") in stage.logged)
    await stage.until(lambda: any("were not sent" in text for run, text in stage.logged if run == "run-1"))
    assert sum(run == "run-1" for run, _ in stage.logged) < 45


async def test_a_probe_measures_now_and_changes_no_run(stage: Stage) -> None:
    await stage.load("run-1", "self.log('on')")
    found = await stage.link.probe()
    assert (found.level, found.evidence["attempts"]["control"]) == ("sealed", "allowed")
    assert (await stage.link.step("run-1", request(0))).logs == ("on",)
    assert (await stage.link.probe()).nonce != found.nonce
    assert stage.link.runs == 1


async def test_hung_run_delays_no_other(stage: Stage) -> None:
    await stage.load("run-1", "self.log(str(bar.sequence))")
    await stage.load("run-2", "while True: pass", step_s=1.0)
    hung = asyncio.ensure_future(end_of(stage.link.step("run-2", request(0))))
    slowest, sequence = 0.0, 0
    while not hung.done():
        began = time.monotonic()
        reply = await stage.link.step("run-1", request(sequence))
        assert reply.logs == (str(sequence),)
        slowest, sequence = max(slowest, time.monotonic() - began), sequence + 1
    assert (await hung).code == "deadline"
    assert "(busy)" in (await hung).message
    assert sequence > 20
    assert slowest < 0.5


async def test_each_end_has_its_code(stage: Stage) -> None:
    bodies = {
        "exit": "import os\nos._exit(0)",
        "protocol": "import os\nos.write(3, b'x' * 9)",
        "output": "while True: print('x' * 999)",
        "sigsys": "import ctypes\nctypes.CDLL(None).unshare(0x10000000)",
        "signal": "import ctypes\nctypes.string_at(0)",
    }
    for number, (code, body) in enumerate(bodies.items()):
        await stage.load(f"run-{number}", body)
        error = await end_of(stage.link.step(f"run-{number}", request(0)))
        assert error.code == code, error
        assert error.message


async def test_runner_that_takes_its_time_to_end_has_not_closed_its_socket(stage: Stage) -> None:
    """Its end is its own, and no alarm: the socket goes when the kernel takes it, not while Python unwinds."""
    leaves = """
    import atexit, sys, time
    class Broken:
        def flush(self):
            raise SystemExit(0)
    atexit.register(time.sleep, 0.8)
    sys.stdout = Broken()
    """
    await stage.load("run-1", leaves)
    assert (await end_of(stage.link.step("run-1", request(0)))).code == "exit"


async def test_exception_is_a_reply_and_then_an_end(stage: Stage) -> None:
    await stage.load("run-1", "1 / 0")
    reply = await stage.link.step("run-1", request(0))
    assert reply.error.startswith("ZeroDivisionError") and "line 5" in reply.error
    await stage.until(lambda: stage.ended)
    assert [(run, error.code) for run, error in stage.ended] == [("run-1", "exception")]


async def test_refused_load_names_the_line(stage: Stage) -> None:
    error = await end_of(stage.load("run-1", "x = ("))
    assert (error.code, error.becomes.value) == ("load", "refused")
    assert "line 5" in error.message


async def test_work_between_bars_ends_the_run_unasked(stage: Stage) -> None:
    spin = """
    import os
    real = os.write
    def write(fd, data):
        sent = real(fd, data)
        while fd == 3:
            pass
        return sent
    os.write = write
    """
    await stage.load("run-1", spin)
    await stage.link.step("run-1", request(0))
    await stage.until(lambda: stage.ended)
    assert [(run, error.code) for run, error in stage.ended] == [("run-1", "between")]


async def test_runner_killed_from_outside_is_told(stage: Stage) -> None:
    loaded = await stage.load("run-1", "pass")
    await stage.link.step("run-1", request(0))
    os.kill(loaded.pid, signal.SIGKILL)
    await stage.until(lambda: stage.ended)
    assert stage.ended[0][1].code == "killed"
    assert stage.ended[0][1].becomes.value == "rebuilt"
    again = await stage.load("run-1", "pass")
    assert again.pid != loaded.pid
    assert (await stage.link.step("run-1", request(1))).seq == 1


async def test_kill_ends_a_run_while_its_step_is_open(stage: Stage) -> None:
    loaded = await stage.load("run-1", "while True: pass", step_s=20.0)
    step = asyncio.ensure_future(end_of(stage.link.step("run-1", request(0))))
    await stage.until(
        lambda: Path(f"/proc/{loaded.pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
    )
    await stage.link.kill("run-1")
    assert (await asyncio.wait_for(step, 15)).code == "killed"
    assert not os.path.exists(f"/proc/{loaded.pid}")


async def test_a_step_that_waits_behind_a_kill_is_told_so(stage: Stage) -> None:
    await stage.load("run-1", "pass")
    killing = asyncio.ensure_future(stage.link.kill("run-1"))
    await asyncio.sleep(0)  # the kill takes its turn first
    step = asyncio.ensure_future(end_of(stage.link.step("run-1", request(0))))
    await killing
    assert (await asyncio.wait_for(step, 15)).code in ("killed", "host_lost")


async def test_repeated_step_is_answered_without_the_strategy(stage: Stage) -> None:
    await stage.load("run-1", "self.n = getattr(self, 'n', 0) + 1\nself.log(str(self.n))")
    sent: list[tuple[str, bytes]] = []
    post = stage.client.post

    def twice(topic: str, payload: bytes, **options: object) -> None:
        sent.append((topic, payload))
        post(topic, payload, **options)  # type: ignore[arg-type]
        post(topic, payload, **options)  # type: ignore[arg-type]

    stage.client.post = twice  # type: ignore[method-assign]
    assert [(await stage.link.step("run-1", request(n))).logs for n in range(4)] == [
        ("1",),
        ("2",),
        ("3",),
        ("4",),
    ]
    for topic, payload in sent[:2]:  # long answered steps, played again
        post(topic, payload)
    assert (await stage.link.step("run-1", request(4))).logs == ("5",)


async def test_replayed_load_does_not_restart_a_run(stage: Stage) -> None:
    sent: list[tuple[str, bytes]] = []
    post = stage.client.post

    def noted(topic: str, payload: bytes, **options: object) -> None:
        sent.append((topic, payload))
        post(topic, payload, **options)  # type: ignore[arg-type]

    stage.client.post = noted  # type: ignore[method-assign]
    loaded = await stage.load("run-1", "self.n = getattr(self, 'n', 0) + 1\nself.log(str(self.n))")
    await stage.link.step("run-1", request(0))
    post(*sent[0])
    assert (await stage.link.step("run-1", request(1))).logs == ("2",)
    assert os.path.exists(f"/proc/{loaded.pid}")


COUNTING = "self.n = getattr(self, 'n', 0) + 1\nself.log(str(self.n))"


async def test_load_that_the_bus_held_back_does_not_undo_a_later_one(stage: Stage) -> None:
    """The old runner would have seen no bar of the run, and answer the next as if it were the first."""
    held: list[tuple[str, bytes]] = []
    post = stage.client.post

    def withhold(topic: str, payload: bytes, **_: object) -> None:
        held.append((topic, payload))

    stage.client.post = withhold  # type: ignore[method-assign]
    former = asyncio.ensure_future(stage.load("run-1", COUNTING))
    await stage.until(lambda: held)
    former.cancel()
    stage.client.post = post  # type: ignore[method-assign]
    loaded = await stage.load("run-1", COUNTING)
    await stage.link.step("run-1", request(0))
    post(*held[0])
    assert (await stage.link.step("run-1", request(1))).logs == ("2",)
    assert os.path.exists(f"/proc/{loaded.pid}")


async def test_end_that_the_bus_lost_is_told_again(stage: Stage) -> None:
    """A run that failed for good must not come back by replay, and a refused load must not be awaited for ever."""
    lost: list[str] = []
    hear = stage.link._hearing.arrived

    def deaf_once(message: Message) -> None:
        if message.topic.endswith("/up/ended") and message.topic not in lost:
            lost.append(message.topic)
        else:
            hear(message)

    await stage.client.subscribe("hosts/host-local/#", deaf_once)
    assert (await end_of(asyncio.wait_for(stage.load("run-1", "=="), 10))).code == "load"
    await stage.load("run-2", "import os; os._exit(3)")
    assert (await end_of(asyncio.wait_for(stage.link.step("run-2", request(0)), 10))).code == "exit"
    assert len(lost) == 2


async def test_unsigned_and_foreign_words_are_dropped(stage: Stage) -> None:
    await stage.load("run-1", "self.log('x')")
    body = hostwire.Down("abc", 1, "host-local", "old", "run-1", "stop", 99, "z", hostwire.EMPTY)
    signed = envelope.seal(
        slots.read_key(stage.broker.run_dir, "daemon"), "daemon", msgspec.json.encode(body)
    )
    forged = envelope.seal(
        slots.read_key(stage.broker.run_dir, "cli-01"), "daemon", msgspec.json.encode(body)
    )
    for payload in (b"garbage", signed, forged):
        stage.client.post(topics.down("host-local", "run-1", "stop"), payload)
    assert (await stage.link.step("run-1", request(0))).logs == ("x",)
    up = hostwire.Up("abc", 1, "host-local", "run-1", "ended", 9, "", hostwire.EMPTY)
    stage.client.post(
        topics.up("host-local", "run-1", "ended"),
        envelope.seal(slots.read_key(stage.broker.run_dir, "cli-01"), "host-local", msgspec.json.encode(up)),
    )
    assert (await stage.link.step("run-1", request(1))).logs == ("x",)
    assert stage.link.dropped.get("SIGNATURE") == 1


async def test_dead_host_is_lost_and_its_runner_gone(stage: Stage) -> None:
    loaded = await stage.load("run-1", "pass")
    assert stage.host is not None
    stage.host.kill()
    stage.host.wait()
    await stage.until(lambda: not os.path.exists(f"/proc/{loaded.pid}") or _is_zombie(loaded.pid))
    with pytest.raises(HostLost):
        await stage.link.step("run-1", request(0))


async def test_new_host_process_takes_over_the_name(stage: Stage) -> None:
    await stage.load("run-1", "pass")
    assert stage.host is not None
    stage.host.kill()
    stage.host.wait()
    stage.start_host()
    await stage.until(lambda: stage.ended)
    assert stage.ended[0][1].code == "host_lost"
    await stage.load("run-1", "self.log('new')")
    assert (await stage.link.step("run-1", request(0))).logs == ("new",)


async def test_broker_restart_loses_no_step(stage: Stage) -> None:
    await stage.load("run-1", "self.n = getattr(self, 'n', 0) + 1\nself.log(str(self.n))")
    assert (await stage.link.step("run-1", request(0))).logs == ("1",)
    os.kill(stage.broker.pid, signal.SIGKILL)
    stage.broker.restart()
    assert (await stage.link.step("run-1", request(1))).logs == ("2",)


async def test_killed_latch_refuses_steps(stage: Stage) -> None:
    await stage.load("run-1", "pass")
    stage.latch.write_bytes(encode_row(LatchRow("all", HaltState.KILLED, "op:alice", "enough", 1)))
    error = await end_of(stage.link.step("run-1", request(0)))
    assert error.code == "killed" and "enough" in error.message


async def test_dead_zygote_fails_no_run_and_is_replaced(stage: Stage) -> None:
    await stage.load("run-1", "self.log('x')")
    assert stage.host is not None
    children = Path(f"/proc/{stage.host.pid}/task/{stage.host.pid}/children").read_text().split()
    zygotes = [pid for pid in children if b"zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    # Its runners bear its command line; it is the eldest of them, though pids may have wrapped.
    victim = min(map(int, zygotes), key=lambda pid: start_ticks(pid) or 0)
    os.kill(victim, signal.SIGKILL)
    await stage.until(lambda: _is_zombie(victim))
    assert (await stage.link.step("run-1", request(0))).logs == ("x",)
    await stage.load("run-2", "self.log('y')")
    assert (await stage.link.step("run-2", request(0))).logs == ("y",)


async def test_remote_host_kills_its_runners_when_the_daemon_falls_silent(stage: Stage) -> None:
    assert stage.host is not None
    stage.host.kill()
    stage.host.wait()
    stage.start_host(is_child=False)
    former = stage.link.state
    await stage.until(lambda: stage.link.state != former and stage.link.is_up)
    loaded = await stage.load("run-1", "pass")
    async with asyncio.timeout(hostwire.DAEMON_LOST_S + 5):
        while not stage.ended:
            await asyncio.sleep(0.05)
    assert "no beat of the daemon" in stage.ended[0][1].message
    assert _is_zombie(loaded.pid)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
