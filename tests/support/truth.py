"""Does every reading verb of a home say what its log says? A fold of its own, which shares no code with the program.

    python tests/support/truth.py HOME

reads `audit log --json`, folds it by the few rules below, and names each place where a verb says something else. The
home's runs should be at rest: between two questions a running one moves. Exit 0 where nothing differs, else 1.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Ask = Callable[..., str]

E8 = Decimal("1e-8")
NEAR = Decimal("1e-4")  # money that a verb divides: averages and what they realise
SEVERITY = ("ACTIVE", "REDUCING", "HALTED", "KILLED")
DONE = ("OCO", "POSITION_CLOSED", "NOTHING_TO_REDUCE")  # ends that leave nothing undone
STOPPED = ("operator", "feed_ended", "mandate_expired", "revoked")


def ask_home(home: Path) -> Ask:
    """The command line on a home; it answers a verb's stdout. Raises AssertionError where the verb fails."""

    def ask(*verb: str) -> str:
        command = [sys.executable, "-m", "inalpha", "--home", str(home), *verb]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, (
            f"{' '.join(verb)}: exit {done.returncode}: {(done.stderr or done.stdout)[-300:]}"
        )
        return done.stdout

    return ask


def assert_true(home: Path, ask: Ask | None = None, *, has_journal: bool = True) -> Log:
    """Fail with every difference between the home's verbs and its log; answers the fold for more questions.

    has_journal: False for a ledger that was made line by line; a run's money is told from its journal.
    """
    log, found = compare(ask or ask_home(home), has_journal=has_journal)
    assert not found, "\n".join(found)
    return log


@dataclass
class Order:
    plan: str
    run: str
    side: str
    quantity: Decimal
    reduce_only: bool
    leg: str | None = None
    filled: Decimal = Decimal(0)
    worth: Decimal = Decimal(0)
    state: str = "working"
    code: str | None = None

    @property
    def outcome(self) -> str:
        """A part that filled outlives the order's end; one that reduced all there was has done its work."""
        if self.state == "filled" or not self.filled:
            return self.state
        return "filled" if self.code == "NOTHING_TO_REDUCE" else "partially_filled"


@dataclass
class Run:
    name: str
    mandate: Row
    bars: int = 0
    state: str = "starting"
    reason: str | None = None
    position: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    fills: int = 0
    starts: int = 0
    intents: list[str] = field(default_factory=list)


class Log:
    """What the lines say, in their order. problems: lines that contradict those before them."""

    def __init__(self, lines: list[Row]) -> None:
        self.size = len(lines)
        self.problems: list[str] = []
        self.plans: dict[str, Row] = {}
        self.orders: dict[str, Order] = {}
        self.entry_of: dict[str, str] = {}
        self.fills: dict[str, Row] = {}
        self.decisions: dict[str, Row] = {}
        self.runs: dict[str, Run] = {}
        self.accounts: dict[str, Row] = {}
        self.netted: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.halts: dict[str, Row] = {}
        self.revisions: list[Row] = []
        self.last_order = 0
        for line in lines:
            handler = getattr(self, "_" + line["kind"].replace(".", "_"), None)
            if handler is not None:
                handler(line["data"], line)

    # Accounts and runs.

    def _ledger_genesis(self, d: Row, line: Row) -> None:
        self._account_open(d, line)

    def _account_open(self, d: Row, line: Row) -> None:
        cash = Decimal(d["cash"])
        made = {
            "owner": d["owner"],
            "opening": cash,
            "cash": cash,
            "fees": Decimal(0),
            "deposited": Decimal(0),
        }
        self.accounts[d["account"]] = made

    def _account_deposit(self, d: Row, line: Row) -> None:
        for name in ("cash", "deposited"):
            self.accounts[d["account"]][name] += Decimal(d["amount"])

    def _run_start(self, d: Row, line: Row) -> None:
        self.runs[d["run"]] = Run(d["run"], d["mandate"], cash=Decimal(d["mandate"]["allocation"]))

    def _run_isolated(self, d: Row, line: Row) -> None:
        run = self.runs[d["run"]]
        run.state, run.starts = "running", run.starts + 1

    def _run_stop(self, d: Row, line: Row) -> None:
        run = self.runs[d["run"]]
        run.state, run.reason = ("stopped" if d["reason"] in STOPPED else "failed"), d["reason"]

    def _step(self, d: Row, line: Row) -> None:
        run = self.runs[d["run"]]
        if d["bar"] != run.bars:
            self._say(line, f"{run.name} steps bar {d['bar']} after {run.bars} bars")
        self._seen(run, d)

    def _steps(self, d: Row, line: Row) -> None:
        """Quiet bars, `first` to `bar`, in one line."""
        run = self.runs[d["run"]]
        if d["first"] != run.bars:
            self._say(line, f"{run.name} tells bars from {d['first']} on after {run.bars} bars")
        self._seen(run, d)

    def _seen(self, run: Run, d: Row) -> None:
        run.bars = d["bar"] + 1
        run.state = "running" if run.state == "starting" else run.state

    def _bar_revision(self, d: Row, line: Row) -> None:
        self.revisions.append({**d, "seq": line["seq"]})

    # Halts.

    def _halt_set(self, d: Row, line: Row) -> None:
        scope = d["run"] or d["account"] or "all"
        standing = self.halts.get(scope, {"state": "ACTIVE"})["state"]
        if SEVERITY.index(d["state"]) >= SEVERITY.index(standing):
            claimed = d.get("claimed_by")
            by = f"{claimed} (claimed)" if claimed else line["actor"]
            self.halts[scope] = {"state": d["state"], "by": by, "seq": line["seq"]}

    def _halt_resume(self, d: Row, line: Row) -> None:
        self.halts.pop(d["run"] or d["account"] or "all", None)

    def binding(self, run: Run) -> str:
        states = [
            self.halts[s]["state"] for s in ("all", run.mandate["account"], run.name) if s in self.halts
        ]
        return max(states, key=SEVERITY.index, default="ACTIVE")

    # Plans and orders.

    def _plan_create(self, d: Row, line: Row) -> None:
        made = {
            "state": "pending",
            "by": None,
            "code": None,
            "order": None,
            "actor": line["actor"],
            "seq": line["seq"],
        }
        self.plans[d["plan"]] = {**d["body"], **made}

    def _plan_approve(self, d: Row, line: Row) -> None:
        self.plans[d["plan"]].update(state="approved", by=line["actor"])

    def _plan_reject(self, d: Row, line: Row) -> None:
        self.plans[d["plan"]].update(state="rejected", by=line["actor"], code=d["code"])

    def _plan_expire(self, d: Row, line: Row) -> None:
        self.plans[d["plan"]].update(state="expired", by=line["actor"], code="PLAN_EXPIRED")

    def _plan_cancel(self, d: Row, line: Row) -> None:
        self.plans[d["plan"]].update(state="cancelled", by=line["actor"], code=d["reason"])

    def _plan_execute(self, d: Row, line: Row) -> None:
        plan = self.plans[d["plan"]]
        plan.update(state="executed", order=d["order"])
        self.last_order = int(d["order"].rpartition("-")[2])
        only = bool(plan["reduce_only"])
        self.orders[d["order"]] = Order(d["plan"], plan["run"], plan["side"], Decimal(plan["quantity"]), only)
        self.entry_of[d["plan"]] = d["order"]

    def _order_end(self, d: Row, line: Row) -> None:
        order = self.orders.get(d["order"])
        if order is None or order.state != "working":
            self._say(line, f"{d['order']} ends, which does not work")
            return
        order.state, order.code = d["outcome"], d["code"]

    def _fill(self, d: Row, line: Row) -> None:
        order = self.orders.get(d["order"])
        if order is None or order.state != "working":
            self._say(line, f"{d['fill']} fills {d['order']}, which does not work")
            return
        quantity, price, fee = Decimal(d["quantity"]), Decimal(d["price"]), Decimal(d["fee"])
        sign = 1 if d["side"] == "buy" else -1
        order.filled += quantity
        order.worth += quantity * price
        if order.filled >= order.quantity:
            order.state = "filled"
        if order.filled > order.quantity:
            self._say(line, f"{d['order']} of {order.quantity} has filled {order.filled}")
        worth = (quantity * price).quantize(E8, ROUND_HALF_EVEN)
        self._book(self.runs[order.run], sign, quantity, worth, fee)
        account_id = self.runs[order.run].mandate["account"]
        account = self.accounts[account_id]
        account["cash"] -= sign * worth + fee
        account["fees"] += fee
        self.netted[account_id, d["symbol"]] += sign * quantity
        if account["cash"] != Decimal(d["cash"]):
            self._say(
                line, f"{d['fill']} says cash {d['cash']}, its account's fills add up to {account['cash']}"
            )
        if self.netted[account_id, d["symbol"]] != Decimal(d["position"]):
            held = self.netted[account_id, d["symbol"]]
            self._say(
                line, f"{d['fill']} says position {d['position']}, its account's fills add up to {held}"
            )
        self.fills[d["fill"]] = {**d, "run": order.run, "by": self.plans[d["plan"]]["by"], "seq": line["seq"]}
        if order.leg is None:
            self._legs(order)

    def _book(self, run: Run, sign: int, quantity: Decimal, worth: Decimal, fee: Decimal) -> None:
        """Average cost; a fill through zero closes, then opens."""
        closing = min(quantity, abs(run.position)) if run.position * sign < 0 else Decimal(0)
        paid = worth / quantity
        if closing:
            share = run.cost * closing / abs(run.position)
            run.realised += -sign * closing * paid - share
            run.cost -= share
        run.cost += sign * (quantity - closing) * paid
        run.position += sign * quantity
        run.cash -= sign * worth + fee
        run.fees += fee
        run.fills += 1

    def _legs(self, entry: Order) -> None:
        """A bracket's legs take the next numbers at the entry's first fill, and stand for what has filled."""
        plan = self.plans[entry.plan]
        known = [order for order in self.orders.values() if order.leg and order.plan == entry.plan]
        for leg in known:
            leg.quantity = entry.filled
        for kind in () if known else ("stop_loss", "take_profit"):
            if plan[kind] is not None:
                self.last_order += 1
                side = "sell" if entry.side == "buy" else "buy"
                leg = Order(entry.plan, entry.run, side, entry.filled, True, kind)
                self.orders[f"order-{self.last_order}"] = leg

    def _decision(self, d: Row, line: Row) -> None:
        self.decisions[d["intent"]] = {**d, "seq": line["seq"]}
        self.runs[d["run"]].intents.append(d["intent"])

    def outcome(self, intent: str) -> tuple[str, str | None]:
        """What became of an intent in the end, and the code that ended it."""
        decision = self.decisions[intent]
        plan = self.plans.get(decision["plan"] or "")
        if plan is None or decision["outcome"] in ("risk_rejected", "rejected"):
            return decision["outcome"], decision["code"]
        if plan["state"] != "executed":
            return plan["state"], plan["code"]
        order = self.orders[plan["order"]]
        return order.outcome, order.code

    def working(self) -> dict[str, Order]:
        return {name: order for name, order in self.orders.items() if order.state == "working"}

    def worst_halt(self) -> str:
        return max((row["state"] for row in self.halts.values()), key=SEVERITY.index, default="ACTIVE")

    def _say(self, line: Row, text: str) -> None:
        self.problems.append(f"line {line['seq']}: {text}")


def read_log(ask: Ask) -> Log:
    return Log([json.loads(line) for line in ask("audit", "log", "--json").splitlines() if line.strip()])


def compare(ask: Ask, *, has_journal: bool = True) -> tuple[Log, list[str]]:
    """The fold, and every place where a verb says something else."""
    log = read_log(ask)
    check = _Check(ask, log, has_journal)
    for part in (check.status, check.runs, check.plans, check.decisions, check.fills, check.positions, check.accounts,
                 check.report):  # fmt: skip
        part()
    return log, log.problems + check.found


class _Check:
    def __init__(self, ask: Ask, log: Log, has_journal: bool) -> None:
        self.log, self._ask, self._has_journal = log, ask, has_journal
        self.found: list[str] = []

    def _one(self, *verb: str) -> Row:
        answer: Row = json.loads(self._ask(*verb, "--json"))
        return answer

    def _items(self, *verb: str, key: str) -> dict[str, Row]:
        return {row[key]: row for row in self._one(*verb)["items"]}

    def _equal(self, where: str, told: Row, wanted: Row, near: Decimal = Decimal(0)) -> None:
        for name, value in wanted.items():
            if not _same(told.get(name), value, near):
                self.found.append(f"{where}: {name} is told {told.get(name)}, the log says {value}")

    def _names(self, where: str, told: Any, wanted: Any) -> None:
        told, wanted = set(told), set(wanted)
        self.found += [f"{where} lacks {name}" for name in sorted(wanted - told)]
        self.found += [f"{where}: {name} is not in the log" for name in sorted(told - wanted)]

    def status(self) -> None:
        told, log = self._one("status"), self.log
        # The latch may bind what no line says yet, and then more strictly than the lines do.
        latched = {self._scope(row): row["state"] for row in told["halts"] if row["line"] is None}
        worst = max([log.worst_halt(), *latched.values()], key=SEVERITY.index)
        self._equal("status", told, {"halt": worst})
        in_log = {row["line"]: row for row in told["halts"] if row["line"] is not None}
        self._names(
            "status halts", in_log, [row["seq"] for scope, row in log.halts.items() if scope not in latched]
        )
        for halt in log.halts.values():
            if halt["seq"] in in_log:
                wanted = {"state": halt["state"], "by": halt["by"]}
                self._equal(f"status halt of line {halt['seq']}", in_log[halt["seq"]], wanted)
        pending = sum(plan["state"] == "pending" for plan in log.plans.values())
        self._equal("status", told, {"pending": pending})
        self._equal("status audit", told["audit"], {"size": log.size})
        runs = {row["run"]: row for row in told["runs"]}
        self._names("status", runs, log.runs)
        for name, run in log.runs.items():
            if name in runs:
                self._equal(f"status {name}", runs[name], {"bars": run.bars, **_state(runs[name], run)})

    def _scope(self, halt: Row) -> str:
        """The key of a told halt's scope; an account is told by its owner's name."""
        owners = {row["owner"].removeprefix("op:"): name for name, row in self.log.accounts.items()}
        return str(owners.get(halt["name"], halt["name"]) if halt["scope"] == "account" else halt["name"])

    def runs(self) -> None:
        listed = self._items("run", "list", key="run")
        self._names("run list", listed, self.log.runs)
        for name, run in self.log.runs.items():
            for where, told in (("run list", listed.get(name)), ("run show", self._one("run", "show", name))):
                if told is not None:
                    self._run(f"{where} {name}", told, run)

    def _run(self, where: str, told: Row, run: Run) -> None:
        log = self.log
        outcomes = [log.outcome(intent)[0] for intent in run.intents]
        own = [order for order in log.orders.values() if order.run == run.name]
        plans = [plan for plan in log.plans.values() if plan["run"] == run.name]
        wanted = {
            "bars": run.bars, "reason": run.reason, "intents": len(run.intents), "fills": run.fills,
            "refused": sum(word in ("risk_rejected", "rejected") and log.decisions[i]["outcome"] == word
                           for i, word in zip(run.intents, outcomes, strict=True)),
            "pending": sum(plan["state"] == "pending" for plan in plans), "position": run.position,
            "symbol": run.mandate["symbol"], "account": run.mandate["account"], "approval": run.mandate["approval"],
            "orders": dict(Counter(order.outcome for order in own)),
            "working": [name for name, order in log.working().items() if order.run == run.name],
            **_state(told, run),
        }  # fmt: skip
        self._equal(where, told, wanted)
        if told["bars"] and self._has_journal:
            money = {"cash": run.cash, "fees": run.fees, "realised": run.realised, "realised_gross": run.realised,
                     "realised_net": run.realised - run.fees}  # fmt: skip
            self._equal(where, told, money, NEAR)
            net = Decimal(told["equity"]) - Decimal(told["unrealised"]) - Decimal(run.mandate["allocation"])
            self._equal(
                where,
                {"equity less unrealised": net},
                {"equity less unrealised": run.realised - run.fees},
                NEAR,
            )
        if run.state in ("stopped", "failed") and not told["watched"] and wanted["working"]:
            self.found.append(
                f"{where}: {wanted['working']} still work, though the run ended and is not watched"
            )

    def plans(self) -> None:
        told = self._items("plan", "list", key="plan")
        self._names("plan list", told, self.log.plans)
        for name, plan in self.log.plans.items():
            if name in told:
                wanted = {"state": plan["state"], "decided_by": plan["by"], "code": plan["code"],
                          "order": plan["order"], "run": plan["run"], "side": plan["side"],
                          "quantity": plan["quantity"],
                          "proposed_by": plan["actor"],
                          "approved_by": plan["by"] if plan["state"] == "executed" else None}  # fmt: skip
                self._equal(f"plan list {name}", told[name], wanted)

    def decisions(self) -> None:
        self._decided("decisions", self._one("decisions")["items"])

    def _decided(self, where: str, items: list[Row]) -> None:
        told, log = {row["intent"]: row for row in items}, self.log
        self._names(where, told, log.decisions)
        for intent, decision in log.decisions.items():
            if intent not in told:
                continue
            outcome, code = log.outcome(intent)
            plan = log.plans.get(decision["plan"] or "", {})
            order = log.orders.get(plan.get("order") or "")
            wanted = {"run": decision["run"], "sequence": decision["bar"], "outcome": outcome, "code": code,
                      "plan": decision["plan"], "order": plan.get("order"), "line": decision["seq"],
                      "filled": order.filled if order else 0}  # fmt: skip
            self._equal(f"{where} {intent}", told[intent], wanted)
            if order is not None and order.filled:
                self._equal(f"{where} {intent}", told[intent], {"price": order.worth / order.filled}, NEAR)

    def fills(self) -> None:
        told = self._items("fills", key="fill")
        self._names("fills", told, self.log.fills)
        for name, fill in self.log.fills.items():
            if name in told:
                order = self.log.orders[fill["order"]]
                wanted = {
                    key: fill[key]
                    for key in ("run", "order", "plan", "symbol", "side", "quantity", "price", "fee")
                }
                wanted |= {"approved_by": fill["by"], "line": fill["seq"], "order_outcome": order.outcome,
                           "order_code": order.code}  # fmt: skip
                self._equal(f"fills {name}", told[name], wanted)

    def positions(self) -> None:
        answer, log = self._one("positions"), self.log
        told = {row["run"]: row for row in answer["items"]}
        self._names("positions", told, [name for name, run in log.runs.items() if run.position])
        for name, row in told.items():
            run = log.runs.get(name)
            if run is not None and run.position:
                self._equal(
                    f"positions {name}", row, {"quantity": run.position, **_state(row, run, "run_state")}
                )
                if row["average"] is not None:
                    self._equal(f"positions {name}", row, {"average": run.cost / run.position}, NEAR)
        working = {row["order"]: row for row in answer["working"]}
        self._names("positions working", working, log.working())
        for name, order in log.working().items():
            if name in working:
                wanted = {"run": order.run, "side": order.side, "rest": order.quantity - order.filled,
                          "filled": order.filled, "plan": order.plan}  # fmt: skip
                self._equal(f"positions working {name}", working[name], wanted)
                if (working[name]["kind"] in ("stop_loss", "take_profit")) != (order.leg is not None):
                    self.found.append(
                        f"positions working {name}: {working[name]['kind']}, the log says {order.leg}"
                    )

    def accounts(self) -> None:
        for name, account in self.log.accounts.items():
            told = self._one("account", "show", name)
            live = sum(
                run.mandate["account"] == name and run.state in ("starting", "running")
                for run in self.log.runs.values()
            )
            wanted = {name: account[name] for name in ("owner", "opening", "deposited", "cash", "fees")}
            wanted["live_runs"] = live
            self._equal(f"account {name}", told, wanted)

    def report(self) -> None:
        told, log = self._one("report"), self.log
        self._decided("report", told["decisions"])
        self._equal("report", told, {
            "pending": [name for name, plan in log.plans.items() if plan["state"] == "pending"],
            "failed": [name for name, run in log.runs.items() if run.state == "failed"],
        })  # fmt: skip
        self._equal("report happened", told["happened"], {"filled": len(log.fills) or None})
        lines = {item["line"] for item in told["exceptions"]}
        refused: Counter[tuple[str, str]] = Counter()
        for decision in log.decisions.values():
            if decision["outcome"] in ("risk_rejected", "rejected"):
                refused[decision["run"], decision["code"] or "REJECTED"] += 1
        counted = {
            (item["run"], item["code"]): item["count"]
            for item in told["exceptions"]
            if item["kind"] == "refused"
        }
        self._equal("report refusals", counted, dict(refused))  # type: ignore[arg-type]
        self._names("report refusals", map(str, counted), map(str, refused))
        for halt in log.halts.values():
            if halt["seq"] not in lines:
                self.found.append(f"report: the halt of line {halt['seq']} is no exception of it")
        guards = {plan["seq"] for plan in log.plans.values() if plan["actor"] == "system:risk"}
        for seq in guards - lines:
            self.found.append(f"report: the guard's exit of line {seq} is no exception of it")
        ended = {item["text"].split()[2] for item in told["exceptions"] if item["kind"] == "exit_ended"}
        for name, order in log.orders.items():
            by_guard = log.plans[order.plan]["actor"] == "system:risk"
            is_undone = order.state not in ("working", "filled") and order.code not in DONE
            if order.reduce_only and is_undone and not by_guard and name not in ended:
                self.found.append(f"report: the end of exit {name} ({order.code}) is no exception of it")
        text = self._ask("report")
        for name, run in log.runs.items():
            if not re.search(
                rf"^- {name} .*: {run.bars} bars, {len(run.intents)} intents, {run.fills} fills", text, re.M
            ):
                self.found.append(
                    f"report text: {name} is not told with {run.bars} bars and {run.fills} fills"
                )
        for intent in log.decisions:
            outcome, code = log.outcome(intent)
            run = intent.partition(":")[0]
            wanted_line = rf"^- \S+ {run} .*: {outcome}\b.*" + (re.escape(code) if code else "")
            if not re.search(wanted_line, text, re.M):
                self.found.append(f"report text: no line tells {intent} as {outcome} {code or ''}")


def _state(told: Row, run: Run, name: str = "state") -> Row:
    """A live run that this program cannot go on with is told as parked; the log has no word for it."""
    return {} if told[name] == "parked" and run.state in ("starting", "running") else {name: run.state}


def _same(told: Any, wanted: Any, near: Decimal) -> bool:
    if told == wanted:
        return True
    if isinstance(wanted, list | dict) or told is None or wanted is None:
        return False
    try:
        return abs(Decimal(str(told)) - Decimal(str(wanted))) <= near
    except ArithmeticError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path)
    log, found = compare(ask_home(parser.parse_args().home))
    told = f"{len(log.plans)} plans, {len(log.orders)} orders, {len(log.fills)} fills, {len(log.runs)} runs"
    sys.stdout.write("\n".join(found) + "\n" if found else f"true: {told}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
