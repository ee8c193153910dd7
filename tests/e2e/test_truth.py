"""No verb says something that the log does not: a demo home, and a ledger of rarities, against a fold of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation, first_bars, inalpha, until
from support.rare_story import rare_story
from support.truth import Ask, ask_home, assert_true, compare

Spoil = Callable[[Any], None]

# Every way for an order to end that a strategy can bring about by itself.
EVERYTHING = """from inalpha import Strategy


class Everything(Strategy):
    def on_bar(self, bar):
        step, low = bar.sequence % 12, round(bar.close * 0.96, 2)
        if step == 0 and self.position.is_flat and not self.orders:
            self.buy(10, stop_loss=round(bar.close * 0.97, 2), take_profit=round(bar.close * 1.03, 2), reason="bracket")
        elif step == 1:
            self.buy(1, limit=low, tif="IOC", reason="at once or never")
        elif step == 2:
            self.buy(1, limit=low, tif="DAY", reason="today or never")
        elif step == 3:
            self.buy(100000, reason="far too much")
        elif step == 4:
            self.sell(5000, reason="more than there is")
        elif step == 5:
            self.patient = self.buy(1, limit=low, reason="patient")
        elif step == 7:
            self.cancel(self.patient)
        elif step == 9 and not self.position.is_flat:
            self.close(reason="out")
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo home at rest: fills, an exit that was cancelled, and a plan that waits."""
    home = tmp_path_factory.mktemp("truth") / "home"
    made = inalpha(home, "demo", "--headless", "--bars", "200", "--speed", "max", "--json")
    assert made.returncode == 0, made.stderr[-800:]
    return home


@pytest.fixture(scope="module")
def answers(demo: Path) -> Ask:
    """The demo home's answers, each asked once."""
    ask, known = ask_home(demo), dict[tuple[str, ...], str]()

    def remembered(*verb: str) -> str:
        if verb not in known:
            known[verb] = ask(*verb)
        return known[verb]

    return remembered


def test_every_reading_verb_of_a_demo_home_says_what_its_log_says(demo: Path, answers: Ask) -> None:
    log = assert_true(demo, answers)
    assert len(log.fills) >= 8
    assert {log.outcome(intent)[0] for intent in log.decisions} >= {"filled", "pending"}


def test_a_ledger_of_rarities_is_told_as_it_is(tmp_path: Path) -> None:
    rare_story(tmp_path / "home")
    log = assert_true(tmp_path / "home", has_journal=False)
    outcomes = {order.outcome for order in log.orders.values()}
    assert outcomes == {"filled", "cancelled", "partially_filled"}
    assert {plan["state"] for plan in log.plans.values()} >= {"rejected", "expired", "cancelled", "executed"}


def test_a_home_with_every_ending_tells_each_of_them(installation: Installation, tmp_path: Path) -> None:
    """Brackets, cancels, expiries, refusals, three verdicts, halts of each scope, a kill and a crash."""
    home = installation
    (tmp_path / "everything.py").write_text(EVERYTHING)
    candidate = home.promote(tmp_path / "everything.py")
    home(
        "run",
        "wait",
        home.run(candidate, first_bars("GOOG-1d.csv", 90, tmp_path / "goog.csv")),
        "--timeout",
        "60",
    )
    asked = home.run(
        candidate, first_bars("IBM-1d.csv", 60, tmp_path / "ibm.csv"), "max", "IBM", "--approval", "human"
    )
    for verdict in ("approve", "reject"):
        (plan,) = until(lambda: home.items("plan", "list", "--state", "pending"), what="a plan")
        home("plan", verdict, plan["plan"], *(["--reason", "not today"] if verdict == "reject" else []))
        until(
            lambda gone=plan: gone not in home.items("plan", "list", "--state", "pending"), what="the verdict"
        )
    until(lambda: home.json("run", "show", asked)["pending"], what="a plan that waits")
    slow = home.run(candidate, first_bars("AAPL-1d-adjusted.csv", 1500, tmp_path / "aapl.csv"), "60", "AAPL")
    until(lambda: home.json("run", "show", slow)["fills"], what="a fill")
    until(lambda: home.presence()["runners"].get(slow), what="the runner's pid")
    home.kill("runner", slow)
    until(lambda: len(home("audit", "log", "--kind", "run.isolated").splitlines()) > 3, what="another runner")
    assert f"runner_restarted {slow}: its runner was lost and is started again" in home("report")
    home("run", "pause", slow, "--reason", "looking at it")
    assert home.json("status")["halt"] == "REDUCING"
    seen = home.json("run", "show", slow)["bars"]
    until(lambda: home.json("run", "show", slow)["bars"] > seen + 15, what="bars that only reduce")
    home.kill("daemon")
    home("halt", "--account", "alice", "--reason", "nobody answers")
    latched = home.json("status")
    assert (latched["halt"], [row["line"] is None for row in latched["halts"]]) == ("HALTED", [True, False])
    assert_true(home.home)
    home.start()
    until(lambda: all(row["line"] for row in home.json("status")["halts"]), what="the latch in the ledger")
    home("resume", "alice", "--reason", "looked at it")
    home("halt", "--run", slow, "--kill", "--reason", "enough")
    until(lambda: home.json("run", "show", slow)["state"] == "failed", what="the killed run's end")
    home.stop()
    log = assert_true(home.home)
    outcomes = {log.outcome(intent)[0] for intent in log.decisions}
    assert outcomes >= {"filled", "cancelled", "expired", "rejected", "risk_rejected"}
    assert any(order.leg and order.outcome == "cancelled" for order in log.orders.values())
    assert "nobody answers" in home("report") and "REDUCING x" in home("report")


def _first(items: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    return next(item for item in items if all(item[name] == value for name, value in wanted.items()))


SPOILT: dict[str, tuple[tuple[str, ...], Spoil, str]] = {
    "an order that ended is told as working": (
        ("decisions",), lambda body: _first(body["items"], outcome="filled").update(outcome="working"),
        "outcome is told working, the log says filled",
    ),
    "an ending without its code": (
        ("decisions",), lambda body: _first(body["items"], outcome="filled").update(code="OCO"), "code is told OCO",
    ),
    "a decision left out": (("decisions",), lambda body: body["items"].pop(), "decisions lacks run-"),
    "a fill at another price": (
        ("fills",), lambda body: body["items"][0].update(price="1.23"), "price is told 1.23, the log says",
    ),
    "a fill that never was": (
        ("fills",), lambda body: body["items"].append({**body["items"][0], "fill": "fill-99"}),
        "fill-99 is not in the log",
    ),
    "a plan decided by somebody else": (
        ("plan", "list"), lambda body: body["items"][0].update(decided_by="op:mallory"),
        "decided_by is told op:mallory",
    ),
    "a protection that does not work": (
        ("positions",), lambda body: body["working"].append({"order": "order-1", "kind": "stop_loss"}),
        "positions working: order-1 is not in the log",
    ),
    "a green halt": (
        ("status",), lambda body: body.update(halt="HALTED"), "status: halt is told HALTED, the log says ACTIVE",
    ),
    "realised without its fees": (
        ("run", "show", "run-1"), lambda body: body.update(realised_net=body["realised_gross"]), "realised_net is told",
    ),
    "more cash than there is": (
        ("run", "list"), lambda body: body["items"][0].update(cash="1000000"), "cash is told 1000000",
    ),
    "a refusal nobody made": (
        ("report",), lambda body: body["exceptions"].append(
            {"kind": "refused", "run": "run-1", "code": "HALTED", "count": 256, "line": 3, "text": "run-1 HALTED x256"}
        ), "report refusals: ('run-1', 'HALTED') is not in the log",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_reader_that_says_otherwise_is_named(answers: Ask, name: str) -> None:
    verb, spoil, told = SPOILT[name]

    def lying(*asked: str) -> str:
        answer = answers(*asked)
        if asked != (*verb, "--json"):
            return answer
        body = json.loads(answer)
        spoil(body)
        return json.dumps(body)

    _, found = compare(lying)
    assert any(told in line for line in found), found


def test_a_log_that_contradicts_itself_is_named(answers: Ask) -> None:
    """A fill of an order that has filled already."""

    def doubled(*asked: str) -> str:
        answer = answers(*asked)
        if asked[:2] != ("audit", "log"):
            return answer
        lines = answer.splitlines()
        return "\n".join([*lines, next(line for line in lines if '"kind": "fill"' in line)])

    _, found = compare(doubled)
    assert any("fill-1 fills order-1, which does not work" in line for line in found), found
