"""Runs: the list, and one run with its prices, equity, decisions and mandate."""

from __future__ import annotations

from collections.abc import Sequence

from inalpha.bus.topics import LOCAL_HOST
from inalpha.model.states import HaltState
from tui.book import Book, Row, RunDetail, RunView
from tui.charts import Candle, braille, candles, spark
from tui.line import Line, beside, whole
from tui.rows import Cell, Column, TableRow
from tui.text import age, bar_moment, bar_time, moment, number, plain, price
from tui.views.decisions import OUTCOMES, why_of, word_of

COLUMNS = (
    Column("run", 8), Column("state", 13), Column("symbol", 10, grow=True), Column("bars", 6, right=True),
    Column("last bar", 10, right=True), Column("position", 9, right=True), Column("equity", 12, right=True),
    Column("P&L", 8, right=True), Column("closes", 16, least=100), Column("fills", 6, right=True, least=100),
    Column("refused", 8, right=True, least=100), Column("error", 14, grow=True, least=110),
)  # fmt: skip
_STATE = {
    "running": ("●", "good"), "starting": ("◐", "warn"), "parked": ("○", "warn"), "stopped": ("·", "dim"),
    "failed": ("✗", "bad"),
}  # fmt: skip
SIDE = 30


def state_cell(view: RunView, silence_s: float | None = None) -> Cell:
    """State with its glyph; a halt or a hold outranks `running`, and what a dead daemon last said has its age."""
    if view.is_live and silence_s is not None:
        word = view.row["state"] if view.halt is HaltState.ACTIVE else view.halt.value
        return Cell(f"○ {word} {age(silence_s)}", "dim")
    if view.is_live and view.halt is not HaltState.ACTIVE:
        return Cell(f"○ {view.halt.value}", "bad")
    if view.is_held:
        return Cell("◐ held", "warn")
    glyph, role = _STATE.get(str(view.row["state"]), ("·", ""))
    return Cell(f"{glyph} {view.row['state']}", role)


def run_rows(book: Book, now_us: int, silence_s: float | None = None) -> list[TableRow]:
    """Live runs first, each group by age. silence_s: how long a dead daemon has not been heard; its runs are dim."""
    found = []
    for view in sorted(book.runs, key=lambda view: not view.is_live):
        row, money = view.row, view.money
        opening = money.opening if money else row["allocation"]
        equity = money.equity if money else row["allocation"]
        gain = float(equity) / float(opening) - 1 if float(opening) else 0.0
        moves = view.is_live and silence_s is None
        closes = [bar.close for bar in view.recent]
        rise = closes[-1] / closes[0] - 1 if closes and closes[0] else None
        role = "" if moves else "dim"
        found.append(
            TableRow(
                view.name,
                (
                    Cell(view.name, "strong" if moves else "dim"),
                    state_cell(view, silence_s),
                    Cell(f"{plain(row['symbol'], 14)} {row['timeframe']}", role),
                    Cell(number(row["bars"]), role),
                    Cell(bar_moment(row["last_close"], row["timeframe"], now_us), role, row["last_close"]),
                    Cell(position_text(view), "bad" if view.differs else role, row["position"]),
                    Cell(number(equity, 0), role, equity),
                    Cell(
                        f"{number(gain * 100, 1, sign=True)}%",
                        (gain_role(gain) or role) if moves else role,
                        gain,
                    ),
                    Cell(spark(closes, 16), "accent" if moves else "dim", rise),
                    Cell(number(row["fills"]), role),
                    Cell(number(row["refused"]), "warn" if row["refused"] else "dim"),
                    Cell(plain(view.error or (row["reason"] or "")), "bad" if view.error else "dim"),
                ),
                row["started_seq"],
            )
        )
    return found


def position_text(view: RunView) -> str:
    """What the log's fills add up to; where the run's journal says something else, both."""
    held = number(view.row["position"])
    return f"{held} ≠ {number(view.money.position)}" if view.differs and view.money else held


def gain_role(gain: float) -> str:
    return "good" if gain > 0.0005 else "bad" if gain < -0.0005 else ""


def _marks(detail: RunDetail) -> list[tuple[int, str, str]]:
    """Fills, refusals and orders that ended unfilled below the price, by the bar on which each was decided."""
    found = []
    for row in detail.decisions:
        outcome = word_of(row)
        if outcome in ("filled", "partly"):
            found.append(
                (
                    row["bar"],
                    "▲" if row["side"] == "buy" else "▼",
                    "good" if row["side"] == "buy" else "accent",
                )
            )
        elif outcome in ("refused", "rejected", "cancelled", "expired"):
            found.append((row["bar"], "✗", "bad"))
        elif outcome in ("pending", "working"):
            found.append((row["bar"], "…", "warn"))
    return found


def run_lines(
    detail: RunDetail, now_us: int, width: int, height: int, silence_s: float | None = None
) -> list[Line]:
    """One run as a screen: header, chart, equity, decisions; at 100 columns money and mandate beside."""
    view = detail.view
    wide = width >= 100
    lines = [_header(view, now_us, width, silence_s)]
    if not wide and view.waived(now_us):
        rules = ", ".join(plain(waiver["rule"]) for waiver in view.waived(now_us))
        lines += Line(f"WAIVED {rules}", "bad", 7).wrap(width)
    if not wide:
        lines.append(_money_line(detail).fit(width))
    main = width - SIDE - 3 if wide else width
    rows_for_chart = max(min((height - 6) // 2, 14), 4)
    bars = [Candle(bar.bar, bar.open, bar.high, bar.low, bar.close) for bar in detail.bars]
    chart = candles(bars, main, rows_for_chart, _marks(detail))
    equity = braille([bar.equity for bar in detail.bars], main - 11, 2 if height >= 26 else 1)
    body = [Line(f"PRICE {view.row['timeframe']}, last {min(len(bars), main - 11)} bars", "title"), *chart]
    for place, row in enumerate(equity):
        body.append(Line("EQUITY     " if place == 0 else "           ", "title").add(row, "accent"))
    body += _decisions(detail, main, height - len(lines) - len(body))
    if not wide:
        return [*lines, *(line.fit(width) for line in body)]
    return lines + beside(body, whole(_facts(detail, now_us), SIDE), main, width)


def _told_level(row: Row) -> str:
    """Another machine's level is its own word."""
    claimed = ", claimed" if row["host"] and row["host"] != LOCAL_HOST else ""
    return plain(row["level"] or "-") + claimed


def _header(view: RunView, now_us: int, width: int, silence_s: float | None) -> Line:
    row = view.row
    state = state_cell(view, silence_s)
    line = Line(f"{view.name} ", "strong").add(
        f"{row['candidate']}  {plain(row['symbol'], 16)} {row['timeframe']}  "
    )
    line.add(state.text, state.role).add(
        f"  {view.halt.value}", "good" if view.halt is HaltState.ACTIVE else "bad"
    )
    line.add(f"  approval {row['approval']}", "dim")
    return line.end(f"last bar {bar_moment(row['last_close'], row['timeframe'], now_us)}", width, "dim")


def _worst_fall(values: Sequence[float]) -> float:
    """The deepest fall below an earlier high, as a fraction; of the bars shown."""
    high, worst = float("-inf"), 0.0
    for value in values:
        high = max(high, value)
        worst = min(worst, value / high - 1 if high > 0 else 0.0)
    return worst


def _money_line(detail: RunDetail) -> Line:
    view, money = detail.view, detail.view.money
    if money is None:
        return Line("no bar yet", "dim")
    gain = float(money.equity) / float(money.opening) - 1
    fall = _worst_fall([bar.equity for bar in detail.bars])
    return (
        Line("equity ").add(number(money.equity, 0), "strong")
        .add(f" {number(gain * 100, 1, sign=True)}%", gain_role(gain))
        .add(f"  fall {number(fall * 100, 1)}%  pos {position_text(view)}  real {number(money.realised, 0, sign=True)}")
        .add(f"  unreal {number(money.unrealised, 0, sign=True)}  refused {view.row['refused']}", "")
    )  # fmt: skip


def _facts(detail: RunDetail, now_us: int) -> list[Line]:
    view, money, row = detail.view, detail.view.money, detail.view.row

    def fact(name: str, value: str, role: str = "") -> Line:
        return Line(f"{name:11}", "dim", 11).add(value, role)

    lines: list[Line] = []
    if money is not None:
        gain = float(money.equity) / float(money.opening) - 1
        lines += [
            fact("equity", number(money.equity, 2), "strong").add(
                f"  {number(gain * 100, 1, sign=True)}%", gain_role(gain)
            ),
            fact("realised", number(money.realised, 2, sign=True)),
            fact("after fees", number(money.realised_net, 2, sign=True)),
            fact("unreal.", number(money.unrealised, 2, sign=True)),
            fact("max fall", f"{number(_worst_fall([bar.equity for bar in detail.bars]) * 100, 1)}%"),
            fact(
                "position",
                position_text(view) + (f" @ {price(money.average)}" if money.average else ""),
                "bad" if view.differs else "",
            ),
            fact("fees", number(money.fees, 2)),
        ]
    else:
        lines.append(Line("no bar yet", "dim"))
    lines += [
        fact("bars", number(row["bars"])),
        fact("intents", f"{number(row['intents'])}, fills {number(row['fills'])}"),
        *(fact("orders" if place == 0 else "", text) for place, text in enumerate(_orders(detail))),
        fact("refused", number(row["refused"]), "warn" if row["refused"] else ""),
        Line(),
        Line("MANDATE", "title"),
        fact("allocation", number(row["allocation"], 0)),
        fact("fill", str(row["fill"])),
        fact("feed", plain(f"{row['feed_kind']} {row['feed_name']}")),
        fact("expires", moment(row["expires"], now_us)),
        fact("started", f"{plain(row['started_by'])} {moment(row['started_ts'], now_us)}"),
        fact("isolation", _told_level(row), "good" if row["level"] == "sealed" else "warn"),
        fact("digest", f"{row['mandate_sha256'][:8]}…{row['mandate_sha256'][-4:]}"),
    ]
    if view.restarts:
        lines.append(fact("runner", f"restarted {number(view.restarts)}×", "warn"))
    for waiver in view.waived(now_us):
        until = moment(waiver["expires"], now_us)
        lines += [Line("WAIVED ", "bad").add(f"until {until}", "bad"), Line(plain(waiver["rule"]), "bad")]
    if view.error:
        lines += [Line(), Line("LAST ERROR", "bad"), Line(plain(view.error))]
    if row["reason"]:
        lines += [Line(), fact("ended", plain(row["reason"]), "dim")]
    return lines


def _orders(detail: RunDetail) -> list[str]:
    """How its orders ended, two to a line."""
    words = [f"{number(count)} {word.replace('_', ' ')}" for word, count in detail.orders.items()]
    return [", ".join(words[at : at + 2]) for at in range(0, len(words), 2)]


def _decisions(detail: RunDetail, width: int, room: int) -> list[Line]:
    if room < 2:
        return []
    wide = width >= 80
    title = f"{'bar':14}{'close':>10}  {'intent':6}{'qty':>8}  {'outcome':12}" if wide else "DECISIONS"
    lines = [Line(title + (f"{'fill':>10}  reason" if wide else ""), "title")]
    closes = {bar.bar: bar.close for bar in detail.bars}
    for row in detail.decisions[: room - 1]:
        lines.append(_decision(row, closes.get(row["bar"]), detail.view.row["timeframe"], wide))
    if not detail.decisions:
        lines.append(Line(f"{detail.view.row['bars']} bars seen, no intent", "dim"))
    return lines


def _decision(row: Row, close: float | None, timeframe: str, wide: bool) -> Line:
    outcome = word_of(row)
    glyph, role = OUTCOMES.get(outcome, ("·", ""))
    line = Line(f"{bar_time(row['close'], timeframe):14}", "dim")
    if wide:
        line.add(f"{price(close) if close is not None else '-':>10}  ")
    line.add(f"{row['side'] or '-':6}").add(f"{number(row['quantity']):>8}  ").add(
        f"{glyph} {outcome:10}", role
    )
    told = f"{price(row['price']) if row['price'] else '':>10}  "
    return line.add(told).add(plain(why_of(row)), "" if wide else "dim")
