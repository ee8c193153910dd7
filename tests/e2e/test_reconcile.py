"""C1 on paper: a book that is not the sum of its fills halts and parks its run until a person resumes it."""

from __future__ import annotations

from pathlib import Path

from support.daily import write_daily
from support.installation import Installation, until

HOLD = """from inalpha import Strategy


class Hold(Strategy):
    def on_bar(self, bar):
        if bar.sequence == 1:
            self.buy(5, reason="in")
            self.buy(4, limit=bar.close * 0.96, reason="lower")
"""
# As long as the file stands, the two hands of the daemon seem to differ.
DIFFER = """import pathlib
import inalpha.daemon.reconciling as reconciling

real = reconciling.differs


def differs(txn, kernel):
    if pathlib.Path(%r).exists():
        lots = kernel.book.lots + 1
        fold = reconciling.FillFold(kernel.book.cash_e8, lots)
        return reconciling.mismatch(kernel.book.lots, kernel.book.cash_e8, fold, kernel.spec.instrument)
    return real(txn, kernel)


reconciling.differs = differs
"""


def test_a_book_that_is_not_its_fills_parks_the_run(installation: Installation, tmp_path: Path) -> None:
    home, mark = installation, tmp_path / "differ"
    (tmp_path / "sitecustomize.py").write_text(DIFFER % str(mark))
    (tmp_path / "hold.py").write_text(HOLD)
    home.stop()
    home.env["PYTHONPATH"] = str(tmp_path)
    home.start()
    candidate = home.promote(tmp_path / "hold.py")
    run = home.run(candidate, write_daily(tmp_path / "FLAT.csv", [100.0] * 900), "10", "FLAT")

    def shown(name: str) -> object:
        return home.json("run", "show", run)[name]

    until(lambda: shown("position") == "5" and shown("working"), what="a position and a resting order")
    mark.touch()
    until(lambda: shown("state") == "parked", what="the parking")
    bars = shown("bars")
    assert (shown("halt"), shown("position"), shown("working")) == ("HALTED", "5", [])
    assert "RECONCILE: the book's position is 5 FLAT, its fills add up to 6" in str(shown("error"))
    assert any("RECONCILE" in text for text in home.json("report")["alerts"])
    home.stop()
    home.start()  # at a start too, and nothing is repaired
    until(lambda: shown("state") == "parked", what="the parking after a restart")
    home("resume", run, "--reason", "too early")
    until(lambda: len(home.lines("halt.set")) == 2 and shown("state") == "parked", what="parked again")
    assert shown("bars") == bars
    mark.unlink()
    home("resume", run, "--reason", "found it")
    until(lambda: shown("state") == "running" and int(str(shown("bars"))) > int(str(bars)), what="bars again")
    home("run", "stop", run)
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify")
