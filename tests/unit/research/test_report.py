"""The report's files: columns, escaping, and a journal that reads back."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.bench import ScriptedRunner, buy, make_bar, make_spec, sell

from inalpha.kernel.gateway import NoRisk
from inalpha.kernel.replay import rebuild
from inalpha.model.errors import IntegrityError
from inalpha.research.backtest import BacktestResult, run_backtest
from inalpha.research.html import monthly_returns
from inalpha.research.metrics import compute_metrics
from inalpha.research.report import JournalFile, journal_spec, read_journal, write_report
from inalpha.research.text import report_text, sparkline

EVIL = "=1+1</td><script>alert(1)</script>\n second line"


def result(folder: Path) -> BacktestResult:
    spec = make_spec(timeframe="1d", run="<b>run</b>")
    bars = [make_bar((p, p + 5, p - 5, p), n, "1d") for n, p in enumerate([10000, 10100, 9900, 10200, 10300])]
    script = {0: [buy("10", reason=EVIL)], 2: [sell("10", reason="out"), buy("0")]}
    folder.mkdir(exist_ok=True)
    with JournalFile(folder / "journal.jsonl") as journal:
        return run_backtest(spec, bars, ScriptedRunner(script), NoRisk(), lines=journal.write)


def test_files_and_columns(tmp_path: Path) -> None:
    write_report(result(tmp_path), tmp_path)
    heads = {
        "fills.csv": "sequence,time,side,quantity,price,fee,order,reason",
        "orders.csv": "order,time,side,type,quantity,limit,stop,tif,state,code,reason,control,measured,control_limit,"
        "unit,setting,message",
        "equity.csv": "time,cash,position,price,equity,drawdown",
    }
    for name, head in heads.items():
        assert (tmp_path / name).read_text().splitlines()[0] == head
    with (tmp_path / "fills.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["sequence"], row["side"], row["price"], row["fee"], row["order"]) for row in rows] == [
        ("1", "buy", "101", "1.01", "0:0"),
        ("3", "sell", "102", "1.02", "2:0"),
    ]
    assert rows[0]["reason"].startswith("'=1+1")
    with (tmp_path / "orders.csv").open(newline="") as file:
        assert [(row["order"], row["state"], row["code"]) for row in csv.DictReader(file)] == [
            ("0:0", "filled", ""),
            ("2:0", "filled", ""),
            ("2:1", "denied", "BAD_QUANTITY"),
        ]


def test_report_json_has_hashes_convention_and_null_for_undefined(tmp_path: Path) -> None:
    made = result(tmp_path)
    write_report(made, tmp_path)
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["convention"] == "next_open"
    assert data["head"] == made.head
    assert data["run"]["strategy_sha256"] == "0" * 64
    assert data["metrics"]["sqn"] is None
    assert data["denials"] == {"BAD_QUANTITY": 1}


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links.extend(value or "" for name, value in attrs if name in ("src", "href"))


def test_the_page_is_self_contained_and_escaped(tmp_path: Path) -> None:
    write_report(result(tmp_path), tmp_path)
    text = (tmp_path / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert page.tags.count("svg") == 3
    assert "script" not in page.tags and "b" not in page.tags
    assert page.links == []
    assert "<b>run</b>" not in text


def test_the_journal_reads_back_and_replays(tmp_path: Path) -> None:
    made = result(tmp_path)
    entries = list(read_journal(tmp_path / "journal.jsonl"))
    spec = journal_spec(entries)
    assert spec == made.spec
    assert rebuild(spec, NoRisk(), entries).head == made.head


def test_a_broken_journal_names_its_line(tmp_path: Path) -> None:
    result(tmp_path)
    path = tmp_path / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b'{"n": "one"}\n', *lines[2:]]))
    with pytest.raises(IntegrityError, match="line 2"):
        list(read_journal(path))
    with pytest.raises(IntegrityError, match="header"):
        journal_spec([])


def test_the_text_fits_a_terminal(tmp_path: Path) -> None:
    made = result(tmp_path)
    lines = report_text(made, compute_metrics(made)).splitlines()
    assert max(len(line) for line in lines) <= 78
    assert any("▁" in line and "█" in line for line in lines)


def test_sparkline() -> None:
    assert sparkline([]) == ""
    assert sparkline([1, 2, 3, 4], width=2) == "▁█"
    assert sparkline([5, 5, 5]) == "▅▅▅"
    assert sparkline(range(8)) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 1], ascii_only=True).isascii()


def test_months_follow_from_the_month_before(tmp_path: Path) -> None:
    made = result(tmp_path)
    returns = monthly_returns(made)
    assert list(returns) == [(2020, 1)]
    assert returns[2020, 1] == pytest.approx(made.final_equity_e8 / made.spec.opening_cash_e8 - 1)
