"""risk.toml changes beside live runs: tighter binds them, looser waits, and none dies of it."""

from __future__ import annotations

from pathlib import Path

from support.installation import Installation, first_bars, until

BUY = """from inalpha import Strategy


class Buy(Strategy):
    def on_bar(self, bar):
        if self.orders:
            return
        if self.position.is_flat:
            self.buy(5, reason="in")
        else:
            self.close(reason="out")
"""


def test_limits_bind_and_loosen_beside_a_live_run(installation: Installation, tmp_path: Path) -> None:
    home = installation
    (tmp_path / "buy.py").write_text(BUY)
    candidate = home.promote(tmp_path / "buy.py")
    run = home.run(candidate, first_bars("GOOG-1d.csv", 2000, tmp_path / "goog.csv"), "50")
    until(lambda: home.json("run", "show", run)["fills"] > 1, what="fills under the first limits")
    rules = (home.home / "risk.toml").read_text()

    (home.home / "risk.toml").write_text(rules.replace("equity_pct = 10", "equity_pct = 0.1"))
    ibm = first_bars("IBM-1d.csv", 3, tmp_path / "ibm.csv")
    home("run", "wait", home.run(candidate, ibm, "max", "IBM"))
    until(lambda: home.json("run", "show", run)["refused"] > 1, what="a refusal by the tighter limit")
    refused = [item for item in home.items("decisions", "--run", run) if item["outcome"] == "risk_rejected"]
    assert refused[0]["code"] == "MAX_ORDER"  # five in a row then trip reject_streak
    until(lambda: home.json("status")["halt"] == "REDUCING", what="five refusals in a row")

    home.kill("daemon")
    home.start()
    seen = home.json("run", "show", run)["refused"]
    until(lambda: home.json("run", "show", run)["refused"] > seen + 1, what="the tighter limit after a start")

    (home.home / "risk.toml").write_text(rules.replace("equity_pct = 10", "equity_pct = 20"))
    home("risk", "apply")
    home("resume", run, "--reason", "the limit was a mistake")
    fills = home.json("run", "show", run)["fills"]
    until(lambda: home.json("run", "show", run)["fills"] > fills + 1, what="fills under the mandate's limits")
    home("run", "stop", run)
    assert home.json("replay", run)["divergence"] is None
    assert home.json("parity", run)["unexplained"] == 0
    home("audit", "verify")
