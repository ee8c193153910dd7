"""The order path: from a strategy's intent to a durable working order, and to its durable fill.

Real ledger, keys, tokens and fsyncs in a temporary home; the strategy answers in process, so the sandbox's
round trip (benchmarks/runners.py) and the bus (benchmarks/bus.py) are not in these figures.

    python benchmarks/orders.py [BARS]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from inalpha.audit.client import sign_gate
from inalpha.audit.keys import load_signer, operator_name, operator_path
from inalpha.cli.setup import create_home
from inalpha.daemon.record import RunFacts, write_step
from inalpha.execution import gates
from inalpha.execution.mandates import mandate, mandate_digest
from inalpha.kernel.gateway import DirectGateway
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.spec import RunSpec
from inalpha.ledger import readers
from inalpha.ledger.txn import Txn
from inalpha.ledger.writer import Ledger
from inalpha.model.bar import Bar
from inalpha.model.home import Home
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.model.ownership import owner_account_id
from inalpha.model.step import Intent, StepReply
from inalpha.risk.account import AccountBook
from inalpha.risk.engine import RiskEngine
from inalpha.risk.rules import parse_rules

MINUTE = 60_000_000_000
RULES = {"order_rate": {"enabled": False}, "repeated_execution": {"enabled": False}}


def _open_run(home: Home, ledger: Ledger) -> tuple[str, str, str]:
    """Promote and start a run by signed gates, as the daemon would."""
    reader = readers.open_reader(home.root)
    signer = load_signer(operator_path(home.root, "bench"), operator_name(ledger.origin, "bench"))
    source, account = b"# benchmark\n", owner_account_id("bench")
    rules = parse_rules(home.risk.read_text())

    def note(kind: str, subject: dict[str, object]) -> str:
        return sign_gate(reader, signer, kind, subject, memory=home.clients)

    def submit(txn: Txn) -> tuple[str, str]:
        sha256 = txn.blob(source)
        name = f"cand-{sha256[:12]}"
        why = txn.commit_text("benchmark")
        data = {"candidate": name, "owner_account_id": account, "rationale_commit": why, "sha256": sha256,
                "size": len(source)}  # fmt: skip
        txn.line("candidate.submit", "op:bench", data)
        evidence = txn.blob(b"{}")
        data = {"candidate": name, "evidence_sha256": evidence, "result": "pass", "sha256": sha256}
        txn.line("candidate.gate", "system:daemon", data)
        return name, sha256

    name, sha256 = ledger.submit(submit).result()
    reason = ledger.submit(lambda txn: txn.commit_text("benchmark")).result()
    gate = note("candidate.promote", {"candidate": name, "reason_commit": reason, "sha256": sha256})
    ledger.submit(lambda txn: gates.decide_candidate(txn, "promote", name, "op:bench", reason, gate)).result()
    body = mandate(
        account=account, candidate_sha256=sha256, symbol="X", timeframe="1m", feed_kind="replay", feed_name="x",
        feed_sha256="0" * 64, allocation="100000", limits_sha256=rules.sha256, approval="machine",
        expires_us=time.time_ns() // 1000 + 10**12,
    )  # fmt: skip
    gate = note("run.start", {"mandate": body, "mandate_sha256": mandate_digest(body)})
    run = ledger.submit(lambda txn: gates.start_run(txn, body, "op:bench", gate)).result()
    reader.close()
    return run, account, mandate_digest(body)


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        create_home(home, "bench", "100000", "USD", None, RULES)
        ledger = Ledger.open(home.root)
        run, account, digest = _open_run(home, ledger)
        rules = parse_rules(home.risk.read_text())
        instrument = Instrument("X")
        spec = RunSpec(run, "0" * 64, "X", "1m", instrument, 100_000 * E8)
        book = AccountBook(account, 100_000 * E8, rules)
        book.open_book(run, "X")
        kernel = Kernel(spec, RiskEngine(rules), DirectGateway(), journal=lambda entry: None)
        facts = RunFacts(run, account, "X", instrument, digest, rules.sha256, 60 * 10**6)
        start = (time.time_ns() // MINUTE - count - 10) * MINUTE
        working, filled, steps = [], [], []
        asked = 0.0
        for number in range(count):
            opened = start + number * MINUTE
            bar = Bar(opened, opened + MINUTE, 10_000, 10_010, 9_990, 10_000, E8 * 10**6, number)
            context = book.context(run)
            began = time.perf_counter()
            request = kernel.begin(bar, bar.close_time_ns, context)
            assert request is not None
            intents: tuple[Intent, ...] = ()
            if number % 2 == 0:
                side = "buy" if kernel.position_lots == 0 else "sell"
                intents = (Intent(0, "order", side, "10", type="market", reason="benchmark"),)
            reply = StepReply(number, intents)
            decided = time.perf_counter()

            def job(txn: Txn, reply: StepReply = reply, context: object = context) -> int:
                result = kernel.finish(reply, context)  # type: ignore[arg-type]
                write_step(txn, facts, result)
                return len(result.fills)

            fills = ledger.submit(job).result()
            done = time.perf_counter()
            if intents:
                working.append(done - decided)
                asked = decided
            elif fills:
                filled.append(done - asked)
            if not intents and not fills:
                steps.append(done - began)
        ledger.close("benchmark")
    print(f"{count} bars, {len(filled)} orders filled, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for name, values in (("intent to durable working order", working), ("intent to durable fill", filled)):
        p50, p99 = (_percentile(values, share) * 1e3 for share in (0.5, 0.99))
        print(f"{name:34} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")


if __name__ == "__main__":
    main()
