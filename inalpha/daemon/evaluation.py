"""A submitted candidate's evidence: lint at once, the gate in a process of its own, its verdict as a line."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import TYPE_CHECKING, Any

from inalpha.ledger.txn import Txn
from inalpha.model.errors import IntegrityError, Refused
from inalpha.strategy.lint import lint

if TYPE_CHECKING:
    from inalpha.daemon.office import Office

TIMEOUT_S = 300.0


def check_lint(source: bytes) -> None:
    """Refuse what cannot be a candidate, naming line and fix. Warnings pass; the gate shows them."""
    errors = [finding for finding in lint(source) if finding.level == "error"]
    if errors:
        first = errors[0]
        raise Refused(
            first.code,
            f"line {first.line}: {first.message}",
            first.fix,
            detail={"findings": [{"line": e.line, "code": e.code, "message": e.message} for e in errors]},
        )


async def evaluate(office: Office, candidate: str, source: bytes, bars: str | None) -> None:
    """Run the gate apart from the daemon and record what it found. A gate that dies is a failed one."""
    evidence = await _run_gate(source, bars, await _tried(office, candidate))
    text = json.dumps(evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def job(txn: Txn) -> None:
        row = txn.conn.execute(
            "SELECT sha256, state FROM candidate WHERE candidate = ?", (candidate,)
        ).fetchone()
        if row is None or row[1] != "submitted":
            return
        data = {
            "candidate": candidate,
            "evidence_sha256": txn.blob(text.encode()),
            "result": "pass" if evidence.get("passed") else "fail",
            "sha256": row[0],
        }
        txn.line("candidate.gate", "system:daemon", data)

    await office.write(job, ("candidate", [candidate]))
    office.log("candidate_gate", candidate=candidate, passed=bool(evidence.get("passed")))


async def _tried(office: Office, candidate: str) -> list[dict[str, Any]]:
    """The lineage so far: every candidate of the same submitter that reached a backtest, with its ratio.

    No parent is on record, so who submitted is what ties candidates together; the gate keeps those on its own
    symbol and timeframe.
    """

    def job(txn: Txn) -> list[tuple[str, str]]:
        return list(
            txn.conn.execute(
                "SELECT o.candidate, o.evidence_sha256 FROM candidate o JOIN candidate c"
                " ON o.submitted_by = c.submitted_by WHERE c.candidate = ?1 AND o.candidate != ?1"
                " AND o.evidence_sha256 IS NOT NULL ORDER BY o.submitted_seq",
                (candidate,),
            )
        )

    found = []
    for name, sha256 in await office.write(job):
        try:
            evidence = json.loads(office.read_blob(sha256))
        except IntegrityError:
            continue  # the audit reports it; a new candidate is judged all the same
        data, shape = evidence.get("data", {}), evidence.get("shape")
        if shape and "symbol" in data:
            found.append(
                {
                    "candidate": name,
                    "symbol": data["symbol"],
                    "timeframe": data["timeframe"],
                    "sharpe": shape["sharpe"],
                }
            )
    return found


async def resume_evaluations(office: Office) -> None:
    """Candidates whose evaluation a crash cut short are evaluated again."""

    def job(txn: Txn) -> list[tuple[str, str]]:
        return list(txn.conn.execute("SELECT candidate, sha256 FROM candidate WHERE state = 'submitted'"))

    for candidate, sha256 in await office.write(job):
        source = office.read_blob(sha256)
        office.later(evaluate(office, candidate, source, None))


async def _run_gate(source: bytes, bars: str | None, tried: list[dict[str, Any]]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "inalpha.research.gate",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    body = {"source": base64.b64encode(source).decode(), "bars": bars, "tried": tried}
    request = json.dumps(body).encode()
    try:
        out, err = await asyncio.wait_for(process.communicate(request), TIMEOUT_S)
        found: dict[str, Any] = json.loads(out)
        return found
    except TimeoutError:
        process.kill()
        await process.wait()
        return {"passed": False, "error": f"the evaluation passed {TIMEOUT_S:.0f} s"}
    except ValueError:
        last = err.decode("utf-8", "replace").strip().splitlines()[-1:]
        return {"passed": False, "error": f"the evaluation ended with {process.returncode}: {' '.join(last)}"}
    except asyncio.CancelledError:
        process.kill()
        raise
