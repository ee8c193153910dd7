"""What a restore does with a backup's settings: whoever could write the file could write them too.

The lines of a backup prove themselves; inalpha.toml and risk.toml are text. Settings are set aside and shown, and the
home goes on with those that it had, or with the defaults. Risk rules bind as ever: tighter ones by themselves, looser
ones when the owner signs them.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inalpha.daemon.config import DEFAULT_TEXT
from inalpha.ledger import readers
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home
from inalpha.model.plain import lines_of
from inalpha.risk.rules import Rules, default_text, loosens, parse_rules, rules_from_canonical

ASIDE = ".from-backup"


def settle_settings(old: Home, fresh: Home) -> list[dict[str, Any]]:
    """One item per file of the backup that is not simply taken over: file, set_aside, installed, difference."""
    return [*_settle_config(old, fresh), *_settle_risk(old, fresh)]


def words_of(item: dict[str, Any]) -> Iterator[str]:
    """An item as lines for a person."""
    if item["set_aside"]:
        yield f"{item['file']} of the backup is set aside as {item['set_aside']}; installed: {item['installed']}"
    else:
        yield f"{item['file']} of the backup differs from the rules in force: {item['installed']}"
    yield from (f"  {line}" for line in item["difference"])


def _settle_config(old: Home, fresh: Home) -> Iterator[dict[str, Any]]:
    present = _text(old.config)
    installed, of_whom = (DEFAULT_TEXT, "the defaults") if present is None else (present, "this home's own")
    offered = _text(fresh.config)
    if offered is not None and offered != installed:
        yield _aside(fresh.config, offered, installed, of_whom)
    _write(fresh.config, installed)


def _settle_risk(old: Home, fresh: Home) -> Iterator[dict[str, Any]]:
    """A file that no rules can be read from is set aside; any other waits or binds as its values say."""
    offered = _text(fresh.risk)
    present = _text(old.risk)
    if offered is None:
        _write(fresh.risk, default_text() if present is None else present)
        return
    reader = readers.open_reader(fresh.root)
    try:
        owners = [(row["owner"].partition(":")[2], row["account"]) for row in readers.accounts(reader)]
        in_force = {handle: _in_force(fresh, reader, account) for handle, account in owners}
    finally:
        reader.close()
    try:
        wanted = {handle: parse_rules(offered, handle) for handle in in_force}
    except InalphaError as error:
        installed, of_whom = (
            (default_text(), "the defaults") if present is None else (present, "this home's own")
        )
        item = _aside(fresh.risk, offered, installed, of_whom)
        _write(fresh.risk, installed)
        yield {**item, "difference": [f"{error.code}: {error.message}", *item["difference"]]}
        return
    for handle, rules in wanted.items():
        before = in_force[handle]
        if before is None or rules.sha256 == before.sha256:
            continue
        looser = loosens(rules, before)
        what = (
            "looser, so it waits: inalpha risk apply" if looser else "tighter, so it binds at the next start"
        )
        yield {
            "file": "risk.toml",
            "account": handle,
            "set_aside": None,
            "installed": what,
            "loosens": looser,
            "difference": list(changed_settings(before, rules)),
        }


def _in_force(home: Home, reader: Any, account: str) -> Rules | None:
    row = readers.one(reader, "SELECT rules_sha256 FROM limits WHERE account = ?", account)
    text = readers.read_blob(home.root, row["rules_sha256"]) if row else None
    return rules_from_canonical(text.decode()) if text is not None else None


def changed_settings(before: Rules, after: Rules) -> Iterator[str]:
    """Each setting in which two rule files differ, as a line."""
    for name in type(before.controls).__struct_fields__:
        old, new = getattr(before.controls, name), getattr(after.controls, name)
        for key in type(old).__struct_fields__:
            if getattr(old, key) != getattr(new, key):
                yield f"controls.{name}.{key}: {getattr(old, key)} in force, {getattr(new, key)} in the file"
    for word in ("zone", "two_person"):
        if getattr(before, word) != getattr(after, word):
            yield f"{word}: {getattr(before, word)} in force, {getattr(after, word)} in the file"


def _aside(path: Path, offered: str, installed: str, of_whom: str) -> dict[str, Any]:
    aside = path.with_name(path.name + ASIDE)
    _write(aside, offered)
    difference = difflib.unified_diff(
        lines_of(installed), lines_of(offered), "installed", "backup", lineterm="", n=1
    )
    return {"file": path.name, "set_aside": aside.name, "installed": of_whom, "difference": list(difference)}


def _text(path: Path) -> str | None:
    """None for a file that is not there; bytes that are no text stay visible as such."""
    return path.read_text(encoding="utf-8", errors="backslashreplace") if path.exists() else None


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    os.chmod(path, 0o600)
