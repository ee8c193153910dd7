"""A witness: another machine that signs each tree head once, after proof that nothing below it changed.

Its whole memory is one file (size, root, the log's current key). It is made durable before the cosignature
leaves, so a witness that dies in between can repeat itself but never contradict itself. The log key changes
with every epoch, so a request carries the key lines since the last head, each proven to lie in the new tree.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inalpha.audit import merkle
from inalpha.audit.canonical import CanonicalError, decode, encode
from inalpha.audit.checkpoint import Checkpoint, open_checkpoint, parse_note
from inalpha.audit.client import tree_of
from inalpha.audit.event import EventError, parse_entry
from inalpha.audit.keys import load_key, make_private, new_key, sync_directory, write_open
from inalpha.audit.lineage import key_lines
from inalpha.audit.notes import (
    COSIGNATURE,
    DASH,
    NoteError,
    VerifierKey,
    b64decode,
    b64encode,
    cosigned_text,
    parse_vkey,
    verify_ed25519,
)
from inalpha.audit.prove import tlog_proof
from inalpha.model.errors import IntegrityError, Refused

REQUEST = "inalpha.audit/witness/v1"
_STATE = "witness.json"
_MEMBERS = {"checkpoint", "keys", "old", "proof", "request"}


def create(directory: Path, handle: str, origin: str, genesis: str) -> VerifierKey:
    """A new witness that has seen one line, the genesis. Answers the key to enrol."""
    make_private(directory)
    if (directory / _STATE).exists():
        raise Refused("WITNESS_EXISTS", f"{directory} holds a witness.", "Choose another folder.")
    key = new_key()
    vkey = VerifierKey(f"{origin}/witness/{handle}", COSIGNATURE, key.public)
    write_open(directory / "witness.key", key)
    state = {"log_vkey": None, "name": vkey.name, "origin": origin, "root": genesis, "size": 1, "v": 1}
    _store(directory, state)
    return vkey


def seen(directory: Path) -> tuple[int, str]:
    """(size, root hex) of the last head that this witness saw."""
    state = _load(directory)
    return state["size"], state["root"]


def make_request(home: Path, reader: sqlite3.Connection, old: int) -> bytes:
    """What the log's machine hands to a witness that last saw old lines."""
    note = (home / "head.checkpoint").read_bytes()
    size = parse_note(note).size
    reader.execute("BEGIN")
    try:
        tree = tree_of(reader)
        if not 1 <= old <= size <= tree.size:
            raise Refused(
                "WITNESS_SIZE", f"{old} is not between 1 and {size}.", "Ask the witness: witness show."
            )
        lines = [
            link
            for link in key_lines(reader, size)
            if link.role == "genesis" or link.event.kind == "key.rotate"
        ]
        keys = [
            {"entry": link.entry.decode(), "proof": tlog_proof(tree, link.seq, size, b"")}
            for link in lines
            if link.seq >= old or (old == 1 and link.seq == 0)
        ]
        proof = [b64encode(node) for node in tree.consistency(old, size)]
    finally:
        reader.execute("COMMIT")
    return (
        encode({"checkpoint": note.decode(), "keys": keys, "old": old, "proof": proof, "request": REQUEST})
        + b"\n"
    )


def cosign(directory: Path, request: bytes, seconds: int) -> bytes:
    """The checkpoint with this witness's cosignature.

    Raises IntegrityError when the request does not continue what the witness saw: the alarm it exists for.
    """
    asked = _read_request(request)
    with _locked(directory):
        state = _load(directory)
        try:
            checkpoint, log_vkey = _check(asked, state)
        except (NoteError, EventError, merkle.ProofError, ValueError) as error:
            raise IntegrityError(
                "WITNESS_REFUSES", f"this is no continuation of the {state['size']} lines seen: {error}.",
                "Keep the request: it is evidence. Compare it with the log's keeper.",
            ) from error  # fmt: skip
        key = load_key(directory / "witness.key")
        vkey = VerifierKey(state["name"], COSIGNATURE, key.public)
        _store(
            directory, state | {"log_vkey": log_vkey, "root": checkpoint.root.hex(), "size": checkpoint.size}
        )
        signature = vkey.id + seconds.to_bytes(8, "big") + key.sign(cosigned_text(seconds, checkpoint.text))
    line = f"{DASH}{vkey.name} {b64encode(signature)}\n"
    return f"{asked['checkpoint']}{line}".encode()


def _read_request(request: bytes) -> dict[str, Any]:
    try:
        asked = decode(request.removesuffix(b"\n"))
    except CanonicalError as error:
        raise Refused("WITNESS_REQUEST", f"{error}.", "Make it anew: audit witness request.") from error
    if type(asked) is not dict or asked.keys() != _MEMBERS or asked["request"] != REQUEST:
        raise Refused(
            "WITNESS_REQUEST", "other members than a request has.", "Make it anew: audit witness request."
        )
    return asked


def _check(asked: dict[str, Any], state: dict[str, Any]) -> tuple[Checkpoint, str]:
    """The checkpoint, proven to continue the state, and the log key that is current in it."""
    note = asked["checkpoint"].encode()
    head = parse_note(note)
    if asked["old"] != state["size"] or head.size < state["size"]:
        raise NoteError(f"it starts at {asked['old']} lines and ends at {head.size}")
    proof = [b64decode(item) for item in asked["proof"]]
    merkle.verify_consistency(state["size"], bytes.fromhex(state["root"]), head.size, head.root, proof)
    log_vkey = _follow_keys(asked["keys"], state, head)
    checkpoint, _ = open_checkpoint(note, [parse_vkey(log_vkey)])
    if checkpoint.origin != state["origin"]:
        raise NoteError("it is of another log")
    return checkpoint, log_vkey


def _follow_keys(items: Sequence[dict[str, str]], state: dict[str, Any], head: Checkpoint) -> str:
    """Each rotation is signed by the key before it and lies in the new tree."""
    current: str | None = state["log_vkey"]
    for item in items:
        entry = item["entry"].encode()
        signed = parse_entry(entry)
        event = signed.event
        lines = item["proof"].split("\n")
        path = [b64decode(line) for line in lines[2 : lines.index("", 2)]]
        merkle.verify_inclusion(event.seq, head.size, merkle.leaf_hash(entry), path, head.root)
        if event.kind == "ledger.genesis" and current is None:
            current = str(event.data["log_vkey"])
        elif event.kind != "key.rotate":
            raise NoteError(f"a {event.kind} line among the keys")
        if current is None or not verify_ed25519(parse_vkey(current).public, signed.text, signed.signature):
            raise NoteError(f"line {event.seq} is not signed by the key before it")
        current = str(event.data.get("vkey", current))
    if current is None:
        raise NoteError("no line names the log key")
    return current


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One cosigner at a time: two would sign from the same memory."""
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _load(directory: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((directory / _STATE).read_bytes())
    except FileNotFoundError as error:
        raise Refused("NO_WITNESS", f"{directory} holds no witness.", "audit witness new DIR") from error
    return state


def _store(directory: Path, state: dict[str, Any]) -> None:
    """Durable before anybody hears of it."""
    temporary = directory / f"{_STATE}.part"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, json.dumps(state, sort_keys=True).encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(temporary, directory / _STATE)
    sync_directory(directory)
