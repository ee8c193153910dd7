"""A submitted candidate's evidence: lint at once, the gate in a process of its own, its verdict as a line."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import TYPE_CHECKING, Any

from inalpha.ledger.txn import Txn
from inalpha.model.errors import Refused
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
    evidence = await _run_gate(source, bars)
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

    await office.write(job)
    office.log("candidate_gate", candidate=candidate, passed=bool(evidence.get("passed")))
    office.notice("candidate", [candidate])


async def resume_evaluations(office: Office) -> None:
    """Candidates whose evaluation a crash cut short are evaluated again."""

    def job(txn: Txn) -> list[tuple[str, str]]:
        return list(txn.conn.execute("SELECT candidate, sha256 FROM candidate WHERE state = 'submitted'"))

    for candidate, sha256 in await office.write(job):
        source = office.read_blob(sha256)
        office.later(evaluate(office, candidate, source, None))


async def _run_gate(source: bytes, bars: str | None) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "inalpha.research.gate",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    request = json.dumps({"source": base64.b64encode(source).decode(), "bars": bars}).encode()
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
