"""Proposals meant to harm: floods, texts that hide, bodies that nearly fit, keys and runs that are over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.daily import write_daily
from support.installation import Installation, until

from inalpha.cli.client import Operator, send, unlock, unlock_agent
from inalpha.cli.propose import flatten, propose
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home

WHY = "twenty characters, at the least"
HOLD = """from inalpha import Strategy


class Hold(Strategy):
    def on_bar(self, bar):
        if bar.sequence == 1:
            self.{side}(5, reason="in"{legs})
        for order in self.orders:
            if order.id.startswith("plan"):
                self.cancel(order)
"""


def start(home: Installation, tmp_path: Path, side: str = "buy", legs: str = "", *more: str) -> str:
    (tmp_path / "strategy.py").write_text(HOLD.format(side=side, legs=legs))
    bars = write_daily(tmp_path / "FLAT.csv", [100.0] * 600)
    run = home.run(home.promote(tmp_path / "strategy.py"), bars, "10", "FLAT", *more)
    until(lambda: home.json("run", "show", run)["bars"] > 3, what="bars")
    return run


def ask(home: Installation, who: Operator, run: str, why: str = WHY, **changes: Any) -> str:
    """A plan's name, or the code that refused it."""

    def build(book: Any, commit: str, expires: int) -> dict[str, Any]:
        return {**book.body("buy", "1", None, commit, expires), **changes}

    try:
        made = propose(Home.at(home.home), who, run, build, why)
    except InalphaError as error:
        return error.code
    assert made is not None
    return str(made["plan"])


def state(home: Installation, plan: str) -> tuple[str, str | None]:
    card = home.json("plan", "show", plan)
    return card["state"], card["code"]


def test_an_agent_can_neither_hide_nor_flood_nor_outlive_its_key(
    installation: Installation, tmp_path: Path
) -> None:
    home = installation
    run = start(home, tmp_path)
    at = Home.at(home.home)
    agent, alice = unlock_agent(at, "claude"), unlock(at, "alice", None)
    hiding = ["too short", " " * 30, "x" * 2001, WHY + "\x1b[2J", WHY + "\u202e", WHY + "\u200b", "ü" * 2001]
    assert [ask(home, agent, run, why) for why in hiding] == ["RATIONALE"] * len(hiding)
    for odd in ({"reduce_only": 0}, {"v": True}, {"quantity": "1.0"}, {"quantity": " 1"}):
        told = ask(home, agent, run, **odd)
        assert not told.startswith("plan-") and told != "INTERNAL", (odd, told)
    made = [ask(home, agent, run, side="sell", reduce_only=True) for _ in range(11)]
    assert made[10] == "RATE_LIMITED" and all(plan.startswith("plan-") for plan in made[:10])
    own = ask(home, alice, run, "a person is", side="sell", reduce_only=True, quantity="2")
    home("plan", "approve", own)
    home("agent", "revoke", "claude")
    until(lambda: state(home, made[9])[0] == "cancelled", what="their withdrawal")
    assert {state(home, plan) for plan in made[:10]} == {("cancelled", "REVOKED")}
    home("plan", "approve", made[3], code=4)
    # The replay goes on with nothing left to decide; a strategy cannot take back what is not its own.
    until(lambda: home.json("run", "show", run)["position"] == "3", what="the person's fill")
    assert home.json("run", "show", run)["state"] == "running"
    with pytest.raises(InalphaError):
        send(at, "plan.create", {}, agent)
    assert home.json("replay", run)["divergence"] is None
    home("parity", run)
    home("audit", "verify")


@pytest.mark.campaign
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_two_flattens_at_once_close_once(installation: Installation, tmp_path: Path, side: str) -> None:
    home = installation
    stops = ", stop_loss=90, take_profit=110" if side == "buy" else ", stop_loss=110, take_profit=90"
    if side == "sell":
        for name, word in (("inalpha.toml", "allow_short = false"), ("risk.toml", "long_only = true")):
            text = (home.home / name).read_text()
            assert word in text
            other = {"false": "true", "true": "false"}[word.rpartition(" ")[2]]
            (home.home / name).write_text(text.replace(word, f"{word.rpartition(' ')[0]} {other}"))
        home.stop()
        home.start()
        home("risk", "apply")
    run = start(home, tmp_path, side, stops)
    at = Home.at(home.home)
    alice = unlock(at, "alice", None)
    held = home.json("run", "show", run)["position"]
    assert held == ("5" if side == "buy" else "-5")
    home("run", "stop", run)

    def close(_: int) -> str:
        try:
            found = flatten(at, alice, run)
        except InalphaError as error:
            return error.code
        return "flat" if found is None else str(found["outcome"])

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(close, range(2)))
    assert "working" in told, told
    until(lambda: home.json("run", "show", run)["position"] == "0", what="a flat book")
    until(lambda: not home.json("run", "show", run)["watched"], what="its end")
    moved = [(item["side"], item["quantity"]) for item in home.items("fills")]
    assert moved == [(side, "5"), ("sell" if side == "buy" else "buy", "5")]
    assert home.json("replay", run)["divergence"] is None
    home("parity", run)
    home("audit", "verify")


def test_a_halt_withdraws_proposals_and_admits_what_reduces(
    installation: Installation, tmp_path: Path
) -> None:
    home = installation
    run = start(home, tmp_path)
    at = Home.at(home.home)
    alice = unlock(at, "alice", None)
    waiting, rests = ask(home, alice, run), ask(home, alice, run, limit="98", type="limit")
    home("plan", "approve", rests)
    home("run", "pause", run)
    assert state(home, waiting)[0] == "cancelled"
    assert ask(home, alice, run) == "REDUCING"
    closing = ask(home, alice, run, side="sell", reduce_only=True, quantity="2")
    home("plan", "approve", closing)
    until(lambda: home.json("run", "show", run)["position"] == "3", what="its fill")
    home("halt", "--run", run, "--reason", "stop")
    assert ask(home, alice, run, side="sell", reduce_only=True) == "HALTED"
    home("resume", run, "--reason", "go on")
    late = ask(home, alice, run)
    home.kill("daemon")
    home("halt", "--run", run, "--reason", "by the latch")
    home.start()
    home("plan", "approve", late, code=4)
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify")
    with pytest.raises(InalphaError):
        send(at, "plan.approve", {"plan": rests, "plan_sha256": "0" * 64, "gate": "x"}, alice)
