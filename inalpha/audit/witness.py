"""A witness: another machine that signs each tree head once, after proof that nothing below it changed.

Its whole memory is one file (size, root, the log's current key). It is made durable before the cosignature
leaves, so a witness that dies in between can repeat itself but never contradict itself. The log key changes
with every epoch, so a request carries the key lines since the last head, each proven to lie in the new tree.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inalpha.audit import merkle
from inalpha.audit.canonical import CanonicalError, decode, encode
from inalpha.audit.checkpoint import Checkpoint, open_checkpoint, parse_note
from inalpha.audit.client import tree_of
from inalpha.audit.event import EventError
from inalpha.audit.keys import load_key, make_private, new_key, sync_directory, write_open
from inalpha.audit.notes import (
    COSIGNATURE,
    DASH,
    NoteError,
    VerifierKey,
    b64decode,
    b64encode,
    cosigned_text,
    parse_vkey,
)
from inalpha.audit.witness_keys import follow, key_items
from inalpha.model.errors import IntegrityError, Refused

REQUEST = "inalpha.audit/witness/v1"
MAX_PROOF = 63
_STATE = "witness.json"
_OLD = re.compile("old (0|[1-9][0-9]{0,15})")
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


def make_request(home: Path, reader: sqlite3.Connection, old: int, note: bytes | None = None) -> bytes:
    """What the log's machine hands to a witness that last saw old lines. note: the home's signed head else."""
    note = note if note is not None else (home / "head.checkpoint").read_bytes()
    size = parse_note(note).size
    reader.execute("BEGIN")
    try:
        tree = tree_of(reader)
        if not 1 <= old <= size <= tree.size:
            raise Refused(
                "WITNESS_SIZE", f"{old} is not between 1 and {size}.", "Ask the witness: witness show."
            )
        keys = key_items(reader, tree, old, size)
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
        line = _sign(directory, state | {"log_vkey": log_vkey}, checkpoint, seconds)
    note: bytes = asked["checkpoint"].encode()
    return note + line


def add_checkpoint(directory: Path, body: bytes, seconds: int) -> tuple[int, bytes]:
    """Answer C2SP tlog-witness `add-checkpoint`: (HTTP status, body).

    200 with the cosignature line; 400 malformed; 403 not signed by the log key that this witness follows; 404
    another log; 409 with the size that it saw; 422 a proof that does not hold.
    """
    try:
        old, proof, note = parse_add(body)
        head = parse_note(note)
    except NoteError as error:
        return 400, f"{error}\n".encode()
    with _locked(directory):
        state = _load(directory)
        if head.origin != state["origin"]:
            return 404, b"another log\n"
        try:
            known = [parse_vkey(state["log_vkey"])] if state["log_vkey"] else []
            open_checkpoint(note, known)
        except NoteError as error:
            return 403, f"{error}\n".encode()
        if old > head.size or head.extensions:
            return 400, b"the old size is the larger one, or there are extension lines\n"
        known_root = bytes.fromhex(state["root"])
        if old != state["size"] or (old == head.size and head.root != known_root):
            return 409, b"%d\n" % state["size"]
        try:
            merkle.verify_consistency(old, known_root, head.size, head.root, proof)
        except merkle.ProofError as error:
            return 422, f"{error}\n".encode()
        return 200, _sign(directory, state, head, seconds)


def make_add(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body of an `add-checkpoint` request."""
    lines = [f"old {old}", *(b64encode(node) for node in proof), "", ""]
    return "\n".join(lines).encode() + note


def parse_add(body: bytes) -> tuple[int, list[bytes], bytes]:
    """(old size, consistency proof, checkpoint note) of such a body. Raises NoteError."""
    head, blank, note = body.partition(b"\n\n")
    try:
        first, *hashes = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise NoteError("not ASCII") from error
    found = _OLD.fullmatch(first)
    if found is None or not blank or len(hashes) > MAX_PROOF:
        raise NoteError("no old size, no blank line or too long a proof")
    proof = [b64decode(item) for item in hashes]
    if any(len(node) != 32 for node in proof):
        raise NoteError("a hash has 32 bytes")
    return int(found[1]), proof, note


def _sign(directory: Path, state: dict[str, Any], head: Checkpoint, seconds: int) -> bytes:
    """The cosignature line; what was seen is durable before it exists."""
    key = load_key(directory / "witness.key")
    vkey = VerifierKey(state["name"], COSIGNATURE, key.public)
    _store(directory, state | {"root": head.root.hex(), "size": head.size})
    signature = vkey.id + seconds.to_bytes(8, "big") + key.sign(cosigned_text(seconds, head.text))
    return f"{DASH}{vkey.name} {b64encode(signature)}\n".encode()


def old_size(request: bytes) -> int:
    """How many lines a request takes as seen."""
    return int(_read_request(request)["old"])


def _read_request(request: bytes) -> dict[str, Any]:
    try:
        asked = decode(request.removesuffix(b"\n"))
    except CanonicalError as error:
        raise Refused("WITNESS_REQUEST", f"{error}.", "Make it anew: audit witness request.") from error
    if (
        type(asked) is not dict
        or asked.keys() != _MEMBERS
        or asked["request"] != REQUEST
        or not _typed(asked)
    ):
        raise Refused(
            "WITNESS_REQUEST", "other members than a request has.", "Make it anew: audit witness request."
        )
    return asked


def _typed(asked: dict[str, Any]) -> bool:
    items, proof = asked["keys"], asked["proof"]
    return (
        type(asked["old"]) is int
        and type(asked["checkpoint"]) is str
        and type(proof) is list
        and all(type(node) is str for node in proof)
        and type(items) is list
        and all(
            type(item) is dict
            and item.keys() == {"entry", "proof"}
            and all(type(text) is str for text in item.values())
            for item in items
        )
    )


def _check(asked: dict[str, Any], state: dict[str, Any]) -> tuple[Checkpoint, str]:
    """The checkpoint, proven to continue the state, and the log key that is current in it."""
    note = asked["checkpoint"].encode()
    head = parse_note(note)
    if asked["old"] != state["size"] or head.size < state["size"]:
        raise NoteError(f"it starts at {asked['old']} lines and ends at {head.size}")
    proof = [b64decode(item) for item in asked["proof"]]
    merkle.verify_consistency(state["size"], bytes.fromhex(state["root"]), head.size, head.root, proof)
    log_vkey = follow(asked["keys"], state["log_vkey"], state["origin"], state["size"], head)
    checkpoint, _ = open_checkpoint(note, [parse_vkey(log_vkey)])
    if checkpoint.extensions:
        raise NoteError("a checkpoint with extension lines")
    if checkpoint.origin != state["origin"]:
        raise NoteError("it is of another log")
    return checkpoint, log_vkey


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
