"""Below sealed, or with a control switched off, nothing starts without the owner's signed and expiring waiver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.daily import write_daily
from support.installation import STRATEGIES, Installation, first_bars, inalpha, until

from inalpha.cli.client import Operator, gate, send, unlock, unlock_agent
from inalpha.ledger import readers
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home

TESTS = Path(__file__).parents[1]
RULE = "isolation.fenced.host-local"


@pytest.fixture
def fenced(tmp_path: Path):
    """A home whose host measures fenced."""
    home = Installation(tmp_path / "home")
    home.init()
    with (home.home / "test.log").open("ab") as log:
        home.daemon = subprocess.Popen(
            [sys.executable, "-m", "support.fenced", str(home.home)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            cwd="/",
        )
    until(home._is_ready, what="the daemon")
    yield home
    home.stop()


def opt_out(home: Installation, rule: str, run: str, expires: str) -> dict:
    return home.json("policy", "opt-out", rule, "--run", run, "--expires", expires, "--reason", "a test")


def test_run_below_sealed_needs_a_waiver_that_is_shown_recorded_and_ends_it(
    fenced: Installation, tmp_path: Path
) -> None:
    home = fenced
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    bars = first_bars("GOOG-1d.csv", 2000, tmp_path / "bars.csv")
    start = (
        "run",
        "start",
        candidate,
        "--symbol",
        "GOOG",
        "--timeframe",
        "1d",
        "--feed",
        f"replay:{bars}@20",
    )

    refused = home(*start, code=4)
    assert "WAIVER_NEEDED" in refused and "measured fenced" in refused and "seccomp" in refused
    assert f"policy opt-out {RULE} --run run-1" in refused
    assert home.items("run", "list") == []

    # A waiver of another level, host or run is no help.
    opt_out(home, "isolation.process.host-local", "run-1", "1h")
    opt_out(home, "isolation.fenced.host-other", "run-1", "1h")
    assert "WAIVER_NEEDED" in home(*start, code=4)
    assert "OPT_OUT_RUN" in home(
        "policy", "opt-out", RULE, "--run", "run-7", "--expires", "1h", "--reason", "x", code=4
    )
    assert "OPT_OUT_EXPIRY" in home(
        "policy", "opt-out", RULE, "--run", "run-1", "--expires", "31d", "--reason", "x", code=4
    )
    assert "OPT_OUT_RULE" in home(
        "policy", "opt-out", "isolation.inline.host-local", "--run", "run-1", "--expires", "1h", "--reason", "x",
        code=4,
    )  # fmt: skip

    opt_out(home, RULE, "run-1", "8s")
    run = home.json(*start)["run"]
    found = until(lambda: (item := home.json("run", "show", run))["isolation"] and item, what="a runner")
    assert (found["isolation"], found["host"]) == ("fenced", "host-local")
    assert RULE in {waiver["rule"] for waiver in found["waivers"]}
    assert RULE in {waiver["rule"] for waiver in home.json("status")["waivers"]}
    assert RULE in home("status")

    ended = home.json("run", "wait", run, "--state", "failed", "--timeout", "60")
    assert ended["reason"] == "waiver_expired"
    assert RULE in ended["error"]
    assert ended["waivers"] == []
    dead = home.json("policy", "explain")["dead"]
    assert any(RULE in item and "over since" in item for item in dead)

    assert home.json("audit", "verify")["checks"]
    reader = readers.open_reader(home.home)
    line = next(iter(readers.lines(reader, kind="run.isolated")))
    evidence = json.loads(readers.read_blob(home.home, line.data["evidence_sha256"]) or b"")
    reader.close()
    assert (evidence["level"], [waiver["rule"] for waiver in evidence["waivers"]]) == ("fenced", [RULE])


def test_owner_ends_a_waiver_and_with_it_the_run(fenced: Installation, tmp_path: Path) -> None:
    home = fenced
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    bars = first_bars("GOOG-1d.csv", 2000, tmp_path / "bars.csv")
    end = ("policy", "opt-out", RULE, "--run", "run-1", "--end", "--reason", "a change of mind")
    assert "NO_WAIVER" in home(*end, code=4)
    opt_out(home, RULE, "run-1", "1h")
    start = (
        "run",
        "start",
        candidate,
        "--symbol",
        "GOOG",
        "--timeframe",
        "1d",
        "--feed",
        f"replay:{bars}@20",
    )
    run = home.json(*start)["run"]
    until(lambda: home.json("run", "show", run)["isolation"], what="a runner")
    before = home.json("run", "show", run)
    assert [waiver["rule"] for waiver in before["waivers"]] == [RULE]

    home(*end)
    ended = home.json("run", "show", run)
    assert (ended["state"], ended["reason"], ended["waivers"]) == ("failed", "waiver_expired", [])
    dead = home.json("policy", "explain")["dead"]
    assert [item for item in dead if RULE in item and "over since" in item]
    assert home.json("status")["waivers"] == []
    assert "NO_WAIVER" in home(*end, code=4)
    # For the next run as well: what was signed before its start can be taken back before its start.
    opt_out(home, RULE, "run-2", "1h")
    home("policy", "opt-out", RULE, "--run", "run-2", "--end", "--reason", "again")
    assert "WAIVER_NEEDED" in home(*start, code=4)
    home("audit", "verify")


def test_switched_off_control_needs_a_waiver_of_the_run(installation: Installation, tmp_path: Path) -> None:
    home = installation
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    with (home.home / "risk.toml").open("r+") as file:
        text = file.read().replace(
            "[controls.duplicate]\nenabled = true", "[controls.duplicate]\nenabled = false"
        )
        assert "enabled = false" in text
        file.seek(0)
        file.write(text)
        file.truncate()
    home("risk", "apply")
    bars = first_bars("GOOG-1d.csv", 5, tmp_path / "bars.csv")
    start = (
        "run",
        "start",
        candidate,
        "--symbol",
        "GOOG",
        "--timeframe",
        "1d",
        "--feed",
        f"replay:{bars}@max",
    )
    refused = home(*start, code=4)
    assert "controls.duplicate is switched off" in refused
    assert "policy opt-out duplicate --run run-1" in refused
    opt_out(home, "duplicate", "run-1", "1h")
    home("run", "wait", home.json(*start)["run"], "--timeout", "60")
    home("audit", "verify")


def test_only_an_owner_may_waive(installation: Installation) -> None:
    home = installation
    home("operator", "add", "bob", "--role", "operator", "--insecure-no-passphrase", "--operator", "alice")
    done = inalpha(
        home.home, "policy", "opt-out", RULE, "--run", "run-1", "--expires", "1h", "--reason", "x",
        "--operator", "bob",
    )  # fmt: skip
    assert done.returncode == 4
    assert "ROLE_FORBIDS" in done.stderr


def test_a_waiver_counts_once_by_an_owner_and_for_what_was_signed(installation: Installation) -> None:
    home = Home(installation.home)
    installation("agent", "add", "claude")
    owner, agent = unlock(home, "alice", None), unlock_agent(home, "claude")
    now_us = time.time_ns() // 1000
    data = {"expires": now_us + 3_600_000_000, "rule": "duplicate", "run": "run-1"}

    def sign(signer: Operator, **changes: object) -> str:
        return gate(home, signer, "policy.opt_out", data | changes)

    def refusal(note: str, sender: Operator = owner, **changes: object) -> str:
        with pytest.raises(InalphaError) as caught:
            send(home, "policy.opt_out", {"data": data | changes, "gate": note, "reason": "a test"}, sender)
        return caught.value.code

    assert refusal(sign(owner), rule="isolation.fenced.host-local") == "GATE_SUBJECT"
    assert refusal(sign(owner), expires=data["expires"] + 1) == "GATE_SUBJECT"
    assert refusal(sign(owner), more="x") == "LINE_FORM"
    assert refusal(sign(owner, expires=now_us - 1), expires=now_us - 1) == "NO_WAIVER"
    assert refusal(sign(agent)) == "GATE_ACTOR"
    assert refusal(sign(agent), agent) == refusal(sign(owner), agent) == "ROLE"
    assert waivers_on_record(home) == 0
    note = sign(owner)
    send(home, "policy.opt_out", {"data": data, "gate": note, "reason": "a test"}, owner)
    assert refusal(note) == "GATE_REPLAYED"
    assert waivers_on_record(home) == 1


def waivers_on_record(home: Home) -> int:
    reader = readers.open_reader(home.root)
    try:
        return len(readers.rows(reader, "SELECT rule FROM opt_out"))
    finally:
        reader.close()


def test_explain_names_who_asks_and_who_signs(installation: Installation) -> None:
    home = installation
    assert home.json("policy", "explain", "policy", "opt-out")["items"][0]["must sign"] == "owner"
    assert home.json("policy", "explain", "halt")["items"][0]["must sign"] == "nobody"
    assert "anyone here" in home("policy", "explain", "run", "stop")
    assert "agent" in home("policy", "explain", "candidate", "submit")
    assert home("policy", "explain", "status", code=2)


def test_what_a_run_left_is_stepped_on_when_its_waiver_ends(
    installation: Installation, tmp_path: Path
) -> None:
    """The run ends with its waiver; the guard still closes its position when the market falls afterwards."""
    home = installation
    (tmp_path / "hold.py").write_text(
        "from inalpha import Strategy\n\n\nclass Hold(Strategy):\n    def on_bar(self, bar):\n"
        "        if bar.sequence == 0:\n            self.buy(90, reason='in')\n"
    )
    candidate = home.promote(tmp_path / "hold.py")
    rules = home.home / "risk.toml"
    text = rules.read_text().replace(
        "[controls.duplicate]\nenabled = true", "[controls.duplicate]\nenabled = false"
    )
    rules.write_text(text)
    home("risk", "apply")
    home("policy", "opt-out", "duplicate", "--run", "run-1", "--expires", "6s", "--reason", "a test")
    run = home.run(candidate, write_daily(tmp_path / "FALL.csv", [100.0] * 60 + [70.0] * 300), "5", "FALL")
    until(lambda: home.json("run", "show", run)["state"] == "failed", what="the end of the waiver")
    assert home.json("run", "show", run)["reason"] == "waiver_expired"
    until(lambda: home.json("run", "show", run)["position"] == "0", what="the guard's exit")
    assert home.items("fills", "--run", run)[-1]["reason"] == "HARD_STOP"
    home("audit", "verify")
