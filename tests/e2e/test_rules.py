"""risk.toml under a running daemon: tighter binds by itself, looser waits for a signature."""

from __future__ import annotations

from support.installation import Installation, until


def _in_force(home: Installation) -> str:
    found: str = home.json("risk", "show")["controls"]["max_order"]["equity_pct"]
    return found


def _write(home: Installation, percent: str) -> None:
    file = home.home / "risk.toml"
    text = file.read_text()
    before = next(line for line in text.splitlines() if line.startswith("equity_pct"))
    file.write_text(text.replace(before, f"equity_pct = {percent}"))


def test_tighter_binds_when_saved_and_looser_when_signed(installation: Installation) -> None:
    home = installation
    assert _in_force(home) == "10"
    _write(home, "7")
    until(lambda: _in_force(home) == "7", what="the tighter limit")
    _write(home, "12")
    home("risk", "check", str(home.home / "risk.toml"))
    size = home.json("status")["audit"]["size"]
    found = home.json("risk", "apply")
    assert found["loosened"] == "controls.max_order.equity_pct"
    assert _in_force(home) == "12"
    assert home.json("status")["audit"]["size"] == size + 1
    (home.home / "risk.toml").write_text("schema = 1\n[controls.max_ordr]\nequity_pct = 1\n")
    until(lambda: "risk_file" in (home.home / "test.log").read_text(), what="the log of a broken file")
    assert _in_force(home) == "12"
    assert "max_order" in home("risk", "check", str(home.home / "risk.toml"), code=78)
    (home.home / "risk.toml").unlink()
    home("risk", "init")
    home("risk", "init", code=4)
    until(lambda: _in_force(home) == "10", what="the default limit")
    home("audit", "verify")
