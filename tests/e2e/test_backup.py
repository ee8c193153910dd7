"""A backup taken beside the running daemon becomes a home again: signed, HALTED, and the record says what was lost."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.installation import Installation, inalpha, until


def test_backup_and_restore(tmp_path: Path) -> None:
    home = Installation(tmp_path / "home")
    made = home.init()
    home.start()
    try:
        home("account", "deposit", "1")
        file = tmp_path / "backup.tar"
        held = home.json("backup", str(file))
        assert home.json("backup", "test", str(file))["size"] == held["size"]
        assert "LEDGER_LOCKED" in home("restore", str(file), code=4)
        home("account", "deposit", "10")
        home.stop()
        found = home.json("restore", str(file))
        assert found["from_size"] > found["to_size"] == held["size"] and found["new_log_key"]
        home.start()
        assert home.json("status")["halt"] == "HALTED"
        assert home.json("account")["cash"] == "100001"
        home("resume", "all", "--reason", "restored")
        home("account", "deposit", "100")
        home.stop()
        checks = json.loads(home("audit", "verify", "--genesis", made["genesis"], "--json"))["checks"]
        assert "rollback.accept at" in next(item["detail"] for item in checks if item["name"] == "I18")
        # Nothing of the old home is left: the people's keys come from elsewhere.
        shutil.copytree(home.home / "keys", tmp_path / "keys")
        shutil.rmtree(home.home)
        again = home.json("restore", str(file), "--keys", str(tmp_path / "keys"))
        assert again["from_size"] is None and again["set_aside"] is None
        home("audit", "verify", "--genesis", made["genesis"])
    finally:
        home.stop()


def test_the_daemon_makes_a_backup_when_the_last_one_is_a_day_old(tmp_path: Path) -> None:
    home = Installation(tmp_path / "home")
    home.init()
    folder = home.home / "backups"
    folder.mkdir(mode=0o700)
    days = [datetime.now(UTC) - timedelta(days=days, minutes=5) for days in range(1, 12)]
    for day in days:
        (folder / f"inalpha-{day:%Y%m%dT%H%M%S}Z.tar").touch()
    killed = folder / ".inalpha-20200101T000000Z.tar.77.part"
    killed.touch()
    home.start()
    try:
        made = until(lambda: [path for path in folder.glob("*.tar") if path.stat().st_size], what="a backup")
        assert home.json("backup", "test", str(made[0]))["size"] > 3
        until(lambda: len(list(folder.glob("*.tar"))) <= 10, what="the older ones' end")
        assert not killed.exists()
        checks = json.loads(inalpha(home.home, "doctor", "--json").stdout)["checks"]
        assert next(item for item in checks if item["name"] == "backup")["result"] == "ok"
        assert next(item for item in checks if item["name"] == "leftovers")["detail"] == "none"
    finally:
        home.stop()
