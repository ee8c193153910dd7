"""Every screen as a picture: two sizes, dark and light, empty, hostile, narrow, uncoloured."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.console_stage import Stage, TestClock, build
from support.ledger_story import Story
from textual.pilot import Pilot

from inalpha.audit import keys
from inalpha.model.errors import TryAgain

SIZES = {"80x24": (80, 24), "120x36": (120, 36)}
SCREENS = {
    "plans": "1",
    "runs": "2",
    "positions": "3",
    "decisions": "4",
    "candidates": "5",
    "audit": "6",
    "health": "7",
}

Snap = Callable[..., bool]


@pytest.fixture(autouse=True)
def fixed_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Health names the home and the free disk: both must be the same everywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=38_000_000_000))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("INALPHA_THEME", raising=False)
    monkeypatch.chdir(tmp_path)
    found = build(Path("home"))
    yield found
    found.story.close()


def after(
    *pressed: str, then: Callable[[Any], None] | None = None
) -> Callable[[Pilot[None]], Awaitable[None]]:
    async def run(pilot: Pilot[None]) -> None:
        for key in pressed:
            await pilot.press(key)
        if then is not None:
            then(pilot.app)
        await settled(pilot)

    return run


async def settled(pilot: Pilot[None]) -> None:
    """Until four looks in a row are alike, each taken when the app had nothing left to do: a page is drawn once more
    after its first layout, and on a busy machine a dialog comes late.
    """
    seen, alike = "", 0
    for _ in range(100):
        await pilot.pause()
        await pilot.pause(0.04)
        now = pilot.app.export_screenshot()
        alike = alike + 1 if now == seen else 0
        if alike == 3:
            return
        seen = now


def take(snap: Snap, stage: Stage, size: str, *pressed: str, app: Any = None, **more: Any) -> None:
    found = app or stage.app()
    assert snap(found, terminal_size=SIZES.get(size, (59, 15)), run_before=after(*pressed, **more))


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("screen", list(SCREENS))
def test_screens(snap_compare: Snap, stage: Stage, screen: str, size: str, theme: str,
                 monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("INALPHA_THEME", theme)
    take(snap_compare, stage, size, SCREENS[screen])


@pytest.mark.parametrize("size", list(SIZES))
class TestOpened:
    def test_run(self, snap_compare: Snap, stage: Stage, size: str) -> None:
        take(snap_compare, stage, size, "2", "j", "k", "enter")

    def test_machine_run(self, snap_compare: Snap, stage: Stage, size: str) -> None:
        take(snap_compare, stage, size, "2", "j", "enter")

    def test_card(self, snap_compare: Snap, stage: Stage, size: str) -> None:
        take(snap_compare, stage, size, "enter")

    def test_signing(self, snap_compare: Snap, stage: Stage, size: str) -> None:
        take(snap_compare, stage, size, "enter", "a")

    def test_expired(self, snap_compare: Snap, stage: Stage, size: str) -> None:
        def expire(app: Any) -> None:
            stage.time.advance(400)
            app.pulse()

        take(snap_compare, stage, size, "enter", "a", then=expire)

    def test_halt(self, snap_compare: Snap, stage: Stage, size: str) -> None:
        take(snap_compare, stage, size, "f10")

    def test_help(self, snap_compare: Snap, stage: Stage, size: str) -> None:
        take(snap_compare, stage, size, "question_mark")

    def test_stop_form(self, snap_compare: Snap, stage: Stage, size: str) -> None:
        take(snap_compare, stage, size, "2", "s")


class TestStates:
    def test_daemon_gone(self, snap_compare: Snap, stage: Stage) -> None:
        def gone(app: Any) -> None:
            app.store.goodbye()
            app.store.set_bus(False)
            app.pulse()

        take(snap_compare, stage, "80x24", then=gone)

    def test_daemon_late(self, snap_compare: Snap, stage: Stage) -> None:
        def late(app: Any) -> None:
            stage.time.advance(4)
            app.pulse()

        take(snap_compare, stage, "120x36", then=late)

    def test_halted(self, snap_compare: Snap, stage: Stage) -> None:
        story = stage.story

        def job(txn: Any) -> None:
            data = {"account": None, "reason_commit": txn.commit_text("night"), "run": None, "scope": "all",
                    "state": "HALTED"}  # fmt: skip
            txn.line("halt.set", "system:daemon", data)

        story.do(job)
        take(snap_compare, stage, "80x24")

    def test_view_only(self, snap_compare: Snap, stage: Stage) -> None:
        take(snap_compare, stage, "80x24", app=stage.app(view=True))

    def test_locked(self, snap_compare: Snap, stage: Stage) -> None:
        app = stage.app()
        app.session.key, app.session.is_open_key = None, False
        take(snap_compare, stage, "80x24", "U", app=app)

    def test_lost_reply(self, snap_compare: Snap, stage: Stage) -> None:
        stage.link.answer = TryAgain("NO_REPLY", "no reply")

        def lose(app: Any) -> None:
            app.said_of["plan-3"] = ("UNKNOWN, reading the ledger: no reply within 5 s", "warn")
            app.pulse()

        take(snap_compare, stage, "80x24", "enter", then=lose)

    def test_too_small(self, snap_compare: Snap, stage: Stage) -> None:
        take(snap_compare, stage, "59x15")

    def test_ascii(self, snap_compare: Snap, stage: Stage) -> None:
        take(snap_compare, stage, "80x24", "2", "j", "enter", app=stage.app(as_ascii=True))

    def test_no_color(self, snap_compare: Snap, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        take(snap_compare, stage, "80x24", "enter")

    @pytest.mark.parametrize("size", list(SIZES))
    def test_hostile_text(self, snap_compare: Snap, tmp_path: Path, size: str) -> None:
        found = build(
            Path("hostile"),
            "[red]BUY NOW[/red] \x1b[2J \u202eevil\u200b 策略很好 שלום e\u0301\u0301\u0301\u0301",
        )
        take(snap_compare, found, size, "enter")
        found.story.close()


@pytest.mark.parametrize("screen", ["plans", "runs", "decisions"])
def test_empty_ledger(
    snap_compare: Snap, tmp_path: Path, screen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    story = Story(Path("empty")).create()
    keys.write_open(keys.operator_path(story.home, "anna"), story.owner)
    time = TestClock(wall=story.clock.wall_us)
    take(snap_compare, Stage(story, time), "80x24", SCREENS[screen])
    story.close()
