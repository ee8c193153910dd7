"""`status`, `doctor`, `stop-daemon`."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import time
from typing import Any

import click

from inalpha.audit.keys import check_private, check_secret, is_open
from inalpha.bus import external
from inalpha.bus.slots import SELF_TEST
from inalpha.bus.start import find_mosquitto
from inalpha.cli.checks import durable_disk, record
from inalpha.cli.client import reading
from inalpha.cli.main import folder_of, home_of
from inalpha.cli.options import home_option, json_option
from inalpha.cli.output import bar_words, emit_json, iso, say, table
from inalpha.client.newkeys import unsettled
from inalpha.daemon.backupwatch import backups_of, born_s
from inalpha.daemon.config import Bus, load_config
from inalpha.daemon.presence import find, start_ticks
from inalpha.ledger import readers
from inalpha.ledger.halts import standing, worst
from inalpha.ledger.leftovers import leftovers
from inalpha.model import latch
from inalpha.model.errors import (
    EXIT_CONFIG,
    EXIT_FAILURE,
    EXIT_INTEGRITY,
    InalphaError,
    TryAgain,
)
from inalpha.model.home import Home
from inalpha.risk.rules import load_rules

STOP_S = 12.0
BACKUP_WITHIN_H = 26


@click.command()
@home_option
@json_option
@click.pass_context
def status(ctx: click.Context, home_override: str | None, as_json: bool) -> None:
    """One look: daemon, broker, hosts, runs, halt, audit head."""
    home = home_of(ctx, home_override)
    found = read_status(home)
    if as_json:
        emit_json(found)
        return
    daemon, broker = found["daemon"], found["broker"]
    say(f"home    {found['home']}")
    say(f"daemon  {daemon['state']}  pid {daemon['pid'] or '-'}  epoch {daemon['epoch']}")
    say(f"broker  {broker['kind'] or '-'}  pid {broker['pid'] or '-'}")
    for host in found["hosts"]:
        where = "remote" if host["is_remote"] else f"pid {host['pid'] or '-'}"
        beat = f"beat {host['beat_age_s']:.1f} s ago" if host["is_up"] else "silent"
        say(f"host    {host['name']}  {where}  {host['level'] or 'not measured'}  {beat}")
    if not found["halts"]:
        say(f"halt    {found['halt']}")
    for halt in found["halts"]:
        say(f"halt    {halt_text(halt)}", red=True)
    for waiver in found["waivers"]:
        told = f"{waiver['run']} does without {waiver['rule']} until {waiver['expires_at']}"
        say(f"waiver  {told}", red=True)
    say(f"audit   {audit_text(found['audit'])}")
    columns = ("run", "state", "pid", "bars", "last_session")
    table([[run[name] for name in columns] for run in found["runs"]], (*columns[:-1], "last_bar"))


def read_status(home: Home) -> dict[str, Any]:
    """What `status --json` prints; pids are None where a process is gone."""
    presence = find(home)
    with reading(home) as reader:
        row = readers.status(home.root, reader)
        waived = readers.waivers(reader, time.time_ns() // 1000)
        halts = standing(reader, latch.read_rows(home.latch))
    return {
        "home": str(home.root),
        "daemon": {
            "pid": presence.pid if presence else None,
            "state": presence.state if presence else "gone",
            "epoch": row["epoch"],
        },
        "broker": {
            "kind": presence.broker.get("kind") if presence else None,
            "pid": _alive(presence.broker.get("pid")) if presence else None,
        },
        "hosts": [_host(host) for host in presence.hosts] if presence else [],
        "runs": [
            {
                "run": run["run"],
                "state": run["state"],
                "pid": _alive(presence.runners.get(run["run"])) if presence else None,
                "bars": run["bars"],
                "last_bar": iso(run["last_close"]),
                "last_session": bar_words(run["last_close"], run["timeframe"]),
            }
            for run in row["runs"]
        ],
        "waivers": [
            {"run": item["run"], "rule": item["rule"], "expires_at": iso(item["expires"])} for item in waived
        ],
        "halt": worst(halts).value,
        "halts": [halt_item(row) for row in halts],
        "pending": row["plans"]["pending"],
        "audit": row["audit"],
    }


def audit_text(audit: dict[str, Any]) -> str:
    """`477 lines, root 9f…`; where the root covers fewer lines, how many."""
    of = "" if audit["root_size"] == audit["size"] else f" of the first {audit['root_size']}"
    return f"{audit['size']} lines, root{of} {audit['root']}"


def halt_item(row: dict[str, Any]) -> dict[str, Any]:
    """One standing halt as JSON; line is None while only the latch file says it."""
    return {
        "scope": row["scope"],
        "name": row["name"],
        "state": row["state"],
        "by": row["by"],
        "reason": row["reason"],
        "at": iso(row["ts"]),
        "line": row["seq"],
    }


def halt_text(item: dict[str, Any]) -> str:
    """The same in words, for `status` and `report`."""
    where = f"line {item['line']}" if item["line"] is not None else "in the latch file alone"
    reason = f": {item['reason']}" if item["reason"] else ""
    return f"{item['state']} {item['name']} by {item['by']}, {item['at'] or 'unknown time'}, {where}{reason}"


def _host(host: dict[str, Any]) -> dict[str, Any]:
    beat_us, shown = host.get("beat_us"), {k: v for k, v in host.items() if k != "beat_us"}
    age_s = round(max(0.0, time.time() - beat_us / 1e6), 1) if isinstance(beat_us, int) else None
    return {**shown, "pid": _alive(host.get("pid")), "beat_age_s": age_s}


def _alive(pid: object) -> int | None:
    return pid if isinstance(pid, int) and start_ticks(pid) is not None else None


@click.command("stop-daemon")
@home_option
@json_option
@click.pass_context
def stop_daemon(ctx: click.Context, home_override: str | None, as_json: bool) -> None:
    """Stop the daemon cleanly; its runs go on with the next one."""
    home = folder_of(ctx, home_override)
    presence = find(home)
    if presence is not None:
        stop_process(presence.pid, presence.start_ticks)
    emit_json({"stopped": presence is not None}) if as_json else say(
        f"stopped pid {presence.pid}" if presence else "no daemon was running"
    )


def stop_process(pid: int, ticks: int) -> None:
    """SIGTERM to exactly this process, and wait until it has ended. Raises TryAgain after 12 s."""
    handle = os.pidfd_open(pid)
    try:
        if start_ticks(pid) != ticks:
            return
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while start_ticks(pid) == ticks:
            if time.monotonic() > deadline:
                raise TryAgain("STOP", f"pid {pid} is still there after {STOP_S:.0f} s.", "Look at its log.")
            time.sleep(0.02)
    finally:
        os.close(handle)


@click.command()
@home_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, home_override: str | None, as_json: bool) -> None:
    """Every check with a fix. Exit 0 when none fails, 6 for a broken record, 78 for settings, else 1."""
    home = home_of(ctx, home_override)
    checks = [
        _python(), _sqlite(), _check("configuration", lambda: str(load_config(home.config) and "valid")),
        _check("risk rules", lambda: f"{load_rules(home.risk).active} controls active"),
        _check("modes", lambda: _modes(home)), _check("home disk", lambda: durable_disk(home)),
        _check("record", lambda: record(home)), _keys(home), _leftovers(home), _backup(home), _disk(home),
        _broker(home), _latch(home), _sandbox(),
    ]  # fmt: skip
    exits = {check.pop("exit", EXIT_FAILURE) for check in checks if check["result"] == "fail"}
    failed = bool(exits)
    if as_json:
        emit_json({"checks": checks, "passed": not failed})
    else:
        table(
            [[c["result"], c["name"], c["detail"], c["fix"]] for c in checks], ("", "check", "found", "fix")
        )
    # A broken record before bad settings before all else.
    for code in (EXIT_INTEGRITY, EXIT_CONFIG, EXIT_FAILURE):
        if code in exits:
            sys.exit(code)


def _result(name: str, result: str, detail: str, fix: str = "") -> dict[str, Any]:
    return {"name": name, "result": result, "detail": detail, "fix": fix}


def _check(name: str, work: Any) -> dict[str, Any]:
    try:
        return _result(name, "ok", work())
    except InalphaError as error:
        exit_code = error.exit_code if error.exit_code in (EXIT_INTEGRITY, EXIT_CONFIG) else EXIT_FAILURE
        return {**_result(name, "fail", error.message, error.fix), "exit": exit_code}


def _python() -> dict[str, Any]:
    version = sys.version.split()[0]
    ok = sys.version_info >= (3, 11)
    return _result("python", "ok" if ok else "fail", version, "" if ok else "Install Python 3.11 or later.")


def _sqlite() -> dict[str, Any]:
    version = sqlite3.sqlite_version_info
    fixed = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    fix = "" if fixed else "Older than the WAL-reset fix; the single writing connection is the protection."
    return _result("sqlite", "ok" if fixed else "warn", sqlite3.sqlite_version, fix)


def _modes(home: Home) -> str:
    check_private(home.root)
    for path in [home.root / "log.key", *home.keys.glob("*/*.key")]:
        check_secret(path)
    return "0700 and 0600"


def _keys(home: Home) -> dict[str, Any]:
    opened = [path.stem for path in (home.keys / "op").glob("*.key") if is_open(path)]
    if not opened:
        return _result("operator keys", "ok", "sealed")
    result = "warn" if home.demo_mark.exists() else "fail"
    return _result(
        "operator keys", result, f"open: {', '.join(opened)}", "Enrol a sealed key: inalpha operator add"
    )


def _leftovers(home: Home) -> dict[str, Any]:
    found = [str(path) for path in (*leftovers(home.root), *unsettled(home))]
    if not found:
        return _result("leftovers", "ok", "none")
    return _result(
        "leftovers",
        "warn",
        ", ".join(found),
        "The next start of the daemon or signing verb clears up.",
    )


def _backup(home: Home) -> dict[str, Any]:
    """Younger than 26 h: a day, and the time that making it takes. A young home may have none."""
    newest = next(iter(backups_of(home.root / "backups").values()), None)
    with reading(home) as reader:
        since = newest.timestamp() if newest else born_s(reader)
    hours = (time.time() - since) / 3600
    told = f"last daily backup {hours:.0f} h ago" if newest else f"none; the home is {hours:.0f} h old"
    if hours < BACKUP_WITHIN_H:
        return _result("backup", "ok", told)
    return _result(
        "backup", "warn", told, "Leave the daemon running ([backup] daily), or: inalpha backup FILE"
    )


def _disk(home: Home) -> dict[str, Any]:
    free = shutil.disk_usage(home.root).free
    ok = free > 1 << 30
    return _result("disk", "ok" if ok else "warn", f"{free >> 20} MiB free", "" if ok else "Free some space.")


def _broker(home: Home) -> dict[str, Any]:
    try:
        bus = load_config(home.config).bus
    except InalphaError:
        bus = Bus()  # told by the configuration's own check
    if bus.url:
        return _check("broker", lambda: _external(home, bus))
    found = find_mosquitto()
    return _result(
        "broker", "ok", found or "amqtt (bundled)", "" if found else "apt-get install mosquitto is faster."
    )


def _external(home: Home, bus: Bus) -> str:
    ca, name = bus.ca_path(home.root), SELF_TEST[0]  # a name whose login disturbs nobody
    version = asyncio.run(external.probe(bus.url, ca, name, external.token_of(home.bus, name)))
    return f"{bus.url}  {version}  {ca or 'CAs of the system'}"


def _latch(home: Home) -> dict[str, Any]:
    rows = latch.read_rows(home.latch)
    if latch.UNREADABLE in rows:
        return _result(
            "halt latch", "fail", "unreadable: counts as KILLED", "inalpha resume all --reason TEXT"
        )
    return _result("halt latch", "ok", f"{len(rows)} rows")


def _sandbox() -> dict[str, Any]:
    from runners.local import LocalSandbox

    try:
        with LocalSandbox() as sandbox:
            return _result("sandbox", "ok", f"level {sandbox.evidence.level}")
    except InalphaError as error:
        return _result("sandbox", "fail", error.message, error.fix)
