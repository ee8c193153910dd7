"""The console under fingers: what signs, what does not, and what always halts."""

from __future__ import annotations

import pytest
from support.console_stage import Stage
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from inalpha.model import latch
from inalpha.model.errors import InalphaError, TryAgain
from inalpha.model.states import HaltState
from tui.app import ConsoleApp
from tui.commands import COMMANDS, SCREENS
from tui.dialogs.halt import HaltPanel
from tui.dialogs.sign import SignPanel

WIDE, NARROW = (120, 36), (80, 24)
PLAN = "plan-3"


def shown(app: ConsoleApp) -> list[str]:
    """The text of every row on the screen, as a terminal would show it."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


async def sign_panel(stage: Stage, pilot: Pilot[None]) -> SignPanel:
    await pilot.press("a")
    panel = pilot.app.screen
    assert isinstance(panel, SignPanel)
    stage.time.advance(1.6)
    return panel


async def type_slowly(stage: Stage, pilot: Pilot[None], text: str) -> None:
    for letter in text:
        stage.time.advance(0.2)
        await pilot.press(letter)


async def test_last_four_sign_exactly_what_the_card_showed(stage: Stage) -> None:
    app, digest = stage.app(), stage.digest(PLAN)
    async with app.run_test(size=WIDE) as pilot:
        await sign_panel(stage, pilot)
        await type_slowly(stage, pilot, digest[-4:])
        await app.workers.wait_for_complete()
    ((command, args, who),) = stage.link.sent
    assert command == "plan.approve" and (args["plan"], args["plan_sha256"]) == (PLAN, digest)
    assert who is not None and who.principal == "op:anna"
    data = {"plan": PLAN, "plan_sha256": digest}
    stage.to_host_time()
    stage.story.do(lambda txn: txn.check_gate(args["gate"], "plan.approve", data, "op:anna"))


async def test_signature_of_another_plan_does_not_verify(stage: Stage) -> None:
    app, digest = stage.app(), stage.digest(PLAN)
    async with app.run_test(size=WIDE) as pilot:
        await sign_panel(stage, pilot)
        await type_slowly(stage, pilot, digest[-4:])
        await app.workers.wait_for_complete()
    note = stage.link.sent[0][1]["gate"]
    stage.to_host_time()
    other = {"plan": "plan-2", "plan_sha256": digest}
    with pytest.raises(InalphaError):
        stage.story.do(lambda txn: txn.check_gate(note, "plan.approve", other, "op:anna"))


async def test_wrong_four_sign_nothing_and_leave_the_panel_open(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        panel = await sign_panel(stage, pilot)
        wrong = "".join("0" if letter != "0" else "1" for letter in stage.digest(PLAN)[-4:])
        await type_slowly(stage, pilot, wrong)
        assert app.screen is panel and panel.typed == "" and "not the last four" in panel.note
    assert stage.link.sent == []


async def test_fifty_enters_decide_nothing(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press(*["enter"] * 10)
        await sign_panel(stage, pilot)
        await pilot.press(*["enter"] * 50)
        assert isinstance(app.screen, SignPanel)
        await pilot.press("escape", *["enter"] * 10)
    assert stage.link.sent == []


async def test_input_before_the_panel_is_armed_is_ignored(stage: Stage) -> None:
    app, digest = stage.app(), stage.digest(PLAN)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("a")
        for letter in digest[-4:]:
            stage.time.advance(0.3)
            await pilot.press(letter)
        panel = app.screen
        assert isinstance(panel, SignPanel) and panel.typed == ""
    assert stage.link.sent == []


async def test_pastes_and_bursts_are_dropped(stage: Stage) -> None:
    app, digest = stage.app(), stage.digest(PLAN)
    async with app.run_test(size=WIDE) as pilot:
        panel = await sign_panel(stage, pilot)
        panel.post_message(events.Paste(digest[-4:]))
        await pilot.pause()
        assert panel.typed == "" and "paste" in panel.note
        await pilot.press(*digest[-4:])  # no time passes between the keys
        assert isinstance(app.screen, SignPanel)
    assert stage.link.sent == []


async def test_held_key_counts_once(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        panel = await sign_panel(stage, pilot)
        for _ in range(5):
            stage.time.advance(0.03)
            await pilot.press("7")
        assert panel.typed == "7"


async def test_expired_card_freezes_until_escape(stage: Stage) -> None:
    app, digest = stage.app(), stage.digest(PLAN)
    async with app.run_test(size=WIDE) as pilot:
        panel = await sign_panel(stage, pilot)
        app.store.beat(0)
        stage.time.advance(400)
        app.pulse()
        assert panel.frozen == "EXPIRED"
        await type_slowly(stage, pilot, digest[-4:])
        assert app.screen is panel
        await pilot.press("escape")
        assert "EXPIRED" in "\n".join(shown(app))
    assert stage.link.sent == []


async def test_loser_of_a_race_sees_who_decided(stage: Stage) -> None:
    app, digest = stage.app(), stage.digest(PLAN)
    async with app.run_test(size=WIDE) as pilot:
        panel = await sign_panel(stage, pilot)
        stage.story.do(lambda txn: txn.line("plan.cancel", "system:daemon", {"plan": PLAN, "reason": "stop"}))
        app.store.read()
        app.pulse()
        assert "you did not sign" in panel.frozen
        await type_slowly(stage, pilot, digest[-4:])
    assert stage.link.sent == []


async def test_lost_reply_leads_to_the_ledger(stage: Stage) -> None:
    stage.link.answer = TryAgain("NO_REPLY", "no reply")
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await sign_panel(stage, pilot)
        await type_slowly(stage, pilot, stage.digest(PLAN)[-4:])
        await app.workers.wait_for_complete()
        app.pulse()
        assert "UNKNOWN, reading the ledger" in "\n".join(shown(app))


async def test_bus_loss_switches_the_open_panel_off(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        panel = await sign_panel(stage, pilot)
        app.store.set_bus(False)
        app.pulse()
        assert panel.note == "locked: bus down"
        await type_slowly(stage, pilot, stage.digest(PLAN)[-4:])
        assert app.screen is panel
    assert stage.link.sent == []


async def test_reject_needs_a_reason_and_control_s(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("r", "enter", "ctrl+s")
        assert stage.link.sent == []
        await pilot.press(*"late", "enter")
        assert stage.link.sent == []
        await pilot.press("ctrl+s")
        await app.workers.wait_for_complete()
    ((command, args, _),) = stage.link.sent
    assert command == "plan.reject" and args["reason"] == "late"
    data = {"plan": PLAN, "plan_sha256": stage.digest(PLAN), "reason_commit": args["reason_commit"]}
    stage.to_host_time()
    stage.story.do(lambda txn: txn.check_gate(args["gate"], "plan.reject", data, "op:anna"))


@pytest.mark.parametrize("is_open", [True, False])
async def test_stop_and_pause_are_signed_by_an_open_key_and_need_none(stage: Stage, is_open: bool) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        if not is_open:
            app.session.key = None
        await pilot.press("2", "s", "ctrl+s")
        await pilot.press("P", *"calm", "ctrl+s")
        await app.workers.wait_for_complete()
    by = "op:anna" if is_open else None
    assert [(cmd, who and who.principal) for cmd, _, who in stage.link.sent] == [("stop", by), ("halt", by)]
    assert stage.link.sent[1][1]["state"] == "REDUCING"


WAYS = [
    (),
    ("2",),
    ("3",),
    ("4",),
    ("5",),
    ("6",),
    ("7",),
    ("2", "enter"),
    ("slash", "x"),
    ("question_mark",),
    ("r",),
]


@pytest.mark.parametrize("keys", WAYS, ids="-".join)
async def test_f10_twice_halts_from_everywhere(stage: Stage, keys: tuple[str, ...]) -> None:
    app = stage.app()
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press(*keys)
        await pilot.press("f10")
        assert isinstance(app.screen, HaltPanel) and stage.link.sent == []
        await pilot.press("f10")
        await app.workers.wait_for_complete()
    assert [(cmd, args["state"], args["scope"]) for cmd, args, _ in stage.link.sent] == [
        ("halt", "HALTED", "all")
    ]


@pytest.mark.parametrize("case", ["view", "small", "signing"])
async def test_f10_works_viewing_too_small_and_while_signing(stage: Stage, case: str) -> None:
    app = stage.app(view=case == "view")
    async with app.run_test(size=(50, 12) if case == "small" else WIDE) as pilot:
        if case == "signing":
            await sign_panel(stage, pilot)
        await pilot.press("f10", "f10")
        await app.workers.wait_for_complete()
    assert stage.link.commands == ["halt"]


async def test_chord_opens_the_halt_for_terminals_that_keep_f10(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("slash", "h")
        assert not isinstance(app.screen, HaltPanel)
        await pilot.press("ctrl+x", "h")
        assert isinstance(app.screen, HaltPanel)
    assert stage.link.sent == []


async def test_silent_daemon_leaves_the_halt_to_the_latch(stage: Stage) -> None:
    stage.link.answer = TryAgain("NO_REPLY", "no reply")
    path = stage.story.home / "halt.latch"
    if not path.exists():
        latch.create(path)
    app = stage.app()
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("f10", "f10")
        await app.workers.wait_for_complete()
        assert "LATCHED" in "\n".join(shown(app))
    (row,) = latch.read_rows(path)
    assert (row.scope, row.state) == ("all", HaltState.HALTED)


async def test_kill_is_its_own_key_and_scope_moves_by_tab(stage: Stage) -> None:
    path = stage.story.home / "halt.latch"
    if not path.exists():
        latch.create(path)
    app = stage.app()
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("f10", "tab", "K")
        await app.workers.wait_for_complete()
    (row,) = latch.read_rows(path)
    assert (row.scope, row.run, row.state) == ("run", "run-1", HaltState.KILLED)


async def test_view_mode_publishes_nothing_but_tightening(stage: Stage) -> None:
    app = stage.app(view=True)
    async with app.run_test(size=WIDE) as pilot:
        for command in COMMANDS:
            if command.id in ("leave", "halt", "run.stop", "run.pause", "audit.verify"):
                continue
            screen = next(
                (str(place) for place, name in enumerate(SCREENS, 1) if name in command.screens), "1"
            )
            await pilot.press(screen, command.key, "0", "ctrl+s", "escape", "escape")
    assert stage.link.sent == []


async def test_truth_line_stands_at_row_0_on_every_screen(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=NARROW) as pilot:
        for screen in "1234567":
            await pilot.press(screen, "end", "pagedown")
            rows = shown(app)
            assert rows[0].startswith(" PAPER ● 0.4s │ bus ● │") and rows[1].startswith(" 1 Plans(1) 2 Runs")
            assert rows[-1].endswith("F10 HALT ALL") and len(rows) == 24


async def test_typing_in_the_filter_decides_nothing(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("slash", *"arsPq7", "enter")
        assert app.main.active == "plans" and app.main.pane.table is not None
        assert app.main.pane.table.wanted == "arsPq7"
        assert "/arsPq7" in shown(app)[1]
        await pilot.press("escape")
        assert app.main.pane.table.wanted == ""
    assert stage.link.sent == []


async def test_leaving_says_that_trading_goes_on_and_marks_what_was_read(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("q")
    assert app.farewell == "no daemon is running: nothing trades"
    again = stage.app()
    assert again.session.mark["seq"] == app.store.book.size - 1
    assert stage.link.sent == []


async def test_locked_key_says_how_to_unlock(stage: Stage) -> None:
    app = stage.app()
    app.session.key, app.session.is_open_key = None, False
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("a")
        assert not isinstance(app.screen, SignPanel)
        assert "locked: U unlocks" in shown(app)[-2]
        await pilot.press("U")
        assert isinstance(app.screen.query_one("#passphrase"), Input)
    assert stage.link.sent == []


async def test_cursor_stays_on_its_row_when_rows_arrive(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4", "j")
        table = app.main.pane.table
        assert table is not None
        chosen = table.chosen
        stage.story.bar("run-1", 43, 1, lambda txn: stage.story.order(txn, "run-1", 43))
        app.pulse()
        await pilot.pause()
        assert len(table.shown) == 4 and table.chosen == chosen


def test_every_command_has_its_own_key_and_a_sentence() -> None:
    keys = [command.key for command in COMMANDS]
    assert len(set(keys)) == len(keys)
    assert all(command.told and hasattr(ConsoleApp, "do_" + command.id.replace(".", "_"))
               for command in COMMANDS if not command.id.startswith("screen."))  # fmt: skip
    assert not any(command.key in ("enter", "space") for command in COMMANDS if command.level)
