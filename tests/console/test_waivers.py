"""A run that was let off a rule says so in the colour of danger, until the waiver is over."""

from __future__ import annotations

from dataclasses import replace

from support.console_stage import Stage

from inalpha.ledger import readers
from tui.book import Interest, RunDetail, read_book
from tui.views.runs import run_lines

WAIVER = {"rule": "isolation.fenced.host-local", "run": "run-1", "expires": 2_000, "seq": 9}


def told(stage: Stage, now_us: int, width: int) -> list[tuple[str, str]]:
    home = stage.story.home
    reader = readers.open_reader(home)
    view = read_book(home, reader, Interest()).runs[0]
    reader.close()
    detail = RunDetail(replace(view, waivers=(WAIVER,)), (), ())
    return [span for line in run_lines(detail, now_us, width, 40) for span in line.spans]


def test_a_waiver_is_shown_in_red_while_it_holds(stage: Stage) -> None:
    for width in (80, 120):
        seen = [role for text, role in told(stage, 1_000, width) if "isolation.fenced.host-local" in text]
        assert seen == ["bad"]
        assert not [text for text, _ in told(stage, 2_000, width) if "WAIVED" in text]
