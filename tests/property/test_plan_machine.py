"""Plans and tokens under any order of acts: a model says what each act answers; the ledger must agree."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from support.ledger_story import Story

from inalpha.audit.verify import verify
from inalpha.execution import lines, plans, tokens
from inalpha.ledger.txn import Txn
from inalpha.model.errors import InalphaError
from inalpha.model.states import PLAN_TRANSITIONS, PlanState

TTL_US = 300_000_000


class PlanMachine(RuleBasedStateMachine):
    created = Bundle("created")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="plans-"))
        self.story = Story(self.root / "home").create().prepare()
        sha256 = self.story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0])
        self.run_name = self.story.start(self.story.mandate(sha256, approval="human"))
        self.bar = 0
        self.states: dict[str, str] = {}
        self.expires: dict[str, int] = {}
        self.orders = 0

    def teardown(self) -> None:
        self.story.close()
        report = verify(self.story.home)
        shutil.rmtree(self.root)
        assert report.reason is None

    @rule(target=created)
    def create(self) -> str:
        def jobs(txn: Txn) -> tuple[str, int]:
            plan = self.story.plan(txn, self.run_name, self.bar)
            lines.record_decision(txn, self.run_name, self.bar, "b" * 64, 0, "pending", plan)
            return plan, txn.now_us

        plan, now = self.story.bar(self.run_name, self.bar, 1, jobs)
        self.bar += 1
        self.states[plan] = "pending"
        self.expires[plan] = now + TTL_US
        return str(plan)

    @rule(seconds=st.integers(1, 200))
    def wait(self, seconds: int) -> None:
        self.story.clock.advance(seconds * 1_000_000)

    @rule(plan=created)
    def approve(self, plan: str) -> None:
        digest = self.story.do(lambda txn: plans.get_plan(txn.conn, plan).digest)
        note = self.story.gate("plan.approve", {"plan": plan, "plan_sha256": digest})

        def job(txn: Txn) -> tuple[str, int]:
            return plans.approve_and_execute(txn, plan, "op:anna", note), txn.now_us

        is_late = self._now() >= self.expires[plan]
        code = self._act(job)
        if self.states[plan] != "pending":
            assert code == "PLAN_STATE"
        elif is_late:
            assert code == "PLAN_EXPIRED"
        else:
            assert code == ""
            self.states[plan] = "executed"
            self.orders += 1

    @rule(plan=created)
    def reject(self, plan: str) -> None:
        self._final(plan, "rejected", lambda txn: plans.reject_plan(txn, plan, plans.RISK, "MAX_ORDER"))

    @rule(plan=created)
    def cancel(self, plan: str) -> None:
        self._final(plan, "cancelled", lambda txn: plans.cancel_plan(txn, plan))

    @rule(plan=created)
    def expire(self, plan: str) -> None:
        is_due = self._now() >= self.expires[plan]
        code = self._act(lambda txn: plans.expire_plan(txn, plan))
        if self.states[plan] == "pending" and is_due:
            assert code == ""
            self.states[plan] = "expired"
        else:
            assert code == "PLAN_STATE"

    @rule(plan=created, guess=st.binary(min_size=32, max_size=32))
    def guess_a_token(self, plan: str, guess: bytes) -> None:
        def job(txn: Txn) -> str:
            digest = plans.get_plan(txn.conn, plan).digest
            return tokens.execute(txn, plan, tokens.Token(guess), digest, plans.DAEMON, txn.now_us)

        assert self._act(job) == "TOKEN_WRONG"

    @rule()
    def crash(self) -> None:
        self.story.ledger.abandon()
        self.story.open()

    @invariant()
    def ledger_agrees_with_the_model(self) -> None:
        found = dict(self.story.do(lambda txn: txn.conn.execute("SELECT plan, state FROM plan").fetchall()))
        assert found == self.states
        used = self.story.do(
            lambda txn: txn.conn.execute(
                "SELECT count(*), count(consumed_seq), (SELECT count(*) FROM orders) FROM token"
            ).fetchone()
        )
        assert used == (self.orders, self.orders, self.orders)

    def _final(self, plan: str, state: str, job: Any) -> None:
        code = self._act(job)
        if self.states[plan] == "pending":
            assert code == ""
            assert PlanState(state) in PLAN_TRANSITIONS[PlanState.PENDING]
            self.states[plan] = state
        else:
            assert code == "PLAN_STATE"

    def _now(self) -> int:
        """The time that the next transaction will see: the clock moves 1 ms per reading, two per job."""
        return self.story.clock.wall_us + 2000

    def _act(self, job: Any) -> str:
        try:
            self.story.do(job)
        except InalphaError as error:
            return error.code
        return ""


TestPlanMachine = PlanMachine.TestCase
TestPlanMachine.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
