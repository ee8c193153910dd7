"""`candidate`: submit, read, promote, reject, revoke."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inalpha.audit.client import sign_proposal
from inalpha.cli import whole
from inalpha.cli.client import Commitment, Operator, reading, send, unlock, unlock_agent
from inalpha.cli.cosign import NOBODY, Second, cosign_options, send_signed
from inalpha.cli.evidence import evidence_lines, verdict, verdict_lines
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, signing_options
from inalpha.cli.output import emit_items, emit_json, iso, say, table
from inalpha.daemon.presence import require
from inalpha.ledger import readers
from inalpha.model.errors import EXIT_FAILURE, EXIT_USAGE, InalphaError, Refused
from inalpha.model.home import Home

if TYPE_CHECKING:
    from inalpha.strategy.lint import Finding

EVALUATION_S = 300.0
TWO_PERSON_ACTIONS = frozenset({"promote"})


@click.group()
def candidate() -> None:
    """Strategy files: submitted, judged in the sandbox, promoted by a person."""


@candidate.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--agent", metavar="NAME", help="Submit with this agent's key.")
@click.option("--rationale", required=True, help="Why this strategy: 20 to 2,000 characters for agents.")
@click.option("--bars", type=click.Path(exists=True, dir_okay=False), help="Bars for the gate's backtest.")
@click.option("--symbol", help="What a run will trade; default: the name of the file of bars.")
@click.option(
    "--tick", help="Default for these three: [instruments.SYMBOL] of inalpha.toml, as a run reads it."
)
@click.option("--lot", help="The smallest quantity step, such as 0.001.")
@click.option("--calendar", help="24/7, weekdays, fx, or an exchange such as XNYS.")
@signing_options
@home_option
@json_option
@click.pass_context
def submit(
    ctx: click.Context,
    file: str,
    agent: str | None,
    rationale: str,
    bars: str | None,
    symbol: str | None,
    tick: str | None,
    lot: str | None,
    calendar: str | None,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Store FILE's bytes, run the gate on the instrument that a run will have, print the candidate id."""
    home = home_of(ctx, home_override)
    require(home)
    source = Path(file).read_bytes()
    lint_or_refuse(source)
    who = unlock_agent(home, agent) if agent else unlock(home, operator, passphrase_file)
    market = {"symbol": symbol, "tick": tick, "lot": lot, "calendar": calendar}
    found = submit_candidate(home, who, source, rationale, bars, market)
    if as_json:
        emit_json(found)
    else:
        say(f"{found['candidate']}  {found['state']}")
        say(*verdict_lines(found), err=True)
    if found["state"] == "failed":
        ctx.exit(EXIT_FAILURE)


def lint_or_refuse(source: bytes) -> list[Finding]:
    """A file that can be no candidate is refused before anything is sent; else its notes."""
    from inalpha.strategy.lint import lint

    findings = lint(source)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        first = errors[0]
        detail = {"findings": [asdict(finding) for finding in errors]}
        raise Refused(first.code, f"line {first.line}: {first.message}", first.fix, detail=detail)
    return findings


def submit_candidate(
    home: Home,
    who: Operator,
    source: bytes,
    rationale: str,
    bars: str | None,
    market: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Submit and wait for the verdict: candidate, sha256, state, and what the gate told.

    market: symbol, tick, lot and calendar where they differ from the home's settings.
    """
    import hashlib

    why = Commitment.of(rationale)
    sha256 = hashlib.sha256(source).hexdigest()
    args: dict[str, Any] = {
        "source": base64.b64encode(source).decode(),
        "rationale": rationale,
        "salt": why.salt,
        "rationale_commit": why.commit,
        "bars": str(Path(bars).absolute()) if bars else None,
    }
    if given := {name: text for name, text in (market or {}).items() if text is not None}:
        args["market"] = given
    if who.principal.startswith("agent:"):
        subject = {
            "candidate": f"cand-{sha256[:12]}", "rationale_commit": why.commit, "sha256": sha256, "size": len(source)
        }  # fmt: skip
        with reading(home) as reader:
            args["proposal"] = sign_proposal(reader, who.signer, "candidate.submit", subject)
    reply = send(home, "candidate.submit", args, who)
    return {**reply, **_await_verdict(home, reply["candidate"]), "is_new": reply["state"] == "submitted"}


def _await_verdict(home: Home, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + EVALUATION_S
    while True:
        with reading(home) as reader:
            row = readers.candidate(reader, name)
        if row["state"] != "submitted":
            evidence = read_evidence(home, row["evidence_sha256"])
            return verdict(row["state"], evidence)
        if time.monotonic() > deadline:
            return verdict("submitted", {"error": "the gate is still running"})
        time.sleep(0.05)


def read_evidence(home: Home, sha256: str | None) -> dict[str, Any]:
    """The gate's evidence; empty before there is any."""
    data = readers.read_blob(home.root, sha256) if sha256 else None
    found: dict[str, Any] = json.loads(data) if data else {}
    return found


@candidate.command("list")
@home_option
@json_option
@click.pass_context
def list_(ctx: click.Context, home_override: str | None, as_json: bool) -> None:
    """Every candidate, oldest first."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        rows = readers.candidates(reader)
    items = [_item(home, row) for row in rows]
    if as_json:
        emit_items(items)
        return
    columns = ("candidate", "state", "submitted_by", "submitted_at", "decided_by", "size")
    table([[item[name] for name in columns] for item in items], columns)


def _item(home: Home, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "candidate": row["candidate"],
        "sha256": row["sha256"],
        "state": row["state"],
        "size": row["size"],
        "submitted_by": row["submitted_by"],
        "submitted_at": iso(row["ts"]),
        "decided_by": row["decided_by"],
        "rationale": readers.read_text(home.root, row["rationale_commit"]),
    }


@candidate.command()
@click.argument("name", metavar="ID")
@click.option("--source", is_flag=True, help="The file as submitted, with what would hide marked.")
@click.option("--diff", metavar="ID2", help="A unified diff from ID2 to ID.")
@home_option
@json_option
@click.pass_context
def show(
    ctx: click.Context, name: str, source: bool, diff: str | None, home_override: str | None, as_json: bool
) -> None:
    """Evidence, findings and the decision."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        row = readers.candidate(reader, name)
        other = readers.candidate(reader, diff) if diff else None
    text = (readers.read_blob(home.root, row["sha256"]) or b"").decode("utf-8", "replace")
    if source:
        say(*whole.source(text, whole.width()))
        say(*whole.warning(text), err=True)
        return
    if other is not None:
        _print_diff(home, other, row, text)
        return
    evidence = read_evidence(home, row["evidence_sha256"])
    reason = readers.read_text(home.root, row["reason_commit"])
    if as_json:
        emit_json({**_item(home, row), "reason": reason, "evidence": evidence})
        return
    say(f"{row['candidate']}  {row['state']}  by {row['submitted_by']}  sha256 {row['sha256']}")
    why = readers.read_text(home.root, row["rationale_commit"]) or "erased"
    say(*whole.quoted("  why      ", why, whole.width()))
    if row["decided_by"]:
        say(*whole.quoted(f"  decided  {row['decided_by']}: ", reason or "erased", whole.width()))
    say(*evidence_lines(evidence))


def _print_diff(home: Home, old: dict[str, Any], new: dict[str, Any], text: str) -> None:
    before = (readers.read_blob(home.root, old["sha256"]) or b"").decode("utf-8", "replace")
    say(*whole.diff(before, text, (old["candidate"], new["candidate"]), whole.width()))


def show_before_signing(home: Home, name: str) -> None:
    """What a promotion signs: at a terminal the whole file, and everywhere the lines that hide something."""
    with reading(home) as reader:
        row = readers.candidate(reader, name)
    text = (readers.read_blob(home.root, row["sha256"]) or b"").decode("utf-8", "replace")
    if sys.stderr.isatty():
        say(*whole.source(text, whole.width()), err=True)
    say(*whole.warning(text), err=True)


def _decide(home: Home, who: Operator, action: str, name: str, reason: str, second: Second) -> dict[str, Any]:
    if not reason.strip():
        raise InalphaError("REASON", "the reason is empty.", "--reason TEXT", exit_code=EXIT_USAGE)
    with reading(home) as reader:
        row = readers.candidate(reader, name)
    why = Commitment.of(reason)
    subject = {"candidate": row["candidate"], "reason_commit": why.commit, "sha256": row["sha256"]}
    args = {"candidate": row["candidate"], **why.args()}
    return send_signed(home, who, f"candidate.{action}", subject, args, second)


def _make_decision(action: str, text: str) -> None:
    options = cosign_options if action in TWO_PERSON_ACTIONS else _no_options

    @candidate.command(action, help=text)
    @click.argument("name", metavar="ID")
    @click.option("--reason", required=True)
    @options
    @signing_options
    @home_option
    @json_option
    @click.pass_context
    def decide(
        ctx: click.Context,
        name: str,
        reason: str,
        operator: str | None,
        passphrase_file: str | None,
        home_override: str | None,
        as_json: bool,
        second: Second = NOBODY,
    ) -> None:
        home = home_of(ctx, home_override)
        require(home)
        if action == "promote":
            show_before_signing(home, name)
        found = _decide(home, unlock(home, operator, passphrase_file), action, name, reason, second)
        if as_json:
            emit_json(found)
        else:
            say(f"{found['candidate']}  {found['state']}")


def _no_options(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


_make_decision("promote", "Sign that this sha256 may run.")
_make_decision("reject", "Sign that this candidate may not run.")
_make_decision("revoke", "Sign that a promoted candidate may run no more; its runs are stopped.")
