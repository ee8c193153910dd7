"""One transaction: what a job may do while the writer thread holds the ledger."""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from inalpha.audit import merkle
from inalpha.audit.context import LedgerContext
from inalpha.audit.event import Event, EventError, check_event, is_log_enrolment, sign_event
from inalpha.audit.fold.apply import apply
from inalpha.audit.fold.base import last_number
from inalpha.audit.gate import GateRefused, verify_gate, verify_proposal
from inalpha.audit.notes import Signer
from inalpha.audit.schema import TWO_PERSON
from inalpha.ledger.blobs import KnownTexts
from inalpha.ledger.clock import Reading
from inalpha.model.errors import InalphaError
from inalpha.model.principals import DAEMON

T = TypeVar("T")

# The record allows 1 s between the two clocks; a step is told before that is used up.
MAX_DRIFT_US = 900_000


@dataclass(slots=True)
class Tail:
    """Where the chain stands: the state that a rollback forgets. Each line makes a new one.

    wall: the host's clock at the last line; behind ts once it was set back.
    """

    size: int
    prev: str
    epoch: int
    ts: int
    mono: int
    boot: str
    signer: Signer
    wall: int


@dataclass(slots=True)
class Txn:
    """Lines and rows of one transaction; all of it commits, or none.

    conn: for journal, outbox and reply rows. now_us: the ledger's time, never before an earlier line's.
    epoch_began: the lines that begin an epoch are committed.
    """

    conn: sqlite3.Connection
    tail: Tail
    context: LedgerContext
    now_us: int
    reading: Reading
    leaves: list[bytes] = field(default_factory=list)
    blobs: list[tuple[str, str, bytes | None, bytes]] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    publish: bool = False
    epoch_began: bool = True
    rotated: bool = False
    blob_conn: sqlite3.Connection | None = None
    held: ExitStack = field(default_factory=ExitStack)
    texts: KnownTexts = field(default_factory=KnownTexts)
    _said: dict[tuple[str, str], str] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def line(
        self,
        kind: str,
        actor: str,
        data: Mapping[str, Any],
        *,
        gate: str | None = None,
        gate2: str | None = None,
        proposal: str | None = None,
    ) -> int:
        """Check, sign, insert and fold one line; returns its seq.

        Raises GateRefused, Violation (the record must not hold it) or InalphaError("LINE_FORM").
        """
        event = self._event(kind, actor, data, gate, gate2, proposal)
        try:
            check_event(event)
        except EventError as error:
            raise InalphaError("LINE_FORM", str(error)) from error
        if not is_log_enrolment(event) and self._step_clock():
            event = self._event(kind, actor, data, gate, gate2, proposal)
        nonces = self._check_notes(event)
        return self._append(event, nonces)

    def committed(self) -> None:
        """Called after COMMIT: only now are this transaction's texts there for the next one."""
        self.texts.learn(self._said)

    def hold(self, lock: AbstractContextManager[T]) -> T:
        """Enter lock now and leave it once COMMIT or ROLLBACK has returned, on the writer's thread."""
        return self.held.enter_context(lock)

    def next_id(self, prefix: str) -> str:
        """The next `run-N`, `plan-N`, `order-N`, `fill-N` or `prop-N`; taken when a line names it."""
        number = max(last_number(self.conn, prefix), self._numbers.get(prefix, 0)) + 1
        self._numbers[prefix] = number
        return f"{prefix}-{number}"

    def commit_text(self, text: str, *, run: str | None = None) -> str:
        """Keep human or model text erasably; returns its salted HMAC, which a line may hold.

        run: equal texts of one run share a commitment, so a strategy's constant reason is synced once, not at
        each order. That tells a reader of the lines which of its reasons are equal; erasing it erases all.
        """
        known = None if run is None else self._said.get((run, text)) or self.texts.find(run, text)
        if known is not None:
            return known
        salt, data = os.urandom(32), text.encode("utf-8", "replace")
        name = hmac.new(salt, data, hashlib.sha256).hexdigest()
        self.blobs.append((name, "text", salt, data))
        if run is not None:
            self._said[run, text] = name
        return name

    def keep_text(self, name: str, salt: bytes, text: str) -> None:
        """Keep a text whose commitment a client made, such as a signed reason.

        Raises InalphaError("COMMITMENT") when the text has another HMAC.
        """
        data = text.encode("utf-8")
        if len(salt) != 32 or hmac.new(salt, data, hashlib.sha256).hexdigest() != name:
            raise InalphaError("COMMITMENT", "the text is not what its commitment says")
        self.blobs.append((name, "text", salt, data))

    def blob(self, data: bytes) -> str:
        """Keep bytes for ever under their SHA-256: sources, bars, limits, evidence."""
        name = hashlib.sha256(data).hexdigest()
        self.blobs.append((name, "data", None, data))
        return name

    def text_of(self, name: str) -> str | None:
        """The text behind a commitment; None when there is none, or no more."""
        if self.blob_conn is None:
            return None
        sql = "SELECT data FROM blob WHERE name = ? AND kind = 'text'"
        row = self.blob_conn.execute(sql, (name,)).fetchone()
        return bytes(row[0]).decode("utf-8", "replace") if row else None

    def erase_text(self, name: str) -> None:
        """Remove a text when this transaction commits; its `blob.erase` line is the caller's."""
        self.erased.append(name)
        self.texts.forget(name)

    def check_gate(self, note_text: str, kind: str, data: Mapping[str, Any], actor: str) -> None:
        """Check a note as its line would, without writing. Raises GateRefused(code)."""
        verify_gate(note_text, self._event(kind, actor, data, note_text, None, None), self.context)

    def check_proposal(self, note_text: str, kind: str, data: Mapping[str, Any], actor: str) -> None:
        """The same for an agent's note."""
        verify_proposal(note_text, self._event(kind, actor, data, None, None, note_text), self.context)

    def _event(
        self,
        kind: str,
        actor: str,
        data: Mapping[str, Any],
        gate: str | None,
        gate2: str | None,
        proposal: str | None,
    ) -> Event:
        tail = self.tail
        mono = self.reading.mono_us
        if self.reading.boot == tail.boot:
            mono = max(mono, tail.mono + 1)
        return Event(
            self.context.origin, tail.size, tail.prev, tail.epoch, max(self.now_us, tail.ts), mono,
            self.reading.boot, kind, actor, data, gate, gate2, proposal,
        )  # fmt: skip

    def _check_notes(self, event: Event) -> list[str]:
        nonces: list[str] = []
        if event.gate is not None:
            nonces.append(verify_gate(event.gate, event, self.context).nonce)
        if event.gate2 is not None:
            if event.kind not in TWO_PERSON:
                raise GateRefused("GATE_SYNTAX", f"{event.kind} takes no second gate")
            nonces.append(verify_gate(event.gate2, event, self.context, second=True).nonce)
        if event.proposal is not None:
            nonces.append(verify_proposal(event.proposal, event, self.context).nonce)
        return nonces

    def _append(self, event: Event, nonces: Sequence[str]) -> int:
        if event.kind == "epoch.open":
            event = replace(event, epoch=event.epoch + 1)
        entry = sign_event(event, self.tail.signer)
        leaf = merkle.leaf_hash(entry)
        self.conn.execute("INSERT INTO ev VALUES (?, ?, ?)", (event.seq, entry, leaf))
        apply(self.conn, event, nonces, recovered=self.epoch_began)
        self.leaves.append(leaf)
        if event.gate is not None or event.kind in ("run.stop", "epoch.close"):
            self.publish = True
        self.tail = Tail(
            event.seq + 1,
            leaf.hex(),
            event.epoch,
            event.ts,
            event.mono,
            event.boot,
            self.tail.signer,
            self.reading.wall_us,
        )
        return event.seq

    def take_over(self, signer: Signer) -> None:
        """Lines from here on are signed by a new log key, which an owner's gate enrols in the first of them."""
        self.tail = replace(self.tail, signer=signer)

    def rotate(self, signer: Signer) -> None:
        """Hand the log over to the next key: its line is signed by the old one."""
        self.line("key.rotate", DAEMON, {"vkey": signer.vkey.text})
        self.tail = replace(self.tail, signer=signer)
        self.rotated = True

    def _step_clock(self) -> bool:
        """Record a jump of the wall clock before the first line after it; whether it did."""
        tail, reading = self.tail, self.reading
        if self.leaves or not tail.size or reading.boot != tail.boot:
            return False
        elapsed = reading.mono_us - tail.mono
        # Set back, the record's time stands still: lines in quick succession would never show it.
        jumped = abs(reading.wall_us - tail.wall - elapsed) > MAX_DRIFT_US
        parted = abs(self.now_us - tail.ts - elapsed) > MAX_DRIFT_US
        if jumped or parted:
            data = {
                "mono": max(reading.mono_us, 0),
                "wall_after": reading.wall_us,
                "wall_before": (tail.wall if jumped else tail.ts) + max(elapsed, 0),
            }
            self._append(self._event("clock.step", DAEMON, data, None, None, None), ())
            return True
        return False
