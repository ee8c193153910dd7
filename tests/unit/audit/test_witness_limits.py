"""The other side drips, floods or hangs: that costs a bounded time and a bounded number of threads."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inalpha.audit import merkle, witness
from inalpha.audit.checkpoint import Checkpoint
from inalpha.audit.notes import Signer, SigningKey
from inalpha.audit.witness_client import submit
from inalpha.audit.witness_server import WitnessServer
from inalpha.model.errors import TryAgain

ORIGIN = "inalpha.local/ledger/" + "0" * 32
LOG = Signer(ORIGIN, SigningKey(b"l" * 32))
LEAVES = [merkle.leaf_hash(b"genesis"), *(merkle.leaf_hash(b"%d" % n) for n in range(9))]


def tree() -> merkle.Tree:
    made = merkle.Tree(lambda start, end: LEAVES[start:end])
    for leaf in LEAVES:
        made.append(leaf)
    return made


def head(size: int) -> bytes:
    return Checkpoint(ORIGIN, size, tree().root(size)).sign(LOG)


def nothing(old: int) -> bytes:
    raise AssertionError("no key was asked for")


@contextlib.contextmanager
def dripping(answer: bytes) -> Iterator[str]:
    """A server that sends its answer one byte every few milliseconds, and goes on for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            with contextlib.suppress(OSError):
                peer, _ = listener.accept()
                with peer:
                    for byte in answer + b"x" * 100_000:
                        if over.wait(0.02):
                            return
                        peer.sendall(bytes([byte]))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.0 200 OK\r\nX-Long: ",
        b"HTTP/1.0 200 OK\r\nContent-Length: 4000\r\n\r\n",
        b"HTTP/1.0 500 no\r\nContent-Length: 4000\r\n\r\n",
    ],
)
def test_answer_that_drips_is_given_up(answer: bytes) -> None:
    with dripping(answer) as url, pytest.raises(TryAgain, match=r"within 0\.5 s"):
        submit(url, head(3), lambda old: [], nothing, timeout_s=0.5)


@contextlib.contextmanager
def serving(directory: Path, connections: int, exchange_s: float) -> Iterator[tuple[str, int]]:
    witness.create(directory, "bob", ORIGIN, LEAVES[0].hex())
    witness._store(directory, witness._load(directory) | {"log_vkey": LOG.vkey.text})
    with WitnessServer(directory, "127.0.0.1", 0, connections=connections, exchange_s=exchange_s) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def is_hung_up(peer: socket.socket) -> bool:
    """Whether the server ends the connection, in a time that no answer takes."""
    peer.settimeout(20)
    try:
        return peer.recv(1) == b""
    except ConnectionError:
        return True


def test_peer_that_drips_is_hung_up_on(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "bob", 4, 0.5) as (_, port),
        socket.create_connection(("127.0.0.1", port)) as peer,
    ):
        over = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.05):  # each byte well within the socket's own timeout
                    peer.sendall(b"P")

        thread = threading.Thread(target=drip)
        thread.start()
        assert is_hung_up(peer)
        over.set()
        thread.join()


def test_flood_takes_no_more_than_its_places_and_then_the_log_is_served(tmp_path: Path) -> None:
    with serving(tmp_path / "bob", 4, 1.0) as (url, port), contextlib.ExitStack() as stack:
        before = threading.active_count()
        peers = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(60)]
        assert all(is_hung_up(peer) for peer in peers[4:])
        # A thread and a timer for each place at most.
        assert threading.active_count() - before <= 8
        assert all(is_hung_up(peer) for peer in peers[:4])
        end = time.monotonic() + 20
        while True:
            try:
                note = submit(url, head(5), lambda old: tree().consistency(old, 5), nothing)
                break
            except TryAgain:
                assert time.monotonic() < end
        assert note.startswith(head(5))
        assert witness.seen(tmp_path / "bob")[0] == 5
