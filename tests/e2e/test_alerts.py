"""T8: what nobody has seen is told once more, until a person has. P15: a block is one alert and ends by itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.installation import Installation, until

EAGER = """from inalpha import Strategy


class Eager(Strategy):
    def on_bar(self, bar):
        if not self.orders and self.position.is_flat:
            self.buy(1, reason="in")
        elif not self.orders:
            self.close(reason="out")
"""


def test_an_alert_that_nobody_saw_escalates_once(installation: Installation) -> None:
    home = installation
    rules = home.home / "risk.toml"
    rules.write_text(rules.read_text().replace("escalate_s = 900", "escalate_s = 1"))

    def escalated() -> list[dict[str, Any]]:
        return [item for item in home.items("alerts") if item["kind"] == "escalated"]

    home("halt", "--all", "--reducing", "--reason", "look")
    (halt,) = home.items("alerts")  # raised with its cause, in the same transaction
    assert (halt["kind"], halt["state"], halt["count"]) == ("halt", "REDUCING", 1)
    (again,) = until(escalated, timeout_s=8, what="the escalation")
    assert again["state"] == str(halt["id"]) and "halt: REDUCING by" in again["text"]
    home("halt", "--all", "--reason", "another")  # another alert, with an escalation of its own
    until(lambda: len(escalated()) == 2, timeout_s=8, what="the second escalation")
    for item in home.items("alerts"):
        if item["kind"] == "halt":
            home("alerts", "ack", str(item["id"]))
    assert home.items("alerts") == []
    assert {item["acked_by"] for item in home.items("alerts", "--all")} == {"op:alice"}
    assert "NO_ALERT" in home("alerts", "ack", str(halt["id"]), code=4)
    assert home.json("status")["halt"] == "HALTED"


def test_a_source_that_is_ahead_blocks_entries_until_it_is_not(
    installation: Installation, tmp_path: Path
) -> None:
    """Two bars come five seconds before their own close, then it is over; a third comes two seconds before: in time."""
    home = installation
    (tmp_path / "eager.py").write_text(EAGER)
    candidate = home.promote(tmp_path / "eager.py")
    run = home.json(
        "run", "start", candidate, "--symbol", "SIM", "--timeframe", "1h", "--allocation", "100000",
        "--feed", "sim:7?bars=60&speed=max&skew=20:-5,21:-5,30:-2",
    )["run"]  # fmt: skip
    home("run", "wait", run, "--timeout", "60")
    refused = {
        item["sequence"]: one
        for item in home.items("decisions", "--run", run)
        for one in item["refusals"]
        if one["code"] == "CLOCK_SKEW"
    }
    assert set(refused) <= {20, 21} and refused
    one = next(iter(refused.values()))
    assert (one["code"], one["control"], one["measured"], one["limit"]) == ("CLOCK_SKEW", "P15", "5", "2")
    assert (one["unit"], one["setting"]) == ("s", "stale_data.max_skew_s")
    (alert,) = [item for item in home.items("alerts") if item["kind"] == "clock_skew"]
    assert alert["count"] == 1 and alert["scope"] == run
    assert home.json("replay", run)["divergence"] is None
    home("parity", run)
    home("audit", "verify")


def row(minute: int) -> str:
    when = datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{when},100,101,99,100,1000\n"


def test_a_silent_file_blocks_entries_until_its_next_bar(installation: Installation, tmp_path: Path) -> None:
    """A growing file of an hour ago is stale at once; its next bar ends that. A bar of the future is a wrong clock."""
    home, bars = installation, tmp_path / "LIVE.csv"
    (tmp_path / "eager.py").write_text(EAGER)
    candidate = home.promote(tmp_path / "eager.py")
    hour_ago = int(time.time()) // 60 - 60
    bars.write_text("time,open,high,low,close,volume\n" + row(hour_ago - 1))
    run = home.json(
        "run", "start", candidate, "--symbol", "LIVE", "--timeframe", "1m", "--allocation", "100000",
        "--feed", f"file:{bars}",
    )["run"]  # fmt: skip

    def append(minute: int) -> None:
        with bars.open("a") as file:
            file.write(row(minute))

    def kinds() -> dict[str, int]:
        return {item["kind"]: item["count"] for item in home.items("alerts")}

    def codes(at: int) -> list[set[str]]:
        items = home.items("decisions", "--run", run)
        return [{one["code"] for one in item["refusals"]} for item in items][at:]

    append(hour_ago)
    append(hour_ago + 1)
    until(lambda: len(codes(0)) == 2, what="two decisions on old bars")
    assert codes(1) == [{"STALE_FEED"}]
    assert kinds()["stale_feed"] == 1
    append(int(time.time()) // 60 - 1)  # the last full minute: it closed less than a minute ago
    until(lambda: len(codes(0)) == 3, what="a decision on a fresh bar")
    assert "STALE_FEED" not in codes(2)[0]
    append(int(time.time()) // 60 + 3)
    until(lambda: "clock_skew" in kinds(), what="the wrong clock")
    assert kinds()["stale_feed"] == 1
    home("run", "stop", run)
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify")
