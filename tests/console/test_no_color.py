"""NO_COLOR draws in the terminal's own colours on every screen and in every dialog; `ansi` in its palette."""

from __future__ import annotations

import pytest
from rich.color import ColorType
from support.console_stage import Stage

from tui.app import ConsoleApp

WAYS = [*"1234567", ("enter",), ("2", "enter"), ("5", "enter"), ("slash", "x"), ("question_mark",), ("r", "x"), "a",
        ("f10",)]  # fmt: skip


def colours(app: ConsoleApp) -> set[ColorType]:
    strips = app.screen._compositor.render_strips()
    styles = [segment.style for strip in strips for segment in strip if segment.style is not None]
    return {colour.type for style in styles for colour in (style.color, style.bgcolor) if colour is not None}


@pytest.mark.parametrize("look", ["plain", "ansi"])
async def test_the_terminals_own_colours_are_left_alone(
    stage: Stage, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*(("NO_COLOR", "1") if look == "plain" else ("INALPHA_THEME", "ansi")))
    app = stage.app()
    allowed = set() if look == "plain" else {ColorType.DEFAULT, ColorType.STANDARD}
    async with app.run_test(size=(80, 24)) as pilot:
        for keys in WAYS:
            await pilot.press(*keys)
            assert colours(app) <= allowed, keys
            await pilot.press("escape", "escape", "1")
        if look == "plain":
            await pilot.press("T")
            assert app.look == "plain" and colours(app) == set()
