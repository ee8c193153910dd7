"""Paper trading on the simulated market: every accident on record, nothing traded on what is stale or forming."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.installation import DATA, Installation, inalpha, until

EAGER = """from inalpha import Strategy


class Eager(Strategy):
    def on_bar(self, bar):
        if self.orders:
            return
        if self.position.is_flat:
            self.buy(1, reason="in")
        else:
            self.close(reason="out")
"""
SCRIPT = (
    "sim:7?bars=80&gap=10:2&late=20&duplicate=25&revision=30&bad=35&forming=40&backfill=45:2"
    "&downtime=50:6&error=62:2&skew=70:-30"
)


def start(home: Installation, candidate: str, feed: str, symbol: str) -> str:
    started: str = home.json(
        "run", "start", candidate, "--symbol", symbol, "--timeframe", "1h", "--feed", feed, "--allocation", "50000"
    )["run"]  # fmt: skip
    return started


def anomalies(home: Installation, run: str) -> list[tuple[str, str]]:
    entries = [json.loads(line) for line in home("run", "log", run, "--json").splitlines()]
    return [(each["input"]["kind"], each["input"]["detail"]) for each in entries if each["kind"] == "anomaly"]


def test_every_accident_is_on_record_and_the_run_goes_on(installation: Installation, tmp_path: Path) -> None:
    home = installation
    (tmp_path / "eager.py").write_text(EAGER)
    candidate = home.promote(tmp_path / "eager.py")
    run = start(home, candidate, SCRIPT, "SIMA")
    home("run", "wait", run, "--timeout", "60")
    shown = home.json("run", "show", run)
    assert (shown["state"], shown["reason"], shown["bars"]) == ("stopped", "feed_ended", 80 - 2 - 1)
    found = anomalies(home, run)
    assert [kind for kind, _ in found] == [
        "GAP", "GAP", "OUT_OF_ORDER", "DUPLICATE", "REVISION", "BAD_OHLC"
    ]  # fmt: skip
    assert "late" in found[2][1]
    (revised,) = [
        json.loads(line) for line in home("audit", "log", "--kind", "bar.revision", "--json").splitlines()
    ]
    data = revised["data"]
    assert (data["run"], data["old_sha256"] != data["new_sha256"]) == (run, True)
    steps = [
        json.loads(line)["data"] for line in home("audit", "log", "--kind", "step", "--json").splitlines()
    ]
    assert data["old_sha256"] in {step["bar_sha256"] for step in steps if step["bar"] == data["bar"]}
    assert f"{run} REVISION" in home("report")
    codes = {each["code"] for each in home.items("decisions", "--run", run) if each["code"]}
    codes |= {one["code"] for each in home.items("decisions", "--run", run) for one in each["refusals"]}
    assert "STALE_FEED" in codes  # decided on bars that came hours after their close
    assert home.json("replay", run)["divergence"] is None
    assert home.json("parity", run)["unexplained"] == 0
    home("audit", "verify")


def test_a_source_that_refuses_for_good_fails_the_run_at_once(
    installation: Installation, tmp_path: Path
) -> None:
    home = installation
    (tmp_path / "eager.py").write_text(EAGER)
    run = start(home, home.promote(tmp_path / "eager.py"), "sim:7?bars=30&fatal=10", "SIMB")
    until(lambda: home.json("run", "show", run)["state"] == "failed", what="the refusal")
    assert home.json("run", "show", run)["reason"] == "FEED_REFUSED"
    assert home.json("run", "show", run)["bars"] == 10


def test_feed_check_lists_gaps_with_their_causes_and_what_would_be_refused(tmp_path: Path) -> None:
    found = inalpha(tmp_path / "none", "feed", "check", "sim:7?bars=40&gap=10:2&late=20&bad=30", "--json")
    body = json.loads(found.stdout)
    assert found.returncode == 1 and body["refused"] == 2 and body["bars"] == 37
    assert [(note["verdict"], note["missing"], note["cause"]) for note in body["notes"]] == [
        ("GAP", 2, "unknown"), ("GAP", 1, "unknown"), ("OUT_OF_ORDER", 0, "late"), ("BAD_OHLC", 0, "")
    ]  # fmt: skip
    goog = f"file:{DATA / 'GOOG-1d.csv'}"
    whole = inalpha(tmp_path / "none", "feed", "check", goog, "--calendar", "XNYS", "--json")
    assert whole.returncode == 0 and json.loads(whole.stdout)["notes"] == []
    blind = inalpha(tmp_path / "none", "feed", "check", goog, "--calendar", "weekdays", "--json")
    assert len(json.loads(blind.stdout)["notes"]) > 50  # holidays are gaps to a calendar that knows none


WAITING = """from inalpha import Strategy


class Waiting(Strategy):
    def on_bar(self, bar):
        if bar.sequence == 5:
            self.buy(1, limit=bar.close * 0.96, reason="much lower")
        elif bar.sequence == 25:
            self.buy(1, reason="after the silence")
"""


@pytest.mark.campaign
def test_a_source_lost_five_times_ends_entries_until_its_first_fresh_bar(
    installation: Installation, tmp_path: Path
) -> None:
    """The run lives on, no person is needed, and nothing of it stands in the ledger as a halt."""
    home = installation
    (tmp_path / "waiting.py").write_text(WAITING)
    run = start(home, home.promote(tmp_path / "waiting.py"), "sim:7?bars=40&error=15:5", "SIMC")
    home("run", "wait", run, "--timeout", "120")
    shown = home.json("run", "show", run)
    assert (shown["state"], shown["bars"], shown["halt"]) == ("stopped", 40, "ACTIVE")
    lines = [json.loads(text) for text in home("run", "log", run, "--json").splitlines()]
    commands = [
        (line["bar"], line["input"]["kind"], line["input"]["state"])
        for line in lines
        if line["kind"] == "command"
    ]
    assert commands[:2] == [(14, "halt", "REDUCING"), (14, "resume", "ACTIVE")]
    ended = next(line for line in lines if line["kind"] == "command")["output"]["ends"]
    assert [(end[0], end[3]) for end in ended] == [("5:0", "REDUCING")]
    assert [fill["reason"] for fill in home.items("fills")] == ["after the silence"]
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify")
