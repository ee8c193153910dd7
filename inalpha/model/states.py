"""Plan, run and halt states: one table each; docs, SQL checks and tests are made from them."""

from __future__ import annotations

from enum import StrEnum

from inalpha.model.order import IllegalTransition


class PlanState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"  # never at rest: approve and execute share one transaction
    EXECUTED = "executed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


PLAN_TRANSITIONS: dict[PlanState, frozenset[PlanState]] = {
    PlanState.PENDING: frozenset(
        {PlanState.APPROVED, PlanState.REJECTED, PlanState.EXPIRED, PlanState.CANCELLED}
    ),
    PlanState.APPROVED: frozenset({PlanState.EXECUTED}),
    PlanState.EXECUTED: frozenset(),
    PlanState.REJECTED: frozenset(),
    PlanState.EXPIRED: frozenset(),
    PlanState.CANCELLED: frozenset(),
}


class RunState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    PARKED = "parked"
    STOPPED = "stopped"
    FAILED = "failed"


LIVE_RUN_STATES = frozenset({RunState.STARTING, RunState.RUNNING, RunState.PARKED})
# The same for a query: `state IN {LIVE_SQL}`.
LIVE_SQL = "('" + "','".join(sorted(LIVE_RUN_STATES)) + "')"

RUN_TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.STARTING: frozenset({RunState.RUNNING, RunState.STOPPED, RunState.FAILED}),
    RunState.RUNNING: frozenset({RunState.RUNNING, RunState.PARKED, RunState.STOPPED, RunState.FAILED}),
    RunState.PARKED: frozenset({RunState.RUNNING, RunState.STOPPED, RunState.FAILED}),
    RunState.STOPPED: frozenset(),
    RunState.FAILED: frozenset(),
}

# A run.stop line with one of these reasons ends the run as stopped, any other word as failed.
STOPPED_REASONS = frozenset({"operator", "feed_ended", "mandate_expired", "revoked"})


class HaltState(StrEnum):
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"
    KILLED = "KILLED"

    @property
    def severity(self) -> int:
        return _SEVERITY[self]


_SEVERITY = {state: place for place, state in enumerate(HaltState)}


def strictest(*states: HaltState) -> HaltState:
    """The state that binds when several scopes apply; ACTIVE for none."""
    return max(states, key=lambda state: state.severity, default=HaltState.ACTIVE)


def next_plan_state(current: PlanState, target: PlanState) -> PlanState:
    """target, when the table allows it. Raises IllegalTransition naming both states."""
    if target not in PLAN_TRANSITIONS[current]:
        raise IllegalTransition(f"a plan cannot go from {current.value} to {target.value}")
    return target


def next_run_state(current: RunState, target: RunState) -> RunState:
    """target, when the table allows it. Raises IllegalTransition naming both states."""
    if target not in RUN_TRANSITIONS[current]:
        raise IllegalTransition(f"a run cannot go from {current.value} to {target.value}")
    return target
