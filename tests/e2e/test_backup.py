"""A backup taken beside the running daemon becomes a home again: signed, HALTED, and the record says what was lost."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.installation import Installation, inalpha, until

from inalpha.daemon.config import DEFAULT_TEXT


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


def tampered(file: Path, target: Path, **texts: str) -> Path:
    """The backup with other settings, as whoever could write the file would have them."""
    with tarfile.open(file) as source, tarfile.open(target, "w") as made:
        for member in source.getmembers():
            data = source.extractfile(member)
            assert data is not None
            text = data.read()
            if (stem := member.name.partition(".")[0]) in texts and member.name.endswith(".toml"):
                text = texts[stem].encode()
                member.size = len(text)
            made.addfile(member, io.BytesIO(text))
    return target


def test_settings_of_a_tampered_backup_are_shown_and_bind_nobody(tmp_path: Path) -> None:
    home = Installation(tmp_path / "home")
    home.init()
    config, risk = (home.home / "inalpha.toml").read_text(), (home.home / "risk.toml").read_text()
    home("backup", str(tmp_path / "b.tar"))
    evil = config.replace('broker = "auto"', 'broker = "auto"\nurl = "mqtts://evil.invalid"')
    evil = evil.replace("uid_base = 61000", "uid_base = 0  # \x1b[2J\u202e")
    looser = risk.replace("equity_pct = 10", "equity_pct = 90")
    assert evil != config and looser != risk
    file = tampered(tmp_path / "b.tar", tmp_path / "evil.tar", inalpha=evil, risk=looser)
    told = home("restore", str(file))
    assert "\\x1b[2J\\u202e" in told and "\x1b" not in told and "+url = " in told
    assert (
        "inalpha.toml of the backup is set aside as inalpha.toml.from-backup; installed: this home's own"
        in told
    )
    assert "controls.max_order.equity_pct: 10 in force, 90 in the file" in told
    assert (
        "risk.toml of the backup is set aside as risk.toml.from-backup; installed: the rules in force" in told
    )
    assert (home.home / "inalpha.toml").read_text() == config
    assert "evil.invalid" in (home.home / "inalpha.toml.from-backup").read_text()
    in_force = home.json("risk", "show")
    home.start()
    try:
        assert home.json("risk", "show") == in_force
        assert in_force["controls"]["max_order"]["equity_pct"] == "10"
        (home.home / "risk.toml").write_text((home.home / "risk.toml.from-backup").read_text())
        found = inalpha(home.home, "risk", "apply")
        assert "controls.max_order.equity_pct: 10 in force, 90 in the file" in found.stderr
        assert home.json("risk", "show")["controls"]["max_order"]["equity_pct"] == "90"
    finally:
        home.stop()
    # Into no home at all: the defaults, never what the file says. Rules that cannot be read are set aside too.
    file = tampered(tmp_path / "b.tar", tmp_path / "odd.tar", inalpha=evil, risk="= nonsense")
    fresh = Installation(tmp_path / "fresh")
    items = fresh.json("restore", str(file), "--keys", str(home.home / "keys"))["settings"]
    assert [(item["file"], item["installed"]) for item in items] == [
        ("inalpha.toml", "the defaults"),
        ("risk.toml", "the rules in force"),
    ]
    assert (fresh.home / "inalpha.toml").read_text() == DEFAULT_TEXT
    assert fresh.json("risk", "show") == in_force


TIGHTER = {  # each binds without a signature, and one that closes a position at its first gain does harm
    "take_profit_pct = 0\n": "take_profit_pct = 0.0001\n",
    'zone = "UTC"': 'zone = "Pacific/Kiritimati"',
    "equity_pct = 10\n": "equity_pct = 0.01\n",
}


def test_tighter_rules_of_a_tampered_backup_bind_nobody_either(tmp_path: Path) -> None:
    home = Installation(tmp_path / "home")
    home.init()
    own = home.home / "risk.toml"
    signed = own.read_text().replace("symbol_pct = 25", "symbol_pct = 30.5")
    own.write_text(signed)
    home.start()
    home("risk", "apply")
    home.stop()
    in_force = home.json("risk", "show")
    home("backup", str(tmp_path / "b.tar"))
    assert home.json("restore", str(tmp_path / "b.tar"))["settings"] == []
    own.write_text(signed + "\n# mine\n")
    for before, after in TIGHTER.items():
        assert before in signed
        file = tampered(tmp_path / "b.tar", tmp_path / "evil.tar", risk=signed.replace(before, after))
        (item,) = home.json("restore", str(file))["settings"]
        assert (item["set_aside"], item["installed"]) == ("risk.toml.from-backup", "the rules in force")
        assert any(after.strip() in line for line in item["difference"])
        assert after in (home.home / "risk.toml.from-backup").read_text() and after not in own.read_text()
    for hidden in ("\n[account.bob]\ntwo_person = true\n", "\n[account.bob.controls.drawdown]\npct = 1\n"):
        file = tampered(tmp_path / "b.tar", tmp_path / "evil.tar", risk=signed + hidden)
        (item,) = home.json("restore", str(file))["settings"]
        assert "bob" in "".join(item["difference"]) and "bob" not in own.read_text()
    home.start()
    try:
        assert home.json("risk", "show") == in_force and home.json("status")["halt"] == "HALTED"
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


def test_a_restore_without_the_owners_key_says_where_it_is_looked_for(tmp_path: Path) -> None:
    home = Installation(tmp_path / "new")
    (tmp_path / "b.zip").write_bytes(b"")
    told = home("restore", str(tmp_path / "b.zip"), "--reason", "a new machine", code=4)
    assert "NO_OPERATOR_KEYS" in told and "--keys DIR" in told
    assert not (tmp_path / "new").exists()
