"""Halts hold: beside other runs, with the daemon gone, and against a start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import Installation, first_bars, until

FLIP = """from inalpha import Strategy


class Flip(Strategy):
    def on_bar(self, bar):
        if self.orders:
            return
        if self.position.is_flat:
            self.buy(5, reason="in")
        else:
            self.close(reason="out")
"""


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, str]]:
    """A home with a daemon, and a promoted strategy that has an order on every bar."""
    folder = tmp_path_factory.mktemp("halts")
    (folder / "flip.py").write_text(FLIP)
    home = Installation(folder / "home")
    home.init()
    home.start()
    yield home, home.promote(folder / "flip.py")
    home.stop()


def state(home: Installation, run: str) -> str:
    return str(home.json("run", "show", run)["state"])


def test_a_kill_of_one_run_leaves_the_others_trading(
    trading: tuple[Installation, str], tmp_path: Path
) -> None:
    home, candidate = trading
    files = (("GOOG", "GOOG-1d.csv", 2000), ("IBM", "IBM-1d.csv", 60), ("AAPL", "AAPL-1d-adjusted.csv", 60))
    runs = [
        home.run(candidate, first_bars(file, count, tmp_path / f"{symbol}.csv"), "40", symbol)
        for symbol, file, count in files
    ]
    until(lambda: home.json("run", "show", runs[2])["bars"] > 1, what="bars")
    home("halt", "--run", runs[0], "--kill", "--reason", "this one alone")
    until(lambda: state(home, runs[0]) == "failed", what="the killed run's end")
    assert home.json("run", "show", runs[0])["reason"] == "killed"
    for run in runs[1:]:
        home("run", "wait", run, "--timeout", "20")
    home("audit", "verify")


def test_a_run_that_does_not_exist_yet_cannot_be_paused(trading: tuple[Installation, str]) -> None:
    home, _ = trading
    assert "NO_RUN" in home("run", "pause", "run-99", code=4)


def test_a_kill_without_a_daemon_outlives_its_start(
    trading: tuple[Installation, str], tmp_path: Path
) -> None:
    home, candidate = trading
    bars = first_bars("GOOG-1d.csv", 1000, tmp_path / "goog.csv")
    run = home.run(candidate, bars, "40")
    until(lambda: home.json("run", "show", run)["bars"] > 2, what="bars")
    home.kill("daemon")
    home("halt", "--all", "--kill", "--reason", "nobody is there")
    seen = home.json("run", "show", run)["bars"]
    home.start()
    until(lambda: state(home, run) == "failed", what="the killed run's end")
    found = home.json("run", "show", run)
    assert (found["reason"], found["bars"], found["pid"]) == ("killed", seen, None)
    refused = home(
        "run", "start", candidate, "--symbol", "GOOG", "--timeframe", "1d", "--feed", f"replay:{bars}@max",
        code=4,
    )  # fmt: skip
    assert refused.strip().endswith("inalpha resume SCOPE --reason TEXT") and "KILLED" in refused
    home("resume", "all", "--reason", "looked at it")
    assert (
        home.json("replay", home.run(candidate, first_bars("GOOG-1d.csv", 50, bars), "max"))["divergence"]
        is None
    )
    home("audit", "verify")


SPLIT = """from inalpha import Strategy


class Hold(Strategy):
    def on_bar(self, bar):
        if bar.sequence == 2:
            self.buy(5, stop_loss=bar.close * 0.9, reason="in")
        elif bar.sequence > 25 and not self.orders:
            self.buy(1, reason="more")
"""


def test_a_split_halts_the_run_before_its_stop_can_fire(
    trading: tuple[Installation, str], tmp_path: Path
) -> None:
    home, _ = trading
    (tmp_path / "split.py").write_text(SPLIT)
    candidate = home.promote(tmp_path / "split.py")
    whole = [(100 + day % 3, 103, 99, 100 + day % 2) for day in range(21)]
    rows = [*whole, *[(50, 51, 49, 50)] * 9]
    lines = [f"2024-01-{day:02},{','.join(map(str, row))},1000" for day, row in enumerate(rows, start=1)]
    bars = tmp_path / "MSFT.csv"
    bars.write_text("\n".join(["time,open,high,low,close,volume", *lines]) + "\n")
    run = home.run(candidate, bars, "max", "MSFT")
    home("run", "wait", run, "--timeout", "30")
    shown = home.json("run", "show", run)
    assert (shown["bars"], shown["position"], shown["halt"]) == (30, "5", "HALTED")
    assert [fill["side"] for fill in home.items("fills") if fill["run"] == run] == ["buy"]
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify")


def test_reducing_ends_entries_at_every_scope_and_is_resumed_into(
    trading: tuple[Installation, str], tmp_path: Path
) -> None:
    home, candidate = trading
    run = home.run(candidate, first_bars("GOOG-1d.csv", 2000, tmp_path / "GOOG.csv"), "10")

    def shown(name: str) -> object:
        return home.json("run", "show", run)[name]

    until(lambda: shown("fills"), what="a fill")
    told = home.json("halt", "--run", run, "--reducing", "--reason", "only out")
    assert (told["state"], told["by"]) == ("REDUCING", "daemon")
    until(lambda: shown("position") == "0" and shown("refused"), what="a closed position and a refused entry")
    refused = home.items("decisions", "--run", run)[-1]
    assert [one["code"] for one in refused["refusals"]] == ["REDUCING"]
    assert set(refused["refusals"][0]) == {
        "code", "control", "measured", "limit", "unit", "setting", "message"
    }  # fmt: skip
    fills = shown("fills")
    assert home.json("halt", "--run", run, "--reason", "stop")["state"] == "HALTED"
    assert home.json("run", "pause", run)["state"] == "HALTED"  # a laxer halt changes nothing
    assert home.json("resume", run, "--reducing", "--reason", "looked at it")["state"] == "REDUCING"
    assert [line["kind"] for line in home.lines("halt.resume", "halt.set")][-2:] == [
        "halt.resume",
        "halt.set",
    ]
    assert "HALT_STATE" in home("resume", run, "--reducing", "--reason", "again", code=4)
    assert shown("halt") == "REDUCING" and shown("fills") == fills
    home("resume", run, "--reason", "go on")
    until(lambda: shown("fills") != fills, what="an entry after the resume")
    home.stop()
    told = home.json("halt", "--all", "--reducing", "--reason", "nobody is home")
    assert (told["state"], told["by"]) == ("REDUCING", "latch")
    assert shown("halt") == "REDUCING"
    home.start()
    until(lambda: home.lines("halt.set")[-1]["data"]["scope"] == "all", what="the latch's line")
    until(lambda: shown("position") == "0", what="a closed position")
    home("run", "stop", run)
    home("resume", "all", "--reason", "done")
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify")
