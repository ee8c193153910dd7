#!/usr/bin/env python3

"""Checks an exported Inalpha ledger, or the proof of one fill, without Inalpha.

    verify.py EXPORT --genesis HEX [--policy FILE] [--since CHECKPOINT] [--require-anchor] [--json]
    verify.py BUNDLE --prove --genesis HEX

Needs Python 3.11 and pynacl. It reads the bytes that were signed and computes everything else anew: this
file shares no code with the program that wrote the log, only the format. Take it from a release, not from
the export that you want to check; --version prints its SHA-256.

Exit 0: every check holds. 6: one does not; the lowest bad line is named. 2: it was called wrongly.
What it cannot do: execute the strategies again (I20), which needs the journal in the ledger's home and a
sandbox ('inalpha audit verify').

Sections: 1 the closed list of lines, 2 canonical JSON and amounts, 3 notes and keys, 4 the tree, 5 one line,
6 gates and proposals, 7 accounts, 8 candidates and runs, 9 plans, orders and fills, 10 the file, 11 the whole
export, 12 the proof of one fill, 13 the command line.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import re
import struct
import sys
import uuid
import zlib
from bisect import bisect_left, bisect_right
from collections import Counter
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from nacl import bindings
from nacl.exceptions import BadSignatureError

OK, USAGE, BROKEN = 0, 2, 6

CHECKS = {
    "C1": "form and canonical bytes of every line and of the file",
    "C2": "signature by the log key current at that line",
    "C3": "sequence, chain, origin and epochs",
    "C4": "genesis hash",
    "C5": "tree root at every checkpoint, tiles",
    "C6": "consistency with the kept checkpoint",
    "C7": "witness cosignatures",
    "C8": "gates",
    "C9": "proposals",
    "C10": "blobs and commitments",
    "I1": "fills follow from executed plans",
    "I2": "one execution and one token per plan",
    "I3": "plan and mandate digests",
    "I4": "who approved",
    "I5": "one owner for account, candidate and run",
    "I6": "risk results before approval",
    "I7": "only promoted candidates run",
    "I8": "plans within their mandate",
    "I9": "halts bind",
    "I10": "one step per closed bar",
    "I11": "one decision per intent",
    "I12": "no fill in its decision's bar",
    "I13": "cash, positions, fees and the claims of report.json",
    "I14": "live runs per account and symbol",
    "I15": "legal transitions, each once",
    "I16": "recovery after an unclosed epoch",
    "I17": "ids and nonces",
    "I18": "clocks",
    "I19": "loosening is signed",
    "I22": "isolation below sealed is waived",
}


class Broken(Exception):
    """A check that does not hold. check: its name in CHECKS."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(reason)
        self.check = check
        self.reason = reason


def require(holds: object, check: str, reason: str) -> None:
    if not holds:
        raise Broken(check, reason)


# --- 1 the closed list of lines ---------------------------------------------------------------------

# kind, who has to sign a gate for it (- nobody, owner, operator, loosen: an operator where it loosens, person:
# an operator where a person is the actor), then every member with its type. A trailing ? allows null,
# ?? a member that may be absent.
KINDS_TEXT = """
account.deposit owner account:account amount:dec
account.open owner account:account cash:dec currency:text owner:principal
account.snapshot - account:account cash:dec positions:list
bar.revision - bar:int new_sha256:sha256 old_sha256:sha256 run:id
blob.erase operator commit:commit reason:text
candidate.gate - candidate:id evidence_sha256:sha256 result:pass|fail sha256:sha256
candidate.promote operator candidate:id reason_commit:commit sha256:sha256
candidate.reject operator candidate:id reason_commit:commit sha256:sha256
candidate.revoke operator candidate:id reason_commit:commit sha256:sha256
candidate.submit - candidate:id owner_account_id:account rationale_commit:commit sha256:sha256 size:int
clock.step - mono:us wall_after:us wall_before:us
decision - bar:int bar_sha256:sha256 code:text? intent:id outcome:working|pending|risk_rejected|rejected plan:id? run:id
epoch.close - reason:text
epoch.open - app:text previous_clean:bool sqlite:text wal_reset_fixed:bool
fill - cash:dec fee:dec fill:id intent:id? order:id plan:id position:dec price:dec quantity:dec side:buy|sell \
symbol:text
halt.resume operator account:account? reason_commit:commit run:id? scope:run|account|all
halt.set - account:account? claimed_by:claimant?? reason_commit:commit run:id? scope:run|account|all \
state:REDUCING|HALTED|KILLED
key.enrol owner principal:principal? role:owner|operator|proposer|witness|host|log sponsor:principal? vkey:vkey
key.revoke owner principal:principal? valid_through_seq:int vkey:vkey
key.rotate - vkey:vkey
ledger.genesis owner account:account app:text cash:dec config_sha256:sha256 currency:text log_vkey:vkey origin:text \
owner:principal owner_vkey:vkey recovery_vkey:vkey
limits.set loosen account:account direction:tighten|loosen rules_sha256:sha256
order.end - code:text? intent:id? order:id outcome:cancelled|expired|rejected
plan.approve person plan:id plan_sha256:sha256 token_expires:us token_sha256:sha256
plan.cancel - plan:id reason:text
plan.create - body:obj plan:id plan_sha256:sha256
plan.execute - order:id plan:id plan_sha256:sha256 token_sha256:sha256
plan.expire - plan:id
plan.reject person code:text plan:id plan_sha256:sha256 reason_commit:commit?
policy.opt_out owner expires:us rule:text run:id
proposal.close - proposal:id reason_commit:commit? state:approved|rejected|expired|withdrawn
proposal.open - proposal:id rationale_commit:commit subject_sha256:sha256 what:promote|start|limits
recovery - from_epoch:int open_runs:int size:int
refusal - code:text command:text count:int principal:principal
risk.check - limit:dec? measured:dec? plan:id plan_sha256:sha256 result:pass|fail|error rule:text? rules_sha256:sha256
rollback.accept owner from_root:b64 from_size:int reason_commit:commit to_root:b64 to_size:int
run.caretake - run:id
run.isolated - evidence_sha256:sha256 host:text level:sealed|fenced|process run:id
run.start operator mandate:obj mandate_sha256:sha256 owner_account_id:account run:id
run.stop - claimed_by:claimant?? reason:text reason_commit:commit?? run:id
schema.migrate - from:int sha256:sha256 to:int
step - bar:int bar_sha256:sha256 close:us intents:int open:us run:id state_sha256:sha256
witness.cosign - note:note size:int witness:text
"""
OBJECTS_TEXT = """
mandate - account:account allocation:dec approval:machine|human candidate_sha256:sha256 expires:us feed:obj \
fill:next_open|same_close limits_sha256:sha256 params:obj symbol:text timeframe:text v:int
body - account:account expires:us intent:id? limit:dec? mandate_sha256:sha256? origin:run|proposal quantity:dec \
rationale_commit:commit reduce_only:bool run:id? side:buy|sell stop:dec? stop_loss:dec? symbol:text take_profit:dec? \
tif:GTC|IOC|DAY|GTD tif_expires:us? type:market|limit|stop v:int
feed - config_sha256:sha256 kind:file|replay|sim|ccxt name:text
"""
# The members that a gate's subject repeats; run.start and halt.resume have further ones in the line.
GATE_SUBJECTS_TEXT = """
ledger.genesis account app cash config_sha256 currency log_vkey origin owner owner_vkey recovery_vkey
key.enrol principal role sponsor vkey
key.revoke principal valid_through_seq vkey
account.open account cash currency owner
account.deposit account amount
candidate.promote candidate reason_commit sha256
candidate.reject candidate reason_commit sha256
candidate.revoke candidate reason_commit sha256
run.start mandate mandate_sha256
halt.resume account reason_commit run scope
policy.opt_out expires rule run
rollback.accept from_root from_size reason_commit to_root to_size
blob.erase commit reason
plan.approve plan plan_sha256
plan.reject plan plan_sha256 reason_commit
limits.set account direction rules_sha256
"""
PROPOSAL_SUBJECTS_TEXT = """
candidate.submit candidate rationale_commit sha256 size
halt.set account reason_commit run scope state
plan.create body plan_sha256
proposal.open rationale_commit subject_sha256 what
proposal.close proposal state
"""


def table(text: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for words in (line.split() for line in text.strip().split("\n"))}


KIND_ROWS = table(KINDS_TEXT)
GATE_RULE = {kind: words[0] for kind, words in KIND_ROWS.items()}
FORMS = {name: dict(word.split(":") for word in words[1:]) for name, words in KIND_ROWS.items()}
FORMS |= {name: dict(word.split(":") for word in words[1:]) for name, words in table(OBJECTS_TEXT).items()}
GATE_SUBJECTS = table(GATE_SUBJECTS_TEXT)
PROPOSAL_SUBJECTS = table(PROPOSAL_SUBJECTS_TEXT)
AMOUNT_KINDS = ("ledger.genesis", "account.open", "account.deposit", "account.snapshot", "run.start", "plan.create",
                "risk.check", "fill")  # fmt: skip
TWO_PERSON = ("candidate.promote", "run.start")
SYSTEM = ("system:live_runner", "system:risk", "system:daemon")

COUNT = "[1-9][0-9]{0,14}"
NUMBER = f"(0|{COUNT})"
ID_FORMS = {
    "candidate": "cand-[0-9a-f]{12}",
    "intent": f"run-{COUNT}:{NUMBER}:{NUMBER}",
    "run": f"run-{COUNT}",
    "plan": f"plan-{COUNT}",
    "order": f"order-{COUNT}",
    "fill": f"fill-{COUNT}",
    "proposal": f"prop-{COUNT}",
}
BASE64_FORM = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
TEXT_FORMS = {
    "sha256": "[0-9a-f]{64}",
    "commit": "[0-9a-f]{64}",
    "account": "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "text": "[!-~]([ -~]{0,62}[!-~])?",
    "key name": "[!-~]{1,200}",
    "b64": BASE64_FORM,
    "vkey": r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}",
    "principal": "(op|agent):[a-z0-9][a-z0-9-]{0,35}",
    "claimant": "(op|agent|os):[a-z0-9][a-z0-9-]{0,35}",
    "dec": r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?",
}
PATTERNS = {name: re.compile(form) for name, form in (ID_FORMS | TEXT_FORMS).items()}


def fits(member: str, kind: str, value: Any) -> bool:
    """Whether a member's value has the type that the table gives it."""
    if kind.endswith("?"):
        return value is None or fits(member, kind[:-1], value)
    if kind in ("int", "us"):
        return type(value) is int and 0 <= value <= MAX_INTEGER
    if kind == "bool":
        return type(value) is bool
    if kind == "obj":
        return fits_params(value) if member == "params" else fits_form(member, value)
    if kind == "list":
        return fits_positions(value)
    if type(value) is not str:
        return False
    if kind == "note":
        return True
    if "|" in kind:
        return value in kind.split("|")
    if kind == "principal" and value in SYSTEM:
        return True
    if kind == "dec" and (value == "-0" or sum(map(str.isdigit, value)) > 38):
        return False
    if kind == "id":
        kind = member
    elif kind == "text" and member in ("origin", "witness"):
        kind = "key name"
    return PATTERNS[kind].fullmatch(value) is not None


def fits_form(name: str, value: Any) -> bool:
    form = FORMS.get(name)
    if form is None or type(value) is not dict or not value.keys() <= form.keys():
        return False
    return all(
        fits(member, kind.removesuffix("??"), value[member]) if member in value else kind.endswith("??")
        for member, kind in form.items()
    )


def fits_params(value: Any) -> bool:
    if type(value) is not dict:
        return False
    for item in value.values():
        if type(item) is str and len(item) > 256:
            return False
        if type(item) not in (int, str, bool):
            return False
    return True


def fits_positions(value: Any) -> bool:
    if type(value) is not list:
        return False
    for item in value:
        if type(item) is not list or len(item) != 2 or type(item[0]) is not str:
            return False
        if not fits("", "dec", item[1]) or item[1] == "0":
            return False
    symbols = [item[0] for item in value]
    return symbols == sorted(set(symbols))


# --- 2 canonical JSON and amounts -------------------------------------------------------------------

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32
KEY_FORM = re.compile("[a-z][a-z0-9_]*")


class Malformed(Exception):
    """Bytes that are not of the format."""


def no_number(text: str) -> NoReturn:
    raise Malformed(f"{text[:24]} is no plain integer")


DECODER = json.JSONDecoder(parse_float=no_number, parse_constant=no_number)
ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> bytes:
    try:
        return ENCODER.encode(value).encode("utf-8")
    except (UnicodeEncodeError, ValueError, TypeError, RecursionError) as error:
        raise Malformed(f"has no canonical form: {error}") from error


def read_json(data: bytes) -> Any:
    """The value of canonical bytes; any other spelling of it is refused."""
    try:
        value = DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    check_value([value], -1)
    if canonical(value) != data:
        raise Malformed("not in canonical form")
    return value


def check_value(value: Any, depth: int) -> None:
    """Names, integers and depth of what was parsed."""
    if type(value) is dict:
        for name in value:
            if KEY_FORM.fullmatch(name) is None:
                raise Malformed(f"member name {name!r}")
    if depth >= MAX_DEPTH:
        raise Malformed("nested too deeply")
    for item in value.values() if type(value) is dict else value:
        kind = type(item)
        if kind is dict or kind is list:
            check_value(item, depth + 1)
        elif kind is int and not -MAX_INTEGER <= item <= MAX_INTEGER:
            raise Malformed("integer out of range")


def digest(header: str, value: Any) -> str:
    return hashlib.sha256(header.encode() + b"\n" + canonical(value) + b"\n").hexdigest()


EXACT = Context(prec=120)
UNIT = Decimal("0.00000001")
ZERO = Decimal(0)
WHOLE_DIGITS = 19
LARGEST = Decimal(10) ** WHOLE_DIGITS


def amount(text: str) -> Decimal:
    """A decimal text on the grid of 1e-8 that all amounts live on."""
    return Decimal(text).quantize(UNIT, ROUND_HALF_EVEN, EXACT)


def times(left: Decimal, right: Decimal) -> Decimal:
    return bounded(EXACT.multiply(left, right).quantize(UNIT, ROUND_HALF_EVEN, EXACT))


def bounded(value: Decimal) -> Decimal:
    """An amount small enough that the default context adds it exactly: 28 digits, 8 of them behind the point."""
    require(abs(value) < LARGEST, "I13", f"an amount of {WHOLE_DIGITS} whole digits or more")
    return value


def check_amounts(form: str, data: dict[str, Any]) -> None:
    """The same for the amounts that a line tells."""
    for member, kind in FORMS[form].items():
        value = data[member]
        if kind == "obj" and member in FORMS:
            check_amounts(member, value)
        elif kind.startswith("dec") and value is not None:
            digits = len(value.partition(".")[0].lstrip("-"))
            require(digits <= WHOLE_DIGITS, "I13", f"an amount of more than {WHOLE_DIGITS} whole digits")
        elif kind == "list":
            for _, quantity in value:
                digits = len(quantity.partition(".")[0].lstrip("-"))
                require(digits <= WHOLE_DIGITS, "I13", f"an amount of more than {WHOLE_DIGITS} whole digits")


def text_of(value: Decimal) -> str:
    """The canonical text of an amount."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def signed(side: str, quantity: Decimal) -> Decimal:
    return quantity if side == "buy" else -quantity


def reduces(side: str, quantity: Decimal, held: Decimal) -> bool:
    """Whether an order can only make the position smaller."""
    return signed(side, quantity) * held < 0 and quantity <= abs(held)


ACCOUNTS = uuid.UUID("dcc156b6-bb4f-59e1-899c-6bcff83dfef1")
UUID_FORM = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def owner_account(handle: str) -> str:
    """The account that belongs to an identity."""
    return handle.lower() if UUID_FORM.fullmatch(handle) else str(uuid.uuid5(ACCOUNTS, handle))


# --- 3 notes and keys -------------------------------------------------------------------------------

ED25519, COSIGNATURE = 1, 4
DASH = "— ".encode()
CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")


def unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("not base64") from error
    if base64.b64encode(data).decode() != text:
        raise Malformed("base64 with stray bits")
    return data


class Key:
    """An enrolled key. until: the last line at which its signatures count, None while it is not revoked."""

    __slots__ = ("id", "kind", "name", "principal", "public", "role", "since", "sponsor", "text", "until")

    def __init__(self, text: str, role: str, since: int, principal: str | None, sponsor: str | None) -> None:
        self.text, self.role, self.since, self.principal, self.sponsor = text, role, since, principal, sponsor
        self.until: int | None = None
        self.name, _, rest = text.partition("+")
        hex_id, _, encoded = rest.partition("+")
        raw = unbase64(encoded)
        self.kind, self.public = raw[0], raw[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + raw).digest()[:4]
        if self.id.hex() != hex_id or len(raw) != 33 or self.kind not in (ED25519, COSIGNATURE):
            raise Malformed("not a verifier key")


def holds(public: bytes, message: bytes, signature: bytes) -> bool:
    if len(signature) != 64:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except (BadSignatureError, ValueError):
        return False
    return True


def split_note(note: bytes) -> tuple[bytes, list[tuple[str, bytes, bytes]]]:
    """The signed text and (name, key id, signature) of each signature line."""
    cut = note.rfind(b"\n\n")
    if cut < 0 or not note.endswith(b"\n") or len(note) > 1_000_000:
        raise Malformed("no signed note")
    if CONTROL.search(note):
        raise Malformed("a control character in a note")
    found = []
    for line in note[cut + 2 : -1].split(b"\n"):
        if not line.startswith(DASH):
            raise Malformed("a signature line starts with a dash")
        try:
            name, _, encoded = line[len(DASH) :].decode("utf-8").partition(" ")
        except UnicodeDecodeError as error:
            raise Malformed("not UTF-8") from error
        raw = unbase64(encoded)
        if len(raw) < 5 or not name:
            raise Malformed("a malformed signature line")
        found.append((name, raw[:4], raw[4:]))
    return note[: cut + 1], found


class Checkpoint:
    """A tree head. log_key: which log key signed it. cosigned: witness name to seconds. strangers: lines of
    keys that nobody enrolled; they are ignored, as the note format wants it."""

    def __init__(self, note: bytes, log_keys: list[Key], witnesses: list[Key]) -> None:
        text, lines = split_note(note)
        self.text = text
        self.origin, self.size, self.root = self._body(text)
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

    @staticmethod
    def _body(text: bytes) -> tuple[str, int, bytes]:
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
    """Whose cosignatures count (C2SP tlog-policy): witnesses, groups with thresholds, one quorum."""

    def __init__(self, text: str) -> None:
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
            self.logs.append(Key(words[1], "log", 0, None, None))
        elif words[0] == "witness":
            self._new(words[1])
            self.witnesses[words[1]] = Key(words[2], "witness", 0, None, None)
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


# --- 4 the tree -------------------------------------------------------------------------------------

EMPTY = hashlib.sha256(b"").digest()
WIDTH = 256


def leaf_of(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_of(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def largest_power_below(width: int) -> int:
    return 1 << (width - 1).bit_length() - 1


class Tree:
    """All leaf hashes (32 bytes each) and the roots of every full block of 256 and of its powers."""

    def __init__(self) -> None:
        self.levels: list[bytearray] = [bytearray()]

    @property
    def size(self) -> int:
        return len(self.levels[0]) // 32

    def add(self, leaf: bytes) -> None:
        self.levels[0] += leaf
        level = 0
        while len(self.levels[level]) % (32 * WIDTH) == 0:
            if level + 1 == len(self.levels):
                self.levels.append(bytearray())
            self.levels[level + 1] += self._fold(level, len(self.levels[level]) // 32 - WIDTH, WIDTH)
            level += 1

    def root(self, size: int) -> bytes:
        return self._range(0, size) if size else EMPTY

    def tile(self, level: int, number: int) -> bytes:
        return bytes(self.levels[level][number * 32 * WIDTH : (number + 1) * 32 * WIDTH])

    def _fold(self, level: int, start: int, count: int) -> bytes:
        row = self.levels[level]
        nodes = [bytes(row[at * 32 : at * 32 + 32]) for at in range(start, start + count)]
        while len(nodes) > 1:
            nodes = [node_of(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
        return nodes[0]

    def _range(self, start: int, end: int) -> bytes:
        width = end - start
        if width & (width - 1) == 0:
            level, span = 0, 1
            while width >= span * WIDTH:
                level, span = level + 1, span * WIDTH
            return self._fold(level, start // span, width // span)
        middle = start + largest_power_below(width)
        return node_of(self._range(start, middle), self._range(middle, end))


def check_inclusion(index: int, size: int, leaf: bytes, path: list[bytes], root: bytes) -> None:
    """Raises Malformed unless leaf is number index of the size leaves under root."""
    if not 0 <= index < size:
        raise Malformed("the index lies outside of the tree")

    def climb(at: int, width: int, left: int) -> bytes:
        """The root of a subtree of that width, from the first left hashes of the path."""
        if width == 1:
            if left:
                raise Malformed("the proof is too long")
            return leaf
        if not left:
            raise Malformed("the proof is too short")
        middle = largest_power_below(width)
        if at < middle:
            return node_of(climb(at, middle, left - 1), path[left - 1])
        return node_of(path[left - 1], climb(at - middle, width - middle, left - 1))

    if climb(index, size, len(path)) != root:
        raise Malformed("the proof leads to another root")


# --- 5 one line -------------------------------------------------------------------------------------

EVENT = b"inalpha.audit/event/v1\n"
MEMBERS = {"actor", "boot", "data", "epoch", "kind", "log", "mono", "prev", "seq", "ts", "v"}
NOTES = {"gate", "gate2", "proposal"}
BOOT_FORM = re.compile("[0-9a-f]{16}")
MAX_ENTRY = 65_535


class Line:
    """A parsed entry; the signature is not checked yet."""

    __slots__ = ("actor", "boot", "data", "epoch", "gate", "gate2", "key_id", "kind", "leaf", "log", "mono", "name",
                 "prev", "proposal", "seq", "signature", "text", "ts")  # fmt: skip

    def __init__(self, entry: bytes) -> None:
        parts = entry.split(b"\n")
        if len(entry) > MAX_ENTRY or len(parts) != 5 or parts[2] or parts[4] or not entry.startswith(EVENT):
            raise Malformed("not header, JSON, blank line and one signature")
        self.text, signatures = split_note(entry)
        if len(signatures) != 1 or len(signatures[0][2]) != 64:
            raise Malformed("not exactly one Ed25519 signature")
        self.name, self.key_id, self.signature = signatures[0]
        members = read_json(parts[1])
        if type(members) is not dict or not MEMBERS <= members.keys() <= MEMBERS | NOTES:
            raise Malformed("other members")
        self._take(members)
        self.leaf = leaf_of(entry)

    def _take(self, members: dict[str, Any]) -> None:
        self.gate: str | None = members.get("gate")
        self.gate2: str | None = members.get("gate2")
        self.proposal: str | None = members.get("proposal")
        self.log, self.kind, self.actor, self.data = (members[n] for n in ("log", "kind", "actor", "data"))
        self.seq, self.epoch, self.ts, self.mono = (members[n] for n in ("seq", "epoch", "ts", "mono"))
        self.prev, self.boot = members["prev"], members["boot"]
        counts = all(fits("", "int", members[name]) for name in ("seq", "epoch", "ts", "mono"))
        notes = all(type(members[name]) is str for name in members.keys() & NOTES)
        if not (counts and notes and members["v"] == 1 and type(members["v"]) is int):
            raise Malformed("a member of another type")
        if not (fits("", "sha256", self.prev) and type(self.boot) is str and BOOT_FORM.fullmatch(self.boot)):
            raise Malformed("prev or boot of another form")
        if type(self.log) is not str or type(self.kind) is not str or self.kind not in KIND_ROWS:
            raise Malformed(f"the kind {self.kind!r} is not on the list")
        if not fits_form(self.kind, self.data) or not fits("", "principal", self.actor):
            raise Malformed(f"{self.kind}: other members or types than on the list")
        if (self.role_needed is not None) != (self.gate is not None) or (self.gate2 and not self.gate):
            raise Malformed(f"{self.kind} by {self.actor}: a gate is missing or out of place")
        if self.actor.startswith("agent:") != (self.proposal is not None):
            raise Malformed("a proposal note is missing or out of place")
        if self.proposal is not None and self.kind not in PROPOSAL_SUBJECTS:
            raise Malformed(f"an agent cannot write {self.kind}")

    @property
    def role_needed(self) -> str | None:
        """owner, operator, or None where the line needs no gate."""
        rule = GATE_RULE[self.kind]
        if rule in ("owner", "operator"):
            return rule
        if rule == "loosen":
            return "operator" if self.data["direction"] == "loosen" else None
        if rule == "person":
            return "operator" if self.actor.startswith("op:") else None
        return None


# --- 6 gates and proposals --------------------------------------------------------------------------

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


class Keys:
    """Enrolled keys and the nonces of the notes that were used."""

    def __init__(self) -> None:
        self.all: dict[str, Key] = {}
        self.log: list[Key] = []
        self.nonces: set[bytes] = set()

    def enrol(
        self, text: str, role: str, seq: int, principal: str | None, sponsor: str | None = None
    ) -> None:
        require(text not in self.all, "I17", "a key is enrolled twice")
        try:
            key = Key(text, role, seq, principal, sponsor)
        except Malformed as error:
            raise Broken("C2" if role == "log" else "C8", f"a key is malformed: {error}") from error
        self.all[text] = key

    def rotate(self, text: str, origin: str, seq: int) -> None:
        """The log's next key: same name, never used before."""
        known = {key.public for key in self.log}
        self.enrol(text, "log", seq, None)
        key = self.all[text]
        self.log.append(key)
        fresh = key.name == origin and key.public not in known
        require(fresh, "C2", "the log key has another name, or was used before")

    def of_principal(self, principal: str) -> list[Key]:
        return [key for key in self.all.values() if key.principal == principal]

    def witnesses(self) -> list[Key]:
        return [key for key in self.all.values() if key.role == "witness" and key.until is None]

    def account_of(self, principal: str) -> str | None:
        """The account that a principal's work belongs to; None for the system's."""
        kind, _, handle = principal.partition(":")
        if kind == "op":
            return owner_account(handle)
        if kind == "agent":
            found = self.of_principal(principal)
            sponsor = found[-1].sponsor if found else None
            return owner_account(sponsor.partition(":")[2]) if sponsor else None
        return None

    def check_notes(self, line: Line, root_of: Any) -> int:
        """Check the notes of a line and use up their nonces. Answers the largest base that a person signed.

        root_of(size): the tree's root at that size, or None where it is not known.
        """
        base = 0
        used: list[str] = []
        if line.gate is not None:
            gate = self._check(Gate(line.gate, GATE), line, root_of, second=False)
            used.append(gate.nonce)
            base = gate.base_size
        if line.gate2 is not None:
            require(line.kind in TWO_PERSON, "", f"GATE_SYNTAX: {line.kind} takes no second gate")
            used.append(self._check(Gate(line.gate2, GATE), line, root_of, second=True).nonce)
        if line.proposal is not None:
            used.append(self._check(Gate(line.proposal, PROPOSAL), line, root_of, second=False).nonce)
        require(len(set(used)) == len(used), "", "GATE_REPLAYED: one nonce in both notes of a line")
        self.nonces.update(bytes.fromhex(nonce) for nonce in used)
        return base

    def _check(self, gate: Gate, line: Line, root_of: Any, *, second: bool) -> Gate:
        key = self._signer(gate, line.seq)
        require(gate.log == line.log, "", f"GATE_LOG: the note is for {gate.log}")
        same = key.principal == line.actor
        require(same != second, "", f"GATE_ACTOR: signed by {key.principal}, the actor is {line.actor}")
        require(gate.action == line.kind, "", f"GATE_ACTION: signed for {gate.action}, used for {line.kind}")
        allowed = may_propose(key, line) if gate.header == PROPOSAL else may_sign(key, line)
        require(allowed, "", f"ROLE_FORBIDS: a key with the role {key.role} does not carry {line.kind}")
        require(0 < gate.exp - gate.ts <= 300_000_000, "", "GATE_LIFETIME: a note lives for at most 300 s")
        require(gate.ts <= line.ts + 5_000_000, "", "GATE_FUTURE: signed after its use")
        require(line.ts <= gate.exp, "", "GATE_EXPIRED: used after its time")
        used = bytes.fromhex(gate.nonce) in self.nonces
        require(not used, "", "GATE_REPLAYED: the note was used before")
        names = (PROPOSAL_SUBJECTS if gate.header == PROPOSAL else GATE_SUBJECTS)[line.kind]
        wanted = {name: line.data[name] for name in names}
        require(gate.subject == wanted, "", "GATE_SUBJECT: signed for something else than the line says")
        if gate.header == GATE:
            root = root_of(gate.base_size) if gate.base_size <= line.seq else b""
            require(root in (None, gate.base_root), "", "GATE_BASE: the signer saw another history")
        return gate

    def _signer(self, gate: Gate, seq: int) -> Key:
        people = [key for key in self.all.values() if key.role != "log"]
        if gate.ssh is not None:
            found = [key for key in people if key.public == gate.ssh[0]]
        else:
            found = [key for key in people if (key.name, key.id) == (gate.name, gate.key_id)]
        found = [key for key in found if key.since < seq or seq == key.since == 0]
        require(found, "", "GATE_UNKNOWN_KEY: the key was not enrolled before")
        for key in found:
            if gate.is_by(key):
                live = key.until is None or seq <= key.until
                require(live, "", f"GATE_REVOKED: the key counts through line {key.until}")
                return key
        raise Broken("", "GATE_SIGNATURE: the signature does not hold")


def is_log_enrolment(line: Line) -> bool:
    return bool(line.kind == "key.enrol" and line.data["role"] == "log")


def may_sign(key: Key, line: Line) -> bool:
    needed = line.role_needed
    if key.role == "owner":
        return needed is not None
    if key.role == "operator":
        return needed == "operator"
    is_owner_key = line.kind == "key.enrol" and line.data["role"] == "owner"
    return key.role == "recovery" and (line.kind == "key.revoke" or is_owner_key)


def may_propose(key: Key, line: Line) -> bool:
    if line.kind == "halt.set" and line.data["state"] == "KILLED":
        return False
    if line.kind == "proposal.close" and line.data["state"] != "withdrawn":
        return False
    return key.role == "proposer"


# --- 7 accounts -------------------------------------------------------------------------------------


class Account:
    """Cash, positions and the limits in force."""

    def __init__(self, owner: str, currency: str, cash: str) -> None:
        self.owner, self.currency = owner, currency
        self.opening = self.cash = amount(cash)
        self.fees = ZERO
        self.fills = 0
        self.positions: dict[str, Decimal] = {}
        self.limits: str | None = None
        self.loosened_at = -1

    def held(self, symbol: str) -> Decimal:
        return self.positions.get(symbol, ZERO)

    def claims(self) -> dict[str, Any]:
        held = {symbol: text_of(size) for symbol, size in sorted(self.positions.items()) if size}
        return {"cash": text_of(self.cash), "currency": self.currency, "fees": text_of(self.fees), "fills": self.fills,
                "opening": text_of(self.opening), "owner": self.owner,
                "positions": [[symbol, size] for symbol, size in held.items()]}  # fmt: skip


class Books:
    """What the lines add up to so far. One method per kind, named after it; others change nothing."""

    BEFORE_RECOVERY = ("key.rotate", "clock.step", "recovery", "epoch.open")

    def __init__(self) -> None:
        self.origin = ""
        self.keys = Keys()
        self.accounts: dict[str, Account] = {}
        self.candidates: dict[str, Candidate] = {}
        self.runs: dict[str, Run] = {}
        self.plans: dict[str, Plan] = {}
        self.orders: dict[str, Order] = {}
        self.numbers: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.tokens: set[bytes] = set()
        self.halts: dict[str, str] = {}
        self.halted_at: dict[str, int] = {}
        self.opt_outs: dict[
            tuple[str | None, str | None], int
        ] = {}  # by rule and run, the last line's expiry
        self.proposals: dict[str, str] = {}
        self.approved: Plan | None = None
        self.closed, self.recovering = True, False

    def add(self, line: Line) -> None:
        """Raises Broken for a line that the record must not hold."""
        waiting = self.approved
        if waiting is not None:
            executes = line.kind == "plan.execute" and line.data["plan"] == waiting.name
            require(executes, "I2", f"{waiting.name} was approved and the next line does not execute it")
        if self.recovering and line.kind not in self.BEFORE_RECOVERY:
            raise Broken("I16", "the earlier epoch was not closed and no recovery line follows")
        if line.kind in AMOUNT_KINDS:
            check_amounts(line.kind, line.data)
        act = getattr(self, line.kind.replace(".", "_"), None)
        if act is not None:
            act(line, line.data)

    def end(self, overdue: int | None = None) -> None:
        """What must hold after the last line of a transaction. overdue: plans expired before this moment are closed."""
        if self.approved is not None:
            raise Broken("I2", f"{self.approved.name} was approved and never executed")
        for name, run in self.runs.items():
            require(not run.awaited, "I11", f"{name}: {run.awaited} intents of its last bar have no decision")
        for plan in self.plans.values() if overdue is not None else ():
            owner = self.runs.get(plan.run or "")
            late = (
                owner is not None
                and owner.is_live
                and plan.state == "pending"
                and plan.expires < (overdue or 0)
            )
            require(not late, "I15", f"{plan.name} expired long ago and is still open")
        require(not self.recovering, "I16", "no recovery line follows the unclosed epoch")

    def number(self, name: str) -> None:
        prefix, _, number = name.rpartition("-")
        require(int(number) == self.numbers[prefix] + 1, "I17", f"{name} is out of order")
        self.numbers[prefix] += 1

    def account(self, name: str, check: str) -> Account:
        require(name in self.accounts, check, f"the account {name} is unknown")
        return self.accounts[name]

    def begin(self, line: Line) -> None:
        """What the genesis says of the log itself holds whatever else is wrong with it."""
        self.origin = line.data["origin"]
        self.keys.rotate(line.data["log_vkey"], self.origin, 0)

    def ledger_genesis(self, line: Line, data: dict[str, Any]) -> None:
        require(line.seq == 0, "I17", "a second genesis")
        own = owner_account(line.actor.partition(":")[2])
        require(
            data["owner"] == line.actor and data["account"] == own, "I5", "the account is not the owner's"
        )
        require(amount(data["cash"]) >= 0, "I13", "negative opening cash")
        self.keys.enrol(data["owner_vkey"], "owner", 0, line.actor)
        self.keys.enrol(data["recovery_vkey"], "recovery", 0, line.actor)
        self.accounts[data["account"]] = Account(line.actor, data["currency"], data["cash"])

    def epoch_open(self, line: Line, data: dict[str, Any]) -> None:
        require(data["previous_clean"] == self.closed, "I16", "the end of the earlier epoch is told wrongly")
        self.recovering = not self.closed
        self.closed = False

    def epoch_close(self, line: Line, data: dict[str, Any]) -> None:
        self.closed = True

    def recovery(self, line: Line, data: dict[str, Any]) -> None:
        fits_here = data["from_epoch"] == line.epoch - 1 and data["size"] == line.seq
        require(
            self.recovering and fits_here, "I16", "a recovery line out of place, or of another epoch or size"
        )
        self.recovering = False

    def key_rotate(self, line: Line, data: dict[str, Any]) -> None:
        self.keys.rotate(data["vkey"], self.origin, line.seq)

    def key_enrol(self, line: Line, data: dict[str, Any]) -> None:
        role, principal, sponsor = data["role"], data["principal"], data["sponsor"]
        prefix = {"owner": "op:", "operator": "op:", "proposer": "agent:"}.get(role)
        named = principal.startswith(prefix) if prefix and principal else principal is None and prefix is None
        require(named, "I5", f"{principal} is no principal for the role {role}")
        require((sponsor is not None) == (role == "proposer"), "I5", "agents, and they alone, have a sponsor")
        live = [key for key in self.keys.of_principal(principal or "-") if key.until is None]
        require(all(key.role == "recovery" for key in live), "I5", f"{principal} has a key")
        people = {key.principal for key in self.keys.all.values() if key.role in ("owner", "operator")}
        require(sponsor is None or sponsor in people, "I5", f"the sponsor {sponsor} is unknown")
        if prefix == "op:":
            others = {owner_account(str(other).partition(":")[2]) for other in people if other != principal}
            taken = owner_account(principal.partition(":")[2]) in others
            require(not taken, "I5", f"{principal} leads to another person's account")
        if role == "log":
            self.keys.rotate(data["vkey"], self.origin, line.seq)
        else:
            self.keys.enrol(data["vkey"], role, line.seq, principal, sponsor)

    def key_revoke(self, line: Line, data: dict[str, Any]) -> None:
        key = self.keys.all.get(data["vkey"])
        last = data["valid_through_seq"]
        live = (
            key is not None and key.until is None and key.principal == data["principal"] and key.since <= last
        )
        require(live, "I15", "the revoked key is not enrolled, or was revoked before")
        if key is not None:
            key.until = last

    def account_open(self, line: Line, data: dict[str, Any]) -> None:
        require(
            data["account"] == self.keys.account_of(data["owner"]), "I5", "the account is not the owner's"
        )
        require(self.keys.of_principal(data["owner"]), "I5", "the owner has no key")
        require(amount(data["cash"]) >= 0, "I13", "negative opening cash")
        require(data["account"] not in self.accounts, "I17", "the account is open already")
        self.accounts[data["account"]] = Account(data["owner"], data["currency"], data["cash"])

    def account_deposit(self, line: Line, data: dict[str, Any]) -> None:
        account = self.account(data["account"], "I13")
        account.cash = bounded(account.cash + amount(data["amount"]))

    def account_snapshot(self, line: Line, data: dict[str, Any]) -> None:
        found = self.account(data["account"], "I13").claims()
        require(
            found["cash"] == data["cash"],
            "I13",
            f"the snapshot says cash {data['cash']}, the fills {found['cash']}",
        )
        require(
            found["positions"] == data["positions"],
            "I13",
            "the snapshot's positions do not follow from the fills",
        )

    def limits_set(self, line: Line, data: dict[str, Any]) -> None:
        account = self.account(data["account"], "I8")
        loosens = data["direction"] == "loosen"
        require(loosens or account.limits is not None, "I19", "the first limits need a person")
        if loosens and account.limits is not None:
            account.loosened_at = line.seq
        account.limits = data["rules_sha256"]

    def limits_of(self, line: Line) -> str | None:
        """The rules in force for the account of a promotion, a start or new limits, before that line."""
        name = None
        if line.kind == "candidate.promote" and line.data["candidate"] in self.candidates:
            name = self.candidates[line.data["candidate"]].owner
        elif line.kind == "run.start":
            name = line.data["mandate"]["account"]
        elif line.kind == "limits.set":
            name = line.data["account"]
        account = self.accounts.get(name or "")
        return account.limits if account else None

    def policy_opt_out(self, line: Line, data: dict[str, Any]) -> None:
        self.opt_outs[data["rule"], data["run"]] = data["expires"]

    def proposal_open(self, line: Line, data: dict[str, Any]) -> None:
        self.number(data["proposal"])
        self.proposals[data["proposal"]] = line.actor

    def proposal_close(self, line: Line, data: dict[str, Any]) -> None:
        opened_by = self.proposals.pop(data["proposal"], None)
        allowed = opened_by is not None and (not line.actor.startswith("agent:") or opened_by == line.actor)
        require(allowed, "I15", f"{data['proposal']} is not open, or another agent's")

    def witness_cosign(self, line: Line, data: dict[str, Any]) -> None:
        require(data["size"] <= line.seq, "I17", "a cosignature of lines to come")

    # --- 8 candidates and runs ----------------------------------------------------------------------

    def candidate_submit(self, line: Line, data: dict[str, Any]) -> None:
        require(data["candidate"] == f"cand-{data['sha256'][:12]}", "I7", "the id is not of this source")
        require(data["candidate"] not in self.candidates, "I17", f"{data['candidate']} was submitted before")
        own = self.keys.account_of(line.actor)
        require(data["owner_account_id"] == own, "I5", "the candidate is not its submitter's")
        self.candidates[data["candidate"]] = Candidate(data["sha256"], data["owner_account_id"])

    def candidate_gate(self, line: Line, data: dict[str, Any]) -> None:
        self._candidate(data, ("submitted", "passed", "failed")).state = f"{data['result']}ed"

    def candidate_promote(self, line: Line, data: dict[str, Any]) -> None:
        self._candidate(data, ("passed",)).state = "promoted"

    def candidate_reject(self, line: Line, data: dict[str, Any]) -> None:
        self._candidate(data, ("submitted", "passed", "failed")).state = "rejected"

    def candidate_revoke(self, line: Line, data: dict[str, Any]) -> None:
        self._candidate(data, ("promoted",)).state = "revoked"

    def _candidate(self, data: dict[str, Any], states: tuple[str, ...]) -> Candidate:
        found = self.candidates.get(data["candidate"])
        if found is None or found.sha256 != data["sha256"] or found.state not in states:
            raise Broken("I7", f"{data['candidate']} is not {' or '.join(states)}, or is another source")
        return found

    def run_start(self, line: Line, data: dict[str, Any]) -> None:
        mandate = data["mandate"]
        self.number(data["run"])
        require(
            data["mandate_sha256"] == digest("inalpha.audit/mandate/v1", mandate),
            "I3",
            "another mandate digest",
        )
        require(mandate["v"] == 1 and mandate["expires"] > line.ts, "I8", "the mandate has expired")
        name = f"cand-{mandate['candidate_sha256'][:12]}"
        found = self.candidates.get(name)
        if found is None or (found.sha256, found.state) != (mandate["candidate_sha256"], "promoted"):
            raise Broken("I7", "the candidate of the mandate is not promoted")
        owners = {found.owner, mandate["account"], data["owner_account_id"], self.keys.account_of(line.actor)}
        require(len(owners) == 1, "I5", "account, candidate and signer have different owners")
        account = self.account(mandate["account"], "I5")
        require(
            account.limits == mandate["limits_sha256"],
            "I8",
            "the mandate names other limits than those in force",
        )
        live = [run for run in self.runs.values() if run.is_live and run.account == mandate["account"]]
        require(len(live) < 10, "I14", "more than ten live runs on this account")
        twins = [run for run in live if run.symbol == mandate["symbol"]]
        require(not twins, "I14", "a second live run on this account and symbol")
        self.runs[data["run"]] = Run(name, mandate, data["mandate_sha256"], line.seq)

    def run_isolated(self, line: Line, data: dict[str, Any]) -> None:
        """Below sealed while the owner's last word allows that level or a lower one, for this run and host."""
        level, host, name = data["level"], data["host"], data["run"]
        reaching = {"sealed": (), "fenced": ("fenced", "process"), "process": ("process",)}[level]
        waived = [self.opt_outs.get((f"isolation.{which}.{host}", name), 0) for which in reaching]
        require(level == "sealed" or max(waived) > line.ts, "I22", f"{name} is {level} on {host}, unwaived")
        self._live(name)

    def run_stop(self, line: Line, data: dict[str, Any]) -> None:
        good = ("operator", "feed_ended", "mandate_expired", "revoked")
        self._live(data["run"]).state = "stopped" if data["reason"] in good else "failed"

    def run_caretake(self, line: Line, data: dict[str, Any]) -> None:
        """An ended run's position is stepped on again, without its strategy, until flat."""
        name, run = data["run"], self.runs.get(data["run"])
        if run is None or run.is_live or run.position == ZERO:
            raise Broken("I15", f"{name} has not ended, or holds nothing to take care of")
        halt = self.halt_of(run.account, name)
        require(SEVERITY.index(halt) < SEVERITY.index("HALTED"), "I9", f"{name} is {halt}")

    def _live(self, name: str) -> Run:
        run = self.runs.get(name)
        if run is None or not run.is_live:
            raise Broken("I15", f"{name} is not live")
        return run

    def step(self, line: Line, data: dict[str, Any]) -> None:
        run = self.runs.get(data["run"])
        require(data["open"] < data["close"] <= line.ts, "I10", "the bar was still forming")
        if run is None:
            raise Broken("I10", f"a step of the unknown {data['run']}")
        require(data["bar"] == run.bars, "I10", f"bar {data['bar']} after bar {run.bars - 1}")
        require(not run.awaited, "I11", f"{run.awaited} intents of bar {run.bars - 1} have no decision")
        require(data["open"] > run.last_open, "I10", "the bar does not open after the last one")
        run.bars += 1
        run.intents += data["intents"]
        run.awaited = data["intents"]
        run.last_open, run.bar_sha256 = data["open"], data["bar_sha256"]
        run.decided.clear()

    def decision(self, line: Line, data: dict[str, Any]) -> None:
        name, bar, _ = data["intent"].split(":")
        require((name, int(bar)) == (data["run"], data["bar"]), "I11", "the intent is of another bar")
        run = self.runs.get(name)
        if (
            run is None
            or not run.awaited
            or run.bars != data["bar"] + 1
            or run.bar_sha256 != data["bar_sha256"]
        ):
            raise Broken("I11", f"{data['intent']} is not an intent of its run's last bar")
        require(data["intent"] not in run.decided, "I11", f"{data['intent']} was decided before")
        run.decided.add(data["intent"])
        run.awaited -= 1
        run.refused += data["outcome"] in ("risk_rejected", "rejected")
        wanted = {"working": "executed", "pending": "pending", "risk_rejected": "rejected"}.get(
            data["outcome"]
        )
        plan = self.plans.get(data["plan"] or "")
        if plan is None:
            same = wanted is None and data["plan"] is None
        else:
            same = (plan.intent, plan.state) == (data["intent"], wanted)
        require(same, "I11", f"the plan of {data['intent']} is not {wanted or 'absent'}")
        if plan is not None:
            self._forget(plan)

    def halt_set(self, line: Line, data: dict[str, Any]) -> None:
        """A laxer halt than the standing one changes nothing."""
        scope = halt_scope(data)
        standing = self.halts.get(scope, "ACTIVE")
        if SEVERITY.index(data["state"]) >= SEVERITY.index(standing):
            self.halts[scope], self.halted_at[scope] = data["state"], line.seq

    def halt_resume(self, line: Line, data: dict[str, Any]) -> None:
        """To ACTIVE, by a person who saw the halt: one that was set after the note's base voids it."""
        scope = halt_scope(data)
        require(self.halts.get(scope, "ACTIVE") != "ACTIVE", "I15", "nothing is halted there")
        seen = Gate(line.gate, GATE).base_size if line.gate is not None else 0
        at = self.halted_at[scope]
        require(at < seen, "I9", f"the halt of line {at} is newer than the resuming note")
        self.halts[scope] = "ACTIVE"

    def halt_of(self, account: str, run: str | None) -> str:
        """The strictest halt of all, of the account and of the run."""
        found = [self.halts.get(scope, "ACTIVE") for scope in ("all", account, run or "all")]
        return max(found, key=SEVERITY.index)

    # --- 9 plans, orders and fills ------------------------------------------------------------------

    def plan_create(self, line: Line, data: dict[str, Any]) -> None:
        body, name = data["body"], data["plan"]
        self.number(name)
        require(
            data["plan_sha256"] == digest("inalpha.audit/plan/v1", body),
            "I3",
            f"{name}: not its body's digest",
        )
        require(body["v"] == 1 and amount(body["quantity"]) > 0, "I8", f"{name}: bad version or quantity")
        self.account(body["account"], "I5")
        require(
            (body["origin"] == "run") == (body["intent"] is not None),
            "I8",
            f"{name}: origin and intent differ",
        )
        if body["origin"] == "proposal":
            own = self.keys.account_of(line.actor)
            require(own == body["account"], "I5", f"{name}: proposed by {line.actor} for another's account")
        self._within_mandate(line, name, body)
        plan = Plan(name, data, line.actor)
        self.plans[name] = plan
        self._use_intent(plan)

    def _within_mandate(self, line: Line, name: str, body: dict[str, Any]) -> None:
        run = self.runs.get(body["run"])
        if run is None:
            raise Broken("I8", f"{name}: a plan of the unknown {body['run']}")
        same = (body["account"], body["symbol"], body["mandate_sha256"])
        wanted = (run.account, run.symbol, run.mandate_sha256)
        require(same == wanted, "I8", f"{name}: account, symbol or mandate are not the run's")
        if line.actor == "system:risk":
            require(body["reduce_only"], "I4", f"{name}: a plan of the guard that is no exit")
            return
        if body["origin"] == "proposal":
            require(run.is_live or body["reduce_only"], "I8", f"{name}: an entry into a run that has ended")
            return
        require(line.actor == "system:live_runner", "I4", f"{name}: a run's plan by {line.actor}")
        require(run.is_live, "I8", f"{name}: its run has ended")

    def _use_intent(self, plan: Plan) -> None:
        if plan.intent is None:
            return
        name, bar, number = plan.intent.split(":")
        known = self.runs[name].planned if name in self.runs else set()
        place = int(bar) * 2**50 + int(number)
        require(place not in known, "I17", f"{plan.intent} has two plans")
        known.add(place)

    def plan(self, data: dict[str, Any]) -> Plan:
        """The plan that a line names; final ones whose orders have ended are forgotten."""
        found = self.plans.get(data["plan"])
        if found is None:
            raise Broken("I15", f"{data['plan']} is unknown or finished")
        return found

    def pending(self, data: dict[str, Any]) -> Plan:
        plan = self.plan(data)
        require(plan.state == "pending", "I15", f"{plan.name} is {plan.state}, not pending")
        return plan

    def risk_check(self, line: Line, data: dict[str, Any]) -> None:
        plan = self.plans.get(data["plan"])
        if plan is None or (plan.digest, plan.state) != (data["plan_sha256"], "pending"):
            raise Broken("I6", f"{data['plan']}: checked in another state or body")
        plan.risk = (data["result"], data["rule"], data["rules_sha256"])
        self._figures(plan, data)

    def _figures(self, plan: Plan, data: dict[str, Any]) -> None:
        """What a pass tells of a run's plan: its worth where risk measured it, and the mandate's allocation."""
        run = self.runs.get(plan.run or "")
        measured, limit = (
            None if data[name] is None else amount(data[name]) for name in ("measured", "limit")
        )
        plan.worth = times(plan.quantity, plan.known) if plan.known is not None else ZERO
        if run is None or data["result"] != "pass" or (measured is None and limit is None):
            return
        require(limit == run.allocation, "I8", f"{plan.name}: measured on another allocation")
        if measured is None or measured < plan.worth:
            raise Broken("I8", f"{plan.name}: measured too small")
        plan.worth = measured

    def plan_approve(self, line: Line, data: dict[str, Any]) -> None:
        plan = self.pending(data)
        require(plan.digest == data["plan_sha256"], "I3", f"{plan.name}: approved with another digest")
        require(line.ts < plan.expires, "I15", f"{plan.name} had expired")
        self._may_approve(line, plan)
        self._passed_risk(line, plan)
        self._within_allocation(plan)
        self._not_halted(plan)
        life = data["token_expires"] - line.ts
        require(0 < life <= 30_000_000, "I2", f"{plan.name}: the token lives longer than 30 s")
        token = bytes.fromhex(data["token_sha256"])
        require(token not in self.tokens, "I2", f"{plan.name}: a token minted twice")
        self.tokens.add(token)
        plan.state, plan.decided_by = "approved", line.actor
        plan.token = (data["token_sha256"], data["token_expires"])
        self.approved = plan

    def _may_approve(self, line: Line, plan: Plan) -> None:
        if line.actor.startswith("op:"):
            own = self.keys.account_of(line.actor) == plan.account
            require(own, "I4", f"{plan.name}: approved by another account's person")
            return
        require(line.actor == "system:live_runner", "I4", f"{plan.name}: approved by {line.actor}")
        if plan.proposed_by == "system:risk":
            is_exit = plan.reduce_only and self._only_reduces(plan)
            require(is_exit, "I4", f"{plan.name}: the guard's plan is larger than the position")
            return
        require(plan.intent is not None, "I4", f"{plan.name}: a proposal is for a person to approve")
        run = self.runs.get(plan.run or "")
        if run is None or run.approval != "machine":
            raise Broken("I4", f"{plan.name}: no mandate lets the machine approve")
        require(run.is_live and line.ts < run.expires, "I4", f"{plan.name}: its run or its mandate has ended")

    def _passed_risk(self, line: Line, plan: Plan) -> None:
        if plan.risk is None:
            raise Broken("I6", f"{plan.name}: approved without a risk result")
        result, rule, rules = plan.risk
        account, run = self.accounts[plan.account], self.runs.get(plan.run or "")
        in_force = {account.limits}
        if run is not None and account.loosened_at > run.started:
            in_force.add(run.limits)
        require(rules in in_force, "I6", f"{plan.name}: judged by rules that are not in force")
        waived = self.opt_outs.get((rule, plan.run), 0) > line.ts
        require(result == "pass" or waived, "I6", f"{plan.name}: approved although risk said {result}")

    def _within_allocation(self, plan: Plan) -> None:
        """At the price that risk takes: the limit, else the stop, else the last close, which its figures tell."""
        run = self.runs.get(plan.run or "")
        if run is None:
            return
        within = plan.worth <= run.allocation or plan.reduce_only
        require(within, "I8", f"{plan.name}: {text_of(plan.worth)} is over the allocation")

    def _only_reduces(self, plan: Plan) -> bool:
        """Whether the plan can only make its run's position smaller; without a run, its account's."""
        run = self.runs.get(plan.run or "")
        held = run.position if run is not None else self.accounts[plan.account].held(plan.symbol)
        return reduces(plan.side, plan.quantity, held)

    def _not_halted(self, plan: Plan) -> None:
        state = self.halt_of(plan.account, plan.run)
        if state == "ACTIVE":
            return
        require(state == "REDUCING" and plan.reduce_only, "I9", f"{plan.name}: an order under {state}")

    def plan_execute(self, line: Line, data: dict[str, Any]) -> None:
        plan = self.approved
        if plan is None or plan.name != data["plan"]:
            raise Broken("I2", f"{data['plan']}: no unused token was minted for it by the line before")
        require(plan.digest == data["plan_sha256"], "I3", f"{plan.name}: executed with another digest")
        by_person = plan.decided_by.startswith("op:")
        wanted = "system:daemon" if by_person else "system:live_runner"
        require(line.actor == wanted, "I2", f"{plan.name}: executed by {line.actor} instead of {wanted}")
        minted = plan.token is not None and plan.token[0] == data["token_sha256"]
        require(minted, "I2", f"{plan.name}: another token than the line before minted")
        require(
            plan.token is not None and line.ts < plan.token[1], "I2", f"{plan.name}: the token had expired"
        )
        self._not_halted(plan)
        self.number(data["order"])
        self.approved = None
        plan.state = "executed"
        run = plan.run
        decided = self.runs[run].bars - 1 if run else None
        order = Order(data["order"], plan, run, None, plan.side, plan.quantity, decided)
        self.orders[order.name] = order
        plan.orders.append(order)

    def plan_reject(self, line: Line, data: dict[str, Any]) -> None:
        plan = self.pending(data)
        require(plan.digest == data["plan_sha256"], "I3", f"{plan.name}: rejected with another digest")
        if line.actor.startswith("op:"):
            own = self.keys.account_of(line.actor) == plan.account
            require(own, "I4", f"{plan.name}: rejected by another account's person")
        plan.state = "rejected"

    def plan_expire(self, line: Line, data: dict[str, Any]) -> None:
        plan = self.pending(data)
        require(line.ts >= plan.expires, "I15", f"{plan.name} has not expired yet")
        plan.state = "expired"
        self._forget(plan)

    def plan_cancel(self, line: Line, data: dict[str, Any]) -> None:
        plan = self.pending(data)
        plan.state = "cancelled"
        self._forget(plan)

    def _forget(self, plan: Plan) -> None:
        """Free a plan that nothing can change any more; its state stays counted."""
        run = self.runs.get(plan.run or "")
        undecided = (
            run is not None and plan.intent is not None and run.awaited and plan.intent not in run.decided
        )
        if plan.state == "pending" or undecided or any(order.state == "working" for order in plan.orders):
            return
        if self.plans.pop(plan.name, None) is not None:
            self.ended[plan.state] += 1
            for order in plan.orders:
                self.orders.pop(order.name, None)

    def order_end(self, line: Line, data: dict[str, Any]) -> None:
        order = self.orders.get(data["order"])
        if order is None or order.state != "working" or order.plan.intent != data["intent"]:
            raise Broken("I15", f"{data['order']} is not working, or of another intent")
        order.state = data["outcome"]
        self._forget(order.plan)

    def fill(self, line: Line, data: dict[str, Any]) -> None:
        self.number(data["fill"])
        order = self.orders.get(data["order"])
        if order is None:
            raise Broken("I1", f"{data['fill']}: no plan was executed into {data['order']}")
        plan, quantity = order.plan, amount(data["quantity"])
        same = (plan.name, plan.symbol, order.side, plan.intent)
        told = (data["plan"], data["symbol"], data["side"], data["intent"])
        require(same == told, "I1", f"{data['fill']}: plan, symbol, side or intent differ from its order's")
        require(order.state == "working", "I1", f"{data['order']} is {order.state}")
        over = not 0 < quantity <= order.quantity - order.filled
        require(not over, "I1", f"{data['order']}: filled beyond its quantity")
        account = self.accounts[plan.account]
        halted = SEVERITY.index(self.halt_of(plan.account, order.run)) >= SEVERITY.index("HALTED")
        require(not halted, "I9", f"{data['fill']}: a fill while halted")
        worth = times(quantity, amount(data["price"]))
        held = account.held(plan.symbol)
        run = self.runs.get(order.run or "")
        only_exits = plan.reduce_only or order.child is not None  # a bracket's legs only reduce
        if run is not None:
            if order.child is None and order.decided is not None:
                earliest = order.decided + (run.fill == "next_open")
                require(run.bars - 1 >= earliest, "I12", f"{data['fill']}: filled in the bar of its decision")
            if plan.run is not None:
                figures = (quantity, amount(data["price"]), amount(data["fee"]))
                run.charge(order.side, *figures, reduce_only=only_exits)
            run.fills += 1
            run.position = bounded(run.position + signed(order.side, quantity))
        account.cash = bounded(bounded(account.cash - signed(order.side, worth)) - amount(data["fee"]))
        require(
            text_of(account.cash) == data["cash"], "I13", f"{data['fill']}: cash is {text_of(account.cash)}"
        )
        if not only_exits:
            require(
                account.cash >= 0,
                "I13",
                f"{data['fill']}: an entry takes the cash to {text_of(account.cash)}",
            )
        after = bounded(held + signed(order.side, quantity))
        require(
            text_of(after) == data["position"], "I13", f"{data['fill']}: the position is {text_of(after)}"
        )
        account.positions[plan.symbol] = after
        account.fees = EXACT.add(account.fees, amount(data["fee"]))
        account.fills += 1
        order.filled += quantity
        if order.filled == order.quantity:
            order.state = "filled"
        if order.child is None and plan.legs:
            self._bracket(order)
        self._forget(plan)

    def _bracket(self, entry: Order) -> None:
        """A bracket's legs exist from its entry's first fill on, for what has been filled so far."""
        legs = entry.plan.orders[1:]
        for leg in legs:
            leg.quantity = entry.filled
        for child in entry.plan.legs if not legs else ():
            name = f"order-{self.numbers['order'] + 1}"
            self.number(name)
            side = "sell" if entry.side == "buy" else "buy"
            leg = Order(name, entry.plan, entry.run, child, side, entry.filled, entry.decided)
            self.orders[name] = leg
            entry.plan.orders.append(leg)

    def claims(self) -> dict[str, Any]:
        """What report.json says, recomputed."""
        states = Counter(plan.state for plan in self.plans.values())
        return {
            "accounts": {name: account.claims() for name, account in self.accounts.items()},
            "candidates": dict(Counter(found.state for found in self.candidates.values())),
            "halts": {scope: state for scope, state in self.halts.items() if state != "ACTIVE"},
            "plans": dict(states + self.ended),
            "runs": [{"run": name, **run.claims()} for name, run in self.runs.items()],
        }


SEVERITY = ("ACTIVE", "REDUCING", "HALTED", "KILLED")


def halt_scope(data: dict[str, Any]) -> str:
    account, run = data["account"], data["run"]
    wanted = {"all": (False, False), "account": (True, False), "run": (False, True)}[data["scope"]]
    require((account is not None, run is not None) == wanted, "I9", f"a halt of {data['scope']} names others")
    return str(run or account or "all")


class Candidate:
    def __init__(self, sha256: str, owner: str) -> None:
        self.sha256, self.owner, self.state = sha256, owner, "submitted"


class Run:
    """A run under its mandate. planned: which intents have a plan; decided: those of the last bar."""

    def __init__(self, candidate: str, mandate: dict[str, Any], mandate_sha256: str, started: int) -> None:
        self.candidate, self.mandate_sha256, self.started = candidate, mandate_sha256, started
        self.account, self.symbol, self.approval = mandate["account"], mandate["symbol"], mandate["approval"]
        self.expires, self.limits, self.fill = mandate["expires"], mandate["limits_sha256"], mandate["fill"]
        # The run's own book: its allocation opens it. cost is negative, the proceeds, while the run is short.
        self.allocation = self.cash = amount(mandate["allocation"])
        self.cost = ZERO
        self.state = "live"
        self.bars = self.intents = self.awaited = self.fills = self.refused = 0
        self.last_open, self.bar_sha256 = -1, ""
        self.position = ZERO
        self.planned: set[int] = set()
        self.decided: set[str] = set()

    @property
    def is_live(self) -> bool:
        return self.state == "live"

    def charge(
        self, side: str, quantity: Decimal, price: Decimal, fee: Decimal, *, reduce_only: bool
    ) -> None:
        """An entry is paid from what the run holds of its allocation, a short covered by cash, not by proceeds.

        An exit always fills, also beyond that cash; it must not enlarge or turn the position.
        """
        held, worth = self.position, times(quantity, price)
        closing = min(quantity, abs(held)) if held * signed(side, quantity) < 0 else ZERO
        opening = quantity - closing
        if reduce_only:
            require(not opening, "I1", "a reduce-only order enlarges or turns the position")
            affordable = True
        elif side == "buy":
            affordable = worth + fee <= self.cash
        elif opening:
            affordable = times(opening + max(ZERO, -held), price) + fee <= self.cash + min(self.cost, ZERO)
        else:
            affordable = fee <= self.cash + worth
        require(affordable, "I8", "a fill beyond what the run holds of its allocation")
        if closing:
            share = EXACT.divide(EXACT.multiply(self.cost, closing), abs(held)).quantize(
                UNIT, ROUND_HALF_EVEN, EXACT
            )
            self.cash -= signed(side, times(closing, price))
            self.cost -= share
        entered = signed(side, times(opening, price))
        self.cash = bounded(bounded(self.cash - entered) - fee)
        self.cost = bounded(self.cost + entered)

    def claims(self) -> dict[str, Any]:
        return {"account": self.account, "approval": self.approval, "bars": self.bars, "candidate": self.candidate,
                "fills": self.fills, "intents": self.intents, "position": text_of(self.position),
                "refused": self.refused, "state": self.state, "symbol": self.symbol}  # fmt: skip


class Plan:
    __slots__ = ("account", "decided_by", "digest", "expires", "intent", "known", "legs", "name", "orders",
                 "proposed_by", "quantity", "reduce_only", "risk", "run", "side", "state", "symbol",
                 "token", "worth")  # fmt: skip

    def __init__(self, name: str, data: dict[str, Any], proposed_by: str) -> None:
        body = data["body"]
        self.name, self.digest, self.proposed_by = name, data["plan_sha256"], proposed_by
        self.run, self.account, self.symbol = body["run"], body["account"], body["symbol"]
        self.side, self.quantity, self.intent = body["side"], amount(body["quantity"]), body["intent"]
        known = body["limit"] or body["stop"]
        self.known = None if known is None else amount(known)
        self.worth = ZERO
        self.reduce_only, self.expires = body["reduce_only"], body["expires"]
        self.legs = [leg for leg in ("stop_loss", "take_profit") if body[leg] is not None]
        self.state, self.decided_by = "pending", ""
        self.risk: tuple[str, str | None, str] | None = None
        self.token: tuple[str, int] | None = None
        self.orders: list[Order] = []


class Order:
    __slots__ = ("child", "decided", "filled", "name", "plan", "quantity", "run", "side", "state")

    def __init__(self, name: str, plan: Plan, run: str | None, child: str | None, side: str, quantity: Decimal,
                 decided: int | None) -> None:  # fmt: skip
        self.name, self.plan, self.run, self.child, self.side = name, plan, run, child, side
        self.quantity, self.filled, self.decided, self.state = quantity, ZERO, decided, "working"


# --- 10 the file ------------------------------------------------------------------------------------

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q4sIQI")
DATE_1980 = 33
MODE = 0o100644 << 16


class Archive:
    """A ZIP of exactly one form: stored members in the order of their names, no extras, no gaps.

    Only so no byte of the file is without meaning; zipfile would overlook some.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.members: dict[str, tuple[int, int, int]] = {}
        file.seek(0)
        central, at, last = b"", 0, ""
        while (head := file.read(LOCAL.size))[:4] == b"PK\x03\x04" and len(head) == LOCAL.size:
            crc, size, length = (
                struct.unpack_from("<I", head, 14)[0],
                *struct.unpack_from("<IIH", head, 18)[1:],
            )
            raw = file.read(length)
            if head != LOCAL.pack(b"PK\x03\x04", 20, 0, 0, 0, DATE_1980, crc, size, size, length, 0):
                raise Malformed(f"member {len(self.members)} has another header")
            name = raw.decode("ascii", "replace")
            if len(raw) != length or not name > last:
                raise Malformed("the names are not in order")
            central += CENTRAL.pack(b"PK\x01\x02", 0x0314, 20, 0, 0, 0, DATE_1980, crc, size, size, length, 0, 0, 0, 0,
                                    MODE, at) + raw  # fmt: skip
            self.members[name] = (at + LOCAL.size + length, size, crc)
            at = file.seek(size, 1)
            last = name
        file.seek(at)
        if file.read() != central + zip_end(len(self.members), len(central), at):
            raise Malformed("the directory of the file differs from its members")

    def read(self, name: str) -> bytes:
        if name not in self.members:
            raise Malformed(f"{name} is missing")
        at, size, crc = self.members[name]
        self.file.seek(at)
        data = self.file.read(size)
        if len(data) != size or zlib.crc32(data) != crc:
            raise Malformed(f"{name} is cut or damaged")
        return data


def zip_end(count: int, size: int, at: int) -> bytes:
    """The end of a ZIP's directory; beyond 65,534 members in its 64-bit form first."""
    long = b""
    if count >= 0xFFFF:
        long = END64.pack(
            b"PK\x06\x06", 44, 0x0314, 45, 0, 0, count, count, size, at, b"PK\x06\x07", 0, at + size, 1
        )
    short = min(count, 0xFFFF)
    return long + END.pack(b"PK\x05\x06", 0, 0, short, short, size, at, 0)


def tile_path(number: int) -> str:
    """The number of a tile in groups of three digits, all but the last one marked with x."""
    text = f"{number % 1000:03d}"
    while number >= 1000:
        number //= 1000
        text = f"x{number % 1000:03d}/{text}"
    return text


def tile_names(folder: str, count: int) -> list[str]:
    """The names of the tiles that hold count things; the last may be partial."""
    names = [f"tile/{folder}/{tile_path(number)}" for number in range(count // WIDTH)]
    if count % WIDTH:
        names.append(f"tile/{folder}/{tile_path(count // WIDTH)}.p/{count % WIDTH}")
    return names


def entries_of(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + length]
        if len(entry) != length:
            raise Malformed("a bundle of lines is cut")
        found.append(entry)
        at += 2 + length
    return found


# --- 11 the whole export ----------------------------------------------------------------------------

# Which members of a line name a blob that is never erased.
FILES = {
    "candidate.submit": "sha256",
    "candidate.gate": "evidence_sha256",
    "limits.set": "rules_sha256",
    "run.isolated": "evidence_sha256",
}


# A plan expires four times a second; a minute without a pause between lines is more than enough for it.
GRACE = 60_000_000


class Verifier:
    """One pass over the lines, then what hangs on their end."""

    def __init__(self, archive: Archive, genesis: str, policy: Policy | None, kept: bytes | None) -> None:
        self.archive, self.genesis, self.policy, self.kept = archive, genesis, policy, kept
        self.failures: dict[str, tuple[int, str]] = {}
        self.notes: dict[str, str] = {}
        self.books, self.tree = Books(), Tree()
        self.last: Line | None = None
        self.prev = "0" * 64
        self.counting = True
        self.covered, self.anchor = 0, "nothing"
        self.last_cosigned: dict[str, int] = {}
        self.cosigned: dict[int, dict[str, int]] = {}
        self.cosign_lines: list[tuple[int, int, int]] = []
        self.fill_lines: list[tuple[int, str, int]] = []
        self.files: dict[str, int] = {}
        self.commits: dict[str, int] = {}
        self.erased: set[str] = set()
        self.rules: dict[str, bytes] = {}
        self.one_gate: list[tuple[int, str]] = []
        self.tightened: list[tuple[int, str, str]] = []
        self.times: dict[int, int] = {}
        self.ungated = 0
        self.awake = 0
        self.overdue: int | None = None
        self.told: list[str] = []
        self.size = 0

    def fail(self, check: str, seq: int, reason: str) -> None:
        if check not in self.failures or seq < self.failures[check][0]:
            self.failures[check] = (seq, reason)

    def run(self) -> None:
        try:
            self.size = Checkpoint._body(split_note(self.archive.read("checkpoint"))[0])[1]
            for name in tile_names("entries", self.size):
                for entry in entries_of(self.archive.read(name)):
                    self._entry(entry)
        except Malformed as error:
            self.fail("C1", self.tree.size, str(error))
            return
        if self.tree.size != self.size or self.last is None:
            self.fail("C3", self.tree.size, f"{self.tree.size} lines where the checkpoint says {self.size}")
            return
        if not self.books.keys.log:
            self.fail("C4", 0, "there is no genesis line that names the log's key")
            return
        if self.counting:
            self._fold(lambda: self.books.end(self.overdue), self.last)
        for check, act in (("C5", self._tiles), ("C5", self._checkpoints), ("C6", self._since), ("C7", self._policy),
                           ("C10", self._blobs), ("I13", self._claims), ("C1", self._surplus)):  # fmt: skip
            try:
                act()
            except Malformed as error:
                self.fail(check, self.tree.size, str(error))
        self._say()

    def _entry(self, entry: bytes) -> None:
        seq = self.tree.size
        leaf = leaf_of(entry)
        try:
            line = Line(entry)
        except Malformed as error:
            self.fail("C1", seq, str(error))
        else:
            self._line(seq, line)
            self.last = line
        self.tree.add(leaf)
        self.prev = leaf.hex()

    def _line(self, seq: int, line: Line) -> None:
        if seq == 0:
            if line.leaf.hex() != self.genesis:
                self.fail("C4", 0, f"the genesis hash is {line.leaf.hex()}")
            if line.kind != "ledger.genesis":
                self.fail("C4", 0, "line 0 is no genesis")
                self.counting = False
        self._chain(seq, line)
        paused = self.last is None or line.ts - self.last.ts > GRACE
        if paused or line.kind in ("epoch.open", "clock.step", "recovery", "run.isolated"):
            self.awake = line.ts
        self.overdue = line.ts - GRACE if line.ts - self.awake > GRACE else None
        before = self.books.limits_of(line)
        if before and line.kind in TWO_PERSON and line.gate2 is None:
            self.one_gate.append((seq, before))
        elif before and line.kind == "limits.set" and line.data["direction"] == "tighten":
            self.tightened.append((seq, line.data["rules_sha256"], before))
        if seq == 0:
            if line.kind == "ledger.genesis":
                self._fold(lambda: self.books.begin(line), line)
            self._fold(lambda: self.books.add(line), line)
            self._signature(seq, line)
            self._notes(line)
        else:
            self._signature(seq, line)
            self._notes(line)
            self._fold(lambda: self.books.add(line), line)
        self._collect(line)

    def _chain(self, seq: int, line: Line) -> None:
        origin = self.books.origin if seq else line.data.get("origin")
        if line.seq != seq or line.prev != self.prev or line.log != origin:
            self.fail("C3", seq, "seq, prev or log does not continue the chain")
            # From here on its place counts: a forged line may claim any seq.
            line.seq = seq
        before = self.last.epoch if self.last is not None else 0
        if line.epoch != before + (line.kind == "epoch.open"):
            self.fail("C3", seq, f"epoch {line.epoch} after {before}")
        last = self.last
        if last is None:
            return
        if line.ts < last.ts:
            self.fail("I18", seq, "the time runs back")
        if line.boot == last.boot:
            elapsed = line.mono - last.mono
            if elapsed <= 0:
                self.fail("I18", seq, "the time since boot does not increase")
            # An owner who enrols a log key signed the time of that line himself.
            told = line.kind == "clock.step" or is_log_enrolment(line)
            if not told and abs(line.ts - last.ts - elapsed) > 1_000_000:
                self.fail("I18", seq, "the clocks part by over a second without a clock.step")

    def _signature(self, seq: int, line: Line) -> None:
        key = self.books.keys.log[-1] if self.books.keys.log else None
        if is_log_enrolment(line):
            # The old key is lost: the new one introduces itself, and an owner's gate stands for it.
            try:
                key = Key(line.data["vkey"], "log", seq, None, None)
            except Malformed as error:
                self.fail("C2", seq, str(error))
                return
        if key is None or (line.name, line.key_id) != (key.name, key.id):
            self.fail("C2", seq, "not signed by the log key that is current here")
        elif not holds(key.public, line.text, line.signature):
            self.fail("C2", seq, "the signature does not hold")
        elif key.until is not None and seq > key.until:
            self.fail("C2", seq, f"the log key was revoked after line {key.until}")

    def _notes(self, line: Line) -> None:
        check = "C9" if line.proposal is not None else "C8"
        try:
            base = self.books.keys.check_notes(line, self.tree.root)
        except Broken as broken:
            self.fail(check, line.seq, broken.reason)
        else:
            self._cover(base, f"the gate in line {line.seq}")
        if line.actor.startswith("op:") and line.gate is None:
            self.ungated += 1

    def _fold(self, act: Any, line: Line) -> None:
        """After the first line that must not be, later violations may only follow from it."""
        if not self.counting:
            return
        try:
            act()
        except Broken as broken:
            self.fail(broken.check, line.seq, broken.reason)
            self.counting = False

    def _collect(self, line: Line) -> None:
        data = line.data
        if line.kind in FILES:
            self.files.setdefault(data[FILES[line.kind]], line.seq)
        elif line.kind == "run.start":
            self.files.setdefault(data["mandate"]["feed"]["config_sha256"], line.seq)
        elif line.kind == "blob.erase":
            self.erased.add(data["commit"])
        elif line.kind == "fill":
            self.fill_lines.append((line.seq, data["fill"], line.ts))
        elif line.kind == "witness.cosign":
            self._cosign(line)
        if line.kind == "rollback.accept" and not self._is_of_this_tree(data):
            self.fail("I18", line.seq, "the accepted rollback is to another tree than this")
        if line.kind in ("rollback.accept", "clock.step", "policy.opt_out"):
            self.told.append(f"{line.kind} at {line.seq}")
        for name in ("rationale_commit", "reason_commit"):
            commit = data.get(name) or data.get("body", {}).get(name)
            if commit is not None:
                self.commits.setdefault(commit, line.seq)

    def _is_of_this_tree(self, data: dict[str, Any]) -> bool:
        """A rollback goes to a tree that this log holds; it comes from a longer one, or another of that size."""
        size = data["to_size"]
        if size > self.tree.size or data["from_size"] < size:
            return False
        try:
            root = unbase64(data["to_root"])
        except Malformed:
            return False
        return bool(root == self.tree.root(size) and data["from_root"] != data["to_root"])

    def _cosign(self, line: Line) -> None:
        name, size = line.data["witness"], line.data["size"]
        keys = self.books.keys
        try:
            checkpoint = Checkpoint(line.data["note"].encode(), keys.log, keys.witnesses())
            seconds = checkpoint.cosigned.get(name)
            if seconds is None or checkpoint.size != size or size > line.seq:
                raise Malformed("the cosignature is absent or of another size")
            if (checkpoint.root, checkpoint.origin) != (self.tree.root(size), self.books.origin):
                raise Malformed("cosigned another tree")
            if seconds < self.last_cosigned.get(name, 0):
                raise Malformed("the witness's time runs back")
        except (Malformed, UnicodeEncodeError) as error:
            self.fail("C7", line.seq, str(error))
            return
        self.last_cosigned[name] = seconds
        self.cosigned.setdefault(size, {})[name] = seconds
        self.cosign_lines.append((line.seq, size, seconds))

    def _cover(self, size: int, what: str) -> None:
        if size > self.covered:
            self.covered, self.anchor = size, what

    def _tiles(self) -> None:
        for level, row in enumerate(self.tree.levels):
            for number, name in enumerate(tile_names(str(level), len(row) // 32)):
                if self.archive.read(name) != self.tree.tile(level, number):
                    self.fail(
                        "C5", min(number * WIDTH ** (level + 1), self.size - 1), f"{name} holds other hashes"
                    )

    def _checkpoints(self) -> None:
        keys = self.books.keys
        for name in ["checkpoint", *self._folder("checkpoints/")]:
            try:
                found = Checkpoint(self.archive.read(name), keys.log, keys.witnesses())
            except Malformed as error:
                self.fail("C5", self.size, f"{name}: {error}")
                continue
            if name not in ("checkpoint", f"checkpoints/{found.size}"):
                self.fail("C5", self.size, f"{name} is of size {found.size}")
            elif found.origin != self.books.origin or found.size > self.size or not found.size:
                self.fail("C5", self.size, f"{name} is of another ledger or of lines that are not here")
            elif self.tree.root(found.size) != found.root:
                self.fail("C5", found.size - 1, f"{name} knows another tree of {found.size} lines")
            self.cosigned.setdefault(found.size, {}).update(found.cosigned)

    def _since(self) -> None:
        if self.kept is None:
            self.notes["C6"] = "no checkpoint was kept"
            return
        found = Checkpoint(self.kept, self.books.keys.log, self.books.keys.witnesses())
        if found.origin != self.books.origin:
            self.fail("C6", 0, "the kept checkpoint is of another ledger")
        elif found.size > self.size:
            self.fail("C6", self.size, f"the kept checkpoint knows {found.size} lines: the tail is missing")
        elif self.tree.root(found.size) != found.root:
            self.fail(
                "C6", max(found.size - 1, 0), f"the kept checkpoint knows another tree of {found.size} lines"
            )
        else:
            self._cover(found.size, "the kept checkpoint")

    def _policy(self) -> None:
        """The auditor's policy, or the one that the export holds and the log's own enrolments must lead to."""
        text = self.archive.read("policy").decode("ascii", "replace")
        if text != policy_text(self.books.keys):
            self.fail("C7", self.size, "policy is not what the enrolled witnesses lead to")
        given = self.policy
        policy = given or Policy(text)
        if not any(key.text == log.text for key in policy.logs for log in self.books.keys.log):
            self.fail("C7", 0, "the policy is for another log")
        names = {key.name for key in policy.witnesses.values()}
        if given is not None:
            self._recheck(list(given.witnesses.values()))
        met = [
            size
            for size, by in self.cosigned.items()
            if policy.is_met({n: s for n, s in by.items() if n in names})
        ]
        if met:
            self._cover(max(met), "cosignatures under the policy")
            self.notes["C7"] = f"quorum {policy.quorum} up to {max(met)} lines"
        elif given is not None and policy.quorum != "none":
            self.fail("C7", self.size, f"no checkpoint carries the quorum {policy.quorum}")
        else:
            self.notes["C7"] = f"quorum {policy.quorum}: no cosigned checkpoint"

    def _recheck(self, witnesses: list[Key]) -> None:
        """Cosignatures once more, by the keys of the auditor's policy instead of the log's enrolments."""
        self.cosigned = {size: {} for size in self.cosigned}
        for name in ["checkpoint", *self._folder("checkpoints/")]:
            try:
                found = Checkpoint(self.archive.read(name), self.books.keys.log, witnesses)
            except Malformed as error:
                self.fail("C7", self.size, f"{name}: {error}")
                continue
            self.cosigned.setdefault(found.size, {}).update(found.cosigned)

    def _blobs(self) -> None:
        seen: set[str] = set()
        wanted_rules = {rules for _, rules in self.one_gate}
        wanted_rules.update(name for _, new, old in self.tightened for name in (new, old))
        for name in self._folder("blobs/"):
            data, digest_ = self.archive.read(name), name.removeprefix("blobs/")
            commit = hmac.new(data[:32], data[32:], hashlib.sha256).hexdigest()
            if hashlib.sha256(data).hexdigest() != digest_:
                self.fail("C10", self.files.get(digest_, 0), f"{name} holds other bytes")
            elif digest_ in self.files:
                seen.add(digest_)
                if digest_ in wanted_rules:
                    self.rules[digest_] = data
            elif commit in self.commits:
                seen.add(commit)
            else:
                self.fail("C10", self.size, f"{name} belongs to no line")
        for needed in (self.files, self.commits):
            for wanted, seq in needed.items():
                if wanted not in seen and wanted not in self.erased:
                    self.fail("C10", seq, f"the blob or text {wanted[:16]}… is missing")
        self._rule_files()
        if self.erased:
            self.notes["C10"] = f"blobs and commitments; {len(self.erased)} texts were erased by signature"

    def _rule_files(self) -> None:
        """What only the rule files behind the hashes can tell; a missing one has failed C10 already."""
        for seq, rules in self.one_gate:
            if rule_members(self.rules.get(rules, b"")).get("two_person") is True:
                self.fail("C8", seq, "GATE_SECOND: the limits in force demand a second operator's gate")
        for seq, new, old in self.tightened:
            if new in self.rules and old in self.rules:
                setting = looser_setting(self.rules[new], self.rules[old])
                if setting is not None:
                    self.fail("I19", seq, f"told as tighter, but {setting} is looser")

    def _claims(self) -> None:
        told = read_json(self.archive.read("report.json").rstrip(b"\n"))
        found = {"genesis": self.genesis, "origin": self.books.origin, "root": self.tree.root(self.size).hex(),
                 "size": self.size, "v": 1, **self.books.claims()}  # fmt: skip
        if self.counting and canonical(claim_lists(found)) + b"\n" != self.archive.read("report.json"):
            told = told if type(told) is dict else {}
            differing = [name for name, value in claim_lists(found).items() if told.get(name) != value]
            self.fail("I13", self.size, f"report.json claims other {', '.join(differing) or 'members'}")

    def _surplus(self) -> None:
        known = {"checkpoint", "policy", "report.json", "verify.py", *tile_names("entries", self.size)}
        for level, row in enumerate(self.tree.levels):
            known.update(tile_names(str(level), len(row) // 32))
        for name in self.archive.members:
            if name not in known and not name.startswith(("blobs/", "checkpoints/")):
                raise Malformed(f"{name} does not belong into an export")
        if self.archive.read("verify.py") != Path(__file__).read_bytes():
            self.notes["C1"] = "form of every line; the verify.py inside is not this program"

    def _folder(self, prefix: str) -> list[str]:
        return [name for name in self.archive.members if name.startswith(prefix)]

    def _say(self) -> None:
        if self.ungated:
            self.notes["C8"] = f"gates; {self.ungated} lines of people rest on the daemon's word"
        if self.told:
            self.notes["I18"] = "clocks; " + ", ".join(self.told[:20])

    def time_at(self, seq: int) -> int | None:
        """The time that line seq tells."""
        if seq >= self.size:
            return None
        bundle = self.archive.read(tile_names("entries", self.size)[seq // WIDTH])
        try:
            return int(Line(entries_of(bundle)[seq % WIDTH]).ts)
        except (Malformed, IndexError):
            return None

    def brackets(self) -> list[dict[str, Any]]:
        """Per fill the seconds that witnesses swear to: it was there before, it was not there earlier.

        outside: the fill tells a time beyond them. That is no failure: the witness's own clock may be the wrong one.
        """
        found: list[dict[str, Any]] = []
        at = [seq for seq, _, _ in self.cosign_lines]
        newest = list(accumulate((seconds for _, _, seconds in self.cosign_lines), max))
        by_size = sorted((size, seconds) for _, size, seconds in self.cosign_lines)
        sizes = [size for size, _ in by_size]
        oldest = list(accumulate((seconds for _, seconds in reversed(by_size)), min))[::-1]
        for seq, name, ts in self.fill_lines if at else []:
            known, covering = bisect_left(at, seq), bisect_right(sizes, seq)
            before = newest[known - 1] if known else None
            after = oldest[covering] if covering < len(sizes) else None
            early = before is not None and ts < before * 1_000_000
            late = after is not None and ts >= (after + 1) * 1_000_000
            found.append(
                {"fill": name, "not_after": after, "not_before": before, "ts": ts, "outside": early or late}
            )
        return found

    def result(self, *, require_anchor: bool) -> dict[str, Any]:
        open_tail = self.covered < self.size
        if require_anchor and open_tail and not self.failures:
            self.fail("C7", self.covered, "nothing outside of the log's machine covers this line")
        first = min((seq for seq, _ in self.failures.values()), default=None)
        reason = next((f"{check} at line {seq}: {why}" for check, (seq, why) in
                       sorted(self.failures.items(), key=lambda item: list(CHECKS).index(item[0]))
                       if seq == first), None)  # fmt: skip
        checks = []
        for name, title in CHECKS.items():
            bad = self.failures.get(name)
            detail = f"line {bad[0]}: {bad[1]}" if bad else self.notes.get(name, title)
            checks.append({"name": name, "passed": bad is None, "detail": detail})
        return {
            "size": self.size, "root": self.tree.root(self.tree.size).hex(), "genesis": self.genesis, "checks": checks,
            "first_bad": first, "reason": reason, "anchor": self.anchor, "anchored": self.covered,
            "unanchored_since": self.covered if open_tail else None,
            "unanchored_time": self.time_at(self.covered) if open_tail and not self.failures else None,
            "fills": self.brackets(), "not_checked": "I20, re-execution of the strategies",
        }  # fmt: skip


def rule_members(text: bytes) -> dict[str, Any]:
    try:
        return members_of(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def members_of(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def rule_settings(text: str) -> dict[str, dict[str, tuple[str, Any]]]:
    """Per section its settings, each with its way of tightening and its default; every section has a switch."""
    found: dict[str, dict[str, tuple[str, Any]]] = {}
    for section, *settings in (row.split(" ") for row in text.strip().split("\n")):
        found[section] = {"enabled": ("on", True)}
        for setting in settings:
            key, way, value = re.fullmatch("([a-z_]+):([a-z]+)=?(.*)", setting).groups()  # type: ignore[union-attr]
            found[section][key] = (way, default_of(way, value))
    return found


def default_of(way: str, text: str) -> Any:
    if way in ("on", "off"):
        return text == "true"
    return [] if way in ("allows", "forbids") else text


# Every setting of a rule file: which way it tightens, and the default that it has where a text does not hold it.
# down, up: a smaller or larger number; cap: a smaller one, 0 for none; lag: the same, but 0 is a span that the
# timeframe decides, so that a change to or from it proves nothing; longer: a duration; on, off: a switch; allows: a
# list of what may be traded, empty for all; forbids: of what may not; per: account before symbol; same: no change.
RULE_SETTINGS = rule_settings("""
price_collar pct:down=5
price_drift bps:down=100
max_order equity_pct:down=10 notional:cap=0
max_position symbol_pct:down=25 gross_pct:down=100 net_pct:down=100
max_open orders:down=5
order_rate per_bar:down=2 per_hour:down=12 per_day:down=50
repeated_execution entries:down=20
duplicate
allow_list symbols:allows venues:allows timeframes:allows candidates:allows
direction long_only:on=true restricted:forbids
instrument min_notional:up=0
market_hours extended:off=false
stale_data max_lag_s:lag=0 max_age_bars:down=1.5 grace_s:down=2 max_skew_s:down=2
data_sanity sigmas:down=10 jump_pct:down=40
plan_expiry machine_s:down=300 human_s:down=900
daily_loss pct:down=2
drawdown pct:down=10
loss_streak losses:down=4 bars:up=12
reject_streak refusals:down=5
MaxDrawdown pct:down=5 lookback:longer=24h stop_for:longer=4h unlock_at:same=
StoplossGuard stops:down=5 lookback:longer=60m stop_for:longer=2h unlock_at:same= per:per=symbol
Cooldown stop_for:longer=5m unlock_at:same=
LowProfit trades:down=4 lookback:longer=12h pct:down=5 stop_for:longer=1h unlock_at:same=
MarketHours
position_guard hard_stop_pct:down=20 atr_multiple:cap=0 trailing_pct:cap=0 take_profit_pct:cap=0
runner_limits bar_s:down=2 memory_mib:down=128
monitoring escalate_s:down=900
""")


def looser_setting(new: bytes, old: bytes) -> str | None:
    """The first setting of a rule file that allows more than the older file's; what no rule file is allows more."""
    after, before = rule_members(new), rule_members(old)
    if before.get("two_person") is True and after.get("two_person") is not True:
        return "two_person"
    if after.get("zone", "UTC") != before.get("zone", "UTC"):
        return "zone"
    mine, theirs = after.get("controls"), before.get("controls")
    if type(mine) is not dict or type(theirs) is not dict:
        return "controls"
    for name in [*RULE_SETTINGS, *(name for name in theirs if name not in RULE_SETTINGS)]:
        section, base, known = mine.get(name, {}), theirs.get(name, {}), RULE_SETTINGS.get(name, {})
        if type(section) is not dict or type(base) is not dict:
            return f"controls.{name}"
        for key in [*known, *(key for key in base if key not in known)]:
            way, default = known.get(key, ("same", None))
            if allows_more(way, section.get(key, default), base.get(key, default)):
                return f"controls.{name}.{key}"
    return None


def allows_more(way: str, new: Any, old: Any) -> bool:
    """Whether a setting that tightens this way is looser than before; a value that cannot be read may not change."""
    if way == "on":
        return old is not False and new is not True
    if way == "off":
        return new is not False and old is not True
    if way == "per":
        return new not in (old, "account")
    if way in ("allows", "forbids") and type(new) is list and type(old) is list:
        mine, theirs = set(map(str, new)), set(map(str, old))
        return not theirs <= mine if way == "forbids" else bool(theirs) and not (mine and mine <= theirs)
    try:
        if way == "longer":
            return seconds_of(new) < seconds_of(old)
        if way in ("down", "up", "cap", "lag"):
            return number_allows(way, Decimal(str(new)), Decimal(str(old)))
    except (ArithmeticError, ValueError):
        pass
    return bool(new != old)


def number_allows(way: str, mine: Decimal, theirs: Decimal) -> bool:
    if way == "up":
        return mine < theirs
    if way == "cap":
        return theirs != 0 and not 0 < mine <= theirs
    if way == "lag":
        return mine != theirs and not 0 < mine < theirs
    return mine > theirs


def seconds_of(text: Any) -> int:
    """A duration such as 90s or 12h; nothing where a lock ends at an hour instead."""
    match = re.fullmatch("([0-9]{1,9})([smhd])", text) if type(text) is str else None
    if match is None and text != "":
        raise ValueError
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]] if match else 0


def claim_lists(claims: dict[str, Any]) -> dict[str, Any]:
    """Claims with lists in place of objects whose names are ids."""
    listed = dict(claims)
    listed["accounts"] = [{"account": name, **item} for name, item in sorted(claims["accounts"].items())]
    listed["halts"] = [list(item) for item in sorted(claims["halts"].items())]
    return listed


def policy_text(keys: Keys) -> str:
    """The policy that the log itself leads to: any one of its enrolled witnesses."""
    lines = [f"log {keys.log[0].text}"]
    found = sorted(keys.witnesses(), key=lambda key: key.since)
    names = [f"w{number}" for number, _ in enumerate(found, 1)]
    lines += [f"witness {name} {key.text}" for name, key in zip(names, found, strict=True)]
    if names:
        lines.append(f"group witnesses any {' '.join(names)}")
    lines.append(f"quorum {'witnesses' if names else 'none'}")
    return "\n".join(lines) + "\n"


# --- 12 the proof of one fill -----------------------------------------------------------------------

BUNDLE = "inalpha.audit/prove/v1"
ROLES = {
    "genesis": ("ledger.genesis",),
    "key": ("key.enrol", "key.rotate", "key.revoke"),
    "submit": ("candidate.submit",),
    "promote": ("candidate.promote",),
    "start": ("run.start",),
    "step": ("step",),
    "plan": ("plan.create",),
    "risk": ("risk.check",),
    "waiver": ("policy.opt_out",),
    "approve": ("plan.approve",),
    "execute": ("plan.execute",),
    "decision": ("decision",),
    "fill": ("fill",),
}


def check_bundle(data: bytes, genesis: str) -> dict[str, Any]:
    """What a bundle proves. Raises Broken or Malformed.

    A proof of presence: these lines stand in the log that signed this checkpoint, and they belong together. It
    says nothing about lines that it does not hold, about cash, or about which tree a gate's signer saw.
    """
    if not data.endswith(b"\n"):
        raise Malformed("no line feed at the end")
    bundle = read_json(data[:-1])
    if type(bundle) is not dict or bundle.keys() != {"bundle", "items", "log"} or bundle["bundle"] != BUNDLE:
        raise Malformed("no bundle of this version")
    if type(bundle["items"]) is not list:
        raise Malformed("no items")
    keys, head = Keys(), None
    found: list[tuple[str, Line]] = []
    for item in bundle["items"]:
        role, line, note = read_item(item)
        if head is None:
            head = note
        require(note == head, "C5", "the proofs are of different checkpoints")
        require(line.log == bundle["log"], "C3", "a line of another log")
        require(not found or line.seq > found[-1][1].seq, "C3", "the lines are not in order")
        require(bool(found) == (role != "genesis"), "C4", "the first line, and it alone, is the genesis")
        add_to_keys(keys, role, line, genesis)
        found.append((role, line))
    if head is None:
        raise Malformed("no items")
    checkpoint = Checkpoint(head, keys.log, keys.witnesses())
    require(
        not checkpoint.strangers and checkpoint.origin == bundle["log"], "C5", "a signature by an unknown key"
    )
    for item, (_, line) in zip(bundle["items"], found, strict=True):
        check_inclusion(line.seq, checkpoint.size, line.leaf, proof_path(item["proof"])[0], checkpoint.root)
    return check_story(found, checkpoint, keys)


def read_item(item: Any) -> tuple[str, Line, bytes]:
    if type(item) is not dict or item.keys() != {"entry", "proof", "role"}:
        raise Malformed("an item has entry, proof and role")
    if not all(type(text) is str for text in item.values()):
        raise Malformed("an item of another type")
    try:
        line = Line(item["entry"].encode("utf-8"))
    except UnicodeEncodeError as error:
        raise Malformed("a lone surrogate") from error
    require(line.kind in ROLES.get(item["role"], ()), "C1", f"a {line.kind} line as {item['role']}")
    _, index, note = proof_path(item["proof"])
    require(index == line.seq, "C5", "a proof of another line")
    return item["role"], line, note


def proof_path(proof: str) -> tuple[list[bytes], int, bytes]:
    """(hashes, index, checkpoint note) of a C2SP tlog-proof."""
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    if len(lines) < 2 or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Malformed("no tlog-proof")
    if re.fullmatch("index (0|[1-9][0-9]{0,15})", lines[1]) is None:
        raise Malformed("no index")
    hashes = [unbase64(line) for line in lines[2:]]
    if any(len(item) != 32 for item in hashes):
        raise Malformed("a hash has 32 bytes")
    return hashes, int(lines[1][6:]), note.encode("utf-8")


def add_to_keys(keys: Keys, role: str, line: Line, genesis: str) -> None:
    """Signature by the key that the earlier key lines lead to, gates by the keys that they enrol."""
    data = line.data
    if role == "genesis":
        require(line.seq == 0 and line.leaf.hex() == genesis, "C4", f"the genesis hash is {line.leaf.hex()}")
        keys.rotate(data["log_vkey"], line.log, 0)
        keys.enrol(data["owner_vkey"], "owner", 0, line.actor)
        keys.enrol(data["recovery_vkey"], "recovery", 0, line.actor)
    key = Key(line.data["vkey"], "log", line.seq, None, None) if is_log_enrolment(line) else keys.log[-1]
    by_it = (line.name, line.key_id) == (key.name, key.id) and holds(key.public, line.text, line.signature)
    require(by_it, "C2", f"line {line.seq} is not signed by the log key that is current there")
    try:
        keys.check_notes(line, lambda size: None)
    except Broken as broken:
        raise Broken("C9" if line.proposal else "C8", f"line {line.seq}: {broken.reason}") from broken
    if is_log_enrolment(line):
        keys.rotate(data["vkey"], line.log, line.seq)
    elif line.kind == "key.enrol":
        keys.enrol(data["vkey"], data["role"], line.seq, data["principal"], data["sponsor"])
    elif line.kind == "key.rotate":
        keys.rotate(data["vkey"], line.log, line.seq)
    elif line.kind == "key.revoke" and data["vkey"] in keys.all:
        keys.all[data["vkey"]].until = data["valid_through_seq"]


def check_story(found: list[tuple[str, Line]], checkpoint: Checkpoint, keys: Keys) -> dict[str, Any]:
    """The lines belong to one fill, from the plan back to the person."""
    by_role: dict[str, list[Line]] = {}
    for role, line in found:
        by_role.setdefault(role, []).append(line)
    fill, plan, risk, approve, execute = (
        only(by_role, r) for r in ("fill", "plan", "risk", "approve", "execute")
    )
    body, name = plan.data["body"], plan.data["plan"]
    wanted = {"genesis", "plan", "risk", "approve", "execute", "fill"}
    wanted |= {"submit", "promote", "start", "step"} if body["run"] else set()
    wanted |= {"decision"} if body["intent"] else set()
    wanted |= {"waiver"} if risk.data["result"] != "pass" else set()
    require(by_role.keys() - {"key"} == wanted, "I1", f"the lines are not {', '.join(sorted(wanted))}")
    named = {line.data["plan"] for line in (plan, risk, approve, execute, fill)}
    require(named == {name}, "I1", "the lines are of different plans")
    digests = {line.data["plan_sha256"] for line in (plan, risk, approve, execute)}
    require(digests == {digest("inalpha.audit/plan/v1", body)}, "I3", "the digests are not the body's")
    require(plan.seq < risk.seq < approve.seq, "I6", "no risk result before approval")
    if "waiver" in by_role:
        check_waiver(only(by_role, "waiver"), risk, approve, body["run"])
    token = (
        approve.data["token_sha256"] == execute.data["token_sha256"]
        and execute.ts < approve.data["token_expires"]
    )
    require(
        token and execute.seq == approve.seq + 1, "I2", "the token is another one, old or not used at once"
    )
    is_leg = execute.data["order"] != fill.data["order"]
    side = body["side"] if not is_leg else {"buy": "sell", "sell": "buy"}[body["side"]]
    legs = body["stop_loss"] is not None or body["take_profit"] is not None
    same = (fill.data["symbol"], fill.data["side"], fill.data["intent"]) == (
        body["symbol"],
        side,
        body["intent"],
    )
    small = 0 < amount(fill.data["quantity"]) <= amount(body["quantity"])
    require(
        same and small and (legs or not is_leg) and fill.seq > execute.seq,
        "I1",
        "the fill is not of this plan",
    )
    if body["run"]:
        check_run(by_role, plan, approve, fill, keys)
    else:
        require(approve.actor.startswith("op:"), "I4", "no person approved and there is no mandate")
    return {"fill": fill.data["fill"], "plan": name, "approved_by": approve.actor, "lines": len(found),
            "price": fill.data["price"], "quantity": fill.data["quantity"], "side": fill.data["side"],
            "size": checkpoint.size, "symbol": fill.data["symbol"], "ts": fill.ts,
            "cosigned": checkpoint.cosigned}  # fmt: skip


def check_waiver(waiver: Line, risk: Line, approve: Line, run: str | None) -> None:
    """A refusal of risk that the owner had waived, for this rule and run and up to a time."""
    same = (waiver.data["rule"], waiver.data["run"]) == (risk.data["rule"], run)
    lives = waiver.seq < approve.seq and approve.ts < waiver.data["expires"]
    require(same and lives, "I6", f"approved although risk said {risk.data['result']}")


def check_run(by_role: dict[str, list[Line]], plan: Line, approve: Line, fill: Line, keys: Keys) -> None:
    submit, promote, start = (only(by_role, role) for role in ("submit", "promote", "start"))
    body, mandate = plan.data["body"], start.data["mandate"]
    sources = {submit.data["sha256"], promote.data["sha256"], mandate["candidate_sha256"]}
    require(
        len(sources) == 1 and submit.seq < promote.seq < start.seq < plan.seq, "I7", "not the promoted source"
    )
    digests = {
        start.data["mandate_sha256"],
        body["mandate_sha256"],
        digest("inalpha.audit/mandate/v1", mandate),
    }
    require(len(digests) == 1 and start.data["run"] == body["run"], "I3", "the plan is of another mandate")
    same = (mandate["account"], mandate["symbol"]) == (body["account"], body["symbol"])
    require(same, "I8", "the plan is of another account or symbol than the mandate")
    owners = {mandate["account"], start.data["owner_account_id"], submit.data["owner_account_id"]}
    owners |= {keys.account_of(line.actor) for line in (submit, start)}
    require(len(owners) == 1, "I5", "account, candidate and signer have different owners")
    if approve.actor.startswith("op:"):
        require(
            keys.account_of(approve.actor) == body["account"], "I4", "approved by another account's person"
        )
    else:
        guard = plan.actor == "system:risk" and body["reduce_only"]
        machine = mandate["approval"] == "machine" and approve.ts < mandate["expires"]
        require(
            approve.actor == "system:live_runner" and (machine or guard),
            "I4",
            "the mandate does not approve this",
        )
    steps = by_role["step"]
    require(all(step.data["run"] == body["run"] for step in steps), "I10", "a step of another run")
    require(steps[-1].seq < fill.seq and len(steps) <= 2, "I10", "the steps are not before the fill")
    if "decision" in by_role:
        decided = only(by_role, "decision").data
        known = (decided["plan"], decided["intent"], decided["run"]) == (
            fill.data["plan"],
            body["intent"],
            body["run"],
        )
        at = (decided["bar"], decided["bar_sha256"]) == (steps[0].data["bar"], steps[0].data["bar_sha256"])
        require(known and at, "I11", "the decision is of another plan or bar")
        later = steps[-1].data["bar"] > decided["bar"] or mandate["fill"] == "same_close"
        require(later or by_role["fill"][0].data["order"] != only(by_role, "execute").data["order"], "I12",
                "filled in the bar of its decision")  # fmt: skip


def only(by_role: dict[str, list[Line]], role: str) -> Line:
    found = by_role.get(role, [])
    require(len(found) == 1, "I1", f"{len(found)} lines as {role}")
    return found[0]


# --- 13 the command line ----------------------------------------------------------------------------


def iso(microseconds: int | None) -> str:
    from datetime import UTC, datetime, timedelta

    if microseconds is None:
        return "time unknown"
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


def sworn(seconds: int | None) -> str:
    return "any time" if seconds is None else iso(seconds * 1_000_000)


def own_digest() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def hex_hash(text: str) -> str:
    if re.fullmatch("[0-9a-fA-F]{64}", text) is None:
        raise argparse.ArgumentTypeError("64 hexadecimal digits")
    return text.lower()


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="verify.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument(
        "--genesis", metavar="HEX", type=hex_hash, required=True, help="the hash kept from init"
    )
    parser.add_argument("--policy", metavar="FILE", type=Path, help="whose cosignatures count for you")
    parser.add_argument("--since", metavar="CHECKPOINT", type=Path, help="a checkpoint that you kept")
    parser.add_argument("--require-anchor", action="store_true", help="an uncovered tail is a failure")
    parser.add_argument("--prove", action="store_true", help="FILE is the proof of one fill")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--version", action="version", version=own_digest())
    return parser


def plain(text: object) -> str:
    """What a file says, on one line and unable to steer the auditor's terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(text)
    )


def say(text: str, *, err: bool = False) -> None:
    print(plain(text), file=sys.stderr if err else sys.stdout)


def show(result: dict[str, Any]) -> None:
    for check in result["checks"]:
        say(f"{'ok  ' if check['passed'] else 'FAIL'} {check['name']:4} {check['detail']}")
    if result["reason"] is not None:
        say(f"BROKEN: {result['reason']}", err=True)
        return
    say(f"{result['size']} lines, root {result['root']}")
    say("not checked here: I20, executing the strategies again")
    for fill in result["fills"]:
        if fill["outside"]:
            say(f"{fill['fill']} tells {iso(fill['ts'])}, outside of what witnesses swear to: not before "
                  f"{sworn(fill['not_before'])}, not after {sworn(fill['not_after'])}")  # fmt: skip
    if result["unanchored_since"] is not None:
        when = iso(result["unanchored_time"])
        say(f"unanchored since seq {result['unanchored_since']} ({when}); before it: {result['anchor']}")
    else:
        say(f"anchored whole by {result['anchor']}")


def prove(data: bytes, genesis: str, *, as_json: bool) -> int:
    try:
        found = check_bundle(data, genesis)
    except (Broken, Malformed) as error:
        check = error.check + ": " if isinstance(error, Broken) else ""
        if as_json:
            say(json.dumps({"proved": False, "reason": f"{check}{error}"}))
        else:
            say(f"REFUSED: {check}{error}", err=True)
        return BROKEN
    if as_json:
        say(json.dumps({"proved": True, **found}))
    else:
        what = f"{found['side']} {found['quantity']} {found['symbol']} at {found['price']}"
        say(
            f"{found['fill']}: {what}, {iso(found['ts'])}, {found['plan']} approved by {found['approved_by']}"
        )
        say(f"{found['lines']} lines of a log of {found['size']}; nothing is proven about other lines")
    return OK


def main(words: list[str] | None = None) -> int:
    parser = arguments()
    asked = parser.parse_args(words)
    try:
        kept = asked.since.read_bytes() if asked.since else None
        policy = Policy(asked.policy.read_text("utf-8")) if asked.policy else None
        if asked.prove:
            return prove(asked.file.read_bytes(), asked.genesis, as_json=asked.json)
        file = asked.file.open("rb")
    except (OSError, ValueError, Malformed) as error:
        parser.error(plain(error))
    with file:
        try:
            verifier = Verifier(Archive(file), asked.genesis, policy, kept)
            verifier.run()
            result = verifier.result(require_anchor=asked.require_anchor)
        except (Malformed, struct.error) as error:
            reason = f"C1 at line 0: {error}"
            result = {"size": 0, "root": "", "genesis": asked.genesis, "checks": [], "first_bad": 0, "reason": reason,
                      "anchor": "nothing", "anchored": 0, "unanchored_since": 0, "unanchored_time": None}  # fmt: skip
    if asked.json:
        say(json.dumps(result))
    else:
        show(result)
    return OK if result["first_bad"] is None else BROKEN


if __name__ == "__main__":
    sys.exit(main())
