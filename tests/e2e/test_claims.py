"""Who halted, paused or stopped, and why, as the record tells it: a claim without a key, an actor with one."""

from __future__ import annotations

import getpass
from pathlib import Path

from support.daily import write_daily
from support.installation import Installation, until

from inalpha.ledger import readers
from inalpha.model import latch
from inalpha.model.home import Home
from inalpha.model.states import HaltState

HOLD = """from inalpha import Strategy


class Hold(Strategy):
    def on_bar(self, bar):
        pass
"""


def test_a_halt_and_a_stop_without_a_key_are_claims_with_the_persons_own_words(
    installation: Installation, tmp_path: Path
) -> None:
    home = installation
    (tmp_path / "hold.py").write_text(HOLD)
    candidate = home.promote(tmp_path / "hold.py")
    run = home.run(candidate, write_daily(tmp_path / "FLAT.csv", [100.0] * 900), "10", "FLAT")
    user = getpass.getuser()
    home("run", "pause", run, "--reason", "lunch")
    paused = home.lines("halt.set")[-1]
    assert (paused["actor"], paused["data"]["claimed_by"]) == ("system:daemon", f"os:{user}")
    assert readers.read_text(home.home, paused["data"]["reason_commit"]) == "lunch"
    home("run", "stop", run, "--reason", "it is late")
    stopped = home.lines("run.stop")[-1]
    assert (stopped["actor"], stopped["data"]["claimed_by"]) == ("system:daemon", f"os:{user}")
    assert readers.read_text(home.home, stopped["data"]["reason_commit"]) == "it is late"
    row = latch.LatchRow("all", HaltState.HALTED, "console:alice", "seen from a phone", 1)
    latch.append_row(Home.at(home.home).latch, row)
    until(lambda: home.lines("halt.set")[-1]["data"]["scope"] == "all", what="the latch's row in the record")
    latched = home.lines("halt.set")[-1]
    assert latched["data"]["claimed_by"] == "op:alice"  # a key of that name is enrolled; it did not sign
    assert readers.read_text(home.home, latched["data"]["reason_commit"]) == "seen from a phone"
    reader = readers.open_reader(home.home)
    alerts = {
        (row["scope"], row["state"]): row["count"] for row in readers.alerts(reader) if row["kind"] == "halt"
    }
    reader.close()
    assert alerts == {(run, "REDUCING"): 1, ("all", "HALTED"): 1}
    home("audit", "verify")
