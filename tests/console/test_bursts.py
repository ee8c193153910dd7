"""Keys that arrive together: typing decides nothing, and nothing acts in a dialog that nobody has seen."""

from __future__ import annotations

import pytest
from support.console_stage import Stage
from textual import events
from textual.pilot import Pilot

from tui.app import ConsoleApp
from tui.dialogs.forms import CommandPanel, FormPanel
from tui.dialogs.halt import HaltPanel
from tui.dialogs.sign import SignPanel

SIZES = [(120, 36), (80, 24)]
NAMES = {"/": "slash", ":": "colon", "?": "question_mark", " ": "space"}


async def together(pilot: Pilot[None], *keys: str) -> None:
    """As a terminal delivers what was written to it at once: all keys stand in the queue before the first acts."""
    for key in keys:
        pilot.app.post_message(events.Key(NAMES.get(key, key), key if len(key) == 1 else None))
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()


def wanted(app: ConsoleApp) -> str:
    assert app.main.pane.table is not None
    return app.main.pane.table.wanted


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("screen", ["1", "2", "4", "5", "6"])
async def test_letters_behind_a_slash_are_text_however_fast_they_come(
    stage: Stage, screen: str, size: tuple[int, int]
) -> None:
    app = stage.app()
    async with app.run_test(size=size) as pilot:
        await together(pilot, screen, *"/arsPpSxqULT1234567?:jkGo")
        assert app.screen is app.main and app.farewell == ""
        assert (
            app.main.active
            == {"1": "plans", "2": "runs", "4": "decisions", "5": "candidates", "6": "audit"}[screen]
        )
        assert wanted(app) == "arsPpSxqULT1234567?:jkGo"
    assert stage.link.sent == []


async def test_a_key_that_follows_in_time_still_commands(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=SIZES[0]) as pilot:
        await together(pilot, *"/run-1", "enter")
        assert wanted(app) == "run-1"
        await pilot.press("2", "s")
        assert isinstance(app.screen, FormPanel)


async def test_keys_of_one_burst_act_in_their_order(stage: Stage) -> None:
    """The second run is the one to stop: the cursor had moved before the form was asked for."""
    app = stage.app()
    async with app.run_test(size=SIZES[0]) as pilot:
        await together(pilot, *"2js")
        assert isinstance(app.screen, FormPanel)
        assert app.screen._box.border_title == "STOP run-2"


@pytest.mark.parametrize("opening", ["ctrl+p", ":", "?"])
async def test_letters_behind_the_palettes_key_are_text_and_enter_waits(stage: Stage, opening: str) -> None:
    app = stage.app()
    async with app.run_test(size=SIZES[0]) as pilot:
        await together(pilot, opening, *"quit", "enter")
        panel = app.screen
        assert isinstance(panel, CommandPanel) and panel.field is not None and panel.field.value == "quit"
        assert app.farewell == ""
    assert stage.link.sent == []


@pytest.mark.parametrize("keys", [("2", "s", "ctrl+s"), ("2", "P", *"why", "ctrl+s"), ("r", *"why", "ctrl+s")],
                         ids="-".join)  # fmt: skip
async def test_a_form_is_not_sent_by_the_burst_that_opened_it(stage: Stage, keys: tuple[str, ...]) -> None:
    app = stage.app()
    async with app.run_test(size=SIZES[0]) as pilot:
        await together(pilot, *keys)
        panel = app.screen
        assert isinstance(panel, FormPanel) and panel.field is not None and panel.field.value == ""
        assert stage.link.sent == []
        await pilot.press(*"late", "ctrl+s")
        await app.workers.wait_for_complete()
    assert len(stage.link.sent) == 1


async def test_a_signature_is_not_typed_by_the_burst_that_asked_for_it(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=SIZES[0]) as pilot:
        await together(pilot, "a", *stage.digest("plan-3")[-4:])
        panel = app.screen
        assert isinstance(panel, SignPanel) and panel.typed == ""
    assert stage.link.sent == []


async def test_nobody_is_killed_by_the_burst_that_opened_the_halt_panel(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=SIZES[0]) as pilot:
        await together(pilot, "f10", "tab", "K")
        assert isinstance(app.screen, HaltPanel) and app.screen.scope == 0
        assert stage.link.sent == []
        await together(pilot, "f10", "f10")  # a held F10 halts: the safe side
    assert stage.link.commands == ["halt"]
