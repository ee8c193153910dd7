"""The books of the whole log: what stands after the lines read so far."""

from __future__ import annotations

from collections import Counter
from typing import Any

from inalpha.verifier.checks import Broken, require
from inalpha.verifier.keyring import Keys
from inalpha.verifier.line import Line
from inalpha.verifier.state import SEVERITY, Account, Candidate, Order, Plan, Run


class Books:
    """What the lines add up to so far; acts.py says what each kind of line changes."""

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
        # By rule and run, the last line's expiry.
        self.opt_outs: dict[tuple[str | None, str | None], int] = {}
        self.proposals: dict[str, str] = {}
        self.approved: Plan | None = None
        self.closed, self.recovering = True, False

    def begin(self, line: Line) -> None:
        """What the genesis says of the log itself holds whatever else is wrong with it."""
        self.origin = line.data["origin"]
        self.keys.rotate(line.data["log_vkey"], self.origin, 0)

    def number(self, name: str) -> None:
        prefix, _, number = name.rpartition("-")
        require(int(number) == self.numbers[prefix] + 1, "I17", f"{name} is out of order")
        self.numbers[prefix] += 1

    def account(self, name: str, check: str) -> Account:
        require(name in self.accounts, check, f"the account {name} is unknown")
        return self.accounts[name]

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

    def halt_of(self, account: str, run: str | None) -> str:
        """The strictest halt of all, of the account and of the run."""
        found = [self.halts.get(scope, "ACTIVE") for scope in ("all", account, run or "all")]
        return max(found, key=SEVERITY.index)

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

    def forget(self, plan: Plan) -> None:
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
