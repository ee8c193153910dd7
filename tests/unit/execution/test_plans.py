"""Plans, tokens, starts: each refusal by its code, each legal path by its lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.ledger_story import ACCOUNT, START_US, Story

from inalpha.audit.gate import GateRefused
from inalpha.audit.verify import verify
from inalpha.client.card import read_card
from inalpha.execution import gates, lines, mandates, plans, tokens
from inalpha.ledger.projections import Violation
from inalpha.ledger.readers import lines as read_lines
from inalpha.ledger.readers import open_reader, run
from inalpha.ledger.txn import Txn
from inalpha.model.errors import InalphaError, Refused
from inalpha.model.instrument import Instrument
from inalpha.model.order import OrderRequest, OrderType, Side
from inalpha.model.ownership import owner_account_id

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture
def story(tmp_path: Path) -> Any:
    story = Story(tmp_path / "home").create().prepare()
    yield story
    story.close()
    report = verify(story.home, story.genesis)
    assert report.reason is None


def sha(story: Story) -> str:
    return str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))


def started(story: Story, **changes: Any) -> str:
    return story.start(story.mandate(sha(story), **changes))


def code_of(story: Story, job: Any) -> str:
    with pytest.raises(InalphaError) as caught:
        story.do(job)
    return caught.value.code


def pending(story: Story, run_name: str, bar: int = 0, **changes: Any) -> str:
    """A plan that waits for a person."""

    def jobs(txn: Txn) -> str:
        plan = story.plan(txn, run_name, bar, **changes)
        lines.record_decision(txn, run_name, bar, "b" * 64, 0, "pending", plan)
        return plan

    return str(story.bar(run_name, bar, 1, jobs))


def approval(story: Story, plan: str) -> str:
    digest = story.do(lambda txn: plans.get_plan(txn.conn, plan).digest)
    return story.gate("plan.approve", {"plan": plan, "plan_sha256": digest})


@pytest.mark.parametrize(
    "case", json.loads((VECTORS / "owner_account_id.json").read_text("utf-8"))["cases"], ids=str
)
def test_owner_account_ids(case: dict[str, str]) -> None:
    assert owner_account_id(case["identity"]) == case["account"]


def test_body_of_an_order_is_in_decimal_text() -> None:
    order = OrderRequest("3:0", Side.SELL, OrderType.STOP_LIMIT, 5, limit_ticks=9990, stop_ticks=10000)
    body = plans.plan_body(
        order,
        Instrument.from_text("btc-usd", "0.01", "0.1"),
        account=ACCOUNT,
        rationale_commit="0" * 64,
        expires_us=1,
        run="run-1",
        intent="run-1:3:0",
        mandate_sha256="1" * 64,
    )
    assert (body["side"], body["type"], body["quantity"]) == ("sell", "stop", "0.5")
    assert (body["limit"], body["stop"], body["origin"]) == ("99.9", "100", "run")


def test_machine_path_leaves_the_lines_in_order(story: Story) -> None:
    name = started(story)
    before = story.ledger.size
    plan, order = story.bar(name, 0, 1, lambda txn: story.order(txn, name, 0))
    kinds = [event.kind for event in read_lines(open_reader(story.home), before)]
    assert kinds == ["step", "plan.create", "risk.check", "plan.approve", "plan.execute", "decision"]
    story.bar(name, 1, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", "65000.25", "3.25"))
    found = run(open_reader(story.home), name)
    assert (found["bars"], found["fills"], found["position"], found["state"]) == (2, 1, "0.5", "running")


def test_person_approves_with_a_gate(story: Story) -> None:
    name = started(story, approval="human")
    plan = pending(story, name)
    note = approval(story, plan)
    order = story.do(lambda txn: plans.approve_and_execute(txn, plan, "op:anna", note))
    card = read_card(story.home, open_reader(story.home), plan)
    assert (card.row["state"], card.row["decided_by"], card.row["order"], card.rationale) == (
        "executed",
        "op:anna",
        order,
        "cross",
    )


def test_second_decision_gets_the_first_outcome_and_author(story: Story) -> None:
    name = started(story, approval="human")
    plan = pending(story, name)
    note = approval(story, plan)
    story.do(lambda txn: plans.approve_and_execute(txn, plan, "op:anna", note))
    again = approval(story, plan)
    with pytest.raises(Refused) as caught:
        story.do(lambda txn: plans.approve_and_execute(txn, plan, "op:anna", again))
    assert caught.value.code == "PLAN_STATE"
    assert caught.value.detail == {
        "state": "executed",
        "decided_by": "op:anna",
        "code": None,
        "order": "order-1",
    }


def test_gate_of_another_plan_does_not_approve(story: Story) -> None:
    name = started(story, approval="human")
    plan = pending(story, name)
    digest = story.do(lambda txn: plans.get_plan(txn.conn, plan).digest)
    note = story.gate("plan.approve", {"plan": "plan-9", "plan_sha256": digest})
    assert code_of(story, lambda txn: plans.approve_and_execute(txn, plan, "op:anna", note)) == "GATE_SUBJECT"
    assert story.do(lambda txn: plans.get_plan(txn.conn, plan).state) == "pending"


def test_machine_cannot_approve_under_a_human_mandate(story: Story) -> None:
    name = started(story, approval="human")
    plan = pending(story, name)
    with pytest.raises(Violation, match="I4"):
        story.do(lambda txn: plans.approve_and_execute(txn, plan))


def test_machine_cannot_approve_after_the_stop(story: Story) -> None:
    name = started(story)
    plan = pending(story, name)
    story.do(lambda txn: txn.line("run.stop", "op:anna", {"reason": "operator", "run": name}))
    with pytest.raises(Violation, match="I4"):
        story.do(lambda txn: plans.approve_and_execute(txn, plan))


def test_expired_plan_cannot_be_approved(story: Story) -> None:
    name = started(story, approval="human")
    plan = pending(story, name)
    assert code_of(story, lambda txn: plans.expire_plan(txn, plan)) == "PLAN_STATE"
    story.clock.advance(301_000_000)
    note = approval(story, plan)
    assert code_of(story, lambda txn: plans.approve_and_execute(txn, plan, "op:anna", note)) == "PLAN_EXPIRED"
    assert story.do(lambda txn: plans.due_plans(txn.conn, txn.now_us)) == [plan]
    story.do(lambda txn: plans.expire_plan(txn, plan))
    assert code_of(story, lambda txn: plans.cancel_plan(txn, plan)) == "PLAN_STATE"


def test_halted_account_executes_nothing(story: Story) -> None:
    name = started(story)

    def halt(txn: Txn) -> None:
        data = {"account": None, "reason_commit": txn.commit_text("odd"), "run": None, "scope": "all"}
        txn.line("halt.set", "op:anna", {**data, "state": "HALTED"})

    story.do(halt)
    with pytest.raises(Violation, match="I9"):
        story.bar(name, 0, 1, lambda txn: story.order(txn, name, 0))
    reason = story.do(lambda txn: txn.commit_text("looked at it"))
    data = {"account": None, "reason_commit": reason, "run": None, "scope": "all"}
    stale = story.gate("halt.resume", data, base_size=1, base_root=bytes.fromhex(story.genesis))
    assert code_of(story, lambda txn: gates.resume(txn, "all", "op:anna", reason, stale)) == "HALT_NEWER"
    note = story.gate("halt.resume", data)
    story.do(lambda txn: gates.resume(txn, "all", "op:anna", reason, note))
    story.bar(name, 0, 1, lambda txn: story.order(txn, name, 0))


def test_reducing_lets_exits_through(story: Story) -> None:
    name = started(story)
    plan, order = story.bar(name, 0, 1, lambda txn: story.order(txn, name, 0))
    story.bar(name, 1, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", "65000", "0"))

    def halt(txn: Txn) -> None:
        data = {"account": None, "reason_commit": txn.commit_text("odd"), "run": name, "scope": "run"}
        txn.line("halt.set", "system:risk", {**data, "state": "REDUCING"})

    story.do(halt)
    with pytest.raises(Violation, match="I9"):
        story.bar(name, 2, 1, lambda txn: story.order(txn, name, 2))
    with pytest.raises(Violation, match="I9"):
        story.bar(name, 2, 1, lambda txn: story.order(txn, name, 2, side="sell", quantity="0.6"))
    story.bar(name, 2, 1, lambda txn: story.order(txn, name, 2, side="sell"))


def test_bracket_children_take_the_next_numbers_at_the_first_fill(story: Story) -> None:
    name = started(story)
    bracket = {"stop_loss": "60000", "take_profit": "70000"}
    plan, order = story.bar(name, 0, 1, lambda txn: story.order(txn, name, 0, **bracket))
    assert story.do(lambda txn: lines.order_of(txn.conn, plan, "stop_loss")) is None

    def first(txn: Txn) -> None:
        lines.record_fill(txn, plan, order, "0.2", "65000", "0")
        lines.record_fill(txn, plan, order, "0.3", "65000", "0")

    story.bar(name, 1, 0, first)
    stop, target = story.do(
        lambda txn: [lines.order_of(txn.conn, plan, child) for child in ("stop_loss", "take_profit")]
    )
    assert (order, stop, target) == ("order-1", "order-2", "order-3")

    def out(txn: Txn) -> None:
        lines.record_fill(txn, plan, stop, "0.5", "60000", "0")
        lines.end_order(txn, target, "cancelled", "OCO")

    story.bar(name, 2, 0, out)
    assert story.do(lambda txn: txn.conn.execute("SELECT position FROM run").fetchone()) == ("0",)
    with pytest.raises(Violation, match="I1"):
        story.bar(name, 3, 0, lambda txn: lines.record_fill(txn, plan, stop, "0.1", "60000", "0"))


def test_fill_needs_its_bar_its_quantity_and_its_order(story: Story) -> None:
    name = started(story)
    plan, order = story.bar(name, 0, 1, lambda txn: story.order(txn, name, 0))
    with pytest.raises(Violation, match="I12"):
        story.do(lambda txn: lines.record_fill(txn, plan, order, "0.5", "65000", "0"))
    with pytest.raises(Violation, match="I1"):
        story.bar(name, 1, 0, lambda txn: lines.record_fill(txn, plan, order, "0.51", "65000", "0"))
    with pytest.raises(Refused, match="NO_ORDER"):
        story.bar(name, 1, 0, lambda txn: lines.record_fill(txn, plan, "order-9", "0.5", "65000", "0"))
    with pytest.raises(Violation, match="I8"):
        story.bar(name, 1, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", "165000", "0"))


@pytest.mark.parametrize("intents", [0, 2])
def test_each_intent_has_one_decision(story: Story, intents: int) -> None:
    name = started(story)
    if intents == 0:
        with pytest.raises(Violation, match="I11"):
            story.bar(name, 0, 0, lambda txn: story.order(txn, name, 0))
    else:
        story.bar(name, 0, 2, lambda txn: story.order(txn, name, 0))
        with pytest.raises(Violation, match="I11"):
            story.bar(name, 1)
        story.do(lambda txn: story.order(txn, name, 0, 1))  # a whole record again, for the verifier


def test_bars_have_no_gaps_and_are_closed(story: Story) -> None:
    name = started(story)
    story.bar(name, 0)
    for bar, opened, closed in ((0, 60, 120), (2, 120, 180), (1, 10**6, 10**6 + 60)):
        times = [START_US + value * 1_000_000 for value in (opened, closed)]
        with pytest.raises(Violation, match="I10"):
            story.do(
                lambda txn, bar=bar, t=times: lines.record_step(txn, name, bar, *t, 0, "b" * 64, "0" * 64)
            )


def token_case(story: Story, check: Any) -> str:
    """One transaction: plan approved, token in hand. Returns the refusal's code."""
    name = started(story)
    plan = pending(story, name)

    def job(txn: Txn) -> None:
        digest = plans.get_plan(txn.conn, plan).digest
        token = tokens.mint(txn, plan, digest, plans.RUNNER, None)
        check(txn, plan, token, digest)

    return code_of(story, job)


def execute(txn: Txn, plan: str, token: tokens.Token, digest: str, at: int | None = None) -> str:
    return tokens.execute(txn, plan, token, digest, plans.RUNNER, at or txn.now_us)


def test_unknown_token_is_wrong(story: Story) -> None:
    assert token_case(story, lambda t, p, k, d: execute(t, p, tokens.Token(b"0" * 32), d)) == "TOKEN_WRONG"


def test_token_of_another_plan_is_wrong(story: Story) -> None:
    assert token_case(story, lambda t, p, k, d: execute(t, "plan-9", k, d)) == "TOKEN_WRONG"


def test_used_token_is_replayed(story: Story) -> None:
    def check(txn: Txn, plan: str, token: tokens.Token, digest: str) -> None:
        execute(txn, plan, token, digest)
        execute(txn, plan, token, digest)

    assert token_case(story, check) == "TOKEN_REPLAYED"


def test_token_lives_for_thirty_seconds(story: Story) -> None:
    def check(txn: Txn, plan: str, token: tokens.Token, digest: str) -> None:
        execute(txn, plan, token, digest, txn.now_us + tokens.TOKEN_LIFE_US)

    assert token_case(story, check) == "TOKEN_EXPIRED"


def test_other_digest_is_a_mismatch(story: Story) -> None:
    assert token_case(story, lambda t, p, k, d: execute(t, p, k, "0" * 64)) == "PLAN_DIGEST_MISMATCH"


def test_changed_body_is_a_mismatch(story: Story) -> None:
    def check(txn: Txn, plan: str, token: tokens.Token, digest: str) -> None:
        txn.conn.execute("UPDATE plan SET body = replace(body, '\"0.5\"', '\"0.6\"')")
        execute(txn, plan, token, digest)

    assert token_case(story, check) == "PLAN_DIGEST_MISMATCH"


def test_plan_may_expire_between_approval_and_execution(story: Story) -> None:
    def check(txn: Txn, plan: str, token: tokens.Token, digest: str) -> None:
        txn.conn.execute("UPDATE plan SET expires = ?", (txn.now_us,))
        execute(txn, plan, token, digest)

    assert token_case(story, check) == "PLAN_EXPIRED"


def test_plan_in_another_state_is_named(story: Story) -> None:
    def check(txn: Txn, plan: str, token: tokens.Token, digest: str) -> None:
        txn.conn.execute("UPDATE plan SET state = 'cancelled'")
        execute(txn, plan, token, digest)

    assert token_case(story, check) == "PLAN_STATE"


def test_token_shows_nothing() -> None:
    token = tokens.Token(b"secret-secret-secret-secret-secr")
    assert "secret" not in repr(token)
    assert "secret" not in f"{token}"


def start_code(story: Story, mandate: dict[str, Any], **changes: Any) -> str:
    def job(txn: Txn) -> None:
        gates.check_start(txn.conn, mandate, changes.pop("actor", "op:anna"), txn.now_us, **changes)

    return code_of(story, job)


def test_start_codes(story: Story) -> None:
    good = story.mandate(sha(story))
    assert start_code(story, good | {"candidate_sha256": "0" * 64}) == "NOT_PROMOTED"
    assert start_code(story, good | {"account": owner_account_id("bob")}) == "NOT_OWNER"
    assert start_code(story, good, actor="op:bob") == "NOT_OWNER"
    assert start_code(story, good, actor="system:daemon") == "NOT_OWNER"
    assert start_code(story, good | {"expires": 1}) == "MANDATE_EXPIRED"
    assert start_code(story, good | {"limits_sha256": "0" * 64}) == "LIMITS_CHANGED"
    story.start(good)
    assert start_code(story, good) == "SYMBOL_RUN_CONFLICT"


def test_start_without_rules_is_refused(tmp_path: Path) -> None:
    story = Story(tmp_path / "home").create().prepare()
    good = story.mandate(sha(story))

    def job(txn: Txn) -> None:
        txn.conn.execute("DELETE FROM limits")
        gates.check_start(txn.conn, good, "op:anna", txn.now_us)

    assert code_of(story, job) == "NO_RISK_RULES"
    story.close()


def test_eleventh_run_is_too_many(story: Story) -> None:
    for number in range(10):
        started(story, symbol=f"s{number}")
    eleventh = story.mandate(sha(story), symbol="s10")
    note = story.gate("run.start", {"mandate": eleventh, "mandate_sha256": mandates.mandate_digest(eleventh)})
    with pytest.raises(Refused) as caught:
        story.do(lambda txn: gates.start_run(txn, eleventh, "op:anna", note))
    assert caught.value.code == "TOO_MANY_RUNS"
    assert caught.value.exit_code == 4
    assert caught.value.detail == {
        "status": 429,
        "rule": "runs_per_account",
        "value": 10,
        "limit": 10,
        "setting": "account.max_runs",
    }
    story.do(lambda txn: txn.line("run.stop", "op:anna", {"reason": "operator", "run": "run-3"}))
    story.start(eleventh)


def test_setting_lowers_the_cap_and_never_raises_it(story: Story) -> None:
    started(story, symbol="s0")
    other = story.mandate(sha(story), symbol="s1")
    assert start_code(story, other, max_runs=1) == "TOO_MANY_RUNS"
    for number in range(1, 10):
        started(story, symbol=f"s{number}")
    assert start_code(story, story.mandate(sha(story), symbol="s99"), max_runs=50) == "TOO_MANY_RUNS"


def test_agent_cannot_promote(story: Story) -> None:
    sha256 = sha(story)
    data = {"candidate": f"cand-{sha256[:12]}", "reason_commit": "0" * 64, "sha256": sha256}
    note = story.gate("candidate.revoke", data, signer=story.agent_signer())
    with pytest.raises(GateRefused, match="ROLE_FORBIDS"):
        story.do(lambda txn: txn.check_gate(note, "candidate.revoke", data, "agent:claude"))


def test_repeated_intent_names_the_stored_plan(story: Story) -> None:
    name = started(story)
    plan = pending(story, name)

    def again(txn: Txn) -> None:
        story.plan(txn, name, 0)

    with pytest.raises(Refused) as caught:
        story.do(again)
    assert (caught.value.code, caught.value.detail["plan"]) == ("DUPLICATE", plan)


def test_order_without_risk_result_is_not_approved(story: Story) -> None:
    name = started(story)

    def jobs(txn: Txn) -> None:
        plan = story.plan(txn, name, 0)
        txn.conn.execute("DELETE FROM risk_check")
        plans.approve_and_execute(txn, plan)

    with pytest.raises(Violation, match="I6"):
        story.bar(name, 0, 1, jobs)


def test_half_even_cash_is_exact(story: Story) -> None:
    """0.00000001 x 0.5 is a tie: the cash moves by the even amount, nothing."""
    name = started(story)
    plan, order = story.bar(name, 0, 1, lambda txn: story.order(txn, name, 0, quantity="0.00000001"))
    story.bar(name, 1, 0, lambda txn: lines.record_fill(txn, plan, order, "0.00000001", "0.5", "0"))
    assert story.do(lambda txn: txn.conn.execute("SELECT cash FROM account").fetchone()) == ("100000",)
