"""The console claims nothing that is not so: who halted, what was checked, what is alive, which figures were read."""

from __future__ import annotations

import os

import pytest
from support.console_stage import BARS, FakeLink, Stage
from support.ledger_story import ACCOUNT
from textual.pilot import Pilot

from inalpha.client.presence import STARTING, Presence, start_ticks
from inalpha.daemon.presence import announce, withdraw
from inalpha.execution import lines
from inalpha.model.home import Home
from tui.app import ConsoleApp
from tui.dialogs.sign import SignPanel

WIDE = (140, 40)


def shown(app: ConsoleApp) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


def halt(stage: Stage, state: str, run: str | None = None, account: str | None = None, **more: str) -> None:
    scope = "run" if run else "account" if account else "all"
    reason = stage.story.do(lambda txn: txn.commit_text("a quiet night"))
    data = {"account": account, "reason_commit": reason, "run": run, "scope": scope, "state": state, **more}
    stage.story.do(lambda txn: txn.line("halt.set", "system:daemon", data))


@pytest.mark.parametrize(
    ("scope", "told"),
    [({"run": "run-1"}, "HALTED run-1"), ({"account": ACCOUNT}, "HALTED anna"), ({}, "HALTED all")],
)
async def test_the_top_line_names_the_worst_halt_of_any_scope(
    stage: Stage, scope: dict[str, str], told: str
) -> None:
    halt(stage, "REDUCING", run="run-2")
    halt(stage, "HALTED", **scope, claimed_by="op:alice")  # type: ignore[arg-type]
    app = stage.app()
    async with app.run_test(size=WIDE):
        rows = shown(app).splitlines()
    assert told in rows[0] and "ACTIVE" not in rows[0]
    assert "by op:alice (claimed)" in rows[-2] and "a quiet night" in rows[-2] and "+1 more" in rows[-2]


async def test_an_exit_of_a_reducing_run_can_be_approved_and_an_entry_cannot(stage: Stage) -> None:
    stage.story.bar("run-2", BARS, 1)
    exit_plan = stage.pending("run-2", BARS, "out", side="sell", reduce_only=True)
    halt(stage, "REDUCING", run="run-2")
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("a")
        assert not isinstance(app.screen, SignPanel)
        assert "only exits can be approved" in shown(app)
        await pilot.press("j")
        await pilot.pause()
        assert app.main.pane.chosen == exit_plan
        await pilot.press("a")
        assert isinstance(app.screen, SignPanel)


async def test_a_halted_run_approves_no_exit_either(stage: Stage) -> None:
    stage.story.bar("run-2", BARS, 1)
    stage.pending("run-2", BARS, "out", side="sell", reduce_only=True)
    halt(stage, "HALTED", run="run-2")
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("j", "a")
        assert not isinstance(app.screen, SignPanel)
        assert "run-2 is HALTED" in shown(app)


async def test_an_expired_dialog_keeps_the_figures_of_its_moment(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("a")
        panel = app.screen
        assert isinstance(panel, SignPanel)
        before = panel.lines()[0].text
        stage.time.advance(3600)
        app.pulse()
        assert panel.frozen == "EXPIRED"
        # The price moves on behind the dialog; what was read there stays.
        entry = {"bar": [10**18, 10**18 + 1, 1, 1, 1, 9_999_900, 1], "seq": BARS}
        stage._journal("run-2", BARS + 1, "bar", BARS, entry, {"book": [50_000 * 10**8, 0, 0, 0, 0]})
        stage.story.bar("run-2", BARS)
        app.pulse()
        assert panel.lines()[0].text == before


async def test_the_headline_counts_what_happened_since_the_mark(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        assert "1 filled, 1 refused" in shown(app) and "intent:" not in shown(app)
        await pilot.press("x")
        app.pulse()
        await pilot.pause()
        assert "nothing happened" in shown(app)
        halt(stage, "REDUCING", run="run-1")
        _, order = stage.story.bar(
            "run-1",
            BARS + 3,
            1,
            lambda txn: stage.story.order(txn, "run-1", BARS + 3, side="sell", reduce_only=True),
        )
        stage.story.do(lambda txn: lines.end_order(txn, order, "cancelled", "PRICE_COLLAR"))
        app.pulse()
        await pilot.pause()
        told = shown(app)
    assert "1 halt, 1 cancelled" in told or "1 cancelled, 1 halt" in told
    assert "run-1 set to REDUCING by system:daemon" in told
    assert "○ cancelled" in told and "PRICE_COLLAR" in told


async def test_no_decision_yet_is_said_only_where_none_is(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4", "slash", *"nothing-like-it", "enter")
        await pilot.pause()
        told = shown(app)
        assert "no decision yet" not in told and "no decision is chosen" in told
        assert "no match: Esc clears the filter" in told


async def test_a_starting_daemon_is_starting_and_not_gone(stage: Stage) -> None:
    home = Home(stage.story.home)
    pid = os.getpid()
    announce(home, Presence(pid, start_ticks(pid) or 0, STARTING, 1, "", ""))
    try:
        app = stage.app(up=False)
        app.store.goodbye()  # of the one before it
        async with app.run_test(size=WIDE) as pilot:
            await pilot.pause()
            assert "starting" in shown(app).splitlines()[0]
            assert app.store.why_not_send() == "daemon starting"
    finally:
        withdraw(home)


async def test_a_killed_runner_shows_how_often_it_was_started_again(stage: Stage) -> None:
    evidence = stage.story.do(lambda txn: txn.blob(b"{}"))
    data = {"evidence_sha256": evidence, "host": "host-local", "level": "sealed", "run": "run-1"}
    for _ in range(3):
        stage.story.do(lambda txn: txn.line("run.isolated", "system:daemon", data))
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("7")
        await pilot.pause()
        (row,) = [line for line in shown(app).splitlines() if line.lstrip().startswith("run-1")]
        assert row.split()[4] == "2"
        await pilot.press("2", "enter")
        await pilot.pause()
        assert "restarted 2" in shown(app)


async def _halted(stage: Stage, pilot: Pilot[None], *keys: str) -> str:
    await pilot.press(*keys)
    await pilot.app.workers.wait_for_complete()
    return shown(pilot.app)  # type: ignore[arg-type]


async def test_latched_is_said_only_where_the_latch_was_used(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        told = await _halted(stage, pilot, "f10", "f10")
    assert "the daemon answered" in told and "LATCHED" not in told


async def test_a_kill_that_the_daemon_answered_does_not_claim_to_go_without_it(stage: Stage) -> None:
    stage.link = FakeLink()
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        told = await _halted(stage, pilot, "f10", "K")
    assert "the daemon answered" in told and "binds without the daemon" not in told
    assert "LATCHED before it was asked" in told


async def test_a_deposit_is_no_gain(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        before = app.store.book.accounts[0]["gain"]
        stage.story.gated("account.deposit", {"account": ACCOUNT, "amount": "100000"})
        app.pulse()
        await pilot.pause()
        row = app.store.book.accounts[0]
        assert float(row["equity"]) > 199_000 and abs(row["gain"] - before / 2) < 1e-6
        assert "+0.00%" in shown(app) or " 0.00%" in shown(app)
