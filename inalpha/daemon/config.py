"""inalpha.toml: strict, with the nearest key named."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from inalpha.audit.witness_client import check_url
from inalpha.kernel.costs import FeeModel, SlippageModel, parse_share
from inalpha.model.calendar import calendar_of
from inalpha.model.errors import ConfigError
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8


class Market(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[instruments.SYMBOL]: decimal strings; an empty tick means 0.01 or finer. min_notional: 0 for none."""

    tick: str = ""
    lot: str = "1"
    calendar: str = "24/7"
    currency: str = "USD"
    min_notional: str = "0"


class Bus(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[bus] broker: auto, mosquitto or amqtt. url: an external broker instead, mqtts://host[:port].

    ca: file of the only CA that its certificate may come from; "" trusts those of the system.
    """

    broker: str = "auto"
    url: str = ""
    ca: str = ""

    def ca_path(self, home: Path) -> str | None:
        """The CA file, relative to the home; None for the system's."""
        return str(home / self.ca) if self.ca else None


class Sandbox(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[sandbox] uid_base: first of the uids that runners take when started as root."""

    uid_base: Annotated[int, msgspec.Meta(ge=1000, le=2_000_000_000)] = 61_000
    max_runs: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100
    memory_share: Annotated[int, msgspec.Meta(ge=10, le=90)] = 60


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[account] max_runs may lower the cap of 10, never raise it.

    allow_short: sells may open a short, against own cash; risk.toml's direction.long_only must agree.
    """

    max_runs: Annotated[int, msgspec.Meta(ge=1, le=10)] = 10
    fee_bps: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 10
    allow_short: bool = False


class Fills(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[fills] what paper fills cost and need; fixed in a run's journal when it starts.

    fee: "" means account.fee_bps. participation_cap: share of a bar's volume, "" means none.
    """

    fee: str = ""
    slippage: str = "none"
    limit: Literal["touch", "through"] = "touch"
    participation_cap: str = ""

    def members(self, account: Account) -> dict[str, Any]:
        """As members of a RunSpec. Raises ValueError."""
        return {
            "fee": FeeModel.parse(self.fee) if self.fee else FeeModel("bps", account.fee_bps * E8),
            "slippage": SlippageModel.parse(self.slippage),
            "limit_fill": self.limit,
            "participation_cap_e8": parse_share(self.participation_cap),
            "allow_short": account.allow_short,
        }


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[audit] witnesses: addresses that get each new signed head, every so many seconds."""

    witnesses: tuple[str, ...] = ()
    witness_every_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 300


class Disk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[disk] floor_mib: free space of the home below which entries stop; below a quarter everything halts."""

    floor_mib: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1024


class Backup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[backup] daily: a verified copy in the home's `backups` each day; 7 days and 4 weeks are kept."""

    daily: bool = True


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    schema: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    bus: Bus = Bus()
    sandbox: Sandbox = Sandbox()
    account: Account = Account()
    fills: Fills = Fills()
    audit: Audit = Audit()
    disk: Disk = Disk()
    backup: Backup = Backup()
    instruments: dict[str, Market] = {}

    def market(self, symbol: str) -> Market:
        return self.instruments.get(symbol, Market())

    def instrument(self, symbol: str, finest_tick: str = "0.01") -> Instrument:
        """The instrument of a symbol; finest_tick is what the data needs where the file names none."""
        market = self.market(symbol)
        return Instrument.from_text(
            symbol,
            market.tick or finest_tick,
            market.lot,
            market.currency,
            market.calendar,
            market.min_notional,
        )


def _is_broker_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    return parts.scheme == "mqtts" and bool(parts.hostname) and not extra


DEFAULT_TEXT = """# Settings of this home. Unknown keys stop the start. Risk rules are in risk.toml.

schema = 1

[bus]
broker = "auto"        # auto: mosquitto when installed, else amqtt
# url = "mqtts://bus.example:8883"   # an external broker instead; its files: inalpha bus export DIR
# ca = "bus-ca.pem"                  # the only CA that its certificate may come from

[sandbox]
uid_base = 61000       # first uid of the runners when started as root
max_runs = 100
memory_share = 60      # percent of available memory that all runners may ask for

[account]
max_runs = 10          # live runs per account; may be lowered, never raised
fee_bps = 10
allow_short = false    # sells may open a short; long_only in risk.toml must be off as well

[fills]
slippage = "none"      # none, bps:AMOUNT, ticks:AMOUNT or volume_share
limit = "touch"        # through: a limit needs a better price than its own
participation_cap = "" # largest share of a bar's volume that one fill takes, such as 0.1
fee = ""               # instead of fee_bps: fixed:1.50 or per_unit:0.005

[audit]
witnesses = []         # such as "https://witness.example": each new signed head is handed to them
witness_every_s = 300

[disk]
floor_mib = 1024       # less free space than this: no entries; less than a quarter of it: HALTED

[backup]
daily = true           # a verified copy in the home's backups/ each day; 7 days and 4 weeks are kept

# One section per market that differs from the defaults:
# [instruments.GOOG]
# tick = "0.01"
# lot = "1"
# calendar = "weekdays"   # 24/7, weekdays, fx; exchanges (XNYS, XLON) with the extra [calendars]
# min_notional = "10"     # the smallest value of an order that enters
"""


_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "bus": Bus,
    "sandbox": Sandbox,
    "account": Account,
    "fills": Fills,
    "audit": Audit,
    "disk": Disk,
    "backup": Backup,
}


def _check_keys(raw: object, shape: type[msgspec.Struct], path: str, where: str) -> None:
    if not isinstance(raw, dict):
        return
    known = shape.__struct_fields__
    for key, value in raw.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            fix = f"Did you mean {near[0]}?" if near else f"Allowed: {', '.join(known)}."
            raise ConfigError("CONFIG", f"{where}: unknown key {path}{key}.", fix)
        if key == "instruments" and isinstance(value, dict):
            for symbol, market in value.items():
                _check_keys(market, Market, f"instruments.{symbol}.", where)
        elif key in _SECTIONS:
            _check_keys(value, _SECTIONS[key], f"{key}.", where)


def load_config(path: Path) -> Config:
    """Settings of a home; a missing file means the defaults. Raises ConfigError (exit 78)."""
    if not path.exists():
        return Config()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("CONFIG", f"{path} cannot be read: {error}.", "Mend that line.") from error
    _check_keys(raw, Config, "", str(path))
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError("CONFIG", f"{path}: {error}.", "Mend that value.") from error
    for symbol, market in config.instruments.items():
        try:
            calendar_of(market.calendar)
        except ConfigError as error:
            where = f"{path}: instruments.{symbol}.calendar: {error.message}"
            raise ConfigError("CONFIG", where, error.fix) from error
        try:
            config.instrument(symbol)
        except ValueError as error:
            raise ConfigError("CONFIG", f"{path}: instruments.{symbol}: {error}.", "Mend it.") from error
    try:
        config.fills.members(config.account)
    except ValueError as error:
        raise ConfigError("CONFIG", f"{path}: fills: {error}.", "Mend that value.") from error
    for url in config.audit.witnesses:
        check_url(url)
    if config.bus.broker not in ("auto", "mosquitto", "amqtt"):
        raise ConfigError(
            "CONFIG", f"{path}: bus.broker is {config.bus.broker!r}.", "auto, mosquitto or amqtt."
        )
    if config.bus.url and not _is_broker_url(config.bus.url):
        raise ConfigError(
            "CONFIG", f"{path}: bus.url is {config.bus.url!r}.", "Only mqtts://host[:port]: TLS, verified."
        )
    return config
