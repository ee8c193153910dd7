"""What only the rule files behind the hashes can tell: two people, and whether one is looser."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any


def rule_members(text: bytes) -> dict[str, Any]:
    try:
        return members_of(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def members_of(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def rule_settings(text: str) -> dict[str, dict[str, tuple[str, Any]]]:
    """Per section its settings, each with its way of tightening and its default; every section has a switch."""
    found: dict[str, dict[str, tuple[str, Any]]] = {}
    for section, *settings in (row.split(" ") for row in text.strip().split("\n")):
        found[section] = {"enabled": ("on", True)}
        for setting in settings:
            key, way, value = re.fullmatch("([a-z_]+):([a-z]+)=?(.*)", setting).groups()  # type: ignore[union-attr]
            found[section][key] = (way, default_of(way, value))
    return found


def default_of(way: str, text: str) -> Any:
    if way in ("on", "off"):
        return text == "true"
    return [] if way in ("allows", "forbids") else text


# Every setting of a rule file: which way it tightens, and the default that it has where a text does not hold it.
# down, up: a smaller or larger number; cap: a smaller one, 0 for none; lag: the same, but 0 is a span that the
# timeframe decides, so that a change to or from it proves nothing; longer: a duration; on, off: a switch; allows: a
# list of what may be traded, empty for all; forbids: of what may not; per: account before symbol; same: no change.
RULE_SETTINGS = rule_settings("""
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
""")


def looser_setting(new: bytes, old: bytes) -> str | None:
    """The first setting of a rule file that allows more than the older file's; what no rule file is allows more."""
    after, before = rule_members(new), rule_members(old)
    if before.get("two_person") is True and after.get("two_person") is not True:
        return "two_person"
    if after.get("zone", "UTC") != before.get("zone", "UTC"):
        return "zone"
    mine, theirs = after.get("controls"), before.get("controls")
    if type(mine) is not dict or type(theirs) is not dict:
        return "controls"
    for name in [*RULE_SETTINGS, *(name for name in theirs if name not in RULE_SETTINGS)]:
        section, base, known = mine.get(name, {}), theirs.get(name, {}), RULE_SETTINGS.get(name, {})
        if type(section) is not dict or type(base) is not dict:
            return f"controls.{name}"
        for key in [*known, *(key for key in base if key not in known)]:
            way, default = known.get(key, ("same", None))
            if allows_more(way, section.get(key, default), base.get(key, default)):
                return f"controls.{name}.{key}"
    return None


def allows_more(way: str, new: Any, old: Any) -> bool:
    """Whether a setting that tightens this way is looser than before; a value that cannot be read may not change."""
    if way == "on":
        return old is not False and new is not True
    if way == "off":
        return new is not False and old is not True
    if way == "per":
        return new not in (old, "account")
    if way in ("allows", "forbids") and type(new) is list and type(old) is list:
        mine, theirs = set(map(str, new)), set(map(str, old))
        return not theirs <= mine if way == "forbids" else bool(theirs) and not (mine and mine <= theirs)
    try:
        if way == "longer":
            return seconds_of(new) < seconds_of(old)
        if way in ("down", "up", "cap", "lag"):
            return number_allows(way, Decimal(str(new)), Decimal(str(old)))
    except (ArithmeticError, ValueError):
        pass
    return bool(new != old)


def number_allows(way: str, mine: Decimal, theirs: Decimal) -> bool:
    if way == "up":
        return mine < theirs
    if way == "cap":
        return theirs != 0 and not 0 < mine <= theirs
    if way == "lag":
        return mine != theirs and not 0 < mine < theirs
    return mine > theirs


def seconds_of(text: Any) -> int:
    """A duration such as 90s or 12h; nothing where a lock ends at an hour instead."""
    match = re.fullmatch("([0-9]{1,9})([smhd])", text) if type(text) is str else None
    if match is None and text != "":
        raise ValueError
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]] if match else 0
