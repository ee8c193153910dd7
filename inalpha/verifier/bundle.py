"""The proof of one fill: the lines that lead to it, each with its place in the tree."""

from __future__ import annotations

import re
from typing import Any

from inalpha.verifier.amounts import amount
from inalpha.verifier.canonical import digest, read_json
from inalpha.verifier.checkpoints import Checkpoint
from inalpha.verifier.checks import Broken, Malformed, require
from inalpha.verifier.keyring import Keys, is_log_enrolment
from inalpha.verifier.line import Line
from inalpha.verifier.notes import Key, holds, unbase64
from inalpha.verifier.tree import check_inclusion

BUNDLE = "inalpha.audit/prove/v1"
ROLES = {
    "genesis": ("ledger.genesis",),
    "key": ("key.enrol", "key.rotate", "key.revoke"),
    "submit": ("candidate.submit",),
    "promote": ("candidate.promote",),
    "start": ("run.start",),
    "step": ("step",),
    "plan": ("plan.create",),
    "risk": ("risk.check",),
    "waiver": ("policy.opt_out",),
    "approve": ("plan.approve",),
    "execute": ("plan.execute",),
    "decision": ("decision",),
    "fill": ("fill",),
}


def check_bundle(data: bytes, genesis: str) -> dict[str, Any]:
    """What a bundle proves. Raises Broken or Malformed.

    A proof of presence: these lines stand in the log that signed this checkpoint, and they belong together. It
    says nothing about lines that it does not hold, about cash, or about which tree a gate's signer saw.
    """
    if not data.endswith(b"\n"):
        raise Malformed("no line feed at the end")
    bundle = read_json(data[:-1])
    if type(bundle) is not dict or bundle.keys() != {"bundle", "items", "log"} or bundle["bundle"] != BUNDLE:
        raise Malformed("no bundle of this version")
    if type(bundle["items"]) is not list:
        raise Malformed("no items")
    keys, head = Keys(), None
    found: list[tuple[str, Line]] = []
    for item in bundle["items"]:
        role, line, note = read_item(item)
        if head is None:
            head = note
        require(note == head, "C5", "the proofs are of different checkpoints")
        require(line.log == bundle["log"], "C3", "a line of another log")
        require(not found or line.seq > found[-1][1].seq, "C3", "the lines are not in order")
        require(bool(found) == (role != "genesis"), "C4", "the first line, and it alone, is the genesis")
        add_to_keys(keys, role, line, genesis)
        found.append((role, line))
    if head is None:
        raise Malformed("no items")
    checkpoint = Checkpoint(head, keys.log, keys.witnesses())
    require(
        not checkpoint.strangers and checkpoint.origin == bundle["log"], "C5", "a signature by an unknown key"
    )
    for item, (_, line) in zip(bundle["items"], found, strict=True):
        check_inclusion(line.seq, checkpoint.size, line.leaf, proof_path(item["proof"])[0], checkpoint.root)
    return check_story(found, checkpoint, keys)


def read_item(item: Any) -> tuple[str, Line, bytes]:
    if type(item) is not dict or item.keys() != {"entry", "proof", "role"}:
        raise Malformed("an item has entry, proof and role")
    if not all(type(text) is str for text in item.values()):
        raise Malformed("an item of another type")
    try:
        line = Line(item["entry"].encode("utf-8"))
    except UnicodeEncodeError as error:
        raise Malformed("a lone surrogate") from error
    require(line.kind in ROLES.get(item["role"], ()), "C1", f"a {line.kind} line as {item['role']}")
    _, index, note = proof_path(item["proof"])
    require(index == line.seq, "C5", "a proof of another line")
    return item["role"], line, note


def proof_path(proof: str) -> tuple[list[bytes], int, bytes]:
    """(hashes, index, checkpoint note) of a C2SP tlog-proof."""
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    if len(lines) < 2 or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Malformed("no tlog-proof")
    if re.fullmatch("index (0|[1-9][0-9]{0,15})", lines[1]) is None:
        raise Malformed("no index")
    hashes = [unbase64(line) for line in lines[2:]]
    if any(len(item) != 32 for item in hashes):
        raise Malformed("a hash has 32 bytes")
    return hashes, int(lines[1][6:]), note.encode("utf-8")


def add_to_keys(keys: Keys, role: str, line: Line, genesis: str) -> None:
    """Signature by the key that the earlier key lines lead to, gates by the keys that they enrol."""
    data = line.data
    if role == "genesis":
        require(line.seq == 0 and line.leaf.hex() == genesis, "C4", f"the genesis hash is {line.leaf.hex()}")
        keys.rotate(data["log_vkey"], line.log, 0)
        keys.enrol(data["owner_vkey"], "owner", 0, line.actor)
        keys.enrol(data["recovery_vkey"], "recovery", 0, line.actor)
    key = Key(line.data["vkey"], "log", line.seq, None, None) if is_log_enrolment(line) else keys.log[-1]
    by_it = (line.name, line.key_id) == (key.name, key.id) and holds(key.public, line.text, line.signature)
    require(by_it, "C2", f"line {line.seq} is not signed by the log key that is current there")
    try:
        keys.check_notes(line, lambda size: None)
    except Broken as broken:
        raise Broken("C9" if line.proposal else "C8", f"line {line.seq}: {broken.reason}") from broken
    if is_log_enrolment(line):
        keys.rotate(data["vkey"], line.log, line.seq)
    elif line.kind == "key.enrol":
        keys.enrol(data["vkey"], data["role"], line.seq, data["principal"], data["sponsor"])
    elif line.kind == "key.rotate":
        keys.rotate(data["vkey"], line.log, line.seq)
    elif line.kind == "key.revoke" and data["vkey"] in keys.all:
        keys.all[data["vkey"]].until = data["valid_through_seq"]


def check_story(found: list[tuple[str, Line]], checkpoint: Checkpoint, keys: Keys) -> dict[str, Any]:
    """The lines belong to one fill, from the plan back to the person."""
    by_role: dict[str, list[Line]] = {}
    for role, line in found:
        by_role.setdefault(role, []).append(line)
    fill, plan, risk, approve, execute = (
        only(by_role, r) for r in ("fill", "plan", "risk", "approve", "execute")
    )
    body, name = plan.data["body"], plan.data["plan"]
    wanted = {"genesis", "plan", "risk", "approve", "execute", "fill"}
    wanted |= {"submit", "promote", "start", "step"} if body["run"] else set()
    wanted |= {"decision"} if body["intent"] else set()
    wanted |= {"waiver"} if risk.data["result"] != "pass" else set()
    require(by_role.keys() - {"key"} == wanted, "I1", f"the lines are not {', '.join(sorted(wanted))}")
    named = {line.data["plan"] for line in (plan, risk, approve, execute, fill)}
    require(named == {name}, "I1", "the lines are of different plans")
    digests = {line.data["plan_sha256"] for line in (plan, risk, approve, execute)}
    require(digests == {digest("inalpha.audit/plan/v1", body)}, "I3", "the digests are not the body's")
    require(plan.seq < risk.seq < approve.seq, "I6", "no risk result before approval")
    if "waiver" in by_role:
        check_waiver(only(by_role, "waiver"), risk, approve, body["run"])
    token = (
        approve.data["token_sha256"] == execute.data["token_sha256"]
        and execute.ts < approve.data["token_expires"]
    )
    require(
        token and execute.seq == approve.seq + 1, "I2", "the token is another one, old or not used at once"
    )
    is_leg = execute.data["order"] != fill.data["order"]
    side = body["side"] if not is_leg else {"buy": "sell", "sell": "buy"}[body["side"]]
    legs = body["stop_loss"] is not None or body["take_profit"] is not None
    same = (fill.data["symbol"], fill.data["side"], fill.data["intent"]) == (
        body["symbol"],
        side,
        body["intent"],
    )
    small = 0 < amount(fill.data["quantity"]) <= amount(body["quantity"])
    require(
        same and small and (legs or not is_leg) and fill.seq > execute.seq,
        "I1",
        "the fill is not of this plan",
    )
    if body["run"]:
        check_run(by_role, plan, approve, fill, keys)
    else:
        require(approve.actor.startswith("op:"), "I4", "no person approved and there is no mandate")
    return {"fill": fill.data["fill"], "plan": name, "approved_by": approve.actor, "lines": len(found),
            "price": fill.data["price"], "quantity": fill.data["quantity"], "side": fill.data["side"],
            "size": checkpoint.size, "symbol": fill.data["symbol"], "ts": fill.ts,
            "cosigned": checkpoint.cosigned}  # fmt: skip


def check_waiver(waiver: Line, risk: Line, approve: Line, run: str | None) -> None:
    """A refusal of risk that the owner had waived, for this rule and run and up to a time."""
    same = (waiver.data["rule"], waiver.data["run"]) == (risk.data["rule"], run)
    lives = waiver.seq < approve.seq and approve.ts < waiver.data["expires"]
    require(same and lives, "I6", f"approved although risk said {risk.data['result']}")


def check_run(by_role: dict[str, list[Line]], plan: Line, approve: Line, fill: Line, keys: Keys) -> None:
    submit, promote, start = (only(by_role, role) for role in ("submit", "promote", "start"))
    body, mandate = plan.data["body"], start.data["mandate"]
    sources = {submit.data["sha256"], promote.data["sha256"], mandate["candidate_sha256"]}
    require(
        len(sources) == 1 and submit.seq < promote.seq < start.seq < plan.seq, "I7", "not the promoted source"
    )
    digests = {
        start.data["mandate_sha256"],
        body["mandate_sha256"],
        digest("inalpha.audit/mandate/v1", mandate),
    }
    require(len(digests) == 1 and start.data["run"] == body["run"], "I3", "the plan is of another mandate")
    same = (mandate["account"], mandate["symbol"]) == (body["account"], body["symbol"])
    require(same, "I8", "the plan is of another account or symbol than the mandate")
    owners = {mandate["account"], start.data["owner_account_id"], submit.data["owner_account_id"]}
    owners |= {keys.account_of(line.actor) for line in (submit, start)}
    require(len(owners) == 1, "I5", "account, candidate and signer have different owners")
    if approve.actor.startswith("op:"):
        require(
            keys.account_of(approve.actor) == body["account"], "I4", "approved by another account's person"
        )
    else:
        guard = plan.actor == "system:risk" and body["reduce_only"]
        machine = mandate["approval"] == "machine" and approve.ts < mandate["expires"]
        require(
            approve.actor == "system:live_runner" and (machine or guard),
            "I4",
            "the mandate does not approve this",
        )
    steps = by_role["step"]
    require(all(step.data["run"] == body["run"] for step in steps), "I10", "a step of another run")
    require(steps[-1].seq < fill.seq and len(steps) <= 2, "I10", "the steps are not before the fill")
    if "decision" in by_role:
        decided = only(by_role, "decision").data
        known = (decided["plan"], decided["intent"], decided["run"]) == (
            fill.data["plan"],
            body["intent"],
            body["run"],
        )
        at = (decided["bar"], decided["bar_sha256"]) == (steps[0].data["bar"], steps[0].data["bar_sha256"])
        require(known and at, "I11", "the decision is of another plan or bar")
        later = steps[-1].data["bar"] > decided["bar"] or mandate["fill"] == "same_close"
        require(later or by_role["fill"][0].data["order"] != only(by_role, "execute").data["order"], "I12",
                "filled in the bar of its decision")  # fmt: skip


def only(by_role: dict[str, list[Line]], role: str) -> Line:
    found = by_role.get(role, [])
    require(len(found) == 1, "I1", f"{len(found)} lines as {role}")
    return found[0]
