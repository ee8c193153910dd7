"""Panes: one for each screen. Each asks its view for lines and rows and shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget

from tui.book import Interest
from tui.line import Line
from tui.rows import Column, TableRow
from tui.views import candidates, decisions, plans, positions, record, runs
from tui.views.frame import WIDE
from tui.widgets.sheet import Rows, Sheet
from tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from tui.app import ConsoleApp


class Pane(Container):
    """update() shows the store's state; the app calls it for the open pane alone."""

    name_of_screen = ""

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    @property
    def table(self) -> VirtualTable | None:
        return None

    @property
    def chosen(self) -> str | None:
        return self.table.chosen if self.table is not None else None

    def update(self) -> None:
        raise NotImplementedError

    def interest(self) -> Interest:
        """What the reader should fetch in full for this pane."""
        return Interest()

    def open(self) -> None:
        """Enter."""

    def back(self) -> bool:
        """Esc; True when something closed."""
        return False

    def first_focus(self) -> Widget | None:
        return self.table

    def why_unread(self) -> str:
        """Why what is shown cannot be signed yet; empty when all of it was on the screen."""
        return ""


class SplitPane(Pane):
    """A list and the chosen row's page: beside it where there is room, else in its place after Enter."""

    columns: Sequence[Column] = ()
    empty = "nothing yet"
    pinned_as = ""
    beside_at: int | None = WIDE

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.is_open = False
        self._table = VirtualTable(self.columns, empty=self.empty, pinned_as=self.pinned_as)
        self.sheet = Sheet()

    def compose(self) -> ComposeResult:
        yield self._table
        yield self.sheet

    @property
    def table(self) -> VirtualTable:
        return self._table

    def rows(self) -> list[TableRow]:
        raise NotImplementedError

    def page(self, width: int, height: int) -> list[Line]:
        raise NotImplementedError

    @property
    def is_split(self) -> bool:
        return self.beside_at is not None and self.app.size.width >= self.beside_at

    def update(self) -> None:
        self._table.show(self.rows())
        self._table.display = self.is_split or not self.is_open
        self.sheet.display = self.is_split or self.is_open
        self.set_class(self.is_split, "split")
        if self.sheet.display:
            self.sheet.write(self.page, self.chosen)

    def why_unread(self) -> str:
        if not self.sheet.display or not self.sheet.unseen:
            return ""
        return f"read it to its end first: {self.sheet.read_pct}% was on the screen (Enter, then j)"

    def on_virtual_table_moved(self) -> None:
        self.console.look_closer()

    def on_virtual_table_opened(self) -> None:
        self.open()

    def open(self) -> None:
        if self.chosen is None or self.is_open:
            return
        self.is_open = True
        self.sheet.scroll_to(0, 0, animate=False)
        self.update()
        self.screen.set_focus(self.sheet)

    def back(self) -> bool:
        if not self.is_open:
            return False
        self.is_open = False
        self.update()
        self.screen.set_focus(self._table)
        return True

    def first_focus(self) -> Widget:
        return self.sheet if self.is_open else self._table


class PlansPane(SplitPane):
    columns = plans.COLUMNS
    empty = "no plan yet: one appears when a run in human mode wants to trade"
    pinned_as = "PENDING"

    def rows(self) -> list[TableRow]:
        return plans.plan_rows(self.console.store.book, self.console.clock.wall_us())

    def interest(self) -> Interest:
        return Interest(plan=self.chosen)

    def page(self, width: int, height: int) -> list[Line]:
        card = self.console.store.book.card
        if card is None or card.name != self.chosen:
            return [Line("reading…" if self.chosen else "no plan is chosen", "dim")]
        app = self.console
        return plans.card_lines(card, app.clock.wall_us(), width, app.said_of.get(card.name))


class RunsPane(SplitPane):
    columns = runs.COLUMNS
    empty = "no run yet: inalpha run start"
    beside_at = None

    def rows(self) -> list[TableRow]:
        store = self.console.store
        return runs.run_rows(store.book, self.console.clock.wall_us(), store.silence_s)

    def interest(self) -> Interest:
        return Interest(run=self.chosen if self.is_open else None)

    def page(self, width: int, height: int) -> list[Line]:
        store = self.console.store
        detail = store.book.detail
        if detail is None or detail.view.name != self.chosen:
            return [Line("reading…", "dim")]
        return runs.run_lines(detail, self.console.clock.wall_us(), width, height, store.silence_s)

    def open(self) -> None:
        super().open()
        self.console.look_closer()


class CandidatesPane(SplitPane):
    columns = candidates.COLUMNS
    empty = "no candidate yet: inalpha candidate submit"

    def rows(self) -> list[TableRow]:
        return candidates.candidate_rows(self.console.store.book, self.console.clock.wall_us())

    def interest(self) -> Interest:
        return Interest(candidate=self.chosen)

    def page(self, width: int, height: int) -> list[Line]:
        detail = self.console.store.book.candidate
        if detail is None or detail.row["candidate"] != self.chosen:
            return [Line("reading…" if self.chosen else "no candidate is chosen", "dim")]
        return candidates.candidate_lines(detail, self.console.clock.wall_us(), width)


class ListPane(Pane):
    """Some rows above, a list, some rows about the chosen one below."""

    columns: Sequence[Column] = ()
    above, below = 2, 3
    empty = "nothing yet"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._table = VirtualTable(self.columns, empty=self.empty)
        self.head, self.foot = Rows(self.above, classes="head"), Rows(self.below + 1, classes="foot")

    def compose(self) -> ComposeResult:
        yield self.head
        yield self._table
        yield self.foot

    @property
    def table(self) -> VirtualTable:
        return self._table

    def on_virtual_table_moved(self) -> None:
        self.update()


class DecisionsPane(ListPane):
    columns = decisions.COLUMNS
    empty = "no decision yet: a strategy decides when a bar closes"

    def update(self) -> None:
        app = self.console
        book, width = app.store.book, self.app.size.width
        self.head.show(decisions.headline(book, app.session, app.clock.wall_us(), width - 2))
        self._table.show(decisions.decision_rows(book, app.session.mark.get("seq", -1)))
        row = next((row for row in book.decisions if row["intent"] == self.chosen), None)
        self.foot.show(decisions.evidence(row, book, width - 2))


class AuditPane(ListPane):
    columns = record.LINE_COLUMNS
    above, below = 3, 2

    def update(self) -> None:
        app = self.console
        book, width = app.store.book, self.app.size.width
        self.head.show(record.audit_head(app.store, app.verification, app.clock.mono(), width - 2))
        self._table.show(record.line_rows(book, app.store.watch.checked, app.clock.wall_us()))
        event = next((event for event in book.lines if str(event.seq) == self.chosen), None)
        self.foot.show([record.event_line(event, width - 2)])


class SheetPane(Pane):
    """One page of lines."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.sheet = Sheet()

    def compose(self) -> ComposeResult:
        yield self.sheet

    def lines(self, width: int) -> list[Line]:
        raise NotImplementedError

    def update(self) -> None:
        self.sheet.write(lambda width, _: self.lines(width))

    def first_focus(self) -> Widget:
        return self.sheet


class PositionsPane(SheetPane):
    def lines(self, width: int) -> list[Line]:
        return positions.position_lines(self.console.store.book, self.console.clock.wall_us(), width)


class HealthPane(SheetPane):
    def lines(self, width: int) -> list[Line]:
        app = self.console
        return record.health_lines(app.store, app.clock.wall_us(), width, app.sent)


PANES: dict[str, type[Pane]] = {
    "plans": PlansPane,
    "runs": RunsPane,
    "positions": PositionsPane,
    "decisions": DecisionsPane,
    "candidates": CandidatesPane,
    "audit": AuditPane,
    "health": HealthPane,
}
