"""C1 on the writer's thread: the kernel's book against the ledger's own fold of the run's fills, and the parking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inalpha.audit.fold.base import get
from inalpha.daemon.record import write_command
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import Command
from inalpha.ledger.readers import PARKED
from inalpha.ledger.txn import Txn
from inalpha.model.errors import IntegrityError
from inalpha.model.money import e8_from_text
from inalpha.model.principals import RISK
from inalpha.model.risk import Refusal
from inalpha.model.states import HaltState
from inalpha.risk.reconcile import FillFold, mismatch

if TYPE_CHECKING:
    from inalpha.daemon.actor import RunActor


class Parked(Exception):
    """The run's book is not the sum of its fills: it waits for a person."""


def differs(txn: Txn, kernel: Kernel) -> Refusal | None:
    """What differs between a run's book and its fills, as the ledger holds them inside this transaction."""
    spec = kernel.spec
    found = txn.conn.execute("SELECT position FROM run WHERE run = ?", (spec.run,)).fetchone()
    if found is None:
        raise IntegrityError("RUN_MISSING", f"the ledger holds no {spec.run}.", "Verify the ledger.")
    cash = get(txn.conn, f"book:{spec.run}", f"{spec.opening_cash_e8} 0").split()[0]
    lots, rest = divmod(e8_from_text(found[0]), spec.instrument.lot_e8)
    told = mismatch(kernel.book.lots, kernel.book.cash_e8, FillFold(int(cash), lots), spec.instrument)
    if told is None and rest:
        raise IntegrityError("POSITION", f"{spec.run} holds {found[0]}, no whole lots.", "Verify the ledger.")
    return told


def park(txn: Txn, actor: RunActor, kernel: Kernel, why: Refusal) -> None:
    """HALTED with an alert, everything of it cancelled, and parked until a person resumes. Nothing is repaired."""
    office, run = actor.office, actor.run
    if office.accounts.scope_state(run).severity < HaltState.HALTED.severity:
        office.set_halt(txn, "run", None, run, HaltState.HALTED, RISK, f"{why.control}: {why.message}")
    office.alert(txn, "reconcile", run, f"{why.code}: {why.message}", HaltState.HALTED.value)
    if kernel.halt.severity < HaltState.HALTED.severity:
        at_ns = actor.clock_ns() or kernel.now_ns
        command = Command(
            "halt", at_ns, state=HaltState.HALTED, actor=RISK, code=why.code, reason=why.message
        )
        write_command(txn, actor.plan.facts, kernel.command(command, actor.context()))
    txn.conn.execute(
        "INSERT INTO run_error (run, ts, code, text) VALUES (?, ?, ?, ?)",
        (run, txn.now_us, PARKED, f"{why.code}: {why.message}"[:500]),
    )


def unpark(txn: Txn, run: str) -> None:
    """The note ends with the parking; the halt's line and its resume stay."""
    txn.conn.execute("DELETE FROM run_error WHERE run = ? AND code = ?", (run, PARKED))
