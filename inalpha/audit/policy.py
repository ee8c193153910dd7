"""Whose cosignatures count: a C2SP tlog-policy of witnesses, groups with thresholds and one quorum."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from inalpha.audit.notes import COSIGNATURE, ED25519, NoteError, VerifierKey, parse_vkey

NONE = "none"


class PolicyError(ValueError):
    """The text is no policy."""


@dataclass(slots=True)
class Policy:
    """logs: keys of the log it is for. groups: name to (least members, members). quorum: whose word is enough."""

    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str | None = None

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Read `log`, `witness`, `group` and `quorum` lines; # starts a comment. Raises PolicyError."""
        policy = cls()
        for number, line in enumerate(text.split("\n"), 1):
            words = line.partition("#")[0].split()
            try:
                if words:
                    policy._rule(words)
            except (NoteError, ValueError, IndexError) as error:
                raise PolicyError(f"line {number}: {error}") from error
        if policy.quorum is None:
            raise PolicyError("there is no quorum line")
        return policy

    def is_met(self, cosigned: Collection[str]) -> bool:
        """Whether the witnesses that cosigned, by the names of their keys, are a quorum; none never is."""
        return self.quorum not in (None, NONE) and self._holds(str(self.quorum), cosigned)

    def is_for(self, log_keys: Collection[VerifierKey]) -> bool:
        return any(key in log_keys for key in self.logs)

    def _rule(self, words: list[str]) -> None:
        kind, name = words[0], words[1]
        if kind == "log":
            self.logs.append(_key(name, ED25519))
        elif kind == "witness":
            self._claim(name)
            self.witnesses[name] = _key(words[2], COSIGNATURE)
        elif kind == "group":
            self._claim(name)
            members = words[3:]
            if not members or not all(self._knows(member) for member in members):
                raise PolicyError("a group of unknown members")
            least = {"any": 1, "all": len(members)}.get(words[2]) or int(words[2])
            if not 1 <= least <= len(members):
                raise PolicyError("a threshold that the group cannot meet")
            self.groups[name] = (least, members)
        elif kind == "quorum" and self.quorum is None and len(words) == 2:
            if name != NONE and not self._knows(name):
                raise PolicyError("a quorum of unknown members")
            self.quorum = name
        else:
            raise PolicyError(f"the rule {kind!r}")

    def _claim(self, name: str) -> None:
        if name == NONE or self._knows(name):
            raise PolicyError(f"the name {name} is taken")

    def _knows(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups

    def _holds(self, name: str, cosigned: Collection[str]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name].name in cosigned
        least, members = self.groups[name]
        return sum(self._holds(member, cosigned) for member in members) >= least


def _key(text: str, kind: int) -> VerifierKey:
    key = parse_vkey(text)
    if key.kind != kind:
        raise PolicyError(f"{key.name} is a key of another type")
    return key
