"""A thief with every key: one member of one line changed, everything behind it chained and signed again."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from inalpha.audit import gate, merkle
from inalpha.audit.canonical import digest
from inalpha.audit.checkpoint import Checkpoint
from inalpha.audit.event import ZERO_HASH
from inalpha.audit.notes import Signer, SigningKey, b64encode
from inalpha.audit.schema import specification
from support.forgery import BOB, MANDATE, PLAN, Events
from support.ledger_story import Story
from support.rare_story import CAROL, NEXT_OWNER, cosigned

Members = dict[str, Any]
Change = Callable[[Members], None]
HEADER = b"inalpha.audit/event/v1\n"
SECOND = 1_000_000


class Thief:
    """Signs members of lines as they are told, however wrong; notes are made to fit what the line says."""

    def __init__(self, story: Story, events: Events) -> None:
        self.origin = events[0].log
        self.lines = [_members(event) for event in events]
        by_text = {}
        for name, key in (("op/anna", story.owner), ("op/bob", BOB), ("op/carol", CAROL),
                          ("op/carol", NEXT_OWNER), ("agent/claude", story.agent)):  # fmt: skip
            signer = Signer(f"{self.origin}/{name}", key)
            by_text[signer.vkey.text] = signer
        self.people = by_text
        self.entries: list[bytes] = []
        self.states: list[tuple[Any, ...]] = []
        self.entries = self._sign(0, None, again=False)

    def mutant(self, at: int, change: Change, *, again: bool = False) -> list[bytes]:
        """again: digests of plans and mandates are made to fit, wherever they are named."""
        return self.entries[:at] + self._sign(at, change, again=again)

    def retold(self, lines: Sequence[Members]) -> list[bytes]:
        """Other lines in this log, numbered anew; clocks are kept from running back."""
        made = copy.copy(self)
        made.lines, made.entries, made.states = [], [], []
        ts = mono = 0
        for seq, line in enumerate(lines):
            ts, mono = max(ts, line["ts"]), max(mono + 1, line["mono"])
            made.lines.append({**line, "seq": seq, "ts": ts, "mono": mono})
        return made._sign(0, None, again=False)

    def _sign(self, start: int, change: Change | None, *, again: bool) -> list[bytes]:
        fresh = not self.states
        state = self.states[start] if not fresh else (self._log_key(b"l"), ZERO_HASH, [], {})
        log, prev, stack, people = state[0], state[1], list(state[2]), dict(state[3])
        renamed: dict[str, str] = {}
        made: list[bytes] = []
        for seq in range(start, len(self.lines)):
            if fresh:
                self.states.append((log, prev, list(stack), dict(people)))
            line = copy.deepcopy(self.lines[seq])
            line["prev"] = prev
            data, following = line["data"], log
            if line["kind"] == "ledger.genesis":
                data["log_vkey"] = log.vkey.text
            elif line["kind"] == "key.rotate":
                following = self._log_key(seq.to_bytes(2, "big"))
                data["vkey"] = following.vkey.text
            elif line["kind"] == "witness.cosign":
                head = Checkpoint(self.origin, data["size"], _root(self.entries[:start] + made, data["size"]))
                data["note"] = cosigned(head.sign(log), line["ts"] // SECOND)
            elif line["kind"] == "rollback.accept":
                data["to_root"] = b64encode(_root(self.entries[:start] + made, data["to_size"]))
            line["data"] = data = _renamed(data, renamed) if renamed else data
            if seq == start and change is not None:
                change(line)
                data = line["data"]
            if (again or renamed) and isinstance(data, dict):
                _digest_again(line.get("kind"), data, renamed)
            self._notes(line, seq, merkle.fold(stack), people)
            entry = _entry(line, log)
            for vkey in self._enrolled(data):
                people[str(data.get("principal") or data.get("owner"))] = self.people[vkey]
            log = following
            leaf = merkle.leaf_hash(entry)
            merkle.append(stack, leaf)
            prev = leaf.hex()
            made.append(entry)
        return made

    def _enrolled(self, data: Any) -> list[str]:
        found = [data.get("vkey"), data.get("owner_vkey")] if isinstance(data, dict) else []
        return [vkey for vkey in found if isinstance(vkey, str) and vkey in self.people]

    def _log_key(self, seed: bytes) -> Signer:
        return Signer(self.origin, SigningKey(seed.ljust(32, b"-")))

    def _notes(self, line: Members, size: int, root: bytes, people: dict[str, Signer]) -> None:
        for name in ("gate", "gate2", "proposal"):
            if name not in line:
                continue
            actor = "op:carol" if name == "gate2" else line.get("actor")
            signer = people.get(str(actor)) or self.people[next(iter(self.people))]
            try:
                subject = gate.subject_of(line["kind"], line["data"], proposal=name == "proposal")
            except (KeyError, TypeError):  # nothing that a note could be signed for
                subject = {}
            now = line["ts"] if type(line.get("ts")) is int else 0
            members = {"log": line.get("log"), "action": line.get("kind"), "subject": subject, "ts": now,
                       "exp": now + 200 * SECOND, "nonce": f"{size:060x}{name[-1].encode().hex():0>4}",
                       "v": 1}  # fmt: skip
            if name != "proposal":
                members |= {"base_size": size, "base_root": b64encode(root)}
            header = b"inalpha.audit/proposal/v1\n" if name == "proposal" else b"inalpha.audit/gate/v1\n"
            line[name] = signer.note(header + _json(members) + b"\n").decode("utf-8", "replace")


def _root(entries: Sequence[bytes], size: int) -> bytes:
    stack: list[tuple[int, bytes]] = []
    for entry in entries[:size]:
        merkle.append(stack, merkle.leaf_hash(entry))
    return merkle.fold(stack)


def _members(event: Any) -> Members:
    line = {name: getattr(event, name) for name in
            ("actor", "boot", "data", "epoch", "kind", "log", "mono", "prev", "seq", "ts")}  # fmt: skip
    line["v"] = 1
    return line | {
        n: getattr(event, n) for n in ("gate", "gate2", "proposal") if getattr(event, n) is not None
    }


def _entry(line: Members, log: Signer) -> bytes:
    text = HEADER + _json(line) + b"\n"
    return text + b"\n" + log.line(text)


def _json(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _renamed(item, names) for name, item in value.items()}
    return names.get(value, value) if isinstance(value, str) else value


def _digest_again(kind: Any, data: Members, renamed: dict[str, str]) -> None:
    for of, member, header in (("run.start", "mandate", MANDATE), ("plan.create", "body", PLAN)):
        named = f"{'mandate' if of == 'run.start' else 'plan'}_sha256"
        if kind == of and isinstance(data.get(member), dict):
            try:
                found = digest(header, data[member])
            except ValueError:
                return
            if found != data.get(named) and isinstance(data.get(named), str):
                renamed[data[named]] = found
                data[named] = found


# --- what to change ---------------------------------------------------------------------------------

WRONG_TYPES: tuple[Any, ...] = (1, "x", "", None, True, [], {}, 1.5, -1, "long " * 60, "\ud800", "é")
OF_TYPE: dict[str, tuple[Any, ...]] = {
    "dec": ("0", "-0", "-1", "1", "0.00000001", "0.000000004", "01", "1.", ".5", "1e3", "+1", "1.50", "9" * 19,
            "9" * 20, "9" * 38, "9" * 39, "0." + "3" * 38, "0." + "3" * 37, "-" + "9" * 38, "NaN"),
    "int": (0, 1, 2, 3, 2**53 - 1, 2**53, 2**63, -1),
    "us": (0, 1, 2**53 - 1, 2**53, -1),
    "sha256": ("0" * 64, "f" * 64, "F" * 64, "0" * 63, "0" * 65),
    "commit": ("0" * 64, "F" * 64, "0" * 63),
    "text": (" x", "x ", "a" * 64, "a" * 65, "tab\t", "operator", "killed", "%", "€"),
    "principal": ("op:anna", "op:bob", "op:carol", "op:nobody", "op:", "op:ANNA", "agent:claude", "agent:x", 
                  "system:risk", "system:daemon", "system:other", "op:" + "a" * 36, "op:" + "a" * 37),
    "account": ("0" * 8 + "-0000" * 3 + "-" + "0" * 12, "0" * 36, "DCC156B6-BB4F-59E1-899C-6BCFF83DFEF1"),
    "bool": (True, False, 0, "true"),
    "b64": ("AAAA", "A", "AAA=", "AAB=", "=" * 4),
    "note": ("x", "\n", "\n\n— a AAAA\n"),
    "list": ([], [["btc-usd", "1"]], [["a", "0"]], [["b", "1"], ["a", "1"]], [["a", "1"], ["a", "2"]], [["a"]],
             [["btc-usd", "9" * 38]]),
}  # fmt: skip
IDS = ("run-1", "run-2", "run-9", "run-0", "run-01", "plan-1", "plan-2", "plan-99", "order-1", "order-2", "order-99",
       "fill-1", "fill-3", "fill-99", "prop-1", "prop-2", "cand-000000000000", "run-1:0:0", "run-1:8:16", "run-2:0:0",
       "run-9:0:0", "run-1:0", "run-1:1000000:3", "run-1:0:999999999999999")  # fmt: skip


def changes(lines: Sequence[Members], at: int) -> Iterator[tuple[str, Change, bool]]:
    """(name, change, whether digests follow) for one line."""
    line, spec = lines[at], specification()
    for member, kind in spec["kinds"][line["kind"]]["data"].items():
        yield from _member(lines, at, ("data", member), kind)
    for member in line["data"]:
        yield f"without {member}", lambda made, m=member: made["data"].pop(m), False
    yield "surplus", lambda made: made["data"].update(other=1), False
    nested = {"run.start": ("mandate", "mandate"), "plan.create": ("body", "plan body")}.get(line["kind"])
    if nested:
        for member, kind in spec["objects"][nested[1]].items():
            yield from _member(lines, at, ("data", nested[0], member), kind)
        yield "surplus inside", lambda made: made["data"][nested[0]].update(other=1), True
    if line["kind"] == "run.start":
        for member, kind in spec["objects"]["mandate.feed"].items():
            yield from _member(lines, at, ("data", "mandate", "feed", member), kind)
    yield from _envelope(lines, at)


def _member(
    lines: Sequence[Members], at: int, path: tuple[str, ...], kind: str
) -> Iterator[tuple[str, Change, bool]]:
    plain, name = kind.removesuffix("?"), ".".join(path)
    values = [*WRONG_TYPES, *OF_TYPE.get(plain, ()), *(IDS if plain == "id" else ())]
    if "|" in plain:
        values += plain.split("|")
    old = _at(lines[at], path)
    if isinstance(old, bool):
        values.append(not old)
    elif isinstance(old, int):
        values += [old + 1, old - 1, old + SECOND, old - SECOND, -old]
    elif plain == "dec" and isinstance(old, str):
        values += ["-" + old, old + "0", old + ".00000001" if "." not in old else old + "1", "1" + old]
    others = {json.dumps(_at(other, path)) for other in lines if other["kind"] == lines[at]["kind"]}
    values += [json.loads(text) for text in sorted(others)[:4]]
    for value in values:
        if json.dumps(value) == json.dumps(old):
            continue
        for again in (False, True) if len(path) > 2 else (False,):
            yield f"{name} = {value!r:.40}", lambda made, v=value: _put(made, path, copy.deepcopy(v)), again


def _envelope(lines: Sequence[Members], at: int) -> Iterator[tuple[str, Change, bool]]:
    line = lines[at]
    values: dict[str, tuple[Any, ...]] = {
        "actor": (*OF_TYPE["principal"], 1, None, "x"),
        "boot": ("0" * 16, "0" * 15, "X" * 16, 1),
        "epoch": (line["epoch"] + 1, line["epoch"] - 1, "0", 2**53),
        "kind": ("refusal", "key.rotate", "unknown", 1, "plan.cancel", "epoch.open"),
        "log": (line["log"] + "x", "", 1),
        "mono": (line["mono"] + 2 * SECOND, line["mono"] - 2 * SECOND, 0, -1, 1.0, 2**53),
        "prev": ("0" * 64, "F" * 64, 1),
        "seq": (line["seq"] + 1, 0, -1, True, 2**53),
        "ts": (
            line["ts"] + 1,
            line["ts"] - 1,
            line["ts"] + 2 * SECOND,
            line["ts"] - 3600 * SECOND,
            0,
            -1,
            True,
        ),
        "v": (2, "1", True, None),
    }
    for member, found in values.items():
        for value in found:
            if value is not line[member] and json.dumps(value) != json.dumps(line[member]):
                yield f"{member} = {value!r:.40}", lambda made, m=member, v=value: made.update({m: v}), False
        yield f"no {member}", lambda made, m=member: made.pop(m), False
    for member in ("gate", "gate2", "proposal"):
        if member in line:
            yield f"no {member}", lambda made, m=member: made.pop(m), False
        else:
            yield f"{member} added", lambda made, m=member: made.update({m: ""}), False
    yield "surplus member", lambda made: made.update(other=1), False


def _at(line: Members, path: tuple[str, ...]) -> Any:
    found: Any = line
    for name in path:
        found = found[name] if isinstance(found, dict) and name in found else None
    return found


def _put(line: Members, path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        line = line[name]
    line[path[-1]] = value
