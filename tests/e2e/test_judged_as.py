"""`candidate submit` judges a file on the instrument that its run will have, and says why it failed."""

from __future__ import annotations

from pathlib import Path

from support.installation import Installation, inalpha

COIN = """from inalpha import Strategy


class Coin(Strategy):
    def on_bar(self, bar):
        if bar.sequence % 20 == 0 and self.position.is_flat:
            self.buy({size})
        elif bar.sequence % 20 == 9:
            self.close()
"""


def hours(path: Path) -> Path:
    """320 quiet hours of a coin at 60,000."""
    rows = [f"{1_735_689_600 + 3600 * n},60000,60010,59990,{60000 + n % 3},5000" for n in range(320)]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n")
    return path


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
    assert {"legs": False, "state": "filled", "code": "", "count": 32} in passed["orders"]

    with (home.home / "inalpha.toml").open("a") as settings:
        settings.write('\n[instruments.BTC]\nlot = "0.01"\n')
    file.write_text(COIN.format(size="0.100"))
    assert home.json(*words)["data"]["lot"] == "0.01"

    bad = inalpha(home.home, *words, "--lot", "none")
    assert bad.returncode == 4 and "INSTRUMENT" in bad.stderr
    home("audit", "verify")
