"""A submitted candidate's evidence: lint at once, the gate in a process of its own, its verdict as a line."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inalpha.daemon.config import Config, Market, load_config
from inalpha.ledger.txn import Txn
from inalpha.market.bars import symbol_of
from inalpha.model.calendar import calendar_of
from inalpha.model.errors import ConfigError, IntegrityError, Refused
from inalpha.model.instrument import Instrument
from inalpha.model.principals import DAEMON
from inalpha.research.terms import BUNDLED, Terms, judged
from inalpha.risk.rules import Rules
from inalpha.strategy.lint import lint

if TYPE_CHECKING:
    from inalpha.daemon.call import Call
    from inalpha.daemon.office import Office

TIMEOUT_S = 300.0
MOST_TEXT = 64
MARKET = ("symbol", "tick", "lot", "calendar")


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


def read_market(call: Call) -> dict[str, str]:
    """symbol, tick, lot and calendar as submitted, each optional; refused where no instrument can be made of them."""
    given = call.mapping("market") if call.args.get("market") is not None else {}
    market = {name: given[name] for name in MARKET if given.get(name) is not None}
    texts = all(isinstance(text, str) and len(text) <= MOST_TEXT for text in market.values())
    if given.keys() - set(MARKET) or not texts:
        what = f"a market has {', '.join(MARKET)}, each a text of at most {MOST_TEXT} characters."
        raise Refused("MARKET", what, "inalpha candidate submit --help")
    try:
        calendar_of(market.get("calendar", "24/7"))
        Instrument.from_text(market.get("symbol", "X"), market.get("tick", "0.01"), market.get("lot", "1"))
    except ConfigError as error:
        raise Refused("INSTRUMENT", error.message, error.fix) from error
    except ValueError as error:
        raise Refused("INSTRUMENT", f"{error}.", "Tick and lot are decimals above zero.") from error
    return market


def find_terms(config: Config, rules: Rules, bars: str | None, market: Mapping[str, str]) -> Terms:
    """What a run would have: the submitted options, else [instruments], the account's costs, the rules in force."""
    symbol = market.get("symbol") or (symbol_of(Path(bars)) if bars else BUNDLED.symbol)
    known = config.market(symbol)
    if bars is None and symbol not in config.instruments:
        known = Market(calendar=BUNDLED.calendar)
    tick = market.get("tick") or known.tick
    instrument = Instrument.from_text(
        symbol,
        tick or "0.01",
        market.get("lot") or known.lot,
        known.currency,
        market.get("calendar") or known.calendar,
    )
    spec = judged(instrument, rules, **config.fills.members(config.account))
    notes = _unlike_a_run(symbol, config.market(symbol), market)
    return Terms(spec, rules, keep_tick=bool(tick) and bars is not None, notes=notes)


def _unlike_a_run(symbol: str, known: Market, market: Mapping[str, str]) -> tuple[str, ...]:
    """Options that the home's settings do not hold: a run starts by the settings, whatever was judged."""
    stated = {"tick": known.tick, "lot": known.lot, "calendar": known.calendar}
    other = [name for name, text in stated.items() if market.get(name, text) != text]
    if not other:
        return ()
    lines = ", ".join(f'{name} = "{market[name]}"' for name in other)
    return (f"a run of {symbol} reads [instruments.{symbol}] of inalpha.toml: write {lines} there",)


async def evaluate(
    office: Office, candidate: str, source: bytes, bars: str | None, market: Mapping[str, str]
) -> None:
    """Run the gate apart from the daemon and record what it found. A gate that dies is a failed one."""
    try:
        # Read anew, as `run start` does: a market may have been added since the daemon began.
        config = load_config(office.home.config)
        rules = await office.write(lambda txn: office.rules_in_force(txn, _account(txn, candidate)))
        terms = find_terms(config, rules, bars, market)
    except (ConfigError, IntegrityError, ValueError) as error:
        evidence: dict[str, Any] = {"passed": False, "error": f"the terms of a run cannot be read: {error}"}
    else:
        evidence = await _run_gate(source, bars, await _tried(office, candidate), terms)
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
        txn.line("candidate.gate", DAEMON, data)

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

    def job(txn: Txn) -> list[tuple[str, str, str | None]]:
        # The reply that a submission got is durable with it, and says what it is judged on.
        return list(
            txn.conn.execute(
                "SELECT candidate, sha256, (SELECT body FROM reply WHERE json_extract(body, '$.candidate')"
                " = candidate.candidate AND json_extract(body, '$.judged_on') IS NOT NULL LIMIT 1)"
                " FROM candidate WHERE state = 'submitted'"
            )
        )

    for candidate, sha256, body in await office.write(job):
        source = office.read_blob(sha256)
        judged_on = json.loads(body)["judged_on"] if body else {"bars": None, "market": {}}
        office.later(evaluate(office, candidate, source, judged_on["bars"], judged_on["market"]))


def _account(txn: Txn, candidate: str) -> str:
    query = "SELECT owner_account_id FROM candidate WHERE candidate = ?"
    return str(txn.conn.execute(query, (candidate,)).fetchone()[0])


async def _run_gate(
    source: bytes, bars: str | None, tried: list[dict[str, Any]], terms: Terms
) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "inalpha.research.gate",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    body = {
        "source": base64.b64encode(source).decode(),
        "bars": bars,
        "tried": tried,
        "terms": terms.as_dict(),
    }
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
