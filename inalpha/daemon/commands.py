"""What clients may ask of the daemon: one function per command, a table that names them all."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from inalpha.audit.notes import parse_vkey
from inalpha.audit.schema import check_object
from inalpha.daemon import evaluation, gated, plans
from inalpha.daemon.alertwatch import acknowledge
from inalpha.daemon.call import Body, Call
from inalpha.daemon.claims import author
from inalpha.daemon.witnessing import record
from inalpha.execution import gates, waivers
from inalpha.execution.mandates import mandate_digest
from inalpha.execution.rationale import check_rationale
from inalpha.ledger.fold import account_of
from inalpha.ledger.txn import Txn
from inalpha.market.feedspec import FeedSpec
from inalpha.model.errors import EXIT_CONFIG, ConfigError, Refused
from inalpha.model.principals import DAEMON
from inalpha.model.states import HaltState
from inalpha.risk.rules import Rules, load_rules, loosens
from inalpha.risk.settings import ALWAYS_ON, Controls

if TYPE_CHECKING:
    from inalpha.daemon.office import Office

Handler = Callable[["Office", Call], Awaitable[Body]]
MAX_SOURCE = 32_768


def _keep_reason(txn: Txn, call: Call) -> str:
    """The human text behind a signed commitment."""
    commit = call.text("reason_commit")
    txn.keep_text(commit, call.salt(), call.text("reason"))
    return commit


def _demand_second(rules: Rules, gate2: str | None) -> None:
    """Two people where the account's limits say so."""
    if rules.two_person and gate2 is None:
        raise Refused(
            "SECOND_GATE",
            "the limits demand a second operator's signature.",
            "--second-operator NAME, or --cosign FILE for somebody elsewhere.",
        )


async def submit_candidate(office: Office, call: Call) -> Body:
    """Store the bytes and start their evaluation. By an agent with its proposal note, or by an operator."""
    try:
        source = base64.b64decode(call.text("source", 2 * MAX_SOURCE), validate=True)
    except binascii.Error as error:
        raise Refused("BAD_SOURCE", "the source is not base64.", "Send it again.") from error
    if not 0 < len(source) <= MAX_SOURCE:
        raise Refused(
            "SOURCE_SIZE", f"the source has {len(source)} bytes, the limit is {MAX_SOURCE}.", "Cut it."
        )
    evaluation.check_lint(source)
    sha256 = hashlib.sha256(source).hexdigest()
    candidate = f"cand-{sha256[:12]}"
    principal, bars, market = call.principal, call.optional("bars"), evaluation.read_market(call)
    commit, salt, rationale = call.text("rationale_commit"), call.salt(), call.text("rationale")
    check_rationale(rationale, principal)

    def job(txn: Txn) -> Body:
        known = txn.conn.execute("SELECT state FROM candidate WHERE candidate = ?", (candidate,)).fetchone()
        if known is not None:
            return {"candidate": candidate, "state": known[0], "sha256": sha256}
        txn.keep_text(commit, salt, rationale)
        txn.blob(source)
        data = {
            "candidate": candidate,
            "owner_account_id": account_of(txn.conn, principal),
            "rationale_commit": commit,
            "sha256": sha256,
            "size": len(source),
        }
        txn.line("candidate.submit", principal, data, proposal=call.optional("proposal"))
        judged_on = {"bars": bars, "market": market}
        return {"candidate": candidate, "state": "submitted", "sha256": sha256, "judged_on": judged_on}

    body = await call.commit(office, job, ("candidate", [candidate]))
    if body["state"] == "submitted":
        office.later(evaluation.evaluate(office, candidate, source, bars, market))
    return body


STATES = {"promote": "promoted", "reject": "rejected", "revoke": "revoked"}


def _decide_candidate(action: str) -> Handler:
    async def decide(office: Office, call: Call) -> Body:
        candidate, principal = call.text("candidate"), call.principal
        gate, gate2 = call.text("gate", 16_000), call.optional("gate2", 16_000)

        def job(txn: Txn) -> Body:
            owner = txn.conn.execute(
                "SELECT l.account FROM candidate c JOIN limits l ON l.account = c.owner_account_id"
                " WHERE c.candidate = ?",
                (candidate,),
            ).fetchone()
            if owner is not None and action == "promote":
                _demand_second(office.rules_in_force(txn, owner[0]), gate2)
            gates.decide_candidate(txn, action, candidate, principal, _keep_reason(txn, call), gate, gate2)
            return {"candidate": candidate, "state": STATES[action]}

        body = await call.commit(office, job, ("candidate", [candidate]))
        if action == "revoke":
            for actor in list(office.actors.values()):
                sha256 = actor.plan.spec.strategy_sha256
                if candidate == f"cand-{sha256[:12]}" and not actor.ended:
                    await actor.end("revoked", "its candidate was revoked", principal)
        return body

    return decide


async def start_run(office: Office, call: Call) -> Body:
    """Admit a signed mandate: promotion, ownership, cap, limits and feed; then the run begins."""
    mandate, feed_text = call.mapping("mandate"), call.text("feed", 8000)
    gate, principal, host = call.text("gate", 24_000), call.principal, call.optional("host", 36)
    gate2 = call.optional("gate2", 24_000)
    try:
        check_object("mandate", mandate)
        feed = FeedSpec.from_canonical(feed_text)
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise Refused("MANDATE_FORM", f"mandate or feed: {error!r}.", "Build it again.") from error
    if feed.canonical() != feed_text or feed.sha256 != mandate.get("feed", {}).get("config_sha256"):
        raise Refused("FEED_DIGEST", "the feed's text is not what the mandate names.", "Build it again.")
    if (feed.symbol, feed.timeframe) != (mandate.get("symbol"), mandate.get("timeframe")):
        raise Refused("FEED_DIGEST", "the feed is of another market than the mandate.", "Build it again.")
    await refresh_limits(office)

    def job(txn: Txn) -> Body:
        rules = office.rules_in_force(txn, str(mandate.get("account")))
        if rules.active == 0:
            raise Refused("NO_RISK_RULES", "every control is off.", "Switch some on in risk.toml.")
        if office.halt_now(txn, str(mandate.get("account")), "") is HaltState.KILLED:
            raise Refused("KILLED", "no run starts while KILLED.", "inalpha resume SCOPE --reason TEXT")
        _demand_second(rules, gate2)
        run = gates.start_run(txn, mandate, principal, gate, gate2, max_runs=office.config.account.max_runs)
        office.link.bind(run, host)
        office.demand_waivers(txn, run, rules)
        txn.blob(feed_text.encode())
        return {"run": run, "mandate_sha256": mandate_digest(mandate)}

    body = await call.commit(office, job, ("run", []))
    if body["run"] not in office.actors:
        await office.start_run(body["run"])
    return body


async def stop_run(office: Office, call: Call) -> Body:
    """End a run; its position stays. Needs no key."""
    run = call.text("run")
    actor = office.actors.get(run)
    if actor is None or actor.ended:
        raise Refused("RUN_STATE", f"{run} is not live.", "List them: inalpha run list")
    note = call.optional("reason", 500)
    await actor.end("operator", note or "", call.principal, claim=call.optional("user", 100) or "unknown")
    return {"run": run, "state": "stopped"}


def _is_missing(txn: Txn, table: str, name: str) -> bool:
    """Whether a run or an account of this name is unknown."""
    return txn.conn.execute(f"SELECT 1 FROM {table} WHERE {table} = ?", (name,)).fetchone() is None


async def set_halt(office: Office, call: Call) -> Body:
    """Tighten: anyone at a console or command line may. KILLED ends runners too."""
    scope, word = call.text("scope"), call.text("state")
    if word not in list(HaltState):
        raise Refused("HALT_STATE", f"{word!r} is no state.", f"One of {', '.join(HaltState)}.")
    state = HaltState(word)
    account, run = call.optional("account"), call.optional("run")
    reason, user = call.text("reason", 500), call.optional("user", 100)
    key = run or account or "all"
    if state is HaltState.ACTIVE:
        raise Refused("HALT_STATE", "resuming needs a signature.", "inalpha resume SCOPE --reason TEXT")

    def job(txn: Txn) -> Body:
        if run is not None and _is_missing(txn, "run", run):
            raise Refused("NO_RUN", f"there is no {run}.", "List them: inalpha run list")
        if account is not None and _is_missing(txn, "account", account):
            raise Refused("NO_ACCOUNT", f"there is no {account}.", "List them: inalpha account")
        before = office.accounts.scope_state(key)
        if before.severity >= state.severity:
            return {"scope": key, "state": before.value, "seq": None}
        actor, claimed = author(txn.conn, call.principal, user)
        seq = office.set_halt(txn, scope, account, run, state, actor, reason, claimed_by=claimed)
        by = f"{claimed} (claimed)" if claimed else actor
        office.alert(txn, "halt", key, f"{state.value} by {by}", state.value)  # its reason may be erased
        return {"scope": key, "state": state.value, "seq": seq}

    body = await call.commit(office, job, ("halt", [key]))
    await office.apply_halts()
    return body


async def resume(office: Office, call: Call) -> Body:
    """Loosen a halt, by a signed note with a reason: to ACTIVE, or with a halt of REDUCING in the same transaction.

    A halt set on that scope after the note's base voids it.
    """
    gate, principal = call.text("gate", 16_000), call.principal
    scope, account, run = call.text("scope"), call.optional("account"), call.optional("run")
    key, reducing = run or account or "all", call.args.get("reducing") is True

    def job(txn: Txn) -> Body:
        why = _keep_reason(txn, call)
        gates.resume(txn, scope, principal, why, gate, account=account, run=run, reducing=reducing)
        office.accounts.set_halt(key, HaltState.ACTIVE)
        if not reducing:
            return {"scope": key, "state": HaltState.ACTIVE.value}
        reason = call.text("reason")
        office.set_halt(txn, scope, account, run, HaltState.REDUCING, principal, reason)
        office.alert(txn, "halt", key, f"resumed to REDUCING by {principal}", HaltState.REDUCING.value)
        return {"scope": key, "state": HaltState.REDUCING.value}

    body = await call.commit(office, job, ("halt", [key]))
    office.mend_latch()
    await office.apply_halts()
    await office.caretake_scope(account, run)
    return body


async def enrol_key(office: Office, call: Call) -> Body:
    """A new operator's or agent's key, by the owner's signature."""
    data, gate, principal = call.mapping("data"), call.text("gate", 16_000), call.principal

    def job(txn: Txn) -> Body:
        txn.check_gate(gate, "key.enrol", data, principal)
        return {"seq": txn.line("key.enrol", principal, data, gate=gate)}

    body = await call.commit(office, job, ("key", []))
    await refresh_hosts(office)
    return body


async def revoke_key(office: Office, call: Call) -> Body:
    """A key's later signatures count no more."""
    data, gate, principal = call.mapping("data"), call.text("gate", 16_000), call.principal

    def job(txn: Txn) -> Body:
        txn.check_gate(gate, "key.revoke", data, principal)
        return {"seq": txn.line("key.revoke", principal, data, gate=gate)}

    body = await call.commit(office, job, ("key", []))
    await refresh_hosts(office)
    return body


async def refresh_hosts(office: Office) -> None:
    """Remote hosts are those whose key counts now."""

    def job(txn: Txn) -> dict[str, bytes]:
        rows = txn.conn.execute("SELECT vkey FROM key WHERE role = 'host' AND revoked_after IS NULL")
        found = [parse_vkey(vkey) for (vkey,) in rows]
        return {f"host-{key.name.rpartition('/')[2]}": key.public for key in found}

    await office.link.enrolled(await office.write(job))


async def record_cosignature(office: Office, call: Call) -> Body:
    """A witness's cosignature over an earlier head, once it holds against the enrolled key and this tree."""
    note = call.text("note", 16_000)
    return await call.commit(office, lambda txn: record(txn, note))


async def loosen_limits(office: Office, call: Call) -> Body:
    """Looser rules of risk.toml bind once an operator signed their digest."""
    data, gate, principal = call.mapping("data"), call.text("gate", 16_000), call.principal

    def job(txn: Txn) -> Body:
        handle = principal.partition(":")[2]
        rules = load_rules(office.home.risk, handle)
        if rules.sha256 != data.get("rules_sha256"):
            raise Refused("LIMITS_CHANGED", "risk.toml changed since it was signed.", "Sign again.")
        txn.check_gate(gate, "limits.set", data, principal)
        txn.blob(rules.canonical.encode())
        seq = txn.line("limits.set", principal, data, gate=gate)
        office.accounts[str(data["account"])].rules = rules
        return {"seq": seq}

    body = await call.commit(office, job)
    await office.apply_limits()
    return body


async def opt_out(office: Office, call: Call) -> Body:
    """The owner lets one run do without one protection until a day, or ends that at once."""
    data, gate, principal = call.mapping("data"), call.text("gate", 16_000), call.principal
    reason, run = call.text("reason", 500), str(data.get("run"))

    def job(txn: Txn) -> Body:
        live = [run for run, actor in office.actors.items() if not actor.ended]
        known = [name for name in Controls.__struct_fields__ if name not in ALWAYS_ON]
        held = waivers.in_force(txn.conn, run, txn.now_us)
        waivers.check_opt_out(
            data, held, controls=known, next_run=txn.next_id("run"), live=live, now_us=txn.now_us
        )
        txn.check_gate(gate, "policy.opt_out", data, principal)
        seq = txn.line("policy.opt_out", principal, data, gate=gate)
        word = "waived" if data["expires"] > txn.now_us else "no longer waived"
        office.alert(txn, "waiver", run, f"{data['rule']} {word} by {principal}: {reason}")
        office.accounts.waive(run, str(data["rule"]), int(data["expires"]))
        if run in office.actors:
            office.actors[run].rely_on(waivers.Waiver(data["rule"], run, data["expires"], seq))
        return {"seq": seq, **data}

    body = await call.commit(office, job, ("waiver", [run]))
    await office.end_unwaived(time.time_ns() // 1000)
    return body


async def refresh_limits(office: Office) -> None:
    """Tighter values of risk.toml bind at once; looser ones wait. Unreadable: nothing starts."""

    def job(txn: Txn) -> bool:
        tightened = False
        for account, owner in txn.conn.execute("SELECT account, owner FROM account").fetchall():
            rules = load_rules(office.home.risk, owner.partition(":")[2])
            old = office.rules_in_force(txn, account)
            if rules.sha256 == old.sha256 or loosens(rules, old):
                continue
            txn.blob(rules.canonical.encode())
            data = {"account": account, "direction": "tighten", "rules_sha256": rules.sha256}
            txn.line("limits.set", DAEMON, data)
            office.accounts[account].rules = rules
            tightened = True
        return tightened

    if await office.write(job):
        await office.apply_limits()


COMMANDS: dict[str, Handler] = {
    "candidate.submit": submit_candidate,
    "candidate.promote": _decide_candidate("promote"),
    "candidate.reject": _decide_candidate("reject"),
    "candidate.revoke": _decide_candidate("revoke"),
    "run.start": start_run,
    "stop": stop_run,
    "plan.create": plans.create,
    "plan.approve": plans.approve,
    "plan.reject": plans.reject,
    "halt": set_halt,
    "halt.resume": resume,
    "alert.ack": acknowledge,
    "key.enrol": enrol_key,
    "key.revoke": revoke_key,
    "limits.set": loosen_limits,
    "policy.opt_out": opt_out,
    "witness.cosign": record_cosignature,
    "account.open": gated.open_account,
    "account.deposit": gated.deposit,
    "blob.erase": gated.erase_blob,
}


async def handle(office: Office, call: Call) -> Body:
    """Run a command. Raises InalphaError; unexpected errors are the caller's to report."""
    handler = COMMANDS.get(call.name)
    if handler is None:
        raise ConfigError("UNKNOWN_COMMAND", f"the daemon knows no {call.name}.", "Use equal versions.",
                          exit_code=EXIT_CONFIG)  # fmt: skip
    stored = await office.write(
        lambda txn: txn.conn.execute("SELECT body FROM reply WHERE id = ?", (call.id,)).fetchone()
    )
    if stored is not None:
        body: Body = json.loads(stored[0])
        return body
    return await handler(office, call)
