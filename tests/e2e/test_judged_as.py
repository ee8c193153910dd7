"""`candidate submit` judges a file on the instrument that its run will have, and says why it failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from support.installation import Installation, inalpha, until

COIN = """from inalpha import Strategy


class Coin(Strategy):
    def on_bar(self, bar):
        if bar.sequence % 20 == 0 and self.position.is_flat:
            self.buy({size})
        elif bar.sequence % 20 == 9:
            self.close()
"""


def hours(path: Path, count: int = 320) -> Path:
    """Quiet hours of a coin at 60,000."""
    rows = [f"{1_735_689_600 + 3600 * n},60000,60010,59990,{60000 + n % 3},5000" for n in range(count)]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n")
    return path


def test_an_evaluation_that_a_crash_cut_short_is_made_again_on_the_same_market(
    installation: Installation, tmp_path: Path
) -> None:
    home, file = installation, tmp_path / "coin.py"
    file.write_text(COIN.format(size="0.1"))
    words = (
        "--rationale",
        "the hours of a coin",
        "--bars",
        str(hours(tmp_path / "BTC-1h.csv")),
        "--lot",
        "0.1",
    )
    submitting = subprocess.Popen(
        [sys.executable, "-m", "inalpha", "--home", str(home.home), "candidate", "submit", str(file), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: home.items("candidate", "list"), what="the submission")
        home.kill("daemon")
        (found,) = home.items("candidate", "list")
        assert found["state"] == "submitted"
        home.start()
        name = found["candidate"]
        shown = until(lambda: judged(home, name), what="the verdict")
        assert (shown["state"], shown["evidence"]["data"]["symbol"]) == ("passed", "BTC")
        assert shown["evidence"]["data"]["lot"] == "0.1"
    finally:
        submitting.kill()
        submitting.wait()


def judged(home: Installation, name: str) -> dict[str, Any] | None:
    shown: dict[str, Any] = home.json("candidate", "show", name)
    return shown if shown["state"] != "submitted" else None


def test_a_tenth_of_a_coin_fails_by_its_lot_and_passes_with_the_one_that_a_run_has(
    installation: Installation, tmp_path: Path
) -> None:
    home, file = installation, tmp_path / "coin.py"
    bars = str(hours(tmp_path / "BTC-1h.csv"))
    words = ("candidate", "submit", str(file), "--rationale", "the hours of a coin", "--bars", bars)

    file.write_text(COIN.format(size="0.1"))
    failed = inalpha(home.home, *words)
    told = " ".join(failed.stderr.split())
    assert failed.returncode == 1 and failed.stdout.split()[1] == "failed"
    assert "failed contract: nothing of it was seen to trade: all 16 orders were denied BELOW_LOT" in told
    assert "one lot of BTC, which is 1 here." in told and "--lot 0.001" in told
    assert "[instruments.BTC] in inalpha.toml" in told
    assert "judged as BTC 1h, 320 bars, tick 0.01, lot 1, 24/7" in told
    # The same bytes are the same candidate: the verdict stands, and the author is told so.
    again = inalpha(home.home, *words, "--lot", "0.001")
    assert again.returncode == 1 and "judged before" in again.stderr

    file.write_text(COIN.format(size="0.10"))
    passed = home.json(*words, "--lot", "0.001")
    assert (passed["state"], passed["data"]["lot"]) == ("passed", "0.001")
    assert any(
        '[instruments.BTC] of inalpha.toml: write lot = "0.001"' in note for note in passed["warnings"]
    )
    filled = next(one for one in passed["orders"] if one["state"] == "filled")
    assert (filled["legs"], filled["code"]) == (False, "") and filled["count"] > 10

    with (home.home / "inalpha.toml").open("a") as settings:
        settings.write('\n[instruments.BTC]\nlot = "0.01"\n')
    # A backtest in this home has the same market, and can be given another.
    found = home.json("backtest", str(file), "--bars", bars)
    assert (found["fills"], found["denials"]) == (20, {"LOSS_STREAK": 6})  # a loser, and limits for such
    assert home.json("backtest", str(file), "--bars", bars, "--lot", "1")["denials"] == {"BELOW_LOT": 16}
    file.write_text(COIN.format(size="self.quantity(value=6100) if self.instrument.lot == 0.01 else 0"))
    found = home.json(*words)
    assert (found["state"], found["data"]["lot"]) == ("passed", "0.01")
    # What the gate saw is what the run trades.
    home("candidate", "promote", found["candidate"], "--reason", "read it")
    market = ("--symbol", "BTC", "--timeframe", "1h", "--feed", f"replay:{bars}@max")
    run = home.json("run", "start", found["candidate"], *market)["run"]
    home("run", "wait", run, "--timeout", "60")
    assert {fill["quantity"] for fill in home.items("fills", "--run", run)} == {"0.1"}

    bad = inalpha(home.home, *words, "--lot", "none")
    assert bad.returncode == 4 and "INSTRUMENT" in bad.stderr
    home("audit", "verify")
