"""What a run takes from its feed: bars through the gate, doubted before they are believed, then stepped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from inalpha.daemon.feeds import Feed
from inalpha.daemon.feedwatch import judge, take
from inalpha.daemon.record import bar_sha256, write_command, write_journal
from inalpha.daemon.runplan import StepVoided
from inalpha.kernel.records import Command
from inalpha.ledger.txn import Txn
from inalpha.market.bargate import PASSING, BarGate, VerdictKind
from inalpha.market.rawbar import RawBar
from inalpha.model.bar import Bar
from inalpha.model.principals import DAEMON, RISK
from inalpha.model.states import HaltState
from inalpha.risk.controls.data_sanity import jump_text
from inalpha.risk.engine import RiskEngine

if TYPE_CHECKING:
    from inalpha.daemon.actor import RunActor

HOLIDAY = "holiday"


def write_revision(txn: Txn, run: str, old: Bar, new: Bar) -> None:
    """The first value of a closed bar stands; that its source says another now is a fact of the log."""
    data = {"bar": old.sequence, "new_sha256": bar_sha256(new), "old_sha256": bar_sha256(old), "run": run}
    txn.line("bar.revision", DAEMON, data)


class Intake:
    """One run's."""

    def __init__(self, actor: RunActor) -> None:
        self._actor = actor
        self._skew_ns = 0  # by how much the last bar came before its own close

    def warmup_bars(self) -> list[Bar]:
        """Good bars before the run's start, as many as its strategy asks for and the feed has."""
        actor = self._actor
        if not actor.plan.spec.warmup:
            return []
        gate = self._new_gate()
        raws = actor.office.feeds.history(actor.plan.feed, actor.plan.started_ns, actor.plan.spec.warmup)
        verdicts = [gate.offer(raw, actor.plan.started_ns) for raw in raws]
        return [verdict.bar for verdict in verdicts if verdict.bar is not None]

    def _new_gate(self, last_open_ns: int | None = None) -> BarGate:
        actor = self._actor
        return BarGate(actor.plan.spec.timeframe, actor.plan.spec.instrument, last_open_ns)

    async def trade(self, after_open_ns: int | None) -> None:
        """Bars until the feed or the mandate ends. after_open_ns: of the last warm-up bar, before a run's own first."""
        actor = self._actor
        kernel = actor.kernel
        assert kernel is not None
        last = kernel.last_bar
        after = last.open_time_ns if last else after_open_ns
        gate = self._new_gate(after)
        gate.last = last  # so that a bar revised while nobody listened is no mere duplicate
        feed = actor.office.feeds.open(actor.run, actor.plan.feed, after, lambda: actor.go)
        if last is not None:
            feed.delivered(last.close_time_ns)
        actor.clock_ns = feed.clock_ns
        actor.skew_ns = lambda: max(feed.skew_ns(), self._skew_ns)
        try:
            while not actor.closed:
                item = await feed.next()
                if actor.has_expired(time.time_ns() // 1000):
                    return await actor.end("mandate_expired")
                if item is None:
                    return await actor.end("feed_ended")
                raw, received_ns = item
                gap = gate.gap_before(raw)
                for found in feed.backfill(*gap) if gap else ():
                    await self._take(gate, feed, found, feed.closed_by_ns(raw))
                await self._take(gate, feed, raw, received_ns)
        finally:
            feed.close()

    async def _take(self, gate: BarGate, feed: Feed, raw: RawBar, received_ns: int) -> None:
        """One bar through the gate and, where it passes, through the kernel."""
        actor = self._actor
        bar = await self._accept(gate, raw, feed.closed_by_ns(raw))
        if bar is None:
            return
        await self._distrust(bar)
        feed.delivered(bar.close_time_ns)
        if received_ns - bar.close_time_ns <= actor.plan.spec.lag_limit_ns:
            await actor.retries.reconnected()
        await self._block(feed, bar, received_ns)
        await actor.step(bar, received_ns)
        actor.retries.streak = 0
        if actor.ended and actor.kernel is not None and actor.kernel.position_lots == 0:
            await actor.end("flat")

    async def _block(self, feed: Feed, bar: Bar, received_ns: int) -> None:
        """P15, before the bar is stepped: it ends a silence, and it may be dated ahead of its own arrival."""
        self._skew_ns = bar.close_time_ns - received_ns
        found = judge(self._actor, feed.clock_ns(), self._actor.skew_ns(), bar.close_time_ns)
        if found is not None:
            await take(self._actor, *found)

    async def _accept(self, gate: BarGate, raw: RawBar, now_ns: int) -> Bar | None:
        """The gate's verdict; what it finds beside good bars is journalled. Closed calendars are no gaps."""
        actor = self._actor
        async with actor.lock:
            kernel = actor.kernel
            if kernel is None:
                raise StepVoided
            verdict = gate.offer(raw, now_ns, kernel.bars)
            quiet = not verdict.anomalies or verdict.cause == HOLIDAY
            if not quiet:

                def job(txn: Txn) -> None:
                    write_journal(txn, actor.run, kernel.anomaly(verdict.kind.value, verdict.detail))
                    if verdict.revised is not None and kernel.last_bar is not None:
                        write_revision(txn, actor.run, kernel.last_bar, verdict.revised)
                    if verdict.kind not in PASSING and verdict.kind is not VerdictKind.DUPLICATE:
                        actor.office.alert(txn, "bar_refused", actor.run, f"{verdict.kind}: {verdict.detail}")

                await actor.office.write(job)
            return verdict.bar

    async def _distrust(self, bar: Bar) -> None:
        """P16: halt before a bar beyond belief is taken, so that no stop fires at a split's price."""
        actor = self._actor
        async with actor.lock:
            kernel = actor.kernel
            if kernel is None:
                raise StepVoided
            assert isinstance(kernel.risk, RiskEngine)
            last, sanity = kernel.last_bar, kernel.risk.rules.controls.data_sanity  # the rules now in force
            if last is None or kernel.halt.severity >= HaltState.HALTED.severity:
                return
            why = jump_text(last.close_ticks, bar.close_ticks, sanity)
            if not why:
                return

            def job(txn: Txn) -> None:
                actor.office.set_halt(txn, "run", None, actor.run, HaltState.HALTED, RISK, why)
                actor.office.alert(txn, "halt", actor.run, why)
                at_ns = actor.clock_ns() or kernel.now_ns
                command = Command("halt", at_ns, state=HaltState.HALTED, actor=RISK, reason=why)
                write_command(txn, actor.plan.facts, kernel.command(command, actor.context()))

            await actor.office.write(job, ("halt", [actor.run]))
