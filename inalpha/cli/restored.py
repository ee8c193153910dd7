"""What a restore does with a backup's settings: whoever could write the file could write them too.

The lines of a backup prove themselves; inalpha.toml and risk.toml are text. Both are set aside and shown. The home goes
on with the settings that it had, or with the defaults, and with the risk rules that signed lines put in force: a
stranger's tighter rule can do harm too, such as closing every position at its first gain.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inalpha.daemon.config import DEFAULT_TEXT
from inalpha.ledger import readers
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home
from inalpha.model.plain import lines_of
from inalpha.risk.rules import Rules, default_text, parse_rules, rules_from_canonical, text_in_force

ASIDE = ".from-backup"


def settle_settings(old: Home, fresh: Home) -> list[dict[str, Any]]:
    """One item per file of the backup that is not simply taken over: file, set_aside, installed, difference."""
    return [*_settle_config(old, fresh), *_settle_risk(old, fresh)]


def words_of(item: dict[str, Any]) -> Iterator[str]:
    """An item as lines for a person."""
    yield f"{item['file']} of the backup is set aside as {item['set_aside']}; installed: {item['installed']}"
    yield from (f"  {line}" for line in item["difference"])


def _settle_config(old: Home, fresh: Home) -> Iterator[dict[str, Any]]:
    present = _text(old.config)
    installed, of_whom = (DEFAULT_TEXT, "the defaults") if present is None else (present, "this home's own")
    offered = _text(fresh.config)
    if offered is not None and offered != installed:
        yield _aside(fresh.config, offered, installed, of_whom)
    _write(fresh.config, installed)


def _settle_risk(old: Home, fresh: Home) -> Iterator[dict[str, Any]]:
    """Only a file that says what is in force, or the very one of this home, is taken over."""
    offered, present = _text(fresh.risk), _text(old.risk)
    reader = readers.open_reader(fresh.root)
    try:
        owners = [(row["owner"].partition(":")[2], row["account"]) for row in readers.accounts(reader)]
        found = {handle: _in_force(fresh, reader, account) for handle, account in owners}
    finally:
        reader.close()
    in_force = {handle: rules for handle, rules in found.items() if rules is not None}
    if offered is not None and (offered == present or _says(offered, in_force)):
        return
    installed = text_in_force(in_force) if in_force else None
    of_whom = "the rules in force"
    if installed is None:
        installed, of_whom = (
            (default_text(), "the defaults") if present is None else (present, "this home's own")
        )
    if offered is not None:
        item = _aside(fresh.risk, offered, installed, of_whom)
        yield {**item, "difference": [*_told(offered, in_force), *item["difference"]]}
    _write(fresh.risk, installed)


def _says(text: str, in_force: dict[str, Rules]) -> bool:
    """Whether this file holds the rules in force and nothing else: no others for an account that is yet to come."""
    try:
        wanted = {handle: parse_rules(text, handle) for handle in in_force}
        others = parse_rules(text)
        accounts = tomllib.loads(text).get("account", {}).keys()
    except InalphaError:
        return False
    is_equal = all(not any(changed_settings(in_force[handle], rules)) for handle, rules in wanted.items())
    is_known = any(not any(changed_settings(rules, others)) for rules in in_force.values())
    return is_equal and is_known and accounts <= in_force.keys()


def _told(text: str, in_force: dict[str, Rules]) -> Iterator[str]:
    """What the file would have changed, per account, or why no rules can be read from it."""
    for handle, rules in in_force.items():
        try:
            wanted = parse_rules(text, handle)
        except InalphaError as error:
            yield f"{error.code}: {error.message}"
            return
        yield from (f"{handle}: {line}" for line in changed_settings(rules, wanted))


def _in_force(home: Home, reader: Any, account: str) -> Rules | None:
    row = readers.one(reader, "SELECT rules_sha256 FROM limits WHERE account = ?", account)
    text = readers.read_blob(home.root, row["rules_sha256"]) if row else None
    if row is None or text is None or hashlib.sha256(text).hexdigest() != row["rules_sha256"]:
        return None
    return rules_from_canonical(text.decode())


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
