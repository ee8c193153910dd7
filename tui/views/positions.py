"""Positions: what each account holds, from which run, and how much room its rules leave."""

from __future__ import annotations

from tui.book import Book, Row, RunView
from tui.charts import meter
from tui.line import Line
from tui.text import bar_moment, number, pad, percent, plain, price
from tui.views.runs import gain_role, position_text


def position_lines(book: Book, now_us: int, width: int) -> list[Line]:
    """One block per account."""
    lines: list[Line] = []
    for account in book.accounts:
        held = [view for view in book.runs if view.row["account"] == account["account"]]
        lines += _account(account, held, book, now_us, width)
        lines.append(Line())
    return lines or [Line("no account yet", "dim")]


def _account(
    account: dict[str, str], views: list[RunView], book: Book, now_us: int, width: int
) -> list[Line]:
    holding = [view for view in views if view.money is not None and float(view.row["position"])]
    gross = sum(abs(_value(view)) for view in holding)
    gain = float(account["gain"])
    head = (
        Line(f"{plain(account['owner'], 20)}  ", "strong")
        .add("equity ")
        .add(number(account["equity"], 2), "strong")
    )
    head.add(f"  {number(gain * 100, 2, sign=True)}%", gain_role(gain)).add(
        f"   cash {number(account['cash'], 2)} {plain(account['currency'], 5)}"
    )
    head.add(f"   gross {percent(gross, account['equity'])}")
    title = f"{'symbol':12}{'qty':>10}{'avg':>12}{'mark':>12}{'at':>11}{'unreal.':>12}  run       state"
    lines = [head.fit(width), Line(), Line(title, "title").fit(width)]
    for view in holding:
        lines.append(_row(view, now_us).fit(width))
    if not holding:
        lines.append(Line("flat: no run holds a position", "dim"))
    working = [row for row in book.working if row["account"] == account["account"]]
    lines += [Line(), Line("WORKING  ", "title").add("" if working else "none", "dim")]
    lines += [_working(row) for row in working]
    if holding:
        lines.append(Line("EXPOSURE", "title"))
    for view in holding:
        share = abs(_value(view)) / float(account["equity"])
        lines.append(
            Line(f"  {view.name:9}").add(meter(share, 30), "accent").add(f" {share * 100:5.1f}% of equity")
        )
    return [line.fit(width) for line in lines]


def _working(row: Row) -> Line:
    """An order that works now: what is left of it, its kind and price; a bracket's legs are the protection."""
    at = f" at {price(row['price'])}" if row["price"] else ""
    line = Line(f"  {row['order']:10}{row['run'] or '-':9}").add(
        f"{row['side']} {number(row['rest'])} {plain(row['symbol'], 12)}  "
    )
    line.add(f"{row['kind'].replace('_', ' ')}{at}", "accent" if row["child"] else "")
    return line.add(f"  {number(row['filled'])} filled" if row["filled"] != "0" else "", "dim")


def _value(view: RunView) -> float:
    money = view.money
    return float(view.row["position"]) * float(money.close) if money is not None and money.close else 0.0


def _row(view: RunView, now_us: int) -> Line:
    money = view.money
    assert money is not None
    line = Line(pad(plain(view.row["symbol"]), 12), "strong").add(
        f"{position_text(view):>10}{price(money.average):>12}"
    )
    line.add(
        f"{price(money.close):>12}{bar_moment(view.row['last_close'], view.row['timeframe'], now_us):>11}"
    )
    line.add(f"{number(money.unrealised, 2, sign=True):>12}", gain_role(float(money.unrealised)))
    return line.add(f"  {view.name:9} ").add(str(view.row["state"]), "good" if view.is_live else "dim")
