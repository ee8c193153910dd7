"""Orders that no strategy asked for: proposed by a person or an agent, decided by a person, closing what a run left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.attacks import built_verifier
from support.daily import write_daily
from support.installation import Installation, inalpha, until

from inalpha.cli.client import send, unlock, unlock_agent
from inalpha.cli.propose import book_for, propose
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home

HOLD = """from inalpha import Strategy


class Hold(Strategy):
    def on_bar(self, bar):
        if bar.sequence == 1:
            self.buy(5, reason="in")
"""
QUIET = """from inalpha import Strategy


class Quiet(Strategy):
    def on_bar(self, bar):
        pass
"""
SPEED = "10"


def start(home: Installation, tmp_path: Path, source: str, *more: str) -> str:
    (tmp_path / "strategy.py").write_text(source)
    bars = write_daily(tmp_path / "FLAT.csv", [100.0] * 400)
    run = home.run(home.promote(tmp_path / "strategy.py"), bars, SPEED, "FLAT", *more)
    until(lambda: home.json("run", "show", run)["bars"] > 3, what="bars")
    return run


def fills(home: Installation) -> list[tuple[Any, ...]]:
    names = ("run", "side", "quantity", "reason", "approved_by")
    return [tuple(item[name] for name in names) for item in home.items("fills")]


def check(home: Installation, run: str, tmp_path: Path) -> None:
    """The record proves it: re-execution, both verifiers, the trade's own proof."""
    assert home.json("replay", run)["divergence"] is None
    home("parity", run)
    home("audit", "verify")
    export, proof = tmp_path / "export.zip", tmp_path / "proof.json"
    genesis = home.json("audit", "verify")["genesis"]
    home("audit", "export", str(export))
    last = home.items("fills")[-1]["fill"]
    # A head that covers the fill is signed once a second.
    until(lambda: inalpha(home.home, "prove", last, str(proof)).returncode == 0, what="its proof")
    for words in ([str(export)], [str(proof), "--prove"]):
        found = subprocess.run(
            [sys.executable, str(built_verifier()), *words, "--genesis", genesis],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert found.returncode == 0, found.stdout + found.stderr
    trace = home("audit", "trace", last)
    assert "plan" in trace and "approve" in trace and "start" in trace


def test_an_agent_proposes_and_a_person_decides(installation: Installation, tmp_path: Path) -> None:
    home = installation
    run = start(home, tmp_path, QUIET)
    asked = ("plan", "create", "--symbol", "FLAT", "--side", "buy", "--quantity", "3")
    made = home.json(*asked, "--rationale", "it looks cheap today", "--agent", "claude")
    card = home.json("plan", "show", made["plan"])
    assert (card["state"], card["proposed_by"], card["run"]) == ("pending", "agent:claude", run)
    assert (card["rationale"], card["recomputed"]) == ("it looks cheap today", True)
    assert [check["result"] for check in card["risk"]] == ["pass"]
    # A replay holds while a person reads; nothing is filled by the machine, though the mandate is `machine`.
    assert home.items("fills") == []
    home("plan", "approve", made["plan"])
    until(lambda: home.items("fills"), what="the fill")
    assert fills(home) == [(run, "buy", "3", "proposal", "op:alice")]
    home("plan", "create", "--symbol", "FLAT", "--side", "sell", "--quantity", "1", "--limit", "500",
         "--rationale", "a dear one")  # fmt: skip
    plan = home.items("plan", "list", "--state", "pending")[0]["plan"]
    home("plan", "reject", plan, "--reason", "not today")
    home("run", "stop", run, "--flatten")
    until(lambda: home.json("run", "show", run)["position"] == "0", what="a flat book")
    assert fills(home)[1:] == [(run, "sell", "3", "proposal", "op:alice")]
    check(home, run, tmp_path)


def test_a_proposal_survives_a_kill_and_closes_what_a_stopped_run_holds(
    installation: Installation, tmp_path: Path
) -> None:
    home = installation
    run = start(home, tmp_path, HOLD)
    asked = ("plan", "create", "--symbol", "FLAT", "--rationale", "of a mind", "--side")
    brief = home.json(*asked, "buy", "--quantity", "1", "--expires", "1s")["plan"]
    until(lambda: home.json("plan", "show", brief)["state"] == "expired", what="its expiry")
    home("plan", "approve", brief, code=4)
    home("run", "stop", run)
    made = home.json(*asked, "sell", "--quantity", "5", "--reduce-only", "--expires", "14m")["plan"]
    home.kill("daemon")
    home.start()
    until(lambda: home.json("run", "show", run)["watched"], what="the book again")
    home("plan", "approve", made)
    until(lambda: home.json("run", "show", run)["position"] == "0", what="a flat book")
    assert fills(home) == [
        (run, "buy", "5", "in", "system:live_runner"), (run, "sell", "5", "proposal", "op:alice")
    ]  # fmt: skip
    until(lambda: not home.json("run", "show", run)["watched"], what="its end")
    home("run", "stop", run, "--flatten", code=4)
    home("audit", "verify")


REFUSED = [
    (("--side", "buy", "--quantity", "100000"), 4, "MAX_ORDER"),
    (("--side", "sell", "--quantity", "5", "--reduce-only"), 4, "NOTHING_TO_REDUCE"),
    (("--side", "sell", "--quantity", "5"), 4, "DIRECTION"),
    (("--side", "buy", "--quantity", "0"), 4, "BAD_ORDER"),
    (("--side", "buy", "--quantity", "1.5"), 4, "BAD_ORDER"),
    (("--side", "buy", "--quantity", "ten"), 4, "BAD_ORDER"),
    (("--side", "buy", "--quantity", "1", "--limit", "1.005"), 4, "BAD_ORDER"),
    (("--side", "buy", "--quantity", "1", "--expires", "2h"), 4, "BAD_EXPIRES"),
    (("--side", "buy", "--quantity", "1", "--rationale", " "), 2, "RATIONALE"),
    (("--side", "buy", "--quantity", "1", "--symbol", "NONE"), 4, "NO_RUN"),
    (("--side", "buy", "--quantity", "1", "--account", "nobody"), 4, "NO_ACCOUNT"),
]


def test_what_is_no_order_is_refused_with_its_code(installation: Installation, tmp_path: Path) -> None:
    home = installation
    run = start(home, tmp_path, QUIET)
    for words, code, name in REFUSED:
        told = home("plan", "create", "--symbol", "FLAT", "--rationale", "because", *words, code=code)
        assert name in told, (words, told)
    at = Home.at(home.home)
    agent, alice = unlock_agent(at, "claude"), unlock(at, "alice", None)

    def refused(changes: dict[str, Any], who: Any = alice, **more: Any) -> str:
        """A client that does not keep to what this program's clients send."""

        def build(book: Any, commit: str, expires: int) -> dict[str, Any]:
            return {**book.body("buy", "1", None, commit, expires), **changes}

        with pytest.raises(InalphaError) as raised:
            propose(at, who, book_for(at, who, None, "FLAT"), build, "because", **more)
        return raised.value.code

    assert refused({"stop_loss": "90"}) == "BAD_ORDER"
    assert refused({"intent": f"{run}:9:0", "origin": "run"}) == "BAD_ORDER"
    assert refused({"mandate_sha256": "0" * 64}) == "BAD_ORDER"
    assert refused({"account": "0" * 8}) == "BAD_ORDER"
    assert refused({"run": "run-99"}) == "NO_RUN"
    assert refused({"quantity": 1}) == "BAD_ORDER"
    home("operator", "add", "bob", "--insecure-no-passphrase", "--operator", "alice")
    bob = unlock(at, "bob", None)
    with pytest.raises(InalphaError) as raised:
        propose(
            at, bob, run, lambda book, commit, expires: book.body("buy", "1", None, commit, expires), "mine"
        )
    assert raised.value.code == "NOT_OWNER"
    # An agent's note signs the body: another body under it, or none, is nothing.
    with pytest.raises(InalphaError) as raised:
        send(at, "plan.approve", {"plan": "plan-1", "plan_sha256": "0" * 64, "gate": "x"}, agent)
    assert raised.value.code == "ROLE"
    assert home.items("fills") == []
    home("audit", "verify")
