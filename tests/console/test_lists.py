"""Lists sort by what their cells mean, and what waits for a person never leaves the screen."""

from __future__ import annotations

from typing import Any

import pytest
from support.console_stage import BARS, Stage
from textual.pilot import Pilot

from tui.app import ConsoleApp
from tui.rows import Cell, Column, TableRow, arranged
from tui.widgets.table import VirtualTable

WIDE, NARROW = (140, 30), (80, 24)


def shown(app: ConsoleApp) -> list[str]:
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def ordered(cells: list[Cell], flipped: bool = False) -> list[str]:
    rows = [TableRow(str(place), (cell,)) for place, cell in enumerate(cells)]
    return [row.cells[0].text for row in arranged(rows, (Column("x", 9),), "", 0, flipped)]


@pytest.mark.parametrize(
    "texts",
    [
        ["run-2", "run-9", "run-10", "run-100"],
        ["plan-9", "plan-10", "prop-1"],
        ["-1,200.5", "-3", "0", "0.05", "7", "64", "1,000", "12,000.25"],
        ["-12.5%", "-2%", "+0.1%", "+9%", "+10%"],
        ["✓ anna", "✗ bob", "○ expired", "✓ system"],
        ["BUY 2 ETH", "BUY 10 ETH", "BUY 1,000 ETH", "SELL 1 ETH"],
    ],
)
def test_text_sorts_with_its_numbers_by_size(texts: list[str]) -> None:
    cells = [Cell(text) for text in texts[::-1]]
    assert ordered(cells) == texts
    assert ordered(cells, flipped=True) == texts[::-1]


def test_a_value_decides_before_the_text_and_the_missing_stand_last_either_way() -> None:
    cells = [Cell("21 Nov", value=2), Cell("-", value=None), Cell("10:41Z", value=3), Cell("31 May 01", value=1),
             Cell("nan", value=float("nan"))]  # fmt: skip
    assert ordered(cells) == ["31 May 01", "21 Nov", "10:41Z", "-", "nan"]
    assert ordered(cells, flipped=True) == ["10:41Z", "21 Nov", "31 May 01", "-", "nan"]
    assert ordered([Cell(""), Cell("missing"), Cell("a")], flipped=True) == ["a", "", "missing"]


def columns_out_of_order(table: VirtualTable, value: Any) -> list[str]:
    """Columns that are not sorted by what the ledger holds; value gives it for a row and a column's title."""
    wrong = []
    for column in table.columns:
        table.sort()
        held = [value(row.key, column.title) for row in table.shown]
        known = [found for found in held if found is not None]
        if known != sorted(known) or held[: len(known)] != known:
            wrong.append(column.title)
    table.sort()
    return wrong


async def test_runs_sort_by_value(stage: Stage) -> None:
    sha256 = stage.story.candidate_sha256  # type: ignore[attr-defined]
    for place in range(8):
        symbol = f"x{place}-usd"
        mandate = stage.story.mandate(sha256, symbol, allocation=str(1000 * (place + 1)))
        stage.header(stage.story.start(mandate), symbol)
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        table = app.main.pane.table
        assert table is not None and len(table.shown) == 10

        def value(key: str, title: str) -> Any:
            view = app.store.book.run(key)
            assert view is not None
            money, row = view.money, view.row
            return {
                "run": int(key.removeprefix("run-")),
                "bars": row["bars"],
                "last bar": row["last_close"],
                "position": float(row["position"]),
                "equity": float(money.equity if money else row["allocation"]),
                "fills": row["fills"],
            }.get(title)

        assert columns_out_of_order(table, value) == []
        await pilot.press("o", "O")
        assert [row.key for row in table.shown][:3] == ["run-10", "run-9", "run-8"]


@pytest.mark.parametrize(
    ("screen", "title", "field"), [("4", "line", "seq"), ("4", "bar", "close"), ("6", "line", None)]
)
async def test_lines_and_bars_sort_by_value(stage: Stage, screen: str, title: str, field: str | None) -> None:
    app = stage.app()
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press(screen)
        table = app.main.pane.table
        assert table is not None
        while table.sort() != title:
            pass
        if field is None:
            held = [int(row.key) for row in table.shown]
        else:
            rows = {row["intent"]: row for row in app.store.book.decisions}
            held = [rows[row.key][field] for row in table.shown]
        assert held == sorted(held) and len(held) > 1


async def waiting(stage: Stage, count: int) -> None:
    for place in range(count):
        stage.story.bar("run-2", BARS + place, 1)
        stage.pending("run-2", BARS + place, "again")


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=str)
async def test_pending_plans_stay_on_top_wherever_the_cursor_goes(
    stage: Stage, size: tuple[int, int]
) -> None:
    for bar in range(BARS + 3, BARS + 43):
        stage.story.bar("run-1", bar, 1, lambda txn, bar=bar: stage.story.order(txn, "run-1", bar))
    app = stage.app()
    async with app.run_test(size=size) as pilot:
        table = app.main.pane.table
        assert table is not None and len(table.shown) > 40
        for keys in ("G", "kkk", "oG", "OG", "ooG"):
            await pilot.press(*keys)
            rows = shown(app)
            assert rows[3].lstrip("▶ ").startswith("plan-3 ") and "PENDING 1" in rows[4], keys
            assert "▶" in "\n".join(rows), keys  # the cursor's own row is in sight


async def test_many_pending_plans_scroll_in_a_zone_of_their_own(stage: Stage) -> None:
    await waiting(stage, 30)
    app = stage.app()
    async with app.run_test(size=NARROW) as pilot:
        table = app.main.pane.table
        assert table is not None
        zone = table._zone
        assert zone == (table.size.height - 2) // 2
        assert f"PENDING 31, oldest first  ▼ {31 - zone} more" in shown(app)[3 + zone]
        await pilot.press(*"j" * 15)
        assert any(row.lstrip().startswith(f"▶{table.chosen}") for row in shown(app)[3 : 3 + zone])
        assert f"▲ {16 - zone} more" in shown(app)[3 + zone]
        await pilot.press("G")
        row = next(row for row in shown(app) if row.lstrip().startswith("▶"))
        assert row.lstrip("▶ ").startswith("plan-1 ") and "PENDING 31" in shown(app)[3 + zone]


async def filtered(pilot: Pilot[None], text: str) -> list[str]:
    await pilot.press("slash", *text, "enter")
    return shown(pilot.app)  # type: ignore[arg-type]


async def test_a_filter_still_filters_and_says_how_many_wait(stage: Stage) -> None:
    app = stage.app()
    async with app.run_test(size=NARROW) as pilot:
        rows = await filtered(pilot, "eth")
        assert "PENDING 1, 0 match the filter" in rows[3] and rows[4].lstrip("▶ ").startswith("plan-")
        assert not any(row.lstrip("▶ ").startswith("plan-3 ") for row in rows[:-3])
        await pilot.press("escape")
        assert shown(app)[3].lstrip("▶ ").startswith("plan-3 ")
