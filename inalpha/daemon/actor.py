"""One run: prepare by replay, then a bar at a time, until its feed, a person or a failure ends it.

Whatever goes wrong in the middle of a step, the answer is the same: drop the kernel and the runner, and
rebuild both from the journal. A bar counts as consumed only when its step has committed.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from inalpha.daemon.claims import author
from inalpha.daemon.intake import Intake
from inalpha.daemon.linkrunner import LinkRunner
from inalpha.daemon.outbox import Notice
from inalpha.daemon.reconciling import Parked, differs, park, unpark
from inalpha.daemon.record import close_open, write_command, write_journal, write_step
from inalpha.daemon.retries import FEED, Retries
from inalpha.daemon.runplan import RunFailed, RunPlan, StepVoided, last_warm_open, plan_ttl_us
from inalpha.execution.reasons import Reasons, Salted, names_in
from inalpha.execution.waivers import Waiver
from inalpha.kernel.gateway import gateway_for
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import Command, CommandResult, JournalEntry, StepResult
from inalpha.kernel.replay import Divergence, rebuild
from inalpha.kernel.trades import GUARD_N, intent_number
from inalpha.ledger.readers import read_salted
from inalpha.ledger.txn import Txn
from inalpha.model.bar import Bar
from inalpha.model.errors import InalphaError, Refused
from inalpha.model.money import text_from_e8
from inalpha.model.principals import DAEMON, RISK
from inalpha.model.risk import AccountContext
from inalpha.model.runner import END_CODES, RunBecomes, RunnerEnded
from inalpha.model.states import STOPPED_REASONS, HaltState, strictest
from inalpha.model.step import StepReply, StepRequest
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import Rules, binding

if TYPE_CHECKING:
    from inalpha.daemon.office import Office


# The ledger can take no more lines: the daemon ends, and the next one recovers.
FATAL = frozenset({"LEDGER_LATCHED", "LEDGER_CLOSED", "EPOCH_FENCED"})
WARMUP_BARS = 200
KILLED_TEXT = "killed by a person; start a new run"


ENDED_BY_RULE = frozenset({"operator", "mandate_expired", "revoked", "waiver_expired"})


def leaves_feed(reason: str) -> bool:
    """Whether a run that ends for this reason still gets bars: its strategy is over, its source is not."""
    return reason in ENDED_BY_RULE or END_CODES.get(reason) is RunBecomes.FAILED


class RunActor:
    """Owns one run's kernel. Every change of it happens under `lock`, inside a ledger transaction.

    ended: the ledger holds the run's last line; its strategy is asked no more. closed: nothing of it moves
    any more. In between, a position that was left is stepped on, under its exits and the guard, until flat.
    """

    def __init__(self, office: Office, plan: RunPlan) -> None:
        self.office = office
        self.plan = plan
        self.run = plan.spec.run
        self.account = plan.facts.account
        self.lock = asyncio.Lock()
        self.go = asyncio.Event()
        self.kernel: Kernel | None = None
        self.ended = plan.has_ended
        self.closed = False
        self.waivers: list[Waiver] = []
        self.clock_ns: Callable[[], int] = lambda: 0
        self.skew_ns: Callable[[], int] = lambda: 0
        self.intake = Intake(self)
        self.retries = Retries(self)
        self.reasons = Reasons()
        self.runner_limits = plan.rules.controls.runner_limits
        self._limits_sha256 = plan.rules.sha256
        self._after_open_ns: int | None = None
        self._held = False
        self._parked = False
        self._resumed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._live(), name=self.run)

    async def quiesce(self) -> None:
        """End the task where it stands. A transaction that is already queued still commits."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.kernel = None

    async def restart(self) -> None:
        """Drop kernel and runner; both come back from the journal."""
        await self.quiesce()
        if not self.closed:
            self.start()

    async def end(
        self,
        reason: str,
        text: str = "",
        actor: str = DAEMON,
        *,
        only_live: bool = False,
        claim: str | None = None,
    ) -> None:
        """The run's last line. reason: a word; those of STOPPED_REASONS mean stopped, any other failed.

        claim: the user name of a person who stops it; text is then that person's own note, which may be erased.

        A run that leaves a position goes on without its strategy while its feed lasts; called again
        (unless only_live), or where nothing is left to watch, this closes it.
        """
        async with self.lock:
            if self.closed:
                return
            kernel = self.kernel or await self._rebuild_alone()
            if self.office.accounts.halt_of(self.account, self.run) is HaltState.KILLED:
                reason, text = "killed", KILLED_TEXT  # whatever its runner's end looked like
            failed = reason not in STOPPED_REASONS
            by = actor if claim is None or actor.startswith("op:") else DAEMON
            left = kernel is not None and kernel.position_lots != 0 and leaves_feed(reason)

            def job(txn: Txn) -> bool:
                # Judged and told here, on the writer's thread, not around the await: a cancelled waiter's
                # job still runs, and must not be followed by a second last line.
                was_live = not self.ended
                if only_live and not was_live:
                    return False
                stays = was_live and left
                if kernel is not None and kernel.last_bar is not None and not kernel.ended:
                    kind, at_ns = "stop" if stays else "end", self.clock_ns() or kernel.now_ns
                    command = Command(kind, at_ns, actor=by, code="RUN_ENDED", reason=reason)
                    write_command(txn, self.plan.facts, kernel.command(command, self.context()))
                if not stays:
                    close_open(txn, self.run)
                    is_told = not was_live or reason == "killed"
                    if is_told and kernel is not None and kernel.position_lots:
                        told = f"{reason} {text}".strip()
                        self.office.alert(
                            txn, "position_left", self.run, f"{told}: its position is watched no more"
                        )
                self._claim(kernel)
                if was_live:
                    txn.line("run.stop", *self._last_line(txn, reason, text, actor, claim))
                    if failed:
                        self.office.record_failure(txn, self.run, reason, text)
                self.ended, self.closed = True, not stays
                return was_live

            was_live = await self.office.write(job, ("run", [self.run]))
            if self.closed:
                self.kernel = None
        self.go.set()
        self._resumed.set()
        if not was_live:
            if self.closed:
                self.office.log("run_closed", "info", self.run, reason=reason)
            return
        self.office.log("run_ended", "error" if failed else "info", self.run, reason=reason, text=text)
        await self.office.unload_runner(self.run, kill=failed)

    def _last_line(
        self, txn: Txn, reason: str, text: str, actor: str, claim: str | None
    ) -> tuple[str, dict[str, Any]]:
        """Actor and data of run.stop, with who claims to have stopped it and the note that came with it."""
        data: dict[str, Any] = {"run": self.run, "reason": reason[:64]}
        if claim is None:
            return actor, data
        by, claimed = author(txn.conn, actor, claim)
        if claimed is not None:
            data["claimed_by"] = claimed
        if text:
            data["reason_commit"] = txn.commit_text(text)
        return by, data

    async def command(
        self,
        make: Callable[[Txn, Kernel, AccountContext], CommandResult | None],
        notice: Notice | None = None,
        *,
        wait_s: float = 5.0,
    ) -> None:
        """Run a control command in one transaction, once no step is under way.

        make writes its lines and answers the kernel's result, or None when it changed nothing. Raises
        Refused("RUN_BUSY") when a step does not end in time.
        """
        try:
            await asyncio.wait_for(self.lock.acquire(), wait_s)
        except TimeoutError as error:
            raise Refused("RUN_BUSY", f"{self.run} is inside a step.", "Try again in a moment.") from error
        try:
            kernel = self.kernel
            if kernel is None or kernel.last_bar is None or self.closed:
                raise Refused("RUN_BUSY", f"{self.run} is not trading now.", "Look at: inalpha run list")
            head = kernel.head

            def job(txn: Txn) -> None:
                result = make(txn, kernel, self.context())
                if result is not None:
                    write_command(txn, self.plan.facts, result)
                self._claim(kernel)

            try:
                await self.office.write(job, notice)
            except BaseException:
                if kernel.head != head:  # ahead of the ledger: it has to come back from the journal
                    self.kernel = None
                    self.office.later(self.restart())
                raise
        finally:
            self.lock.release()
        self._refresh_hold()

    async def halt(self, state: HaltState) -> None:
        """Apply a halt that the ledger already holds. A step under way is given up after 0.2 s."""
        try:
            await asyncio.wait_for(self.lock.acquire(), 0.2)
        except TimeoutError:
            await self.restart()  # preparing again applies it
            return
        try:
            await self.apply_halt(strictest(state, self.retries.state()))
        finally:
            self.lock.release()
        if state.severity < HaltState.HALTED.severity:
            self._resumed.set()
        self._refresh_hold()
        if state is HaltState.KILLED:
            await self.end("killed", KILLED_TEXT)

    async def cut_off(self, state: HaltState) -> None:
        """T7: the run's entries end and its exits stay, also while no runner can be loaded for it."""
        async with self.lock:
            if self.kernel is None:
                self.kernel = await self._rebuild_alone()
            await self.apply_halt(state)

    async def limits(self) -> None:
        """Come under the account's limits as the ledger now holds them."""
        async with self.lock:
            rules = await self._apply_limits()
            await self.apply_halt(self.retries.state())
        self._refresh_hold()
        if rules is not None and not self.ended and rules.controls.runner_limits != self.runner_limits:
            await self.restart()  # a runner's time and memory are fixed when it is loaded

    def has_newer_limits(self, txn: Txn) -> bool:
        """Whether limits came into force that this run was not brought under yet."""
        return self.office.limits_sha256(txn, self.account) != self._limits_sha256

    def has_expired(self, now_us: int) -> bool:
        """Whether the mandate's time is over, by the host's clock."""
        return not self.ended and now_us >= self.plan.expires_us

    async def caretake(self, *, held: bool = False) -> bool:
        """Step an ended run's position on, under its exits and the guard, until it is flat; False where there is none.

        The run's feed goes on behind the last bar that it consumed. Nothing is opened under HALTED or KILLED.
        held: a replay takes no bar before `release`, so that an order in hand meets the market that was seen.
        """
        async with self.lock:
            if not self.ended or not self.closed or self.plan.parked:
                return False
            kernel = await self._rebuild_alone()
            if kernel is None or kernel.position_lots == 0:
                return False

            def job(txn: Txn) -> bool:
                state = self.office.halt_now(txn, self.account, self.run)
                if state.severity >= HaltState.HALTED.severity:
                    return False
                txn.line("run.caretake", DAEMON, {"run": self.run})
                command = Command("caretake", kernel.now_ns, actor=DAEMON)
                write_command(txn, self.plan.facts, kernel.command(command, self.context()))
                self.closed = False
                return True

            opened = await self.office.write(job, ("run", [self.run]))
        if opened:
            # A run that was stepped on before has a task that still waits for its next bar: two would feed one book.
            await self.quiesce()
            self._held = held
            self.office.log("run_caretaken", "info", self.run)
            self.start()
            try:
                await self._ready()
            except BaseException:
                self.release()
                raise
        return opened

    async def _ready(self) -> None:
        """Until the run is back from its journal, or has ended again; at most ten seconds."""
        for _ in range(500):
            if self.kernel is not None or self.closed:
                return
            await asyncio.sleep(0.02)

    def release(self) -> None:
        """The order that a caretaker was opened for is made, or refused: bars may come."""
        self._held = False
        self._refresh_hold()

    def _claim(self, kernel: Kernel | None) -> None:
        """On the writer's thread: the account knows what this run's entries, plans and short hold of it now."""
        if kernel is not None:
            self.office.accounts.claim(self.account, self.run, kernel.claim)

    def rely_on(self, last: Waiver) -> None:
        """The owner's last word about a waiver: it replaces what the run was loaded under."""
        self.waivers = [last if waiver.rule == last.rule else waiver for waiver in self.waivers]

    def waiver_over(self, now_us: int) -> Waiver | None:
        """The first waiver that this run relies on and that has ended."""
        return next((waiver for waiver in self.waivers if now_us >= waiver.expires), None)

    def over_waived(self, now_us: int) -> bool:
        """Whether a live run's waiver has ended. What an ended run left is watched whatever was waived."""
        return not self.ended and self.waiver_over(now_us) is not None

    async def runner_ended(self, error: RunnerEnded) -> None:
        """The runner ended between bars: for good, or to come back by replay."""
        if error.becomes is RunBecomes.REBUILT:
            await self.office.note_restart(self.run, error.code, error.message)
            await self.restart()
            return
        await self.quiesce()
        await self.end(error.code, error.message, only_live=True)
        if not self.closed:
            self.start()

    def context(self) -> AccountContext:
        """The account as this run's checks read it now."""
        now_ns = self.clock_ns() if self.kernel is not None else 0  # inside a step its own bar says the time
        return self.office.accounts.context(self.account, self.run, now_ns)

    async def _live(self) -> None:
        """Until the run ends. Retryable troubles back off and rebuild; any other ends it with its code."""
        if self.plan.parked:
            await self.office.note_parked(self.run, self.plan.parked)
            self.office.log("run_parked", "error", self.run, text=self.plan.parked)
            return
        while not self.closed:
            try:
                await self._prepare()
                await self.intake.trade(self._after_open_ns)
            except StepVoided:
                pass
            except Parked:
                await self._wait_for_resume()
            except RunnerEnded as error:
                if error.becomes is RunBecomes.REBUILT:
                    await self.office.note_restart(self.run, error.code, error.message)
                    await self.retries.back_off(error.code, error.message)
                else:
                    await self.end(error.code, error.message)
            except RunFailed as error:
                await self.end(error.code, error.text)
            except InalphaError as error:
                if error.code in FATAL:
                    self.office.fatal(error)
                    return
                await self.end(error.code, error.message)
            except (OSError, TimeoutError) as error:
                await self.retries.back_off(FEED, f"{type(error).__name__}: {error}")
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                self.office.log("run_error", "error", self.run, error=text, trace=traceback.format_exc())
                await self.end("internal", text)
            self.kernel = None

    async def _wait_for_resume(self) -> None:
        """C1: nothing of the run moves until a person has resumed it; then both hands reckon again."""
        self.kernel, self._parked = None, True
        self.office.log("run_parked", "error", self.run, text="its book is not the sum of its fills")
        await self.office.unload_runner(self.run, kill=False)
        self._resumed.clear()
        if self.office.accounts.halt_of(self.account, self.run).severity >= HaltState.HALTED.severity:
            await self._resumed.wait()

    async def _reconcile(self) -> None:
        """C1 at a start: the caller holds the lock. Raises Parked."""
        kernel = self.kernel
        assert kernel is not None

        def job(txn: Txn) -> bool:
            why = differs(txn, kernel)
            if why is not None:
                park(txn, self, kernel, why)
            elif self._parked:
                unpark(txn, self.run)
            return why is not None

        differ = await self.office.write(job, ("run", [self.run]))
        self._parked = differ
        if differ:
            raise Parked

    async def _prepare(self) -> None:
        """A runner, and the kernel as the journal leaves it: recovery is replay from the first bar."""
        office = self.office
        if office.accounts.halt_of(self.account, self.run) is HaltState.KILLED:
            raise RunFailed("killed", KILLED_TEXT)
        if self.has_expired(time.time_ns() // 1000):
            raise RunFailed("mandate_expired", "")
        over = self.waiver_over(time.time_ns() // 1000)
        if over is not None and not self.ended:  # an ended run's position is watched whatever was waived
            raise RunFailed("waiver_expired", over.over_text)
        if not self.ended:
            await office.load_runner(self)
        entries = await office.entries(self.run)
        async with self.lock:
            if entries:
                loop = asyncio.get_running_loop()
                runner = None if self.ended else LinkRunner(office, self.run, loop)
                said = await loop.run_in_executor(None, self._said, entries)
                self.reasons = Reasons(said)
                self.kernel = await loop.run_in_executor(None, self._rebuild, entries, runner)
                self._after_open_ns = last_warm_open(entries)
                office.log("run_resumed", run=self.run, bars=self.kernel.bars)
            else:
                self.kernel = await self._begin_journal()
            await self._reconcile()
            await self._apply_limits()
            await self.apply_halt(self.retries.state())
        self._refresh_hold()

    async def _apply_limits(self) -> Rules | None:
        """The tighter of the account's rules and the mandate's binds; where neither is, the run may only
        reduce, under its mandate's. Answers the rules in force; None where the run is not trading now."""
        kernel = self.kernel
        if self.closed or kernel is None:
            return None
        assert isinstance(kernel.risk, RiskEngine)
        present = kernel.risk.rules.sha256

        def job(txn: Txn) -> tuple[Rules, str]:
            account = self.office.rules_in_force(txn, self.account)
            found = binding(account, self.plan.rules)
            rules = found or self.plan.rules
            self._claim(kernel)
            self.office.accounts.bind(self.account, self.run, rules)
            if rules.sha256 != present:
                command = Command(
                    "limits", self.clock_ns() or kernel.now_ns, actor=DAEMON, code=rules.sha256,
                    reason=rules.canonical,
                )  # fmt: skip
                write_command(txn, self.plan.facts, kernel.command(command, self.context()))
            if found is None and self.office.accounts.scope_state(self.run) is HaltState.ACTIVE:
                reason = "the account's limits and the mandate's loosen each other; start a new run"
                self.office.set_halt(txn, "run", None, self.run, HaltState.REDUCING, RISK, reason)
            return rules, account.sha256

        rules, self._limits_sha256 = await self.office.write(job)
        self.plan.facts = replace(
            self.plan.facts, rules_sha256=rules.sha256, plan_ttl_us=plan_ttl_us(rules, self.plan.spec)
        )
        return rules

    async def apply_halt(self, state: HaltState, code: str = "") -> None:
        """Bring the kernel under a state, journalled with its code. The caller holds the lock."""
        kernel = self.kernel
        if self.closed or kernel is None or kernel.halt is state:
            return
        kind = "resume" if state is HaltState.ACTIVE else "halt"
        command = Command(
            kind,
            self.clock_ns() or kernel.now_ns,
            state=state,
            actor=DAEMON,
            code=code if kind == "resume" else "",
        )

        def job(txn: Txn) -> None:
            write_command(txn, self.plan.facts, kernel.command(command, self.context()))
            self._claim(kernel)

        await self.office.write(job)

    def _refresh_hold(self) -> None:
        """A replay holds while a plan of its run awaits a person, or while one is being made.

        Not for the guard's own under HALTED: bars are fed then, and it keeps until the resume.
        """
        plans = self.kernel.pending.values() if self.kernel is not None else ()
        if self._held or any(intent_number(plan.request.intent) != GUARD_N for plan in plans):
            self.go.clear()
        else:
            self.go.set()

    def _said(self, entries: list[JournalEntry]) -> dict[str, Salted]:
        return read_salted(self.office.home.root, names_in(entry.output for entry in entries))

    def _rebuild(self, entries: list[JournalEntry], runner: LinkRunner | None) -> Kernel:
        plan = self.plan
        return rebuild(
            plan.spec, RiskEngine(plan.rules), entries, runner,
            guard=PositionGuard(plan.rules), words=self.reasons,
        )  # fmt: skip

    async def _rebuild_alone(self) -> Kernel | None:
        """The kernel from recorded replies, without a runner: enough for the last line."""
        if self.plan.parked:
            return None
        entries = await self.office.entries(self.run)
        if not entries:
            return None
        try:
            return await asyncio.get_running_loop().run_in_executor(None, self._rebuild, entries, None)
        except Divergence as error:
            self.office.log("replay_diverged", "error", self.run, error=error.message)
            return None

    async def _begin_journal(self) -> Kernel:
        """The header and, where the feed has a past, the warm-up."""
        spec, rules = self.plan.spec, self.plan.rules
        made: list[JournalEntry] = []
        kernel = Kernel(
            spec,
            RiskEngine(rules),
            gateway_for(spec.approval),
            journal=made.append,
            guard=PositionGuard(rules),
        )
        warm = self.intake.warmup_bars()
        if warm:
            kernel.warm(warm)
            await self.office.link.warm(self.run, warm)

        def job(txn: Txn) -> None:
            for entry in made:
                write_journal(txn, self.run, entry)

        await self.office.write(job)
        self._after_open_ns = warm[-1].open_time_ns if warm else None
        return kernel

    async def step(self, bar: Bar, received_ns: int) -> None:
        """One bar, whole: matching, the runner, risk, and everything that follows in one transaction."""
        async with self.lock:
            kernel = self.kernel
            if kernel is None:
                raise StepVoided
            began = self.office.accounts.halt_of(self.account, self.run)
            self.kernel = None  # until the step has committed, the journal alone says where the run stands
            accounts = self.office.accounts
            with accounts.lock:
                request = kernel.begin(bar, received_ns, self.context())
                accounts.begin(self.account, self.run, kernel.mark(), kernel.claim)
            try:
                reply, failure = await self._ask(request)
                fresh: dict[str, Salted] = {}
                if reply is not None:
                    reply, fresh = self.reasons.commit(kernel.heard(reply))
                result = await self.office.write(
                    lambda txn: self._commit(txn, kernel, reply, began, fresh), ("step", [self.run])
                )
            finally:
                accounts.void(self.account, self.run)
            self.reasons.learn(fresh)
            self.kernel = kernel
        self._refresh_hold()
        if self._parked:
            raise Parked
        for text in result.logs:
            self.office.log("strategy_log", run=self.run, text=text)
        if failure is not None:
            raise RunFailed(failure.code, failure.message)
        if result.error:
            raise self._failure(result.error)

    def _failure(self, error: str) -> RunFailed:
        """What a reply's error means: over its memory, or an exception of the strategy."""
        if error.startswith("MemoryError"):
            limit = self.runner_limits.memory_mib
            return RunFailed("memory", f"over {limit} MiB")
        return RunFailed("exception", error)

    async def _ask(self, request: StepRequest | None) -> tuple[StepReply | None, RunnerEnded | None]:
        """The strategy's answer; a runner that ended for good leaves the bar to go on without it."""
        if request is None:
            return None, None
        try:
            return await self.office.link.step(self.run, self.reasons.told(request)), None
        except RunnerEnded as error:
            if error.becomes is RunBecomes.REBUILT:
                raise
            return None, error

    def _tell_streak(self, txn: Txn, kernel: Kernel, result: StepResult) -> None:
        """T3: a row of lost trades that stops entries for a while is an alert when its last one closes."""
        assert isinstance(kernel.risk, RiskEngine)
        settings, losses = kernel.risk.rules.controls.loss_streak, kernel.activity.losses
        if settings.enabled and result.closed and losses >= settings.losses:
            text = f"{losses} trades in a row were lost: entries wait for {settings.bars} bars"
            self.office.alert(txn, "loss_streak", self.run, text)

    def _tell_guard(self, txn: Txn, result: StepResult) -> None:
        """An exit of the guard is an alert; under HALTED it is a plan that only a person brings to work."""
        for decision in result.decisions:
            if decision.n == GUARD_N:
                waits = decision.outcome == "pending"
                does = "its exit waits for a person: resume, then approve its plan" if waits else "it exits"
                self.office.alert(txn, "guard", self.run, f"{decision.raw.reason}: {does}")

    def _commit(
        self,
        txn: Txn,
        kernel: Kernel,
        reply: StepReply | None,
        began: HaltState,
        fresh: Mapping[str, Salted] = MappingProxyType({}),
    ) -> StepResult:
        """On the writer's thread. A halt that came after the step began voids it before COMMIT."""
        if self.office.halt_now(txn, self.account, self.run).severity > began.severity:
            raise StepVoided
        if self.has_newer_limits(txn) or self.has_expired(txn.now_us) or self.over_waived(txn.now_us):
            raise StepVoided
        for name, (salt, text) in fresh.items():
            txn.keep_text(name, salt, text)
        result = kernel.finish(reply, self.context())
        opening_e8 = self.plan.spec.opening_cash_e8
        if not self.office.accounts.affords(self.account, self.run, opening_e8, result.fills):
            raise StepVoided  # another run's exit took the cash meanwhile; the bar is begun again
        write_step(txn, self.plan.facts, result)
        self._tell_guard(txn, result)
        self._tell_streak(txn, kernel, result)
        why = differs(txn, kernel)
        self._parked = why is not None
        if result.dropped:
            text = "its strategy says more than a run keeps: inalpha run show tells how much was dropped"
            self.office.alert(txn, "words", self.run, text)
        if result.fills and result.cash_e8 < 0:
            text = f"the book stands at {text_from_e8(result.cash_e8)}: an exit filled beyond its cash"
            self.office.alert(txn, "book_negative", self.run, text)
        if self.office.halt_at_commit(txn, self.account, self.run).severity > began.severity:
            raise StepVoided
        mark = kernel.mark(result.closed)
        trips, locks = self.office.accounts.mark(self.account, self.run, mark, kernel.claim)
        self.office.trip(txn, self.account, None, trips)
        self.office.trip(txn, None, self.run, result.trips)
        self.office.note_locks(txn, self.account, locks)
        if why is not None:
            park(txn, self, kernel, why)
        return result
