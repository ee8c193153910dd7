"""No word of others leaves raw: a strategy full of escapes is backtested and run, then every verb is asked about it."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt
from support.installation import Installation, first_bars

from inalpha.cli import output
from inalpha.cli.main import main
from inalpha.model.allowance import BAR_BYTES
from inalpha.model.plain import plain

FILE = Path(__file__).parents[1] / "support" / "strategies" / "escapes.py"
HOSTILE = "\x1b[2J\u202e\r\n# x\x9b2J\u200b"


@dataclass
class Stage:
    home: Path
    folder: Path
    bars: str
    run: str
    candidate: str

    def ask(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of a verb, without a process of its own."""
        before, sys.argv = sys.argv, ["inalpha", *words]
        try:
            found = CliRunner().invoke(main, ["--home", str(self.home), *words])
        finally:
            sys.argv = before
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        return found.exit_code, found.stdout_bytes.decode(), found.stderr_bytes.decode()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("words")
    home = Installation(folder / "home")
    home.init()
    home.start()
    try:
        candidate = home.promote(FILE)
        bars = first_bars("GOOG-1d.csv", 60, folder / "bars.csv")
        run = home.run(candidate, bars, "max", "GOOG", "--param", "last=40", "--param", "flood=8")
        home("run", "wait", run, "--state", "failed", "--timeout", "60")
        home("halt", "--run", run, "--reason", f"enough {HOSTILE}")
        odd = folder / "odd\x1b[2J\u202e.csv"
        shutil.copyfile(bars, odd)
        yield Stage(home.home, folder, str(bars), run, candidate)
    finally:
        home.stop()


def hidden(text: str) -> list[str]:
    """Characters that a terminal may obey, or that a person does not see; a line break is none."""
    return sorted({repr(letter) for letter in text if letter != "\n" and plain(letter) != letter})


def reading_verbs(stage: Stage) -> list[list[str]]:
    run, risk = stage.run, str(stage.home / "risk.toml")
    return [
        ["status"], ["candidate", "list"], ["candidate", "show", stage.candidate], ["run", "list"],
        ["run", "show", run], ["run", "log", run], ["plan", "list"], ["plan", "show", "plan-1"], ["decisions"],
        ["fills"], ["positions"], ["account"], ["report"], ["risk", "show"], ["risk", "check", risk],
        ["operator", "list"], ["agent", "list"], ["host", "list"], ["policy", "explain"], ["audit", "log"],
        ["audit", "trace", "fill-1"], ["audit", "verify", "--no-exec"], ["lint", str(FILE)],
        ["prove", "fill-1", str(stage.folder / "proof")], ["backup", str(stage.folder / "b.tar")],
        ["feed", "check", f"replay:{stage.bars}@max", "--symbol", "GOOG", "--timeframe", "1d"],
    ]  # fmt: skip


def executing_verbs(stage: Stage) -> list[list[str]]:
    """A sandbox each: asked once, the backtest in both forms."""
    what = [str(FILE), "--bars", stage.bars, "--timeframe", "1d", "--param"]
    return [
        ["replay", stage.run], ["parity", stage.run], ["backtest", *what, "last=40", "--param", "flood=8"],
        ["backtest", *what, "last=40", "--json"], ["walkforward", *what, "last=0,40", "--train", "30", "--test", "10"],
    ]  # fmt: skip


def wrong_verbs(stage: Stage) -> list[list[str]]:
    """The same words where they are no words of a verb, and files that hold or are called so."""
    bad = stage.folder / "bad.py"
    bad.write_text("from inalpha import Strategy\nx = '\x1b[2J\u202e' (\n")
    cells = stage.folder / "cells.csv"
    cells.write_text("time,open,high,low,close,volume\n\x1b[2J\u202e,1,1,1,1,1\n2024-01-01,\x9b2J,1,1,1,1\n")
    odd = str(next(stage.folder.glob("odd*")))
    names = [["run", "show"], ["run", "log"], ["plan", "show"], ["candidate", "show"], ["audit", "trace"], ["replay"],
             ["backtest"], ["risk", "check"], ["restore"], ["run", "stop"], ["account"], ["policy", "explain"],
             ["audit", "show"], ["lint"], []]  # fmt: skip
    return [
        *[[*verb, HOSTILE] for verb in names],
        ["decisions", "--since", HOSTILE], ["status", f"--{HOSTILE}"], ["lint", str(bad)],
        ["backtest", str(bad), "--bars", odd], ["backtest", str(FILE), "--bars", odd, "--param", HOSTILE],
        ["backtest", str(FILE), "--bars", str(cells)], ["feed", "check", f"file:{cells}"],
        ["feed", "check", f"file:{odd}", "--symbol", HOSTILE], ["restore", odd], ["risk", "check", odd],
        ["halt", "--run", HOSTILE, "--reason", HOSTILE], ["backup", f"{stage.folder}/{HOSTILE}/b.tar"],
        ["candidate", "submit", str(bad), "--rationale", HOSTILE, "--agent", "claude"],
        ["plan", "reject", "plan-1", "--reason", HOSTILE], ["resume", HOSTILE, "--reason", HOSTILE],
    ]  # fmt: skip


def test_no_reading_verb_tells_a_raw_word(stage: Stage) -> None:
    told = ""
    both = [words for verb in reading_verbs(stage) for words in (verb, [*verb, "--json"])]
    for words in [*both, *executing_verbs(stage)]:
        code, out, err = stage.ask(*words)
        assert hidden(out + err) == [], words
        assert code == 0 or words[0] in ("backtest", "walkforward"), (words, code, err[-300:])
        told += out + err
        if words[-1] == "--json":
            assert [json.loads(line) for line in out.splitlines()], words
    # It was asked about the right things: each kind of word is there, made visible.
    assert "note: dropped" in told and "a bar keeps 8 KiB of reasons and of logs" in " ".join(told.split())
    for kind in ("\\x1b[2J\\x1b[31mFAKE\\r\\n", "\\u202e", "\\x9b2J", "\\x85next", "\\u2028", "title\\x07"):
        assert kind in told, kind


def test_no_error_repeats_a_raw_word(stage: Stage) -> None:
    for verb in wrong_verbs(stage):
        for words in (verb, [*verb, "--json"]):
            code, out, err = stage.ask(*words)
            assert hidden(out + err) == [], words
            assert code != 0 or verb[:1] in (["account"], ["policy"], ["feed"]), (words, out[-300:])
            assert "Traceback" not in out + err, words


def test_the_source_of_a_candidate_has_the_lines_that_python_sees(stage: Stage) -> None:
    code, out, err = stage.ask("candidate", "show", stage.candidate, "--source")
    assert code == 0 and hidden(out + err) == []
    numbered = [
        line for line in out.splitlines() if line[:4].strip().isdecimal()
    ]  # the others are wrapped rest
    assert len(numbered) == FILE.read_bytes().count(b"\n")
    assert hidden(stage.ask("candidate", "show", stage.candidate, "--diff", stage.candidate)[1]) == []


def test_one_thing_is_one_line_whatever_its_words_hold(stage: Stage) -> None:
    for verb in (["decisions"], ["fills"], ["run", "list"]):
        items = json.loads(stage.ask(*verb, "--json")[1])["items"]
        assert len(stage.ask(*verb)[1].splitlines()) == len(items) + 1
    entries = [json.loads(line) for line in stage.ask("run", "log", stage.run, "--json")[1].splitlines()]
    told = [entry for entry in entries if entry["kind"] in ("bar", "command", "anomaly")]
    lines = [line for line in stage.ask("run", "log", stage.run)[1].splitlines() if line[:2] != "  "]
    assert len(lines) == len(told)  # refusals stand under their bar, indented


def test_the_report_is_markdown_that_no_reason_can_forge(stage: Stage) -> None:
    text = stage.ask("report")[1]
    tokens = MarkdownIt("gfm-like", {"html": True}).parse(text)
    headings = [tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings == ["Report", "Exceptions", "Runs", "Decisions"]
    inline = {child.type for token in tokens for child in token.children or ()}
    blocks = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}
    assert inline <= {"text", "code_inline", "softbreak"}
    assert blocks == {"heading", "paragraph", "bullet_list", "list_item", "inline"}
    decided = json.loads(stage.ask("decisions", "--json")[1])["items"]
    items = text.partition("## Decisions")[2].splitlines()
    assert sum(line.startswith("- ") for line in items) == len(decided)


def test_what_a_run_does_not_keep_of_its_words_is_told(stage: Stage) -> None:
    log = [json.loads(line) for line in stage.ask("run", "log", stage.run, "--json")[1].splitlines()]
    replies = [entry["output"].get("reply", {}) for entry in log if entry["kind"] == "bar"]
    dropped = [reply.get("dropped", 0) for reply in replies]
    assert all(sum(map(len, reply.get("logs", ()))) <= BAR_BYTES for reply in replies)
    assert min(dropped[:40]) > 4096
    days = json.loads(stage.ask("run", "show", stage.run, "--json")[1])["dropped_words"]
    assert [row["bytes"] for row in days] == dropped[:40] and days[0]["day"] == "2004-08-19"
    shown = stage.ask("run", "show", stage.run)[1]
    assert f"{sum(dropped):,} bytes of the strategy's words, on 2004-08-19 and 39 later days" in shown
    assert stage.ask("run", "log", stage.run)[1].count("bytes of its words") == 40
    assert "words run-1: its strategy says more than a run keeps" in stage.ask("report")[1]


def test_files_of_a_backtest_hold_no_raw_word_and_no_formula(stage: Stage) -> None:
    out = stage.folder / "out"
    stage.ask("backtest", str(FILE), "--bars", stage.bars, "--timeframe", "1d", "--out", str(out))
    names = {"report.json", "report.html", "fills.csv", "orders.csv", "equity.csv", "journal"}
    assert {path.name for path in out.iterdir()} == names
    for name in names:
        text = (out / name).read_bytes().decode()
        assert hidden(text) == [], name
    for name in ("fills.csv", "orders.csv"):
        with (out / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows and len((out / name).read_bytes().splitlines()) == len(rows) + 1
        assert not any(row["reason"].startswith(("=", "+", "-", "@")) for row in rows)
    assert any(row["reason"].startswith("'=cmd|") for row in csv.DictReader((out / "orders.csv").open()))
    assert "<b>bold</b>" not in (out / "report.html").read_text()


def test_whatever_prints_by_itself_is_guarded(capsys: pytest.CaptureFixture[str]) -> None:
    with output.guarded():
        print(HOSTILE)  # noqa: T201
        sys.stderr.write("\x1b]0;t\x07\n")
    found = capsys.readouterr()
    assert not set(found.out + found.err) & set("\x1b\r\x9b\x07")
    output.show_trouble(ValueError(HOSTILE))
    assert hidden(capsys.readouterr().err) == []
