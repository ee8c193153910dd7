"""The four docked lines: the truth line, the tabs, the news and the footer."""

from __future__ import annotations

from dataclasses import dataclass

from inalpha.model.timeframe import DAY_NS, TIMEFRAMES_NS
from tui.book import DECISIONS, Book, RunView
from tui.commands import SCREENS, SHORT, TITLES, key_text, offered
from tui.line import Line
from tui.session import Session
from tui.store import Store
from tui.text import age, bar_moment, clock_text, plain

WIDE = 100
SEPARATOR = " │ "


@dataclass(frozen=True, slots=True)
class Feed:
    """Age of one symbol's last closed bar. rank: the worst feed is shown where there is room for one."""

    symbol: str
    text: str
    role: str
    rank: float


def feed_of(view: RunView, now_us: int) -> Feed:
    """A replay shows its market date, and `held` while it waits; a live feed its age, OLD past two bars."""
    symbol, close, frame = plain(view.row["symbol"], 10), view.row["last_close"], str(view.row["timeframe"])
    if close is None:
        return Feed(symbol, "no bar", "warn", 1e9)
    if view.is_held:
        return Feed(symbol, f"held {bar_moment(close, frame, now_us)}", "warn", 2e8)
    if view.is_finite:
        return Feed(symbol, bar_moment(close, frame, now_us), "", 0.0)
    lag = (now_us - close) / 1e6
    limit = 2 * TIMEFRAMES_NS.get(str(view.row["timeframe"]), DAY_NS) / 1e9 + 60
    if lag > limit:
        return Feed(symbol, f"OLD {age(lag)}", "bad", 1e9 + lag)
    return Feed(symbol, age(lag), "", lag)


def feeds(book: Book, now_us: int) -> list[Feed]:
    """One per symbol of the live runs, the worst first."""
    found: dict[str, Feed] = {}
    for view in book.live:
        feed = feed_of(view, now_us)
        if feed.symbol not in found or feed.rank > found[feed.symbol].rank:
            found[feed.symbol] = feed
    return sorted(found.values(), key=lambda feed: -feed.rank)


def halt_words(book: Book) -> tuple[str, str]:
    """The worst halt with its scope, and its role."""
    worst = book.halt()
    if worst is None:
        return "ACTIVE", "good"
    text = f"{worst['state']} {plain(worst['name'], 16)}" + (" latch" if worst["is_latched"] else "")
    return text, "bad" if worst["state"] in ("HALTED", "KILLED") else "warn"


def key_words(session: Session, wide: bool) -> tuple[str, str]:
    """Who signs here, and until when."""
    name = plain(session.handle or "nobody", 16)
    who = f"op:{name}" if wide else name
    if session.view:
        return "view", "warn"
    if session.is_open_key:
        return f"{who} OPEN KEY", "warn"
    rest = session.lock_in_s
    if rest is None:
        return f"{who} locked", "dim"
    return f"{who} key {max(int(rest // 60) + (rest % 60 > 0), 1)}m", "good"


def _audit(store: Store, wide: bool) -> tuple[str, str]:
    if store.watch.broken is not None:
        return f"audit ✗ #{store.watch.broken[0]:,}", "bad"
    checked, size = store.watch.checked, store.book.size
    if checked < size:
        return f"audit … {100 * checked // max(size, 1)}%", "warn"
    return (f"audit ✓ #{checked - 1:,}" if wide and checked else "audit ✓" if checked else "audit …"), ""


def truth_line(store: Store, session: Session, width: int, *, is_demo: bool = False) -> Line:
    """Line 1: is all well? Every figure with its age."""
    wide, now = width >= WIDE, store.clock.wall_us()
    daemon = store.daemon()
    told = age(store.beat_age) if store.beat_at is not None else daemon.word or "asking"
    if daemon.word in ("hung", "gone", "late") and store.beat_at is not None:
        told = f"{daemon.word} {told}"
    parts = [Line(f"{daemon.glyph} {told}", daemon.role)]
    if wide:
        parts = [Line("daemon ").add(f"{daemon.glyph} {told}", daemon.role)]
    bus_text = "bus ●"
    if not store.bus.is_up:
        wait = 0.0 if store.bus.retry_at is None else max(store.bus.retry_at - store.clock.mono(), 0.0)
        bus_text = f"bus ○ try {wait:.0f}s" if wide else "bus ○"
    parts.append(Line(bus_text, "" if store.bus.is_up else "bad"))
    found = feeds(store.book, now)
    if not found:
        parts.append(Line("no feed", "dim"))
    elif wide:
        shown = Line()
        for place, feed in enumerate(found[:3]):
            shown.add("  " if place else "").add(f"{feed.symbol} {feed.text}", feed.role)
        parts.append(shown.add(f"  +{len(found) - 3}" if len(found) > 3 else "", "dim"))
    else:
        worst = found[0]
        parts.append(Line(worst.text if worst.text.startswith("held") else f"data {worst.text}", worst.role))
    parts.append(Line(*_audit(store, wide)))
    if lag := store.behind():
        parts.append(Line(f"catching up {lag:,}", "warn"))
    parts += [Line(*halt_words(store.book)), Line(*key_words(session, wide))]
    line = (
        Line(" ").add("PAPER DEMO" if is_demo else "PAPER", "strong").add(SEPARATOR if wide else " ", "rule")
    )
    for place, part in enumerate(parts):
        line.add(SEPARATOR if place else "", "rule").join(part)
    told = f" {clock_text(now, seconds=wide)} "
    # The time of day is the first to give way: every state stays readable.
    return line.end(told, width, "dim") if line.width + len(told) <= width else line.fit(width)


def tab_line(store: Store, width: int, active: str, unread: int, filtered: str = "") -> Line:
    """Line 2: the screens with their counts; the one that is open is marked."""
    book, wide = store.book, width >= WIDE
    waiting = sum(1 for row in book.candidates if row["state"] == "passed")
    counts = {"plans": len(book.pending), "runs": len(book.live), "decisions": unread, "candidates": waiting}
    line = Line(" ")
    for place, name in enumerate(SCREENS):
        count = counts.get(name, 0)
        title = (TITLES if wide else SHORT)[place]
        calls = name in ("plans", "decisions") and count > 0
        told = (
            f"{count}+" if name == "decisions" and count >= DECISIONS else str(count)
        )  # no more of them are read
        text = f"{place + 1} {title}" + (f"({told})" if calls else f" {told}" if count and wide else "")
        role = "tab" if name == active else "strong" if calls else "frame"
        line.add("  " if place and wide else " " if place else "").add(text, role)
    return line.end(f" /{plain(filtered, 30)} ", width, "warn") if filtered else line.fit(width)


def news_line(store: Store, width: int, said: tuple[str, str] | None) -> Line:
    """Line 3: what the console just said, else a state that needs words, else the newest lines."""
    if said is not None:
        return Line(" ").add(plain(said[0]), said[1]).fit(width)
    if store.problem:
        return Line(" ").add(plain(store.problem), "bad").fit(width)
    halt = store.book.halt()
    if halt is not None:
        where = "in the latch file alone" if halt["is_latched"] else f"line #{halt['seq']:,}"
        more = f"  +{len(store.book.halts) - 1} more" if len(store.book.halts) > 1 else ""
        text = f"{halt['state']} {plain(halt['name'], 16)} by {plain(halt['by'])} {clock_text(halt['ts'])}, {where}"
        text += f": {plain(halt['reason'])}" if halt["reason"] else ""
        line = Line(" ").add(text, "bad")
        return line.end(more, width, "bad") if more else line.fit(width)
    if why := store.why_not_send():
        age_text = f"; ledger read {age(store.clock.mono() - store.read_at)} ago" if store.read_at else ""
        return Line(" ").add(f"signing is off: {plain(why)}{age_text}; F10 works", "warn").fit(width)
    line = Line(" ")
    for place, row in enumerate(news(store.book)):
        line.add("   " if place else "").add(row, "" if place == 0 else "dim")
    return line.fit(width)


def news(book: Book) -> list[str]:
    """The three plans that moved last, and whose they are: a run's, or a proposer's."""
    found = [(row["created_seq"], row["created_ts"], row, "waits") for row in book.pending[-2:]]
    found += [(row["decided_seq"] or 0, row["decided_ts"], row, row["state"]) for row in book.decided[:3]]
    found.sort(key=lambda item: -item[0])
    return [
        f"{clock_text(ts)} {row['plan']} {state} {row['side'].upper()} {row['quantity']} {plain(row['symbol'], 12)}"
        f" ({row['run'] if row['intent'] is not None else plain(row['proposed_by'], 20)})"
        for _, ts, row, state in found[:3]
    ]


def footer_line(screen: str, width: int) -> Line:
    """Line 4: the keys of this screen; F10 stands at the right, always."""
    line = Line(" ")
    for command in offered(screen):
        line.add(key_text(command), "key").add(f" {command.label}  ", "frame")
    halt = "F10 HALT ALL "
    return line.end(halt, width, "bad")
