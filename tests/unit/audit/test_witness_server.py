"""A witness on the network: the public protocol's answers, one root per size, killed at any moment."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inalpha.audit import merkle, witness, witness_client
from inalpha.audit.checkpoint import Checkpoint, open_checkpoint
from inalpha.audit.notes import Signer, SigningKey, VerifierKey
from inalpha.audit.witness_client import submit
from inalpha.audit.witness_server import WitnessServer
from inalpha.model.errors import IntegrityError, TryAgain

ORIGIN = "inalpha.local/ledger/" + "0" * 32
LOG = Signer(ORIGIN, SigningKey(b"l" * 32))
SEED = 11


def history(mark: bytes, size: int) -> merkle.Tree:
    """A tree of its own beyond the first leaf."""
    leaves = [merkle.leaf_hash(b"genesis"), *(merkle.leaf_hash(mark + b"%d" % n) for n in range(1, size))]
    tree = merkle.Tree(lambda start, end: leaves[start:end])
    for leaf in leaves:
        tree.append(leaf)
    return tree


def make(directory: Path) -> VerifierKey:
    """A witness that knows the log's key, as it does after its first request."""
    vkey = witness.create(directory, "bob", ORIGIN, merkle.leaf_hash(b"genesis").hex())
    witness._store(directory, witness._load(directory) | {"log_vkey": LOG.vkey.text})
    return vkey


def head(tree: merkle.Tree, size: int) -> bytes:
    return Checkpoint(ORIGIN, size, tree.root(size)).sign(LOG)


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[str]:
    with WitnessServer(directory, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def post(url: str, body: bytes) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def no_keys(old: int) -> bytes:
    raise AssertionError("the witness knows the key")


def test_answers_are_those_of_the_protocol(tmp_path: Path) -> None:
    vkey, tree = make(tmp_path / "bob"), history(b"a", 9)
    good = witness.make_add(1, tree.consistency(1, 5), head(tree, 5))
    other = Signer(ORIGIN, SigningKey(b"x" * 32))
    foreign = Signer("example.org/log", SigningKey(b"x" * 32))
    extended = head(tree, 5).split(b"\n\n")[0] + b"\nmore\n"
    refused = {
        b"old x\n\n" + head(tree, 5): 400,
        b"": 400,
        witness.make_add(6, [], head(tree, 5)): 400,
        witness.make_add(1, tree.consistency(1, 5), LOG.note(extended)): 400,
        witness.make_add(1, [], foreign.note(b"example.org/log\n5\n" + b"A" * 43 + b"=\n")): 404,
        witness.make_add(1, tree.consistency(1, 5), Checkpoint(ORIGIN, 5, tree.root(5)).sign(other)): 403,
        witness.make_add(2, tree.consistency(2, 5), head(tree, 5)): 409,
        witness.make_add(1, tree.consistency(1, 6), head(tree, 5)): 422,
    }
    with serving(tmp_path / "bob") as url:
        for body, status in refused.items():
            assert post(f"{url}/add-checkpoint", body)[0] == status, body
        assert witness.seen(tmp_path / "bob")[0] == 1
        assert post(f"{url}/add-checkpoint", witness.make_add(0, [], head(tree, 5))) == (409, b"1\n")
        status, line = post(f"{url}/add-checkpoint", good)
        assert status == 200
        _, opened = open_checkpoint(head(tree, 5) + line, [LOG.vkey, vkey])
        assert list(opened.cosigned) == [vkey.name]
        assert post(f"{url}/add-checkpoint", good) == (409, b"5\n")
        fork = history(b"b", 9)
        assert post(f"{url}/add-checkpoint", witness.make_add(5, [], head(fork, 5))) == (409, b"5\n")
        with pytest.raises(IntegrityError, match="422"):
            submit(url, head(fork, 8), lambda old: fork.consistency(old, 8), no_keys)
        note = submit(url, head(tree, 8), lambda old: tree.consistency(old, 8), no_keys)
        assert open_checkpoint(note, [LOG.vkey, vkey])[1].cosigned
        with pytest.raises(IntegrityError, match="has seen 8"):
            submit(url, head(tree, 6), lambda old: tree.consistency(old, 6), no_keys)


def race(directory: Path, sizes: range) -> dict[int, set[bytes]]:
    """Two histories submitted side by side; per size the roots that got a cosignature."""
    signed: dict[int, set[bytes]] = {}
    guard = threading.Lock()
    barrier = threading.Barrier(2)

    def one(tree: merkle.Tree) -> None:
        for size in sizes:
            barrier.wait()
            old = witness.seen(directory)[0]
            if old > size:
                continue
            body = witness.make_add(old, tree.consistency(old, size), head(tree, size))
            status, _ = witness.add_checkpoint(directory, body, 1_780_000_000)
            if status == 200:
                with guard:
                    signed.setdefault(size, set()).add(tree.root(size))

    threads = [threading.Thread(target=one, args=(history(mark, sizes.stop),)) for mark in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return signed


def test_two_histories_side_by_side_get_one_root_per_size(tmp_path: Path) -> None:
    make(tmp_path / "bob")
    signed = race(tmp_path / "bob", range(2, 40))
    assert signed
    assert all(len(roots) == 1 for roots in signed.values())


def _no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    meet = threading.Barrier(2, timeout=0.5)
    load = witness._load

    def slow(directory: Path) -> dict[str, object]:
        state = load(directory)
        if threading.current_thread() is not threading.main_thread():
            with contextlib.suppress(threading.BrokenBarrierError):
                meet.wait()
        return state

    monkeypatch.setattr(witness, "_locked", lambda directory: contextlib.nullcontext())
    monkeypatch.setattr(witness, "_load", slow)
    store, one_file = witness._store, threading.Lock()

    def stored(directory: Path, state: dict[str, object]) -> None:
        with one_file:
            store(directory, state)

    monkeypatch.setattr(witness, "_store", stored)


def _no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "_store", lambda directory, state: None)


@pytest.mark.parametrize("spoil", [_no_lock, _no_memory])
def test_without_its_lock_or_its_memory_a_witness_contradicts_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[pytest.MonkeyPatch], None]
) -> None:
    make(tmp_path / "bob")
    spoil(monkeypatch)
    assert any(len(roots) == 2 for roots in race(tmp_path / "bob", range(2, 3)).values())


def kill_loop(directory: Path, kills: int) -> dict[int, set[bytes]]:
    """SIGKILL while two histories are submitted over HTTP; per size the roots whose cosignature arrived."""
    generator = random.Random(SEED)
    trees = [history(mark, 4000) for mark in (b"a", b"b")]
    signed: dict[int, set[bytes]] = {}
    guard = threading.Lock()
    for _ in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-m", "inalpha", "audit", "witness", "serve", "--state", str(directory),
             "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}, text=True,
        )  # fmt: skip
        assert child.stdout is not None
        url = child.stdout.readline().strip()

        def feed(tree: merkle.Tree, url: str = url) -> None:
            old = 1
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                while True:
                    size = min(old + 1, 3999)
                    body = witness.make_add(old, tree.consistency(old, size), head(tree, size))
                    status, answer = post(f"{url}/add-checkpoint", body)
                    if status == 200:
                        with guard:
                            signed.setdefault(size, set()).add(tree.root(size))
                        old = size
                    elif status == 409:
                        old = int(answer)
                    else:
                        return

        threads = [threading.Thread(target=feed, args=(tree,)) for tree in trees for _ in range(2)]
        for thread in threads:
            thread.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(generator.uniform(0.05, 0.4))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        for thread in threads:
            thread.join()
    return signed


def check_kills(directory: Path, kills: int) -> None:
    make(directory)
    signed = kill_loop(directory, kills)
    size, root = witness.seen(directory)
    assert len(signed) > kills and max(signed) <= size
    assert all(len(roots) == 1 for roots in signed.values())
    ours = [tree for tree in (history(b"a", 4000), history(b"b", 4000)) if tree.root(size).hex() == root]
    assert ours
    assert all(roots == {ours[0].root(at)} for at, roots in signed.items())


def test_killed_witness_signs_one_root_per_size(tmp_path: Path) -> None:
    check_kills(tmp_path / "bob", 4)


@pytest.mark.campaign
def test_killed_witness_signs_one_root_per_size_200_times(tmp_path: Path) -> None:
    check_kills(tmp_path / "bob", 200)


@pytest.mark.parametrize("answer", [b"\xff\xfe\n", b"", b"hello\n", b"\xe2\x80\x94 a b\n\xe2\x80\x94 a b\n"])
def test_answer_that_is_no_signature_line_is_no_cosignature(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(witness_client, "_post", lambda *_: (200, answer))
    with pytest.raises(TryAgain):
        submit("http://127.0.0.1:1", head(history(b"a", 3), 2), lambda old: [], no_keys)


@pytest.mark.parametrize("length", [b"\xb2", b"-1", b"9" * 5000, b"1048577"])
def test_length_that_is_no_number_is_refused(tmp_path: Path, length: bytes) -> None:
    make(tmp_path / "bob")
    with (
        serving(tmp_path / "bob") as url,
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=10) as peer,
    ):
        peer.sendall(b"POST /add-checkpoint HTTP/1.0\r\nContent-Length: " + length + b"\r\n\r\n")
        assert b" 400 " in peer.recv(100)
