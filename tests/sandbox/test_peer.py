"""Protocol cases that no strategy file can play: a peer of our own on the socketpair."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Callable

import pytest

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.runner import RunnerEnded
from inalpha.model.step import StepRequest
from runners import messages
from runners.local import SandboxRunner
from runners.process import RunnerProcess
from runners.protocol import Limits

LIMITS = Limits(step_s=0.3, load_s=0.3, ready_s=0.5, ping_s=0.3)
SOURCE = b"class Mine(Strategy): ..."
REQUEST = StepRequest(0, 1, (), Bar(0, 1, 2, 3, 4, 5, 6), (0, 0), (0, 0), ())
Play = Callable[[socket.socket, dict], None]


def start(play: Play, *, prologue: bytes | None = None) -> SandboxRunner:
    """A forked peer that says ready (or the prologue), then plays with each request."""
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    pid = os.fork()
    if pid == 0:
        ours.close()
        try:
            if os.geteuid() == 0:
                os.setresuid(65_400, 65_400, 65_400)
            theirs.sendall(messages.frame(messages.Ready(os.getpid())) if prologue is None else prologue)
            while data := theirs.recv(70_000):
                play(theirs, json.loads(data[4:]))
        finally:
            os._exit(5)
    theirs.close()
    os.close(write_end)
    return SandboxRunner(RunnerProcess(pid, ours, read_end, LIMITS), frozenset())


def load(runner: SandboxRunner) -> None:
    runner.load("run-1", SOURCE, "ab", {}, Instrument("X"), "1d", 1)


def honest(request: dict) -> bytes:
    if request["type"] == "load":
        return messages.frame(messages.Loaded(request["nonce"], "Mine", {}))
    return messages.frame(messages.Reply(request["nonce"], request.get("seq", 0), [], [], ""))


def ended(act: Callable[[], object]) -> RunnerEnded:
    with pytest.raises(RunnerEnded) as caught:
        act()
    return caught.value


def silent() -> None:
    select.select([], [], [], 60)


def test_honest_peer_is_accepted() -> None:
    runner = start(lambda link, request: link.sendall(honest(request)))
    load(runner)
    assert runner.step(REQUEST).seq == 0
    runner.kill()


def test_frame_in_single_bytes_is_accepted() -> None:
    def play(link: socket.socket, request: dict) -> None:
        for byte in honest(request):
            link.sendall(bytes([byte]))

    runner = start(play)
    load(runner)
    assert runner.step(REQUEST).seq == 0
    runner.kill()


LENGTH = len(honest({"type": "step", "nonce": "0" * 32, "seq": 0}))


@pytest.mark.parametrize("cut", [*range(12), *range(12, LENGTH, 17)])
def test_cut_frame_then_silence_is_a_deadline(cut: int) -> None:
    def play(link: socket.socket, request: dict) -> None:
        if request["type"] == "load":
            link.sendall(honest(request))
        else:
            link.sendall(honest(request)[:cut])
            silent()

    runner = start(play)
    load(runner)
    began = time.monotonic()
    assert ended(lambda: runner.step(REQUEST)).code == "deadline"
    assert time.monotonic() - began < LIMITS.step_s + 1


@pytest.mark.parametrize("cut", [*range(12), *range(12, LENGTH, 17)])
def test_cut_frame_then_end_of_file_is_an_exit(cut: int) -> None:
    def play(link: socket.socket, request: dict) -> None:
        link.sendall(honest(request) if request["type"] == "load" else honest(request)[:cut])
        if request["type"] != "load":
            os._exit(0)

    runner = start(play)
    load(runner)
    assert ended(lambda: runner.step(REQUEST)).code == "exit"


@pytest.mark.parametrize("length", [0, 65_537, 2**32 - 1])
def test_bad_length_ends_it(length: int) -> None:
    def play(link: socket.socket, request: dict) -> None:
        link.sendall(length.to_bytes(4, "big"))
        silent()

    runner = start(play)
    error = ended(lambda: load(runner))
    assert error.code == "protocol" and error.is_security_alert


def test_peer_that_never_reads_is_a_deadline() -> None:
    def play(link: socket.socket, request: dict) -> None:
        link.sendall(honest(request))
        silent()

    runner = start(play)
    load(runner)
    runner.process.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    many = tuple(
        messages.OrderView(f"0:{n}", "buy", "market", 1, 0, None, None, "GTC", "accepted", "x" * 100)
        for n in range(250)
    )
    large = StepRequest(0, 1, (), REQUEST.bar, (0, 0), (0, 0), many)
    assert ended(lambda: runner.step(large)).code == "deadline"


@pytest.mark.parametrize(
    "prologue", [b"x", b"\0\0\0\0", b"\xff\xff\xff\xff", messages.frame(messages.Ready(1))]
)
def test_anything_but_ready_ends_it(prologue: bytes) -> None:
    error = ended(lambda: load(start(lambda link, request: None, prologue=prologue)))
    assert error.code in ("protocol", "deadline")
    assert error.code == "protocol" or prologue == b"x"


def test_bytes_after_the_answer_end_it() -> None:
    runner = start(lambda link, request: link.sendall(honest(request) + b"x"))
    assert ended(lambda: load(runner)).code == "protocol"


def test_second_answer_later_ends_it_at_the_next_request() -> None:
    def play(link: socket.socket, request: dict) -> None:
        link.sendall(honest(request))
        if request["type"] == "load":
            link.sendall(honest(request))

    runner = start(play)
    # Both frames may come in one read or in two: either way it never reaches a second step.
    assert ended(lambda: (load(runner), runner.step(REQUEST))).code == "protocol"


def test_host_lives_on_after_each_end() -> None:
    for _ in range(3):
        runner = start(lambda link, request: link.sendall(b"\xff" * 8))
        assert ended(lambda r=runner: load(r)).code == "protocol"
    runner = start(lambda link, request: link.sendall(honest(request)))
    load(runner)
    runner.kill()
