"""Audit and Health: the log with its verification, and how the machinery is doing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from inalpha.audit.event import Event
from tui.book import Book
from tui.charts import meter
from tui.line import Line
from tui.rows import Cell, Column, TableRow
from tui.store import Store
from tui.text import age, clock_text, digest, moment, number, plain, plural
from tui.verifying import Verification

LINE_COLUMNS = (
    Column("line", 8, right=True), Column("time", 10), Column("actor", 20), Column("kind", 16),
    Column("what", 20, grow=True), Column("", 1),
)  # fmt: skip
HOST_SILENT_S = 5.0
CHECK_NAMES = {
    "C1": "form", "C2": "signatures", "C3": "chain", "C4": "genesis", "C5": "leaves", "C6": "tree", "C7": "head",
}  # fmt: skip


def line_rows(book: Book, checked: int, now_us: int) -> list[TableRow]:
    found = []
    for event in book.lines:
        seen = event.seq < checked
        cells = (
            Cell(f"{event.seq:,}", "dim", event.seq),
            Cell(moment(event.ts, now_us), "", event.ts),
            Cell(plain(event.actor)),
            Cell(event.kind),
            Cell(about(event)),
            Cell("✓" if seen else "…", "good" if seen else "dim", 0 if seen else 1),
        )
        found.append(TableRow(str(event.seq), cells, event.seq))
    return found


def about(event: Event) -> str:
    """One line's subject in words: its ids first, then what is small enough to read."""
    data = event.data
    words = []
    for key in ("run", "plan", "order", "fill", "candidate", "principal", "scope", "state", "outcome", "code", "result",
                "side", "quantity", "price", "reason", "bar"):  # fmt: skip
        value = data.get(key)
        if isinstance(value, str | int) and value != "":
            words.append(f"bar {value}" if key == "bar" else plain(value, 24))
    return " ".join(words)


def event_line(event: Event | None, width: int) -> Line:
    """The line under the cursor, its data in full."""
    if event is None:
        return Line("", "dim")
    text = ", ".join(f"{key} {plain(value)}" for key, value in event.data.items() if value is not None)
    signed = "  gate ✓" if event.gate else ""
    return (
        Line(f"#{event.seq:,} ", "strong").add(f"epoch {event.epoch}{signed}  ", "dim").add(text).fit(width)
    )


def audit_head(store: Store, found: Verification, now: float, width: int) -> list[Line]:
    """Head of the log, what this console checked itself, and the last full verification."""
    book, watch = store.book, store.watch
    of = "" if book.root_size == book.size else f" of #{book.root_size - 1:,}"
    head = (
        Line("HEAD ", "title")
        .add(f"#{book.size - 1:,}", "strong")
        .add(f"  root {digest(book.root or None)}{of}  ")
    )
    if watch.broken is not None:
        seq, why = watch.broken
        head.add(f"✗ line {seq:,}: {plain(why)}; nothing after it is proven; F10 halts", "bad")
    elif watch.checked < book.size:
        head.add(
            f"… verified here up to line #{watch.checked - 1:,}"
            if watch.checked
            else "… nothing verified here yet",
            "warn",
        )
    else:
        head.add(f"✓ verified here up to line #{watch.checked - 1:,}: form, chain, log signature", "good")
    lines = [head]
    if found.is_running:
        spent = now - found.began
        beat = int(spent * 8) % 24
        lines.append(
            Line("VERIFY ", "title")
            .add(meter(beat / 23, 24), "accent")
            .add(f" from genesis, {age(spent)}, without the daemon")
        )
    elif found.result is None and not found.error:
        lines.append(
            Line("VERIFY ", "title").add("V runs every check from genesis in its own process", "dim")
        )
    else:
        lines += _verdict(found)
    return [line.fit(width) for line in lines]


def _verdict(found: Verification) -> list[Line]:
    if found.error:
        return [Line("VERIFY ", "title").add(f"✗ {plain(found.error)}", "bad")]
    result: Mapping[str, Any] = found.result or {}
    checks = result.get("checks", [])
    failed = [check for check in checks if not check.get("passed")]
    if result.get("first_bad") is not None:
        told = f"✗ first bad line #{result['first_bad']:,}; nothing after it is proven; F10 halts"
        return [
            Line("VERIFY ", "title").add(told, "bad"),
            Line("       ").add(plain(result.get("reason")), "bad"),
        ]
    open_since = result.get("unanchored_since")
    tail = "" if open_since is None else f"; tail after #{open_since:,} not anchored elsewhere"
    told = f"✓ {plural(int(result.get('size', 0)), 'line')}, 0 breaks, {plural(len(checks), 'check')} passed{tail}"
    lines = [Line("VERIFY ", "title").add(told, "good").add(f"   took {age(found.took)}", "dim")]
    row = Line("       ")
    for check in checks:
        mark = ("✓", "good") if check.get("passed") else ("✗", "bad")
        row.add(mark[0], mark[1]).add(f"{plain(check.get('name'), 6)} ", "dim")
    return [*lines, row] if not failed else [*lines, row, Line(plain(failed[0].get("detail")), "bad")]


def health_lines(store: Store, now_us: int, width: int, sent: list[tuple[int, str, str]]) -> list[Line]:
    """Daemon, broker, hosts, runners, alerts, and what this console sent."""
    book, found, daemon = store.book, store.presence, store.daemon()
    line = Line("daemon  ", "title")
    if found is None:
        line.add(f"{daemon.glyph} none runs on this home", "bad").add(
            f"   inalpha --home {store.home.root} --daemon", "dim"
        )
    else:
        line.add(f"{daemon.glyph} pid {found.pid}  epoch {found.epoch}  {found.state}", daemon.role)
        line.add(f"  beat {age(store.beat_age)}" if store.beat_at is not None else "  no beat yet")
    lines = [line]
    broker = found.broker if found else {}
    up = ("● connected", "good") if store.bus.is_up else ("○ not connected, trying again", "bad")
    lines.append(
        Line("broker  ", "title")
        .add(f"{plain(broker.get('kind') or '-')} pid {broker.get('pid') or '-'}  ")
        .add(*up)
    )
    free = shutil.disk_usage(store.home.root).free
    lines.append(
        Line("ledger  ", "title").add(f"{number(book.size)} lines, {book.ledger_bytes / 1e6:.1f} MB, ")
        .add(f"free {free / 1e9:.0f} GB  ").add(f"home {plain(store.home.root)}", "dim")
    )  # fmt: skip
    for host in found.hosts if found else []:
        where = "remote" if host.get("is_remote") else f"pid {host.get('pid')}"
        beat_us = host.get("beat_us")
        silent_s = store.clock.wall_us() / 1e6 - beat_us / 1e6 if isinstance(beat_us, int) else 0.0
        beat = (f"  beat {age(max(0.0, silent_s))}", "bad" if silent_s > HOST_SILENT_S else "")
        lines.append(
            Line("host    ", "title")
            .add(f"{plain(host.get('name'))} {where}  level {plain(host.get('level') or '-')}")
            .add(" claimed" if host.get("is_remote") else "", "warn")
            .add(*beat)
        )
    lines += [
        Line(),
        Line(
            f"{'run':10}{'state':12}{'isolation':12}{'runner pid':>11}{'restarts':>10}{'bars':>9}   last error",
            "title",
        ),
    ]
    for view in book.runs:
        pid = found.runners.get(view.name) if found else None
        row = Line(f"{view.name:10}{view.row['state']:12}", "" if view.is_live else "dim")
        is_waived = bool(view.waived(now_us))
        role = "bad" if is_waived else "good" if view.row["level"] == "sealed" else "dim"
        row.add(f"{plain(view.row['level'] or '-') + ('!' if is_waived else ''):12}", role)
        lines.append(
            row.add(f"{pid or '-':>11}")
            .add(f"{view.restarts:>10,}", "warn" if view.restarts else "")
            .add(f"{view.row['bars']:>9,}   ")
            .add(plain(view.error or "-"), "bad" if view.error else "dim")
        )
    lines += [Line(), Line("OPEN ALERTS", "title")]
    for alert in book.alerts[-6:]:
        lines.append(
            Line(f"{clock_text(alert['ts'])}  ", "dim").add(
                plain(f"{alert['kind']} {alert['scope']}: {alert['text']}"), "warn"
            )
        )
    if not book.alerts:
        lines.append(Line("none", "dim"))
    lines += [Line(), Line("SENT FROM THIS CONSOLE", "title")]
    for ts, text, role in sent[-8:]:
        lines.append(Line(f"{clock_text(ts)}  ", "dim").add(plain(text), role))
    if not sent:
        lines.append(Line("nothing yet", "dim"))
    return [line.fit(width) for line in lines]
