"""Reading risk.toml: strict, with the nearest key named, merged per account, hashed as resolved."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from inalpha.model.duration import duration_s
from inalpha.model.errors import ConfigError
from inalpha.risk.settings import (
    ALLOWING,
    ALWAYS_ON,
    BOUNDS,
    DERIVED_AT_ZERO,
    LOCK_RULES,
    LONGEST_S,
    OFF_AT_ZERO,
    TIGHTER_WHEN_LARGER,
    TIGHTER_WHEN_LONGER,
    TIGHTER_WHEN_TRUE,
    AccountSection,
    Controls,
    RiskFile,
    Section,
)

NO_RISK_RULES = "NO_RISK_RULES"


@dataclass(frozen=True, slots=True)
class Rules:
    """One account's rules in force. sha256 names them in the mandate and in every risk result.

    two_person: promotions and starts need a second operator's gate.
    """

    controls: Controls
    zone: str
    sha256: str
    canonical: str
    two_person: bool = False

    @property
    def active(self) -> int:
        """How many controls are on, those apart that are always; a home with none starts no run."""
        return len(Controls.__struct_fields__) - len(ALWAYS_ON) - len(self.disabled)

    @property
    def disabled(self) -> list[str]:
        """The controls that are off; each needs a waiver of the run that starts under these rules."""
        names = (name for name in Controls.__struct_fields__ if name not in ALWAYS_ON)
        return [name for name in names if not getattr(self.controls, name).enabled]


def _plain(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _resolve(controls: Controls, zone: str, two_person: bool = False) -> Rules:
    body = {"controls": _plain(controls), "schema": 1, "zone": zone}
    if two_person:  # left out otherwise, so that rules without it keep their digest
        body["two_person"] = True
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Rules(controls, zone, hashlib.sha256(text.encode()).hexdigest(), text, two_person)


def default_rules() -> Rules:
    """The shipped defaults, as a backtest without a home uses them."""
    return _resolve(Controls(), "UTC")


def rules_from_canonical(text: str) -> Rules:
    """Rules back from their canonical text (the blob that a mandate's limits_sha256 names), which keeps its digest:
    a text that an earlier release signed lacks the controls that came later, and has their defaults.
    """
    body = json.loads(text)
    controls = msgspec.convert(body["controls"], Controls, strict=False)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Rules(controls, body.get("zone", "UTC"), sha256, text, body.get("two_person") is True)


def _nearest(word: str, known: tuple[str, ...]) -> str:
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" Did you mean {match[0]}?" if match else f" Allowed: {', '.join(known)}."


def _check_keys(raw: Mapping[str, Any], path: str) -> None:
    sections = Controls.__struct_fields__
    for name, section in raw.items():
        if name not in sections:
            raise ConfigError(
                "RISK_FILE", f"{path}: unknown control {name!r}.", _nearest(name, sections).strip()
            )
        known = type(getattr(Controls(), name)).__struct_fields__
        if not isinstance(section, dict):
            raise ConfigError("RISK_FILE", f"{path}.{name} must be a table.", "Write it as [controls.NAME].")
        for key in section:
            if key not in known:
                raise ConfigError(
                    "RISK_FILE", f"{path}.{name}: unknown key {key!r}.", _nearest(key, known).strip()
                )


def _span(value: int | str) -> int:
    """A count of bars, or the seconds of a duration; 0 for a duration that is left to unlock_at."""
    return value if isinstance(value, int) else duration_s(value) or 0


def _looser(section: Section, base: Section) -> str | None:
    for key in type(section).__struct_fields__:
        mine, theirs = getattr(section, key), getattr(base, key)
        if key in TIGHTER_WHEN_TRUE:
            looser = theirs and not mine
        elif key in ALLOWING:
            looser = bool(theirs) and not (mine and set(mine) <= set(theirs))
        elif key in TIGHTER_WHEN_LARGER:
            looser = mine < theirs
        elif isinstance(mine, tuple):
            looser = not set(theirs) <= set(mine)
        elif key in TIGHTER_WHEN_LONGER:
            looser = _span(mine) < _span(theirs)
        elif (
            key == "unlock_at"
        ):  # an hour of the day is neither longer nor shorter than another, or than a duration
            looser = mine != theirs
        elif key == "per":
            looser = mine == "symbol" and theirs == "account"
        elif key in DERIVED_AT_ZERO:
            looser = mine != theirs and not 0 < mine < theirs
        elif key in OFF_AT_ZERO:
            looser = (mine == 0 and theirs != 0) or (theirs != 0 and mine > theirs)
        else:
            looser = mine > theirs
        if looser:
            return key
    return None


def is_loosening(new: Controls, old: Controls) -> str | None:
    """Dotted name of the first setting of new that is looser than old's; None when none is."""
    for name in Controls.__struct_fields__:
        key = _looser(getattr(new, name), getattr(old, name))
        if key is not None:
            return f"controls.{name}.{key}"
    return None


def loosens(new: Rules, old: Rules) -> str | None:
    """The same for whole rule files. Giving up the second operator is a loosening too, and so is any other zone: the
    day ends at another time, and with it a day's loss and a lock that ends at an hour.
    """
    if old.two_person and not new.two_person:
        return "two_person"
    if new.zone != old.zone:
        return "zone"
    return is_loosening(new.controls, old.controls)


def binding(account: Rules, mandate: Rules) -> Rules | None:
    """The tighter of an account's rules and those that a mandate was signed on; None when neither is."""
    if account.zone != mandate.zone:
        return None
    if is_loosening(account.controls, mandate.controls) is None:
        return account
    return mandate if is_loosening(mandate.controls, account.controls) is None else None


def _check_bounds(controls: Controls, where: str) -> None:
    for name in ALWAYS_ON:
        if not getattr(controls, name).enabled:
            raise ConfigError(
                "RISK_FILE", f"{where}: controls.{name} cannot be switched off.", "Leave enabled out."
            )
    for section, keys in BOUNDS.items():
        for key, (low, high) in keys.items():
            value = getattr(getattr(controls, section), key)
            if not value.is_finite() or not low <= value <= high:
                raise ConfigError(
                    "RISK_FILE",
                    f"{where}: controls.{section}.{key} is {value}, allowed are {low} to {high}.",
                    "Mend that value.",
                )

    for name in LOCK_RULES:
        _check_lock(name, getattr(controls, name), where)


_HOUR = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")


def _check_lock(name: str, section: Section, where: str) -> None:
    """Durations that can be read, and one end for each lock."""
    for key in ("lookback", "stop_for"):
        text = getattr(section, key, None)
        if text is None or (key == "stop_for" and not text):
            continue
        seconds = duration_s(text)
        if seconds is None or seconds > LONGEST_S:
            raise ConfigError(
                "RISK_FILE",
                f"{where}: controls.{name}.{key} is {text!r}, which is no duration up to 30d.",
                "Write 90s, 15m, 12h or 30d.",
            )
    stop_for, unlock_at = getattr(section, "stop_for", ""), getattr(section, "unlock_at", "")
    if bool(stop_for) is bool(unlock_at):
        raise ConfigError(
            "RISK_FILE",
            f"{where}: controls.{name} needs stop_for or unlock_at, and not both.",
            'A lock that ends at an hour: stop_for = "" and unlock_at = "08:00".',
        )
    if unlock_at and not _HOUR.match(unlock_at):
        raise ConfigError(
            "RISK_FILE",
            f"{where}: controls.{name}.unlock_at is {unlock_at!r}.",
            "Write HH:MM, such as 08:00.",
        )


def parse_rules(text: str, account: str | None = None, where: str = "risk.toml") -> Rules:
    """Rules of an account from the file's text. Raises ConfigError (exit 78) naming file and key."""
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, ArithmeticError) as error:
        raise ConfigError("RISK_FILE", f"{where} is not valid TOML: {error}.", "Mend that line.") from error
    for key in raw:
        if key not in RiskFile.__struct_fields__:
            fix = _nearest(key, RiskFile.__struct_fields__).strip()
            raise ConfigError("RISK_FILE", f"{where}: unknown key {key!r}.", fix)
    if not raw.get("controls"):
        raise ConfigError(
            NO_RISK_RULES,
            f"{where} holds no control, so no run may start.",
            "Restore it with: inalpha risk init",
        )
    _check_keys(raw["controls"], "controls")
    own = raw.get("account", {}).get(account, {}).get("controls", {}) if account else {}
    _check_keys(own, f"account.{account}.controls")
    try:
        file = msgspec.convert(raw, RiskFile)
        ZoneInfo(file.zone)
        merged = dict(raw["controls"])
        for name, section in own.items():
            merged[name] = {**merged.get(name, {}), **section}
        controls = msgspec.convert(merged, Controls)
        _check_bounds(file.controls, where)
        _check_bounds(controls, where)
    except msgspec.ValidationError as error:
        raise ConfigError("RISK_FILE", f"{where}: {error}.", "See the defaults: inalpha risk show") from error
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(
            "RISK_FILE", f"{where}: unknown zone.", 'Use an IANA name such as "UTC".'
        ) from error
    loosened = is_loosening(controls, file.controls) if own else None
    if loosened is not None:
        raise ConfigError(
            "RISK_FILE",
            f"{where}: account {account} loosens {loosened}.",
            "An account may only tighten; lower it.",
        )
    own_two = file.account.get(account or "", AccountSection()).two_person
    if own_two is False and file.two_person:
        raise ConfigError(
            "RISK_FILE", f"{where}: account {account} loosens two_person.", "An account may only tighten."
        )
    return _resolve(controls, file.zone, file.two_person or own_two is True)


def load_rules(path: Path, account: str | None = None) -> Rules:
    """Rules of an account from a home's risk.toml; missing or empty refuses with NO_RISK_RULES."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "RISK_FILE", f"{path} cannot be read: {error}.", "Mend its mode or content."
        ) from error
    if not text.strip():
        raise ConfigError(
            NO_RISK_RULES,
            f"{path} is missing or empty, so no run may start.",
            "Restore it: inalpha risk init",
        )
    return parse_rules(text, account, str(path))


def default_text(overrides: Mapping[str, Mapping[str, object]] | None = None) -> str:
    """risk.toml with every default written out; overrides: {control: {key: value}}."""
    return _text_of(default_rules(), overrides or {})


def text_in_force(in_force: Mapping[str, Rules]) -> str | None:
    """A risk.toml from which each account reads the rules that it has in force; None when no one file says them all.

    in_force: by the account's name in the file. One account's rules are the file's, what others have is a section.
    """
    for base in in_force.values():
        lines = [_text_of(base, {})]
        for name, rules in in_force.items():
            if _meaning(rules) != _meaning(base):
                lines += _sections(name, rules, base)
        text = "\n".join(lines)
        try:
            if all(_meaning(parse_rules(text, name)) == _meaning(rules) for name, rules in in_force.items()):
                return text
        except ConfigError:
            continue
    return None


def _meaning(rules: Rules) -> tuple[object, ...]:
    return rules.controls, rules.zone, rules.two_person


def _text_of(rules: Rules, overrides: Mapping[str, Mapping[str, object]]) -> str:
    lines = ["# Risk rules of this home. Tighter values bind on reload; looser ones need a signature:", ""]
    lines[0] += " inalpha risk apply."
    lines += ["schema = 1", f"zone = {_toml(rules.zone)}", f"two_person = {_toml(rules.two_person)}"]
    lines[-1] += "  # true: promotions and starts need a second operator's signature"
    for name in Controls.__struct_fields__:
        section = getattr(rules.controls, name)
        about = " ".join((type(section).__doc__ or "").split())
        lines += ["", *textwrap.wrap(about, 100, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"[controls.{name}]")
        for field in type(section).__struct_fields__:
            value = overrides.get(name, {}).get(field, getattr(section, field))
            lines.append(f"{field} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _sections(account: str, rules: Rules, base: Rules) -> Iterator[str]:
    yield f"[account.{_toml(account)}]"
    if rules.two_person != base.two_person:
        yield f"two_person = {_toml(rules.two_person)}"
    for name in Controls.__struct_fields__:
        own, theirs = getattr(rules.controls, name), getattr(base.controls, name)
        if own != theirs:
            yield f"[account.{_toml(account)}.controls.{name}]"
            yield from (f"{key} = {_toml(getattr(own, key))}" for key in type(own).__struct_fields__)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, Decimal):
        return str(_plain(value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
