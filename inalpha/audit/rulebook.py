"""What the record asks of a rule file that it names by hash: does it demand two people, is it looser than another.

Reads the canonical text as plain JSON, control by control, so that the standalone verifier can hold the same table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from inalpha.audit.report import Report

# Every setting of a rule file: which way it tightens, and the default that it has where a text does not hold it.
# down, up: a smaller or larger number; cap: a smaller one, 0 for none; lag: the same, but 0 is a span that the
# timeframe decides, so that a change to or from it proves nothing; longer: a duration; on, off: a switch; allows: a
# list of what may be traded, empty for all; forbids: of what may not; per: account before symbol; same: no change.
_TABLE = """
price_collar pct:down=5
price_drift bps:down=100
max_order equity_pct:down=10 notional:cap=0
max_position symbol_pct:down=25 gross_pct:down=100 net_pct:down=100
max_open orders:down=5
order_rate per_bar:down=2 per_hour:down=12 per_day:down=50
repeated_execution entries:down=20
duplicate
allow_list symbols:allows venues:allows timeframes:allows candidates:allows
direction long_only:on=true restricted:forbids
instrument min_notional:up=0
market_hours extended:off=false
stale_data max_lag_s:lag=0 max_age_bars:down=1.5 grace_s:down=2 max_skew_s:down=2
data_sanity sigmas:down=10 jump_pct:down=40
plan_expiry machine_s:down=300 human_s:down=900
daily_loss pct:down=2
drawdown pct:down=10
loss_streak losses:down=4 bars:up=12
reject_streak refusals:down=5
MaxDrawdown pct:down=5 lookback:longer=24h stop_for:longer=4h unlock_at:same=
StoplossGuard stops:down=5 lookback:longer=60m stop_for:longer=2h unlock_at:same= per:per=symbol
Cooldown stop_for:longer=5m unlock_at:same=
LowProfit trades:down=4 lookback:longer=12h pct:down=5 stop_for:longer=1h unlock_at:same=
MarketHours
position_guard hard_stop_pct:down=20 atr_multiple:cap=0 trailing_pct:cap=0 take_profit_pct:cap=0
runner_limits bar_s:down=2 memory_mib:down=128
monitoring escalate_s:down=900
"""


def _settings(text: str) -> dict[str, dict[str, tuple[str, Any]]]:
    """Per section its settings, each with its way of tightening and its default; every section has a switch."""
    found: dict[str, dict[str, tuple[str, Any]]] = {}
    for section, *settings in (row.split(" ") for row in text.strip().split("\n")):
        found[section] = {"enabled": ("on", True)}
        for setting in settings:
            key, way, value = re.fullmatch("([a-z_]+):([a-z]+)=?(.*)", setting).groups()  # type: ignore[union-attr]
            found[section][key] = (way, _default(way, value))
    return found


def _default(way: str, text: str) -> Any:
    if way in ("on", "off"):
        return text == "true"
    return [] if way in ("allows", "forbids") else text


SETTINGS = _settings(_TABLE)


@dataclass(slots=True)
class Claims:
    """Lines that only the rule files behind them can prove. unsigned: starts and promotions with one gate."""

    unsigned: list[tuple[int, str]] = field(default_factory=list)
    tightened: list[tuple[int, str, str]] = field(default_factory=list)


def demands_two(text: bytes) -> bool:
    """Whether promotions and starts under these rules need a second operator."""
    return _read(text).get("two_person") is True


def looser(new: bytes, old: bytes) -> str | None:
    """The first setting of a rule file that allows more than the older file's; what no rule file is allows more."""
    after, before = _read(new), _read(old)
    if before.get("two_person") is True and after.get("two_person") is not True:
        return "two_person"
    if after.get("zone", "UTC") != before.get("zone", "UTC"):
        return "zone"
    mine, theirs = after.get("controls"), before.get("controls")
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        return "controls"
    for name in [*SETTINGS, *(name for name in theirs if name not in SETTINGS)]:
        section, base, known = mine.get(name, {}), theirs.get(name, {}), SETTINGS.get(name, {})
        if not isinstance(section, dict) or not isinstance(base, dict):
            return f"controls.{name}"
        for key in [*known, *(key for key in base if key not in known)]:
            way, default = known.get(key, ("same", None))
            if _allows_more(way, section.get(key, default), base.get(key, default)):
                return f"controls.{name}.{key}"
    return None


def check_claims(claims: Claims, blob: Callable[[str], bytes | None], report: Report) -> None:
    """I19 for tightenings, C8 for second gates. A blob that is missing is C10's affair."""
    for seq, rules in claims.unsigned:
        text = blob(rules)
        if text is not None and demands_two(text):
            report.fail("C8", seq, "GATE_SECOND: the limits in force demand a second operator's gate")
    for seq, new, old in claims.tightened:
        after, before = blob(new), blob(old)
        setting = looser(after, before) if after is not None and before is not None else None
        if setting is not None:
            report.fail("I19", seq, f"told as tighter, but {setting} is looser")


def _read(text: bytes) -> dict[str, Any]:
    try:
        return _members(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _allows_more(way: str, new: Any, old: Any) -> bool:
    """Whether a setting that tightens this way is looser than before; a value that cannot be read may not change."""
    if way == "on":
        return old is not False and new is not True
    if way == "off":
        return new is not False and old is not True
    if way == "per":
        return new not in (old, "account")
    if way in ("allows", "forbids") and isinstance(new, list) and isinstance(old, list):
        mine, theirs = set(map(str, new)), set(map(str, old))
        return not theirs <= mine if way == "forbids" else bool(theirs) and not (mine and mine <= theirs)
    try:
        if way == "longer":
            return _seconds(new) < _seconds(old)
        if way in ("down", "up", "cap", "lag"):
            return _number_allows(way, Decimal(str(new)), Decimal(str(old)))
    except (ArithmeticError, ValueError):
        pass
    return bool(new != old)


def _number_allows(way: str, mine: Decimal, theirs: Decimal) -> bool:
    if way == "up":
        return mine < theirs
    if way == "cap":
        return theirs != 0 and not 0 < mine <= theirs
    if way == "lag":
        return mine != theirs and not 0 < mine < theirs
    return mine > theirs


def _seconds(text: Any) -> int:
    """A duration such as 90s or 12h; nothing where a lock ends at an hour instead."""
    match = re.fullmatch("([0-9]{1,9})([smhd])", text) if isinstance(text, str) else None
    if match is None and text != "":
        raise ValueError
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]] if match else 0
