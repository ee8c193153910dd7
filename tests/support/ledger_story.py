"""A small ledger made through the real writer: owner, agent, candidate, run, bars, orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inalpha.audit import gate, keys
from inalpha.audit.notes import Signer, SigningKey
from inalpha.execution import gates, lines, mandates, plans
from inalpha.ledger.clock import Reading
from inalpha.ledger.txn import Txn
from inalpha.ledger.writer import Ledger
from inalpha.model.money import e8_from_text, multiply_e8, text_from_e8
from inalpha.model.ownership import owner_account_id
from inalpha.model.risk import Refusal

START_US = 1_780_000_000_000_000
MINUTE_US = 60_000_000
RULES = b'{"schema":1}'
ACCOUNT = owner_account_id("anna")
LAST_CLOSE = "65000"


@dataclass
class TestClock:
    """A wall clock and a boot clock that move when told to."""

    __test__ = False
    wall_us: int = START_US
    mono_us: int = 5_000_000
    boot: str = "0123456789abcdef"

    def __call__(self) -> Reading:
        self.advance(1000)
        return Reading(self.wall_us, self.mono_us, self.boot)

    def advance(self, us: int) -> None:
        self.wall_us += us
        self.mono_us += us


@dataclass
class Story:
    """A home with its owner's key. Every act goes through Ledger.submit."""

    home: Path
    clock: TestClock = field(default_factory=TestClock)
    owner: SigningKey = field(default_factory=lambda: SigningKey(b"o" * 32))
    agent: SigningKey = field(default_factory=lambda: SigningKey(b"a" * 32))
    genesis: str = ""
    rules_sha256: str = ""
    _ledger: Ledger | None = None

    @property
    def ledger(self) -> Ledger:
        assert self._ledger is not None
        return self._ledger

    def create(self) -> Story:
        made = Ledger.create(
            self.home,
            owner="anna",
            owner_signer=self.owner,
            cash="100000",
            currency="USD",
            config_sha256="0" * 64,
            app="inalpha test",
            clock=self.clock,
        )
        self.genesis = made.hex
        return self.open()

    def open(self) -> Story:
        self._ledger = Ledger.open(self.home, app="inalpha test", clock=self.clock)
        return self

    def do(self, job: Callable[[Txn], Any]) -> Any:
        return self.ledger.submit(job).result()

    def signer(self) -> Signer:
        return Signer(keys.operator_name(self.ledger.origin, "anna"), self.owner)

    def agent_signer(self) -> Signer:
        return Signer(keys.agent_name(self.ledger.origin, "claude"), self.agent)

    def gate(self, kind: str, data: Mapping[str, Any], **changes: Any) -> str:
        """A gate note by the owner over the committed tree."""
        now = self.clock.wall_us
        members: dict[str, Any] = {
            "log": self.ledger.origin,
            "action": kind,
            "subject": gate.subject_of(kind, data),
            "base_size": self.ledger.size,
            "base_root": self.ledger.root,
            "ts": now,
            "exp": now + 200_000_000,
        }
        return gate.sign(changes.pop("signer", self.signer()), gate.gate_text(**(members | changes)))

    def proposal(self, kind: str, data: Mapping[str, Any]) -> str:
        now = self.clock.wall_us
        text = gate.proposal_text(
            log=self.ledger.origin,
            action=kind,
            subject=gate.subject_of(kind, data, proposal=True),
            ts=now,
            exp=now + 200_000_000,
        )
        return gate.sign(self.agent_signer(), text)

    def gated(self, kind: str, data: Mapping[str, Any]) -> int:
        note = self.gate(kind, data)
        return int(self.do(lambda txn: txn.line(kind, "op:anna", data, gate=note)))

    def prepare(self) -> Story:
        """Agent enrolled, limits in force, one candidate promoted."""
        vkey = self.agent_signer().vkey.text
        self.gated(
            "key.enrol", {"principal": "agent:claude", "role": "proposer", "sponsor": "op:anna", "vkey": vkey}
        )
        self.rules_sha256 = self.do(lambda txn: txn.blob(RULES))
        self.gated(
            "limits.set", {"account": ACCOUNT, "direction": "loosen", "rules_sha256": self.rules_sha256}
        )
        self.candidate(b"class S: pass\n")
        return self

    def candidate(self, source: bytes) -> str:
        """Submitted by the agent, passed, promoted by the owner; returns the sha256."""

        def submit(txn: Txn) -> str:
            sha256 = txn.blob(source)
            data = {
                "candidate": f"cand-{sha256[:12]}",
                "owner_account_id": ACCOUNT,
                "rationale_commit": txn.commit_text("trend"),
                "sha256": sha256,
                "size": len(source),
            }
            txn.line(
                "candidate.submit", "agent:claude", data, proposal=self.proposal("candidate.submit", data)
            )
            evidence = {
                "candidate": data["candidate"],
                "evidence_sha256": txn.blob(b"{}"),
                "result": "pass",
                "sha256": sha256,
            }
            txn.line("candidate.gate", "system:daemon", evidence)
            return sha256

        sha256 = str(self.do(submit))
        reason = self.do(lambda txn: txn.commit_text("looks sane"))
        data = {"candidate": f"cand-{sha256[:12]}", "reason_commit": reason, "sha256": sha256}
        note = self.gate("candidate.promote", data)
        self.do(
            lambda txn: gates.decide_candidate(txn, "promote", data["candidate"], "op:anna", reason, note)
        )
        return sha256

    def mandate(self, sha256: str, symbol: str = "btc-usd", **changes: Any) -> dict[str, Any]:
        feed = self.do(lambda txn: txn.blob(b'{"feed":1}'))
        members: dict[str, Any] = {
            "account": ACCOUNT,
            "candidate_sha256": sha256,
            "symbol": symbol,
            "timeframe": "1m",
            "feed_kind": "sim",
            "feed_name": "sim-7",
            "feed_sha256": feed,
            "allocation": "50000",
            "limits_sha256": self.rules_sha256,
            "approval": "machine",
            "expires_us": START_US + 2_592_000_000_000,
            "params": {"fast": 10},
        }
        return mandates.mandate(**(members | changes))

    def start(self, signed: Mapping[str, Any]) -> str:
        digest = mandates.mandate_digest(signed)
        note = self.gate("run.start", {"mandate": signed, "mandate_sha256": digest})
        return str(self.do(lambda txn: gates.start_run(txn, signed, "op:anna", note)))

    def bar(self, run: str, bar: int, intents: int = 0, jobs: Callable[[Txn], Any] | None = None) -> Any:
        """One step transaction; jobs writes fills and decisions after the step line."""
        self.clock.advance(MINUTE_US)

        def job(txn: Txn) -> Any:
            opened = START_US - 10 * MINUTE_US + bar * MINUTE_US
            lines.record_step(txn, run, bar, opened, opened + MINUTE_US, intents, "b" * 64, f"{bar:064x}")
            return jobs(txn) if jobs else None

        return self.do(job)

    def plan(self, txn: Txn, run: str, bar: int, n: int = 0, **changes: Any) -> str:
        """plan.create and a passing risk.check."""
        found = txn.conn.execute("SELECT symbol, mandate_sha256 FROM run WHERE run = ?", (run,)).fetchone()
        body: dict[str, Any] = {
            "account": ACCOUNT, "expires": txn.now_us + 300_000_000, "intent": f"{run}:{bar}:{n}",
            "limit": None,
            "mandate_sha256": found[1], "origin": "run", "quantity": "0.5",
            "rationale_commit": txn.commit_text("cross", run=run), "reduce_only": False, "run": run, "side": "buy",
            "stop": None, "stop_loss": None, "symbol": found[0], "take_profit": None, "tif": "GTC",
            "tif_expires": None, "type": "market", "v": 1,
        }  # fmt: skip
        body |= changes
        if "reduce_only" not in changes:
            body["reduce_only"] = _only_reduces(txn, body)
        plan = plans.create_plan(txn, body)
        price = str(body["limit"] or body["stop"] or LAST_CLOSE)
        worth = text_from_e8(multiply_e8(e8_from_text(body["quantity"]), e8_from_text(price)))
        plans.record_risk(txn, plan, None, self.rules_sha256, worth=worth)
        return plan

    def order(self, txn: Txn, run: str, bar: int, n: int = 0, **changes: Any) -> tuple[str, str]:
        """The machine path of one intent: plan, risk, approval, execution, decision."""
        plan = self.plan(txn, run, bar, n, **changes)
        order = plans.approve_and_execute(txn, plan)
        lines.record_decision(txn, run, bar, "b" * 64, n, "working", plan)
        return plan, order

    def refuse(self, txn: Txn, run: str, bar: int, n: int = 0) -> str:
        """An intent that risk refuses."""
        found = txn.conn.execute("SELECT symbol, mandate_sha256 FROM run WHERE run = ?", (run,)).fetchone()
        body: dict[str, Any] = {
            "account": ACCOUNT, "expires": txn.now_us + 300_000_000, "intent": f"{run}:{bar}:{n}",
            "limit": None,
            "mandate_sha256": found[1], "origin": "run", "quantity": "900",
            "rationale_commit": txn.commit_text("huge"), "reduce_only": False, "run": run, "side": "buy",
            "stop": None, "stop_loss": None, "symbol": found[0], "take_profit": None, "tif": "GTC",
            "tif_expires": None, "type": "market", "v": 1,
        }  # fmt: skip
        plan = plans.create_plan(txn, body)
        refusal = Refusal("MAX_ORDER", "P3", "90", "10", "% of equity", "max_order.pct", "too large")
        plans.record_risk(txn, plan, refusal, self.rules_sha256)
        plans.reject_plan(txn, plan, plans.RISK, "MAX_ORDER")
        lines.record_decision(txn, run, bar, "b" * 64, n, "risk_rejected", plan, "MAX_ORDER")
        return plan

    def trade(self, run: str, bar: int) -> None:
        """Bar: buy decided; next bar: filled; the bar after: sold at the next one."""
        plan, order = self.bar(run, bar, 1, lambda txn: self.order(txn, run, bar))
        self.bar(run, bar + 1, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", "65000.25", "3.25"))
        plan, order = self.bar(run, bar + 2, 1, lambda txn: self.order(txn, run, bar + 2, side="sell"))
        self.bar(run, bar + 3, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", "65100", "3.25"))

    def close(self) -> None:
        self.ledger.close("sigterm")


def whole_story(home: Path) -> Story:
    """A run that trades, is refused once and stops; the ledger is closed cleanly."""
    story = Story(home).create().prepare()
    run = story.start(story.mandate(_sha(story)))
    story.bar(run, 0)
    story.trade(run, 1)
    story.bar(run, 5, 1, lambda txn: story.refuse(txn, run, 5))
    story.do(lambda txn: lines.record_snapshot(txn, ACCOUNT))
    story.do(lambda txn: txn.line("run.stop", "op:anna", {"reason": "operator", "run": run}))
    story.close()
    return story


def _sha(story: Story) -> str:
    return str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))


def _only_reduces(txn: Txn, body: dict[str, Any]) -> bool:
    """The tag as the kernel sets it: against the run's position, no larger, without legs."""
    held = e8_from_text(
        txn.conn.execute("SELECT position FROM run WHERE run = ?", (body["run"],)).fetchone()[0]
    )
    against = held < 0 if body["side"] == "buy" else held > 0
    has_legs = body["stop_loss"] is not None or body["take_profit"] is not None
    return against and not has_legs and e8_from_text(body["quantity"]) <= abs(held)
