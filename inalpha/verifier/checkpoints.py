"""Checkpoints of the tree, witnesses' cosignatures, and the policy that says whose count."""

from __future__ import annotations

import re

from inalpha.verifier.checks import Malformed
from inalpha.verifier.notes import COSIGNATURE, ED25519, Key, holds, split_note, unbase64


class Checkpoint:
    """A tree head. log_key: which log key signed it. cosigned: witness name to seconds. strangers: lines of
    keys that nobody enrolled; they are ignored, as the note format wants it."""

    def __init__(self, note: bytes, log_keys: list[Key], witnesses: list[Key]) -> None:
        text, lines = split_note(note)
        self.text = text
        self.origin, self.size, self.root = checkpoint_body(text)
        self.log_key: Key | None = None
        self.cosigned: dict[str, int] = {}
        self.strangers = 0
        seen = set()
        for name, key_id, signature in lines:
            key = next((key for key in [*log_keys, *witnesses] if (key.name, key.id) == (name, key_id)), None)
            if key is None:
                self.strangers += 1
                continue
            if key in seen:
                raise Malformed(f"{name} signed twice")
            seen.add(key)
            if key.kind == ED25519:
                if not holds(key.public, text, signature):
                    raise Malformed("the log's signature does not hold")
                self.log_key = key
            else:
                seconds = int.from_bytes(signature[:8], "big")
                covered = b"cosignature/v1\ntime %d\n" % seconds + text
                if not holds(key.public, covered, signature[8:]):
                    raise Malformed(f"the cosignature of {name} does not hold")
                self.cosigned[name] = seconds
        if self.log_key is None or self.log_key.name != self.origin:
            raise Malformed("the log has not signed it")


def checkpoint_body(text: bytes) -> tuple[str, int, bytes]:
    """Origin, size and root, as the signed text states them."""
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8") from error
    if len(lines) != 4 or lines[3] or re.fullmatch("0|[1-9][0-9]{0,15}", lines[1]) is None:
        raise Malformed("a checkpoint has origin, size and root")
    root = unbase64(lines[2])
    if len(root) != 32:
        raise Malformed("a root has 32 bytes")
    return lines[0], int(lines[1]), root


class Policy:
    """Whose cosignatures count (C2SP tlog-policy): witnesses, groups with thresholds, one quorum.

    any_type: keys of another type are no error, since a log may have enrolled some; they never cosign anything.
    """

    def __init__(self, text: str, *, any_type: bool = False) -> None:
        self.any_type = any_type
        self.logs: list[Key] = []
        self.witnesses: dict[str, Key] = {}
        self.groups: dict[str, tuple[int, list[str]]] = {}
        self.quorum: str | None = None
        for number, line in enumerate(text.split("\n"), 1):
            words = line.split("#")[0].split()
            if not words:
                continue
            try:
                self._rule(words)
            except (Malformed, ValueError, IndexError) as error:
                raise Malformed(f"policy line {number}: {error}") from error
        if self.quorum is None:
            raise Malformed("the policy names no quorum")

    def _rule(self, words: list[str]) -> None:
        if words[0] == "log":
            self.logs.append(self._key(words[1], "log", ED25519))
        elif words[0] == "witness":
            self._new(words[1])
            self.witnesses[words[1]] = self._key(words[2], "witness", COSIGNATURE)
        elif words[0] == "group":
            members = words[3:]
            self._new(words[1])
            if not members or any(m not in self.witnesses and m not in self.groups for m in members):
                raise Malformed("a group of unknown members")
            least = {"any": 1, "all": len(members)}.get(words[2]) or int(words[2])
            if not 1 <= least <= len(members):
                raise Malformed("a threshold that no group can meet")
            self.groups[words[1]] = (least, members)
        elif words[0] == "quorum" and self.quorum is None and len(words) == 2:
            self.quorum = words[1]
            if words[1] != "none" and words[1] not in self.witnesses and words[1] not in self.groups:
                raise Malformed("a quorum of unknown members")
        else:
            raise Malformed(f"the rule {words[0]!r}")

    def _key(self, text: str, role: str, kind: int) -> Key:
        key = Key(text, role, 0, None, None)
        if key.kind != kind and not self.any_type:
            raise Malformed(f"{key.name} is a key of another type")
        return key

    def _new(self, name: str) -> None:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise Malformed(f"the name {name} is taken")

    def is_met(self, cosigned: dict[str, int]) -> bool:
        return self.quorum not in (None, "none") and self._holds(str(self.quorum), cosigned)

    def _holds(self, name: str, cosigned: dict[str, int]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name].name in cosigned
        least, members = self.groups[name]
        return sum(self._holds(member, cosigned) for member in members) >= least
