"""`demo`: the whole story on bundled real bars, by the ordinary path and under the shipped rules."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import click

from inalpha.cli.audit import run_verify
from inalpha.cli.candidates import submit_candidate
from inalpha.cli.client import Commitment, Operator, gate, reading, send, unlock, unlock_agent
from inalpha.cli.console import check_terminal
from inalpha.cli.keys import add_agent
from inalpha.cli.options import home_option, json_option, usage
from inalpha.cli.output import emit_json, say, table
from inalpha.cli.runs import build_mandate, make_feed, run_item, sign_and_start
from inalpha.cli.setup import create_home
from inalpha.daemon.config import DEFAULT_TEXT
from inalpha.daemon.presence import find, start_background
from inalpha.data import bundled
from inalpha.ledger import readers
from inalpha.market.speed import parse_speed
from inalpha.model.errors import EXIT_FAILURE, EXIT_INTEGRITY, InalphaError, Refused
from inalpha.model.home import Home, default_home

OPERATOR, AGENT = "demo", "demo-agent"
CASH = "100000"
FURTHER_BARS = 60
HUMAN_WAIT_S = 3600
MACHINE_SYMBOL, HUMAN_SYMBOL = "IBM", "GOOG"
DEFAULT_SPEED = Decimal(15)
HUMAN_SPEED = Decimal(50)
# The first plan of the console's human run: about this many bars after its start.
HUMAN_LEAD = 205
CONFIG = DEFAULT_TEXT + "".join(
    f'\n[instruments.{symbol}]\ncalendar = "weekdays"\n' for symbol in (MACHINE_SYMBOL, HUMAN_SYMBOL)
)


@dataclass(frozen=True, slots=True)
class Story:
    """One run of the demo."""

    file: str
    symbol: str
    approval: str
    rationale: str


MACHINE = Story(
    "fast_cross.py", MACHINE_SYMBOL, "machine",
    "Trend following on daily bars: long while the fast average is above the slow one.",
)  # fmt: skip
HUMAN = Story(
    "slow_trend.py", HUMAN_SYMBOL, "human",
    "A slow trend that trades a few times a year, so a person can approve each order.",
)  # fmt: skip


@click.command()
@home_option
@click.option("--bars", type=int, default=None, metavar="N", help="With --headless: bars per run.")
@click.option("--speed", default=None, metavar="BARS_PER_SECOND|max")
@click.option("--headless", is_flag=True, help="No console: run, stop with the plan pending, verify.")
@json_option
@click.pass_context
def demo(
    ctx: click.Context,
    home_override: str | None,
    bars: int | None,
    speed: str | None,
    headless: bool,
    as_json: bool,
) -> None:
    """A complete story on bundled real market data: no network, no questions."""
    pace = _parse_speed(speed)
    named = home_override or ctx.find_root().params.get("home") or os.environ.get("INALPHA_HOME")
    if headless:
        _headless(Home.at(named) if named else None, 300 if bars is None else bars, speed, pace, as_json)
        return
    check_terminal()
    home = Home.at(named) if named else Home(default_home().with_name("inalpha-demo"))
    if home.exists:
        if not home.demo_mark.exists():
            raise Refused("NOT_A_DEMO", f"{home.root} is no demo home.", "Choose another --home.")
        if find(home) is None:
            start_background(home)
    else:
        _set_up(home, None, pace if speed else DEFAULT_SPEED, _say)
    from inalpha.cli.console import open_console

    ctx.exit(open_console(home))


def _say(text: str) -> None:
    say(text, err=True)


def _parse_speed(text: str | None) -> Decimal | None:
    try:
        return parse_speed(text or "max")
    except ValueError as error:
        raise usage("SPEED", f"{error}.", "Bars per second, or max.") from error


def _set_up(home: Home, bars: int | None, pace: Decimal | None, say: Any) -> dict[str, Any]:
    """Home, daemon, agent, two candidates, two signatures each, two runs. Answers what was chosen."""
    began = time.monotonic()
    say(f"demo home {home.root}, open key: anyone who can read this folder can sign")
    say(f"its risk.toml differs from the defaults in one value: a plan waits {HUMAN_WAIT_S // 60} minutes")
    genesis = create_home(
        home, OPERATOR, CASH, "USD", None, {"plan_expiry": {"human_s": HUMAN_WAIT_S}}, CONFIG
    )
    home.demo_mark.write_text(json.dumps({"genesis": genesis.hex}), encoding="utf-8")
    (home.root / "data").mkdir(mode=0o700)
    with ThreadPoolExecutor(2) as pool:
        daemon = pool.submit(start_background, home)
        data = _machine_bars(home, bars)
        daemon.result()
        operator = unlock(home, OPERATOR, None)
        add_agent(home, operator, AGENT)
        say("two candidates are submitted by agent:demo-agent and evaluated in the sandbox")
        machine = pool.submit(_bring_up, home, operator, MACHINE, data, pace)
        held = _human_bars(home, bars)
        if bars is None:
            pace = max(pace or HUMAN_SPEED, HUMAN_SPEED)
        human = pool.submit(_bring_up, home, operator, HUMAN, held, pace)
        runs = [machine.result(), human.result()]
    say(f"promoted and started by op:{OPERATOR}: {', '.join(runs)}  ({time.monotonic() - began:.1f} s)")
    return {"genesis": genesis.hex, "runs": runs}


def _machine_bars(home: Home, bars: int | None) -> Path:
    """The first bars of its symbol as a file of the home."""
    from inalpha.demo.slices import write_slice

    target = home.root / "data" / f"{MACHINE.symbol}-1d.csv"
    write_slice(bundled(MACHINE.symbol), target, 0, bars or sys.maxsize)
    return target


def _human_bars(home: Home, bars: int | None) -> Path:
    """The slice with its first plan where the demo wants it. Main thread: a sandbox ends with its thread."""
    from inalpha.demo.slices import find_slice, write_slice
    from runners.local import LocalSandbox

    human = bundled(HUMAN.symbol)
    lead = 0 if bars else HUMAN_LEAD
    with LocalSandbox() as sandbox:
        part = find_slice(_source(HUMAN), human, HUMAN.symbol, bars or 0, sandbox, lead=lead)
    target = home.root / "data" / f"{HUMAN.symbol}-1d.csv"
    # With a plan the replay holds on its bar; the bars behind it are for whoever approves it later.
    further = FURTHER_BARS if bars and part.first_plan is not None else 0
    write_slice(human, target, part.start, part.count + further)
    return target


def _source(story: Story) -> bytes:
    return resources.files("inalpha.demo").joinpath("strategies", story.file).read_bytes()


def _bring_up(home: Home, operator: Operator, story: Story, data: Path, pace: Decimal | None) -> str:
    """Submit as the agent, promote and start as the person: the same verbs that they would use."""
    found = submit_candidate(home, unlock_agent(home, AGENT), _source(story), story.rationale, None)
    if found["state"] != "passed":
        raise InalphaError("GATE", f"{story.file} did not pass the gate: {found}.", "See candidate show.")
    why = Commitment.of("read the file; evidence repeats; sandbox sealed")
    subject = {"candidate": found["candidate"], "reason_commit": why.commit, "sha256": found["sha256"]}
    note = gate(home, operator, "candidate.promote", subject)
    send(home, "candidate.promote", {"candidate": found["candidate"], "gate": note, **why.args()}, operator)
    speed = "max" if pace is None else format(pace, "f")
    spec = make_feed(home, f"replay:{data}@{speed}", story.symbol, "1d")
    body = build_mandate(
        home,
        OPERATOR,
        found["candidate"],
        spec,
        allocation=CASH,
        approval=story.approval,
        expires_s=30 * 86_400,
    )
    run: str = sign_and_start(home, operator, body, spec)["run"]
    return run


def _headless(home: Home | None, bars: int, speed: str | None, pace: Decimal | None, as_json: bool) -> None:
    if bars < 1:
        raise usage("BARS", f"--bars {bars} is too small.", "At least 1.")
    if home is not None and home.exists:
        raise Refused("LEDGER_EXISTS", f"{home.root} already holds a ledger.", "Choose another --home.")
    home = home or Home(Path(tempfile.mkdtemp(prefix="inalpha-demo-")))
    set_up = _set_up(home, bars, pace if speed else None, _say)
    try:
        _wait(home, set_up["runs"])
    finally:
        from inalpha.cli.health import stop_process

        presence = find(home)
        if presence is not None:
            stop_process(presence.pid, presence.start_ticks)
    _conclude(home, set_up, as_json)


def _wait(home: Home, runs: list[str]) -> None:
    """Until each run has consumed its bars, failed, or waits for a person."""
    while True:
        with reading(home) as reader:
            items = [run_item(home, reader, readers.run(reader, name)) for name in runs]
        if all(item["state"] in ("stopped", "failed") or item["pending"] for item in items):
            return
        if find(home) is None:
            raise InalphaError("DAEMON_GONE", "the daemon ended.", f"See {home.log / 'daemon.log'}")
        time.sleep(0.05)


def _conclude(home: Home, set_up: dict[str, Any], as_json: bool) -> None:
    found = run_verify(home, set_up["genesis"])
    with reading(home) as reader:
        items = [run_item(home, reader, readers.run(reader, name)) for name in set_up["runs"]]
        pending = readers.plans(reader, "pending")
    names = ("run", "candidate", "symbol", "approval", "state", "reason", "bars", "intents", "fills", "refused",
             "pending", "equity", "error")  # fmt: skip
    runs = [{name: item[name] for name in names} for item in items]
    body: dict[str, object] = {
        "home": str(home.root),
        "runs": runs,
        "plans": {"pending": len(pending), "ids": [plan["plan"] for plan in pending]},
        "audit": {
            "size": found.size,
            "root": found.root,
            "verified": found.passed,
            "genesis": set_up["genesis"],
            "reason": found.reason,
        },
    }
    if as_json:
        emit_json(body)
    else:
        table([[run[name] for name in names] for run in runs], names)
        waiting = f"{len(pending)} plans wait for a person" if pending else "no plan came within the bars"
        say(f"{waiting}; home {home.root}")
        told = "verified" if found.passed else f"BROKEN: {found.reason}"
        say(f"audit log: {found.size} lines, {told}, root {found.root}")
    if not found.passed:
        raise SystemExit(EXIT_INTEGRITY)
    if any(item["state"] == "failed" for item in items):
        raise SystemExit(EXIT_FAILURE)
