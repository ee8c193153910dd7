"""What the daemon's parts share: ledger, accounts, feeds, the host link, notices, alerts and halts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from inalpha.daemon.accounts import Accounts
from inalpha.daemon.actor import WARMUP_BARS, RunActor
from inalpha.daemon.claims import claimant
from inalpha.daemon.config import Config
from inalpha.daemon.feeds import FeedHub
from inalpha.daemon.link import RunnerLink
from inalpha.daemon.logs import Log
from inalpha.daemon.outbox import LINES, Notice, Outbox
from inalpha.daemon.record import RunFacts
from inalpha.daemon.refusals import Refusals
from inalpha.daemon.runplan import RunFailed, RunPlan, not_as_signed, plan_ttl_us
from inalpha.execution import waivers
from inalpha.execution.waivers import Waiver
from inalpha.kernel.records import JournalEntry
from inalpha.kernel.spec import RunSpec
from inalpha.kernel.version import OtherKernel
from inalpha.ledger.readers import LEFT_ALONE, PARKED, STEPS_ON, read_blob
from inalpha.ledger.txn import Txn
from inalpha.ledger.writer import Ledger
from inalpha.market.feedspec import FeedSpec
from inalpha.model import latch
from inalpha.model.errors import IntegrityError
from inalpha.model.home import Home
from inalpha.model.money import e8_from_text
from inalpha.model.principals import DAEMON, RISK
from inalpha.model.risk import Lock, Trip
from inalpha.model.runner import SECURITY_ALERTS
from inalpha.model.states import LIVE_RUN_STATES, HaltState, strictest
from inalpha.risk.rules import Rules, binding, rules_from_canonical

T = TypeVar("T")

# Every closed position sets one: told by `risk locks`, and nothing that a person is called for.
ROUTINE_LOCKS = frozenset({"Cooldown"})


class Office:
    """One per daemon. Everything that changes the ledger goes through `write`."""

    def __init__(self, home: Home, config: Config, ledger: Ledger, log: Log) -> None:
        self.home = home
        self.config = config
        self.ledger = ledger
        self.log = log
        self.accounts = Accounts()
        self.feeds = FeedHub()
        self.actors: dict[str, RunActor] = {}
        self.link: RunnerLink = RunnerLink()
        self.stopping = False
        self.outbox = Outbox()
        self.refusals = Refusals(self)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.fatal: Callable[[Exception], None] = lambda error: None

    async def write(self, job: Callable[[Txn], T], notice: Notice | None = None) -> T:
        """Run a job in one ledger transaction on the writer's thread.

        notice: (kind, ids), committed with it. Whatever wrote a line rings; ("lines", []) where nobody says more.
        """
        rung: list[tuple[int, Notice]] = []

        def noted(txn: Txn) -> T:
            before = txn.tail.size
            value = job(txn)
            told = notice or (LINES if txn.tail.size > before else None)
            if told is not None:
                rung.append((self.outbox.add(txn, told), told))
            return value

        future = self.ledger.submit(noted)
        future.add_done_callback(self.outbox.rings(asyncio.get_running_loop(), rung))
        return await asyncio.shield(asyncio.wrap_future(future))

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run work beside the present task; its failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log("background_error", "error", error=repr(task.exception()))

    async def open_books(self) -> None:
        """Accounts as the ledger's lines make them."""

        def job(txn: Txn) -> None:
            def rules_of(account: str) -> Rules:
                return self.rules_in_force(txn, account)

            def rules_of_run(account: str, run: str) -> Rules:
                row = txn.conn.execute("SELECT mandate FROM run WHERE run = ?", (run,)).fetchone()
                signed = self.read_blob(json.loads(row[0])["limits_sha256"])
                mandate = rules_from_canonical(signed.decode())
                return binding(rules_of(account), mandate) or mandate

            self.accounts.fold(txn.conn, rules_of, rules_of_run)

        await self.write(job)

    async def quiesce(self) -> None:
        """Let every run finish the step it is in, then end its task; what is counted is told."""
        for actor in self.actors.values():
            async with actor.lock:
                await actor.quiesce()
        await self.refusals.tell(everything=True)

    # Runs.

    async def entries(self, run: str) -> list[JournalEntry]:
        """A run's journal, read behind every transaction that is already queued."""

        def job(txn: Txn) -> list[JournalEntry]:
            rows = txn.conn.execute(
                "SELECT n, kind, bar, input, output, head FROM journal WHERE run = ? ORDER BY n", (run,)
            )
            return [JournalEntry(*row) for row in rows]

        return await self.write(job)

    def plan_run(self, txn: Txn, run: str) -> RunPlan:
        """Everything about a run that its mandate fixed. Raises IntegrityError when a blob is missing."""
        query = "SELECT mandate, mandate_sha256, started_ts, state FROM run WHERE run = ?"
        row = txn.conn.execute(query, (run,)).fetchone()
        mandate = json.loads(row[0])
        feed = FeedSpec.from_canonical(self.read_blob(mandate["feed"]["config_sha256"]).decode())
        rules = rules_from_canonical(self.read_blob(mandate["limits_sha256"]).decode())
        source = self.read_blob(mandate["candidate_sha256"])
        spec = RunSpec(
            run=run,
            strategy_sha256=mandate["candidate_sha256"],
            symbol=mandate["symbol"],
            timeframe=mandate["timeframe"],
            instrument=feed.instrument,
            opening_cash_e8=e8_from_text(mandate["allocation"]),
            fill=mandate["fill"],
            params=mandate["params"],
            approval=mandate["approval"],
            warmup=0 if feed.is_finite else WARMUP_BARS,
            data_sha256=feed.data_sha256,
            mandate_sha256=row[1],
            rules_sha256=mandate["limits_sha256"],
            venue=feed.kind,
            **self.config.fills.members(self.config.account),
        )
        parked = ""
        header = txn.conn.execute("SELECT input FROM journal WHERE run = ? AND n = 0", (run,)).fetchone()
        if header is not None:  # fees and the like are those of the run's start, whatever the file says now
            try:
                signed, spec = spec, RunSpec.from_header(header[0])
                parked = not_as_signed(signed, spec)
            except OtherKernel as error:
                parked = f"{error.message} {error.fix}"
            except (ValueError, KeyError, TypeError) as error:
                parked = f"its journal cannot be read: {error}."
        txn.conn.execute("DELETE FROM run_error WHERE run = ? AND code = ?", (run, PARKED))
        facts = RunFacts(
            run,
            mandate["account"],
            spec.symbol,
            spec.instrument,
            row[1],
            mandate["limits_sha256"],
            plan_ttl_us(rules, spec),
        )
        has_ended = row[3] not in LIVE_RUN_STATES
        return RunPlan(spec, feed, source, rules, facts, mandate["expires"], row[2] * 1000, has_ended, parked)

    def read_blob(self, sha256: str) -> bytes:
        """A file behind a hash. Raises IntegrityError when it is missing."""
        data = read_blob(self.home.root, sha256)
        if data is None:
            raise IntegrityError("BLOB_MISSING", f"the blob {sha256} is missing.", "Restore a backup.")
        return data

    def rules_in_force(self, txn: Txn, account: str) -> Rules:
        """The account's rules as its last limits line named them."""
        row = txn.conn.execute("SELECT rules_sha256 FROM limits WHERE account = ?", (account,)).fetchone()
        if row is None:
            raise IntegrityError("NO_LIMITS", f"account {account} never had rules.", "inalpha risk apply")
        return rules_from_canonical(self.read_blob(row[0]).decode())

    def limits_sha256(self, txn: Txn, account: str) -> str:
        """Digest of the rules that the account's last limits line named."""
        row = txn.conn.execute("SELECT rules_sha256 FROM limits WHERE account = ?", (account,)).fetchone()
        return str(row[0]) if row else ""

    async def start_run(self, run: str) -> None:
        """An actor for a run that the ledger holds as live."""

        def job(txn: Txn) -> RunPlan:
            plan = self.plan_run(txn, run)
            self.accounts[plan.facts.account].open_book(run, plan.spec.symbol)
            return plan

        actor = RunActor(self, await self.write(job))
        self.actors[run] = actor
        actor.start()

    async def caretake(self, run: str, *, held: bool = False) -> bool:
        """Open an ended run's book again where it was left with a position; see RunActor.caretake."""
        query = f"SELECT 1 FROM run WHERE run = ? AND {LEFT_ALONE}"
        if await self.write(lambda txn: txn.conn.execute(query, (run,)).fetchone()) is None:
            return False
        actor = self.actors.get(run)
        if actor is None:
            actor = RunActor(self, await self.write(lambda txn: self.plan_run(txn, run)))
            actor.closed = actor.ended
            self.actors[run] = actor
        return await actor.caretake(held=held)

    async def caretake_scope(self, account: str | None, run: str | None) -> None:
        """After a signed resume: every ended run of its scope whose position nobody watches and whose feed goes on."""

        def job(txn: Txn) -> list[str]:
            query = f"SELECT run FROM run WHERE {LEFT_ALONE} AND ifnull(?, account) = account AND ifnull(?, run) = run"
            return [found for (found,) in txn.conn.execute(query, (account, run))]

        for left in await self.write(job):
            await self.caretake(left)

    async def resume_runs(self) -> int:
        """Every live run of the ledger goes on."""
        states = [state.value for state in LIVE_RUN_STATES]
        marks = ",".join("?" * len(states))

        def job(txn: Txn) -> list[str]:
            query = f"SELECT run FROM run WHERE state IN ({marks}) OR {STEPS_ON} ORDER BY started_seq"
            return [row[0] for row in txn.conn.execute(query, states)]

        runs = await self.write(job)
        for run in runs:
            await self.start_run(run)
        return len(runs)

    def demand_waivers(self, txn: Txn, run: str, rules: Rules) -> list[Waiver]:
        """The waivers that a run needs, by its rules and the level of its host. Raises Refused."""
        measured = self.link.measured(run)
        host, level = measured if measured is not None else ("", "sealed")  # loading will wait for a host
        return waivers.demand(txn.conn, run, waivers.needed_for(rules.disabled, host, level), txn.now_us)

    async def load_runner(self, actor: RunActor) -> None:
        """A fresh, measured runner for the run; the level it was given, by whose leave, becomes a line."""
        plan = actor.plan

        def demand(txn: Txn) -> list[Waiver]:
            # On the writer's thread: a line that ends one of them comes after, whatever this task waits for.
            rules = binding(self.rules_in_force(txn, actor.account), plan.rules) or plan.rules
            actor.runner_limits = rules.controls.runner_limits
            actor.waivers = self.demand_waivers(txn, actor.run, plan.rules)
            return actor.waivers

        held = await self.write(demand)
        waived = [waiver.rule.split(".")[1] for waiver in held if waiver.rule.startswith("isolation.")]
        evidence = await self.link.load(plan, actor.runner_limits, waived[0] if waived else "sealed")

        def job(txn: Txn) -> None:
            over = actor.waiver_over(txn.now_us)
            if over is not None:  # it ended while the runner was being made
                raise RunFailed("waiver_expired", over.over_text)
            members = {**evidence.members, "waivers": [waiver.as_dict() for waiver in held]}
            text = json.dumps(members, sort_keys=True, separators=(",", ":"))
            txn.line(
                "run.isolated",
                DAEMON,
                {
                    "run": actor.run,
                    "host": evidence.host,
                    "level": evidence.level,
                    "evidence_sha256": txn.blob(text.encode()),
                },
            )

        await self.write(job)

    async def unload_runner(self, run: str, *, kill: bool) -> None:
        """Best effort: a runner that is gone already is gone."""
        try:
            await (self.link.kill(run) if kill else self.link.stop(run))
        except Exception as error:
            self.log("unload", "warning", run, error=str(error))

    # Troubles.

    def record_failure(self, txn: Txn, run: str, code: str, text: str) -> None:
        """What the operator reads of a run that failed, and the alert beside it."""
        txn.conn.execute(
            "INSERT INTO run_error (run, ts, code, text, retry_at) VALUES (?, ?, ?, ?, NULL)",
            (run, txn.now_us, code, text[:500]),
        )
        self.alert(txn, "security" if code in SECURITY_ALERTS else "run_failed", run, f"{code}: {text}")

    async def note_parked(self, run: str, text: str) -> None:
        """The run waits, untouched, for a program that can go on with it; planning it there takes the note back."""

        def job(txn: Txn) -> None:
            values = (run, txn.now_us, PARKED, text[:500])
            txn.conn.execute("INSERT INTO run_error (run, ts, code, text) VALUES (?, ?, ?, ?)", values)
            self.alert(txn, "run_parked", run, text)

        await self.write(job, ("run", [run]))

    async def note_restart(self, run: str, code: str, text: str) -> None:
        """A runner was lost and comes back by replay: nothing of the run is lost, but a person should know of it."""
        if not self.stopping:
            told = f"its runner was lost and is started again: {code}: {text}"
            await self.write(lambda txn: self.alert(txn, "runner_restarted", run, told))

    async def note_retry(self, run: str, code: str, text: str, pause_s: float) -> None:
        def job(txn: Txn) -> None:
            retry_at = txn.now_us + int(pause_s * 1e6)
            txn.conn.execute(
                "INSERT INTO run_error (run, ts, code, text, retry_at) VALUES (?, ?, ?, ?, ?)",
                (run, txn.now_us, code, text[:500], retry_at),
            )

        await self.write(job)

    def alert(self, txn: Txn, kind: str, scope: str, text: str, state: str = "") -> None:
        """One open alert per kind, scope and state (of halts; of locks, their rule): its first and last time, and how
        often it came.
        """
        cursor = txn.conn.execute(
            "UPDATE alert SET count = count + 1, last_ts = ?, text = ?"
            " WHERE kind = ? AND scope = ? AND state = ? AND acked_ts IS NULL",
            (txn.now_us, text[:500], kind, scope, state),
        )
        if cursor.rowcount == 0:
            txn.conn.execute(
                "INSERT INTO alert (ts, last_ts, kind, scope, state, text, count) VALUES (?, ?, ?, ?, ?, ?, 1)",
                (txn.now_us, txn.now_us, kind, scope, state, text[:500]),
            )

    # Halts.

    def halt_now(self, txn: Txn, account: str, run: str) -> HaltState:
        """The strictest state that covers a run, by ledger and latch."""
        keys = {"all", account, run}
        rows = txn.conn.execute("SELECT scope_key, state FROM halt").fetchall()
        states = [HaltState(state) for key, state in rows if key in keys]
        states += [row.state for row in latch.read_rows(self.home.latch) if row.scope_key in keys]
        return strictest(*states)

    def halt_at_commit(self, txn: Txn, account: str, run: str) -> HaltState:
        """The same, read last: a row that comes after it waits until this transaction has committed."""
        txn.hold(latch.commit_guard(self.home.latch))
        return self.halt_now(txn, account, run)

    def trip(self, txn: Txn, account: str | None, run: str | None, trips: Iterable[Trip]) -> None:
        """Triggers of an account or of a run: it may only reduce until a person resumes it."""
        scope = run or account or "all"
        for trip in trips:
            if self.accounts.scope_state(scope).severity >= trip.state.severity:
                continue
            self.set_halt(txn, "run" if run else "account", account, run, trip.state, RISK, trip.reason)
            self.alert(txn, "halt", scope, f"{trip.reason}: {scope} is {trip.state.value}", trip.state.value)
            loop = self._loop
            if loop is not None:
                loop.call_soon_threadsafe(lambda: self.later(self.apply_halts()))

    def note_locks(self, txn: Txn, account: str, locks: Iterable[Lock]) -> None:
        """Locks that a step has set: one row each, for whoever asks, and an alert."""
        for lock in locks:
            txn.conn.execute(
                "INSERT INTO lock (account, rule, scope, symbol, side, reason, from_ns, until_ns, measured,"
                ' "limit", unit, setting) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
                (
                    account, lock.rule, lock.scope, lock.symbol, lock.side, lock.reason, lock.from_ns,
                    lock.until_ns, lock.measured, lock.limit, lock.unit, lock.setting,
                ),
            )  # fmt: skip
            if lock.rule not in ROUTINE_LOCKS:
                self.alert(txn, "lock", lock.scope, f"{lock.rule}: {lock.reason}", lock.rule)

    _loop: asyncio.AbstractEventLoop | None = None

    def bind_loop(self) -> None:
        self._loop = asyncio.get_running_loop()

    def set_halt(
        self,
        txn: Txn,
        scope: str,
        account: str | None,
        run: str | None,
        state: HaltState,
        actor: str,
        reason: str,
        proposal: str | None = None,
        claimed_by: str | None = None,
    ) -> int:
        """The halt's line; the books know at once. claimed_by: who says so without a key. Answers the line's seq."""
        data = {
            "scope": scope,
            "account": account,
            "run": run,
            "state": state.value,
            "reason_commit": txn.commit_text(reason),
        }
        if claimed_by is not None:
            data["claimed_by"] = claimed_by
        seq = txn.line("halt.set", actor, data, proposal=proposal)
        self.accounts.set_halt(run or account or "all", state)
        return seq

    def mend_latch(self) -> None:
        """A signed resume makes an unreadable latch anew."""
        if latch.UNREADABLE in latch.read_rows(self.home.latch):
            latch.create(self.home.latch)

    async def apply_halts(self) -> None:
        """Bring every live run in line with the halts in force; runs answer side by side."""
        live = [actor for actor in self.actors.values() if not actor.closed]
        await asyncio.gather(*(actor.halt(self.accounts.halt_of(actor.account, actor.run)) for actor in live))
        await self.write(lambda txn: None, ("halt", []))

    async def apply_limits(self) -> None:
        """Bring every live run under the limits in force."""
        live = [actor for actor in self.actors.values() if not actor.closed]
        await asyncio.gather(*(actor.limits() for actor in live))

    async def copy_latch(self) -> None:
        """Rows of the latch become lines; then, under the exclusive lock, the file is emptied."""
        rows = latch.read_rows(self.home.latch)
        if not rows:
            return

        def job(txn: Txn) -> None:
            for row in rows:
                if self.accounts.scope_state(row.scope_key).severity >= row.state.severity:
                    continue
                by = None if row is latch.UNREADABLE else claimant(txn.conn, row.actor.partition(":")[2])
                self.set_halt(
                    txn, row.scope, row.account, row.run, row.state, DAEMON, row.reason, claimed_by=by
                )
                text = f"{row.state.value} by {by or 'an unreadable latch'}, through the latch"
                self.alert(txn, "halt", row.scope_key, text, row.state.value)

        await self.write(job)
        if latch.UNREADABLE not in rows:
            latch.clear(self.home.latch, len(rows))
        await self.apply_halts()

    async def watch_latch(self) -> None:
        """Halts that arrive without the bus bind by themselves; this makes them lines within 0.2 s."""
        while not self.stopping:
            await self.copy_latch()
            await asyncio.sleep(0.2)

    async def end_unwaived(self, now_us: int) -> None:
        """End every run that relies on a waiver which is over, by its time or by the owner's word."""
        for actor in list(self.actors.values()):
            over = actor.waiver_over(now_us)
            if over is not None and not actor.ended:
                await actor.end("waiver_expired", over.over_text)

    async def expire_plans(self) -> None:
        """Plans and mandates whose time has passed end by the host's clock, journalled for replay."""
        from inalpha.daemon.plans import expire_due

        while not self.stopping:
            now_us = time.time_ns() // 1000
            for actor in list(self.actors.values()):
                if not actor.ended and actor.has_expired(now_us):
                    await actor.end("mandate_expired")
            await self.end_unwaived(now_us)
            await expire_due(self, now_us)
            await self.refusals.tell()
            await asyncio.sleep(0.25)
