"""A ledger with what an ordinary month does not see: every kind of line, by every kind of actor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inalpha.audit import keys
from inalpha.audit.checkpoint import parse_note
from inalpha.audit.notes import (
    COSIGNATURE,
    DASH,
    Signer,
    SigningKey,
    VerifierKey,
    b64encode,
    cosigned_text,
)
from inalpha.execution import lines, plans
from inalpha.execution.mandates import mandate_digest
from inalpha.ledger.txn import Txn
from inalpha.model.ownership import owner_account_id
from support.forgery import BOB, by_hand, commit, halt_and_resume, left_pending
from support.ledger_story import ACCOUNT, RULES, START_US, Story

CAROL, HOST, WITNESS, NEXT_OWNER = (SigningKey(letter * 32) for letter in (b"c", b"h", b"w", b"n"))
DAEMON = "system:daemon"


def witness_key(origin: str) -> VerifierKey:
    return VerifierKey(f"{origin}/witness/eve", COSIGNATURE, WITNESS.public)


def cosigned(note: bytes, seconds: int) -> str:
    """A signed checkpoint with the witness's cosignature."""
    head = parse_note(note)
    key = witness_key(head.origin)
    signature = key.id + seconds.to_bytes(8, "big") + WITNESS.sign(cosigned_text(seconds, head.text))
    return note.decode() + f"{DASH}{key.name} {b64encode(signature)}\n"


def rare_story(home: Path) -> Story:
    story = Story(home).create().prepare()
    sha256 = str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))
    origin = story.ledger.origin
    for handle, key in (("bob", BOB), ("carol", CAROL)):
        _enrol(story, "operator", Signer(f"{origin}/op/{handle}", key).vkey.text, f"op:{handle}")
    _enrol(story, "host", Signer(keys.host_name(origin, "far"), HOST).vkey.text)
    _enrol(story, "witness", witness_key(origin).text)
    story.gated("account.open", _account("bob"))
    story.gated("account.deposit", {"account": ACCOUNT, "amount": "2500.125"})
    _limits(story)
    waiver = {"expires": START_US + 10**12, "rule": "MAX_ORDER", "run": "run-1"}
    story.gated("policy.opt_out", waiver)
    long = story.start(story.mandate(sha256))
    short = story.start(story.mandate(sha256, "eth-usd"))
    asked = story.start(story.mandate(sha256, "ltc-usd", approval="human"))
    evidence = story.do(lambda txn: txn.blob(b"far"))
    story.gated(
        "policy.opt_out", {"expires": START_US + 10**12, "rule": "isolation.fenced.far", "run": short}
    )
    isolated = {"evidence_sha256": evidence, "host": "far", "level": "fenced", "run": short}
    story.do(lambda txn: txn.line("run.isolated", DAEMON, isolated))
    by_hand(story, asked, 0)
    _bracket(story, long)
    _short_and_turn(story, short)
    _waived(story, long)
    _halts(story, long)
    _decided(story, asked, sha256)
    _agents(story, sha256)
    _watched_after_its_end(story, long, sha256)
    _two_people(story)
    _odds(story)
    _keys(story)
    story.ledger.abandon()
    story.open()
    halt_and_resume(story)
    story.do(lambda txn: lines.record_snapshot(txn, ACCOUNT))
    story.bar(short, 6)
    story.close()
    return story


def _enrol(story: Story, role: str, vkey: str, principal: str | None = None) -> None:
    story.gated("key.enrol", {"principal": principal, "role": role, "sponsor": None, "vkey": vkey})


def _account(handle: str) -> dict[str, Any]:
    return {"account": owner_account_id(handle), "cash": "500.5", "currency": "EUR", "owner": f"op:{handle}"}


def _limits(story: Story) -> None:
    """Tightened by the daemon, loosened again by the owner."""
    tight = story.do(lambda txn: txn.blob(b'{"schema":1,"zone":"UTC"}'))
    data = {"account": ACCOUNT, "direction": "tighten", "rules_sha256": tight}
    story.do(lambda txn: txn.line("limits.set", DAEMON, data))
    story.gated("limits.set", {"account": ACCOUNT, "direction": "loosen", "rules_sha256": story.rules_sha256})


def _bracket(story: Story, run: str) -> None:
    """An entry in two fills, its stop in one, its target cancelled."""
    legs = {"stop_loss": "60000", "take_profit": "70000"}
    plan, order = story.bar(run, 0, 1, lambda txn: story.order(txn, run, 0, **legs))
    story.bar(run, 1, 0, lambda txn: lines.record_fill(txn, plan, order, "0.2", "65001", "1"))
    story.bar(run, 2, 0, lambda txn: lines.record_fill(txn, plan, order, "0.3", "65002.5", "1.25"))

    def stopped(txn: Txn) -> None:
        lines.record_fill(txn, plan, str(lines.order_of(txn.conn, plan, "stop_loss")), "0.5", "59999", "2")
        lines.end_order(txn, str(lines.order_of(txn.conn, plan, "take_profit")), "cancelled", "OCO")

    story.bar(run, 3, 0, stopped)
    old = {"bar": 1, "new_sha256": "1" * 64, "old_sha256": "b" * 64, "run": run}
    story.do(lambda txn: txn.line("bar.revision", DAEMON, old))


def _short_and_turn(story: Story, run: str) -> None:
    """Short, more short, then through zero."""
    for bar, side, quantity, price in (
        (0, "sell", "0.25", "3000"),
        (2, "sell", "0.5", "3100.5"),
        (4, "buy", "1", "2900.123"),
    ):
        order = {"side": side, "quantity": quantity, "type": "limit", "limit": price}
        plan, name = story.bar(run, bar, 1, lambda txn, b=bar, o=order: story.order(txn, run, b, **o))
        story.bar(
            run,
            bar + 1,
            0,
            lambda txn, p=plan, n=name, q=quantity, c=price: lines.record_fill(txn, p, n, q, c, "0.5"),
        )


def _waived(story: Story, run: str) -> None:
    """Approved although risk refused: the owner's waiver names that rule for this run."""

    def job(txn: Txn) -> tuple[str, str]:
        plan = story.plan(txn, run, 4)
        digest = plans.get_plan(txn.conn, plan).digest
        fail = {"limit": "10", "measured": "31", "plan": plan, "plan_sha256": digest, "result": "fail",
                "rule": "MAX_ORDER", "rules_sha256": story.rules_sha256}  # fmt: skip
        txn.line("risk.check", "system:risk", fail)
        order = plans.approve_and_execute(txn, plan)
        lines.record_decision(txn, run, 4, "b" * 64, 0, "working", plan)
        return plan, order

    plan, order = story.bar(run, 4, 1, job)
    story.bar(run, 5, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", "64000", "1"))


def _halts(story: Story, run: str) -> None:
    """A run that may only reduce, and does; then an account, then all, and back."""
    reason = commit(story)
    of_run = {"account": None, "reason_commit": reason, "run": run, "scope": "run", "state": "REDUCING"}
    story.do(lambda txn: txn.line("halt.set", DAEMON, of_run | {"claimed_by": "op:carol"}))
    plan, order = story.bar(run, 6, 1, lambda txn: story.order(txn, run, 6, side="sell", quantity="0.1"))
    story.bar(run, 7, 0, lambda txn: lines.record_fill(txn, plan, order, "0.1", "64100", "0"))
    of_account = {
        "account": ACCOUNT,
        "reason_commit": reason,
        "run": None,
        "scope": "account",
        "state": "HALTED",
    }
    note = story.proposal("halt.set", of_account)
    story.do(lambda txn: txn.line("halt.set", "agent:claude", of_account, proposal=note))
    for scope, key in (("account", "account"), ("run", "run")):
        data = {"account": None, "reason_commit": reason, "run": None, "scope": scope}
        data[key] = ACCOUNT if key == "account" else run
        story.gated("halt.resume", data)


def _decided(story: Story, run: str, sha256: str) -> None:
    """Waiting plans: rejected by a person, cancelled, left."""
    bar = 2
    for act in ("reject", "cancel", "expire"):
        story.bar(run, bar, 1, lambda txn, b=bar: left_pending(story, txn, run, b))
        plan, digest = story.do(
            lambda txn: txn.conn.execute("SELECT plan, digest FROM plan WHERE state = 'pending'").fetchone()
        )
        if act == "reject":
            reason = commit(story)
            data = {"code": "OPERATOR", "plan": plan, "plan_sha256": digest, "reason_commit": reason}
            note = story.gate("plan.reject", data)
            story.do(lambda txn, p=plan, r=reason, n=note: plans.reject_plan(
                txn, p, "op:anna", "OPERATOR", reason_commit=r, gate=n))  # fmt: skip
        elif act == "cancel":
            story.do(lambda txn, p=plan: plans.cancel_plan(txn, p, "op:anna", "changed my mind"))
        else:
            story.clock.advance(400_000_000)
            story.do(lambda txn, p=plan: plans.expire_plan(txn, p))
        bar += 1


def _agents(story: Story, sha256: str) -> None:
    """What an agent proposes: a plan in a run of its sponsor's, a promotion that it withdraws."""
    signed = story.mandate(sha256, symbol="xrp-usd")
    run = story.start(signed)
    story.bar(run, 0)

    def body(txn: Txn) -> dict[str, Any]:
        return {
            "account": ACCOUNT, "expires": txn.now_us + 300_000_000, "intent": None, "limit": "1.5",
            "mandate_sha256": mandate_digest(signed), "origin": "proposal", "quantity": "2",
            "rationale_commit": txn.commit_text("idea"),
            "reduce_only": False, "run": run, "side": "buy", "stop": None, "stop_loss": None, "symbol": "xrp-usd",
            "take_profit": None, "tif": "DAY", "tif_expires": None, "type": "limit", "v": 1,
        }  # fmt: skip

    made = story.do(body)
    note = story.proposal("plan.create", {"body": made, "plan_sha256": plans.plan_digest(made)})
    plan = story.do(lambda txn: plans.create_plan(txn, made, "agent:claude", proposal=note))
    story.do(lambda txn: plans.record_risk(txn, plan, None, story.rules_sha256))
    data = {"plan": plan, "plan_sha256": plans.plan_digest(made)}
    gate = story.gate("plan.approve", data)
    order = story.do(lambda txn: plans.approve_and_execute(txn, plan, "op:anna", gate))
    story.bar(run, 1, 0, lambda txn: lines.record_fill(txn, plan, order, "1", "1.5", "0"))
    story.do(lambda txn: lines.end_order(txn, order, "expired", "DAY"))
    opened = {
        "proposal": "prop-1",
        "rationale_commit": commit(story),
        "subject_sha256": sha256,
        "what": "promote",
    }
    note = story.proposal("proposal.open", opened)
    story.do(lambda txn: txn.line("proposal.open", "agent:claude", opened, proposal=note))
    closed = {"proposal": "prop-1", "reason_commit": None, "state": "withdrawn"}
    back = story.proposal("proposal.close", closed)
    story.do(lambda txn: txn.line("proposal.close", "agent:claude", closed, proposal=back))


def _watched_after_its_end(story: Story, run: str, sha256: str) -> None:
    """A stopped run whose position is watched on, while another holds the same symbol; the guard closes it."""
    reason = commit(story)
    told = {"claimed_by": "os:uid-1000", "reason": "operator", "reason_commit": reason, "run": run}
    story.do(lambda txn: txn.line("run.stop", DAEMON, told))
    story.do(lambda txn: txn.line("run.caretake", DAEMON, {"run": run}))
    twin = story.start(story.mandate(sha256, fill="same_close"))

    def at_once(txn: Txn) -> None:
        plan, order = story.order(txn, twin, 0, side="sell", quantity="0.4")
        lines.record_fill(txn, plan, order, "0.4", "63000", "0.1")

    story.bar(twin, 0, 1, at_once)

    def guard(txn: Txn) -> tuple[str, str]:
        mandate = txn.conn.execute("SELECT mandate_sha256 FROM run WHERE run = ?", (run,)).fetchone()[0]
        body = {
            "account": ACCOUNT, "expires": txn.now_us + 300_000_000, "intent": f"{run}:8:16", "limit": None,
            "mandate_sha256": mandate, "origin": "run", "quantity": "0.4",
            "rationale_commit": txn.commit_text("HARD_STOP"), "reduce_only": True, "run": run, "side": "sell",
            "stop": None, "stop_loss": None, "symbol": "btc-usd", "take_profit": None, "tif": "GTC",
            "tif_expires": None, "type": "market", "v": 1,
        }  # fmt: skip
        plan = plans.create_plan(txn, body, "system:risk")
        plans.record_risk(txn, plan, None, story.rules_sha256, worth="24000")
        order = plans.approve_and_execute(txn, plan)
        lines.record_decision(txn, run, 8, "b" * 64, 16, "working", plan)
        return plan, order

    plan, order = story.bar(run, 8, 1, guard)
    story.bar(run, 9, 0, lambda txn: lines.record_fill(txn, plan, order, "0.4", "60000", "1"))


def _two_people(story: Story) -> None:
    """A promotion and a start with a second operator's gate, a rejection and a revocation."""
    rules = story.do(lambda txn: txn.blob(RULES.replace(b"}", b',"two_person":true}')))
    data = {"account": ACCOUNT, "direction": "tighten", "rules_sha256": rules}
    story.do(lambda txn: txn.line("limits.set", DAEMON, data))
    story.rules_sha256 = rules
    kept = _submit(story, b"class T: pass\n")
    _with_two(story, "candidate.promote", kept)
    made = story.mandate(kept["sha256"], "sol-usd")
    _with_two(
        story, "run.start",
        {"mandate": made, "mandate_sha256": mandate_digest(made), "owner_account_id": ACCOUNT, "run": "run-6"},
    )  # fmt: skip
    story.gated("candidate.revoke", {**kept, "reason_commit": commit(story)})
    story.gated("candidate.reject", _submit(story, b"class U: pass\n"))


def _submit(story: Story, source: bytes) -> dict[str, Any]:
    sha256 = story.do(lambda txn: txn.blob(source))
    name = f"cand-{sha256[:12]}"
    told = {"candidate": name, "owner_account_id": ACCOUNT, "rationale_commit": commit(story), "sha256": sha256,
            "size": len(source)}  # fmt: skip
    story.do(lambda txn: txn.line("candidate.submit", "op:anna", told))
    evidence = {"candidate": name, "evidence_sha256": story.do(lambda txn: txn.blob(b"{}")), "result": "pass",
                "sha256": sha256}  # fmt: skip
    story.do(lambda txn: txn.line("candidate.gate", DAEMON, evidence))
    return {"candidate": name, "reason_commit": commit(story), "sha256": sha256}


def _with_two(story: Story, kind: str, data: dict[str, Any]) -> None:
    second = Signer(keys.operator_name(story.ledger.origin, "carol"), CAROL)
    first, other = story.gate(kind, data), story.gate(kind, data, signer=second)
    story.do(lambda txn: txn.line(kind, "op:anna", data, gate=first, gate2=other))


def _odds(story: Story) -> None:
    """A cosigned head, a text erased, a rollback and a migration told, a clock that was set."""
    head = (story.home / "head.checkpoint").read_bytes()
    told = {"note": cosigned(head, story.clock.wall_us // 10**6), "size": parse_note(head).size,
            "witness": witness_key(story.ledger.origin).name}  # fmt: skip
    story.do(lambda txn: txn.line("witness.cosign", DAEMON, told))
    story.gated("blob.erase", {"commit": commit(story), "reason": "a name in it"})
    story.do(lambda txn: txn.line("schema.migrate", DAEMON, {"from": 1, "sha256": "2" * 64, "to": 2}))
    size, root = story.ledger.size, story.ledger.root
    back = {"from_root": b64encode(b"\1" * 32), "from_size": size + 3, "reason_commit": commit(story),
            "to_root": b64encode(root), "to_size": size}  # fmt: skip
    story.gated("rollback.accept", back)
    refused = {"code": "GATE_EXPIRED", "command": "plan.approve", "count": 3, "principal": "agent:claude"}
    story.do(lambda txn: txn.line("refusal", DAEMON, refused))
    before = story.clock.wall_us
    story.clock.wall_us += 7_000_000
    step = {"mono": story.clock.mono_us, "wall_after": story.clock.wall_us, "wall_before": before}
    story.do(lambda txn: txn.line("clock.step", DAEMON, step))


def _keys(story: Story) -> None:
    """An operator's key revoked and replaced by the owner."""
    old = Signer(keys.operator_name(story.ledger.origin, "carol"), CAROL).vkey.text
    story.gated("key.revoke", {"principal": "op:carol", "valid_through_seq": story.ledger.size, "vkey": old})
    new = Signer(keys.operator_name(story.ledger.origin, "carol"), NEXT_OWNER).vkey.text
    _enrol(story, "operator", new, "op:carol")
