"""Gate and proposal notes: what a person or an agent signed, in either form of signature."""

from __future__ import annotations

import hashlib

from inalpha.verifier.canonical import read_json
from inalpha.verifier.checks import Broken, Malformed
from inalpha.verifier.forms import fits
from inalpha.verifier.notes import Key, holds, split_note, unbase64

GATE = "inalpha.audit/gate/v1"
PROPOSAL = "inalpha.audit/proposal/v1"
SSH_BEGIN, SSH_END = "-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----\n"


class Gate:
    """A gate or proposal note of the right form."""

    def __init__(self, note: str, header: str) -> None:
        try:
            self._read(note, header)
        except (Malformed, UnicodeEncodeError) as error:
            raise Broken("", f"GATE_SYNTAX: {error}") from error

    def _read(self, note: str, header: str) -> None:
        self.header = header
        self.ssh: tuple[bytes, bytes, bytes, bytes] | None = None
        self.name, self.key_id, self.signature = "", b"", b""
        at = note.find(SSH_BEGIN)
        if header == GATE and at >= 0 and note.endswith(SSH_END):
            self.ssh = read_sshsig(note[at + len(SSH_BEGIN) : -len(SSH_END)])
            self.text = note[:at].encode()
            if not self.text.endswith(b"\n\n"):
                raise Malformed("no blank line before the signature")
            self.text = self.text[:-1]
        else:
            self.text, lines = split_note(note.encode())
            if len(lines) != 1 or len(lines[0][2]) != 64:
                raise Malformed("not exactly one Ed25519 signature")
            self.name, self.key_id, self.signature = lines[0]
        parts = self.text.split(b"\n")
        if len(parts) != 3 or parts[0] != header.encode() or parts[2]:
            raise Malformed("not header and JSON")
        body = read_json(parts[1])
        wanted = {"action", "exp", "log", "nonce", "subject", "ts", "v"}
        wanted |= {"base_root", "base_size"} if header == GATE else set()
        if type(body) is not dict or body.keys() != wanted:
            raise Malformed("other members")
        counts = ["exp", "ts", *(["base_size"] if header == GATE else [])]
        texts = ["action", "log", "nonce", *(["base_root"] if header == GATE else [])]
        if not all(fits("", "int", body[name]) for name in counts):
            raise Malformed("a time or size of another type")
        if not all(type(body[name]) is str for name in texts) or not fits("", "sha256", body["nonce"]):
            raise Malformed("a text of another type")
        if type(body["v"]) is not int or body["v"] != 1 or type(body["subject"]) is not dict:
            raise Malformed("another version or no subject")
        self.action, self.log, self.nonce = body["action"], body["log"], body["nonce"]
        self.subject, self.ts, self.exp = body["subject"], body["ts"], body["exp"]
        self.base_size = body.get("base_size", 0)
        self.base_root = unbase64(body["base_root"]) if header == GATE else b""

    def is_by(self, key: Key) -> bool:
        if self.ssh is None:
            return holds(key.public, self.text, self.signature)
        public, namespace, hash_name, signature = self.ssh
        hashed = hashlib.new(hash_name.decode(), self.text).digest()
        message = b"SSHSIG" + b"".join(map(ssh_string, (namespace, b"", hash_name, hashed)))
        return public == key.public and namespace == GATE.encode() and holds(public, message, signature)


def read_sshsig(armour: str) -> tuple[bytes, bytes, bytes, bytes]:
    """(public key, namespace, hash name, signature) of an armoured Ed25519 SSH signature."""
    data = unbase64(armour.replace("\n", ""))
    if data[:10] != b"SSHSIG\x00\x00\x00\x01":
        raise Malformed("not an SSH signature of version 1")
    outer = ssh_strings(data[10:], 5)
    keys, signatures = ssh_strings(outer[0], 2), ssh_strings(outer[4], 2)
    if keys[0] != b"ssh-ed25519" or signatures[0] != b"ssh-ed25519" or outer[2]:
        raise Malformed("an SSH signature of another type")
    if len(keys[1]) != 32 or len(signatures[1]) != 64 or outer[3] not in (b"sha256", b"sha512"):
        raise Malformed("an SSH signature of another type")
    return keys[1], outer[1], outer[3], signatures[1]


def ssh_strings(data: bytes, count: int) -> list[bytes]:
    found, at = [], 0
    for _ in range(count):
        length = int.from_bytes(data[at : at + 4], "big")
        piece = data[at + 4 : at + 4 + length]
        if len(data) < at + 4 or len(piece) != length:
            raise Malformed("an SSH signature cut short")
        found.append(piece)
        at += 4 + length
    if at != len(data):
        raise Malformed("bytes after an SSH signature")
    return found


def ssh_string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value
