"""One fill back to its origin: which lines led to it, from the source to the market."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from inalpha.audit.event import Event, read_event
from inalpha.model.errors import Refused


@dataclass(frozen=True, slots=True)
class Link:
    """A line and the part that it plays in the fill's story."""

    role: str
    seq: int
    entry: bytes

    @property
    def event(self) -> Event:
        return read_event(self.entry)


def lineage(reader: sqlite3.Connection, fill: str) -> list[Link]:
    """The links of a fill in the order of their lines. Raises Refused("NO_FILL").

    A step appears twice when the fill came in a later bar than its decision. What a run's plan has and a
    person's proposal has not (submit, promote, start, step, decision) is left out for the latter.
    """
    found = reader.execute(
        'SELECT f.seq, f.plan, f.run, f.bar, f.intent, p.created_seq, p.decided_seq, p.run, o."order"'
        ' FROM fill f JOIN plan p ON p.plan = f.plan JOIN orders o ON o."order" = f."order" WHERE f.fill = ?',
        (fill,),
    ).fetchone()
    if found is None:
        raise Refused("NO_FILL", f"there is no {fill}.", "'inalpha fills' shows all.")
    seq, plan, _, bar, intent, created, approved, run, _ = found
    roles = {created: "plan", approved: "approve", approved + 1: "execute", seq: "fill"}
    risk = "SELECT seq, result, rule FROM risk_check WHERE plan = ? AND seq < ? ORDER BY seq DESC LIMIT 1"
    checked, result, rule = reader.execute(risk, (plan, approved)).fetchone()
    roles[checked] = "risk"
    if result != "pass":
        waiver = "SELECT max(seq) FROM opt_out WHERE rule = ? AND run = ? AND seq < ?"
        roles[reader.execute(waiver, (rule, run, approved)).fetchone()[0]] = "waiver"
    if run is not None:
        roles |= _run(reader, run)
        roles |= _steps(reader, run, intent, bar)
    decision = reader.execute("SELECT seq FROM decision WHERE plan = ?", (plan,)).fetchone()
    if decision is not None:
        roles[decision[0]] = "decision"
    return [_link(reader, role, at) for at, role in sorted(roles.items())]


def key_lines(reader: sqlite3.Connection, size: int) -> list[Link]:
    """The genesis and every line below size that enrols, rotates or revokes a key."""
    found = [_link(reader, "genesis", 0)]
    kinds = ('"kind":"key.enrol"', '"kind":"key.rotate"', '"kind":"key.revoke"')
    where = " OR ".join("instr(entry, CAST(? AS BLOB))" for _ in kinds)
    rows = reader.execute(f"SELECT seq FROM ev WHERE seq < ? AND ({where}) ORDER BY seq", (size, *kinds))
    links = [_link(reader, "key", seq) for (seq,) in rows.fetchall()]
    return found + [link for link in links if link.event.kind.startswith("key.")]


def _run(reader: sqlite3.Connection, run: str) -> dict[int, str]:
    started, submitted, promoted = reader.execute(
        "SELECT r.started_seq, c.submitted_seq, c.sha256 FROM run r JOIN candidate c ON c.sha256 = r.sha256"
        " WHERE r.run = ?",
        (run,),
    ).fetchone()
    marks = ('"kind":"candidate.promote"', promoted)
    row = reader.execute(
        "SELECT max(seq) FROM ev WHERE seq < ? AND instr(entry, CAST(? AS BLOB)) AND instr(entry, CAST(? AS BLOB))",
        (started, *marks),
    ).fetchone()
    return {submitted: "submit", row[0]: "promote", started: "start"}


def _steps(reader: sqlite3.Connection, run: str, intent: str | None, bar: int | None) -> dict[int, str]:
    """The bar of the decision, and the one in which the fill came."""
    bars = {bar} | ({int(intent.split(":")[1])} if intent is not None else set())
    query = "SELECT seq FROM step WHERE run = ? AND bar = ?"
    rows = [reader.execute(query, (run, number)).fetchone() for number in bars if number is not None]
    return {row[0]: "step" for row in rows if row is not None}


def _link(reader: sqlite3.Connection, role: str, seq: int) -> Link:
    found = reader.execute("SELECT entry FROM ev WHERE seq = ?", (seq,)).fetchone()
    if found is None:
        raise Refused("NO_LINE", f"there is no line {seq}.", "Run 'inalpha audit verify'.")
    return Link(role, seq, bytes(found[0]))
