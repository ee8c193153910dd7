"""A short position on a real paper account: the account's leave, the money, the guard, the record."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from support.daily import write_daily
from support.installation import Installation

from inalpha.ledger.readers import open_reader

SHORT = """from inalpha import Strategy


class Short(Strategy):
    cover: bool = True

    def on_bar(self, bar):
        if bar.sequence == 1:
            self.sell(5, reason="down", take_profit=90, stop_loss=130)
        elif bar.sequence == 8 and self.cover and not self.position.is_flat:
            self.close(reason="enough")
"""

CLAMPED = """from inalpha import Strategy


class Clamped(Strategy):
    def on_bar(self, bar):
        if bar.sequence == 1:
            self.buy(5, stop_loss=97, reason="in")
        elif bar.sequence == 2:
            self.sell(2, reason="some of it")
"""


def rising(path: Path, step: float) -> Path:
    return write_daily(path, [100.0] * 4 + [round(100 * (1 + step) ** n, 2) for n in range(1, 12)])


def test_a_short_is_opened_covered_and_guarded_where_the_account_allows_it(
    installation: Installation, tmp_path: Path
) -> None:
    home = installation
    (tmp_path / "short.py").write_text(SHORT)
    # Judged under the rules in force: a file that only shorts has nothing to show where none may be short.
    told = home("candidate", "submit", str(tmp_path / "short.py"), "--rationale", "down it goes", code=1)
    assert "DIRECTION" in told and "failed contract" in told

    home.stop()
    config = home.home / "inalpha.toml"
    config.write_text(config.read_text().replace("allow_short = false", "allow_short = true"))
    rules = home.home / "risk.toml"
    assert "long_only = true" in rules.read_text()
    rules.write_text(rules.read_text().replace("long_only = true", "long_only = false"))
    home.start()
    home("risk", "apply")
    (tmp_path / "short.py").write_text(SHORT + "\n# judged again\n")
    candidate = home.promote(tmp_path / "short.py")

    covered = home.run(candidate, rising(tmp_path / "b.csv", 0.001), "max", "BBB")
    home("run", "wait", covered, "--timeout", "30")
    taken = home.run(candidate, rising(tmp_path / "c.csv", -0.04), "max", "CCC")
    home("run", "wait", taken, "--timeout", "30")
    more = ("--param", "cover=false")
    guarded = home.run(candidate, rising(tmp_path / "d.csv", 0.025), "max", "DDD", *more)
    home("run", "wait", guarded, "--timeout", "30")
    fills = home.items("fills")
    sides = {
        run: [(fill["side"], fill["reason"]) for fill in fills if fill["run"] == run]
        for run in (covered, taken, guarded)
    }
    assert sides[covered] == [("sell", "down"), ("buy", "enough")]
    assert sides[taken] == [("sell", "down"), ("buy", "take_profit")]
    assert sides[guarded] == [("sell", "down"), ("buy", "HARD_STOP")]
    for run in sides:
        assert home.json("run", "show", run)["position"] == "0"
        assert home.json("parity", run)["unexplained"] == 0
    # A leg of 5 finds 3 left: it fills 3, and no order stays open on the record.
    (tmp_path / "clamped.py").write_text(CLAMPED)
    clamped = home.run(
        home.promote(tmp_path / "clamped.py"),
        write_daily(tmp_path / "e.csv", [100.0] * 4 + [96.0] * 4),
        "max",
        "EEE",
    )
    home("run", "wait", clamped, "--timeout", "30")
    found = [(fill["side"], fill["quantity"]) for fill in home.items("fills") if fill["run"] == clamped]
    assert found == [("buy", "5"), ("sell", "2"), ("sell", "3")]
    with closing(open_reader(home.home)) as reader:
        ends = reader.execute(
            "SELECT state, code FROM orders WHERE run = ? AND child IS NOT NULL", (clamped,)
        )
        assert ends.fetchall() == [("cancelled", "NOTHING_TO_REDUCE")]

    home.stop()
    config.write_text(config.read_text().replace("allow_short = true", "allow_short = false"))
    home.start()
    refused = home.run(candidate, rising(tmp_path / "a.csv", 0.001), "max", "AAA")
    home("run", "wait", refused, "--timeout", "30")
    assert home.json("run", "show", refused)["fills"] == 0
    home("audit", "verify")
