"""What a person signs is shown whole: it wraps, marks what a gap would hide, and counts as read when it was."""

from __future__ import annotations

from typing import Any

import pytest
from support.console_stage import Stage, build
from textual.pilot import Pilot

from inalpha.client.wholetext import hidden_words, marked, source_rows
from tui.app import ConsoleApp
from tui.book import CandidateDetail
from tui.dialogs.forms import FormPanel
from tui.dialogs.sign import SignPanel
from tui.line import Line, texts
from tui.views.candidates import candidate_lines, source_lines

TAIL = "; self.hidden = self.n > 1000"
HIDDEN_TAIL = f'''"""One line whose tail stands 150 columns to the right."""
from inalpha import Bar, Strategy


class Hidden(Strategy):
    def on_start(self) -> None:
        self.n, self.hidden = 0, False

    def on_bar(self, bar: Bar) -> None:
        self.n += 1{" " * 150}{TAIL}
        if self.hidden and self.position.is_flat and not self.orders:
            self.buy(1, reason="late")
'''
LONG_WHY = "fast above slow " * 160 + " " * 200 + "and never mind the size"


def shown(app: ConsoleApp) -> list[str]:
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def detail(source: str = HIDDEN_TAIL, rationale: str = "a rule") -> CandidateDetail:
    row: dict[str, Any] = {
        "candidate": "cand-0123456789ab", "state": "passed", "submitted_by": "agent:" + "x" * 40, "ts": 0,
        "sha256": "ab" * 32, "size": len(source), "decided_by": None,
    }  # fmt: skip
    finding = {"line": 10, "message": "150 blanks hide what follows: " + "x" * 200}
    return CandidateDetail(row, source, rationale, None, {"findings": [finding]})


@pytest.mark.parametrize("width", [54, 78])
def test_a_candidate_is_shown_whole(width: int) -> None:
    rows = texts(candidate_lines(detail(rationale=LONG_WHY), 10**6, width))
    assert not [row for row in rows if row.endswith("…") or len(row) > width]
    told = "".join("".join(rows).split())
    for part in (TAIL, LONG_WHY[:600], "and never mind the size", "ab" * 32, "x" * 200, "x" * 40):
        assert part.replace(" ", "") in told
    (place,) = [place for place, row in enumerate(rows) if "┆ 150 blanks ┆" in row]
    assert rows[place].startswith("  10         self.n += 1")
    assert "; self.hidden" in "".join(rows[place : place + 2])
    assert any("SOURCE  1 line hides text behind blanks" in row for row in rows)


def test_lines_keep_the_numbers_of_the_interpreter() -> None:
    rows = texts(source_lines("a = 1 # \x0c b\r\n\tc\n" + "\n" * 30 + "d = 2\n"))
    assert rows[1] == r"   1 a = 1 # \x0c b" and rows[2] == "   2 ⇥   c"
    assert rows[3] == "   3 ┆ 30 blank lines ┆" and rows[4] == "  33 d = 2"
    assert hidden_words("a\n" + "\n" * 30 + "b" * 300) == "1 long line, 1 gap of blank lines"


def test_every_letter_stands_in_some_row() -> None:
    text = "策略 " + "word " * 30 + "x" * 200 + "  end"
    for width in range(8, 60):
        rows = Line(text, "", 4).wrap(width)
        assert all(row.width <= width for row in rows)
        assert "".join("".join(texts(rows)).split()) == "".join(text.split())


def test_gaps_are_marked_and_usual_blanks_are_not() -> None:
    assert marked("a" + " " * 39 + "b  ") == [("a" + " " * 39 + "b  ", False)]
    assert [text for text, is_mark in marked("a" + "\u3164" * 40 + "b") if is_mark] == [" ┆ 40 blanks ┆ "]
    assert [row.number for row in source_rows("a\n\n\nb\n")] == [1, 2, 3, 4]


async def opened(pilot: Pilot[None], *keys: str) -> ConsoleApp:
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    await pilot.press(*keys)
    await pilot.pause()
    return app


@pytest.mark.parametrize("size", [(80, 24), (120, 24)], ids=str)
async def test_a_card_can_be_signed_once_its_last_row_was_on_the_screen(
    tmp_path: Any, size: tuple[int, int]
) -> None:
    stage = build(tmp_path / "home", LONG_WHY)
    async with stage.app().run_test(size=size) as pilot:
        app = await opened(pilot, "enter")
        assert "never mind" not in "\n".join(shown(app))
        await pilot.press("a")
        assert app.screen is app.main and "read it to its end first" in shown(app)[-2]
        await pilot.press("G")  # the rows between were not on the screen
        await pilot.press("g", "a")
        assert app.screen is app.main
        for _ in range(40):
            await pilot.press("j")
        assert app.main.pane.why_unread() == ""
        await pilot.press("a")
        assert isinstance(app.screen, SignPanel)
    stage.story.close()


async def test_a_card_that_fits_is_read_when_it_is_open(stage: Stage) -> None:
    async with stage.app().run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, "enter", "a")
        assert isinstance(app.screen, SignPanel)


async def test_a_long_reason_is_shown_whole_before_it_is_signed(stage: Stage) -> None:
    async with stage.app().run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, "r")
        panel = app.screen
        assert isinstance(panel, FormPanel) and panel.field is not None
        panel.field.value = "too large " * 20 + " " * 59 + "and late"
        await pilot.pause()
        told = " ".join(row.strip("│ ") for row in shown(app)[3:-3])
        assert told.count("too large") >= 20 and "┆ 60 blanks ┆" in told
        assert "late”" in told and "^s sends" in told
