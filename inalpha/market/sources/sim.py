"""A seeded market with scripted accidents: `sim:SEED?bars=500&gap=20:3&late=40:2`.

Equal texts give equal bars on any machine: integers from random.Random, no transcendental function. Bars
stand only where the instrument's calendar is open. AT below counts bars from 0; several are joined by commas.

| key | what happens |
|---|---|
| bars, speed | how many bars (500), bars per second or max (max) |
| start, price, bps | first open time (2024-01-01), first price (100), typical move of a bar (40) |
| gap=AT:N | N bars never come; backfill=AT:N: they come when they are asked for |
| late=AT:N | the bar comes N bars after its turn |
| out_of_order=AT | it changes places with the next one |
| duplicate=AT, revision=AT | it comes twice, with the same or with other values |
| outlier=AT:PERCENT | its close jumps by so much and the next one comes back |
| bad=AT | its high stands below its low |
| forming=AT | it is first told before its end |
| downtime=AT:N | nothing comes for N bars, then all of them at once |
| skew=AT:SECONDS | it arrives so long after its close by the source's clock; negative: before |
| error=AT:N, fatal=AT | N reads fail with a lost connection; the source refuses for good |
| dst=spring or autumn | starts three days before New York's clocks change |
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from inalpha.market.rawbar import RawBar
from inalpha.market.sources.file import time_ns
from inalpha.market.speed import parse_speed
from inalpha.market.timeframes import Timeframe
from inalpha.model.calendar import calendar_of
from inalpha.model.errors import EXIT_USAGE, InalphaError
from inalpha.model.instrument import Instrument
from inalpha.model.money import e8_from_text
from inalpha.model.timeframe import SECOND_NS

_MAX_BARS = 1_000_000
_MOST_PRICE_E8 = 10**9 * 10**8  # an outlier of a simulated price still fits into 64 bits
_SEARCHED = 100_000  # places looked at for the next open one: ten weeks of minutes
_DST = {"spring": "2024-03-07", "autumn": "2024-10-31"}
# Whether an accident takes a number behind its bar, and that number's default.
ACCIDENTS: dict[str, int | None] = {
    "gap": 1, "backfill": 1, "late": 1, "out_of_order": None, "duplicate": None, "revision": None,
    "outlier": 30, "bad": None, "forming": None, "downtime": 10, "skew": 5, "error": 1, "fatal": None,
}  # fmt: skip
_SETTINGS = ("bars", "speed", "start", "price", "bps", "dst")


@dataclass(frozen=True, slots=True)
class SimSpec:
    """What the text says. accidents: by kind, bar number to its number. speed: None for max."""

    seed: int
    bars: int = 500
    speed: Decimal | None = None
    start_ns: int = 1_704_067_200 * SECOND_NS
    price_e8: int = 100 * 10**8
    bps: int = 40
    accidents: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    def at(self, kind: str, bar: int) -> int | None:
        return self.accidents.get(kind, {}).get(bar)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One answer of the source. received_ns, now_ns: by its clock. failures: reads that fail before it."""

    bar: RawBar
    received_ns: int
    now_ns: int
    failures: int = 0
    is_fatal: bool = False


def _usage(message: str) -> InalphaError:
    keys = ", ".join([*_SETTINGS, *ACCIDENTS])
    return InalphaError(
        "FEED_SPEC", message, f"Use sim:SEED?key=value&…; keys: {keys}.", exit_code=EXIT_USAGE
    )


def parse_sim(text: str) -> SimSpec:
    """`SEED?key=value&…`. Raises InalphaError (usage) naming the part that is wrong."""
    seed, _, query = text.partition("?")
    members: dict[str, object] = {"seed": _whole("seed", seed, 0)}
    accidents: dict[str, dict[int, int]] = {}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise _usage(f"{part!r} is no key=value.")
        if key in ACCIDENTS:
            accidents.setdefault(key, {}).update(_accidents(key, value))
        elif key in _READERS:
            name, read = _READERS[key]
            members[name] = read(key, value)
        else:
            raise _usage(f"{key!r} is nothing that a simulated market knows.")
    spec = SimSpec(**members, accidents=accidents)  # type: ignore[arg-type]
    for key, places in accidents.items():
        if max(places) >= spec.bars:
            raise _usage(f"{key}={max(places)} never comes: the last of {spec.bars} bars is {spec.bars - 1}.")
    return spec


def _whole(key: str, text: str, least: int, most: int = 2**53) -> int:
    try:
        value = int(text)
    except ValueError:
        raise _usage(f"{key} {text!r} is no whole number.") from None
    if not least <= value <= most:
        raise _usage(f"{key} {value} is outside {least} to {most}.")
    return value


def _accidents(key: str, text: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for item in text.split(","):
        at, colon, number = item.partition(":")
        default = ACCIDENTS[key]
        if colon and default is None:
            raise _usage(f"{key} takes a bar and nothing behind it, not {item!r}.")
        least = -3600 if key == "skew" else 1
        found[_whole(key, at, 0)] = _whole(key, number, least, 100_000) if colon else default or 1
    return found


def _speed(key: str, text: str) -> Decimal | None:
    try:
        return parse_speed(text)
    except ValueError as error:
        raise _usage(f"{error}.") from error


def _start(key: str, text: str) -> int:
    found = time_ns(_DST.get(text, "") if key == "dst" else text)
    if found is None:
        wanted = "spring or autumn" if key == "dst" else "a date such as 2024-01-01"
        raise _usage(f"{key} {text!r} is not {wanted}.")
    return found


def _price(key: str, text: str) -> int:
    try:
        value = e8_from_text(text)
    except ValueError:
        raise _usage(f"{key} {text!r} is no number.") from None
    if not 0 < value <= _MOST_PRICE_E8:
        raise _usage(f"{key} {text} is outside 0 to a thousand million.")
    return value


_READERS: dict[str, tuple[str, Callable[[str, str], object]]] = {
    "bars": ("bars", lambda key, text: _whole(key, text, 1, _MAX_BARS)),
    "speed": ("speed", _speed),
    "start": ("start_ns", _start),
    "dst": ("start_ns", _start),
    "price": ("price_e8", _price),
    "bps": ("bps", lambda key, text: _whole(key, text, 1, 1000)),
}


class SimMarket:
    """All deliveries of one text, in the order in which the source makes them."""

    def __init__(self, spec: SimSpec, instrument: Instrument, timeframe: Timeframe) -> None:
        self.spec = spec
        self._tick_e8 = instrument.tick_e8
        self._instrument = instrument
        self._timeframe_ns = timeframe.ns
        opens = self._open_times(timeframe)
        self.bars = self._walk(opens)
        self._on_request: dict[int, RawBar] = {}
        self.deliveries = self._script()

    def backfill(self, from_ns: int, to_ns: int) -> list[RawBar]:
        """Bars opening in [from, to) that the source gives when asked, though it had not sent them."""
        return [bar for open_ns, bar in sorted(self._on_request.items()) if from_ns <= open_ns < to_ns]

    def _open_times(self, timeframe: Timeframe) -> list[int]:
        calendar = calendar_of(self._instrument.calendar)
        found: list[int] = []
        at = self.spec.start_ns - self.spec.start_ns % timeframe.ns
        while not timeframe.is_on_grid(at):
            at += 86_400 * SECOND_NS
        closed = 0
        while len(found) < self.spec.bars:
            if calendar.has_session(at, at + timeframe.ns):
                found.append(at)
                closed = 0
            elif (closed := closed + 1) > _SEARCHED:
                raise _usage(f"the calendar {calendar.name} has no session in sight.")
            at += timeframe.ns
        return found

    def _walk(self, opens: list[int]) -> list[RawBar]:
        """A random walk in whole ticks: each step is the sum of four even ones, so moves have thin tails."""
        dice = random.Random(f"inalpha sim {self.spec.seed}")
        least = 10
        price = max(least, self.spec.price_e8 // self._tick_e8)
        bars: list[RawBar] = []
        pulled = 0
        for index, open_ns in enumerate(opens):
            open_ = price + pulled
            pulled = 0
            reach = max(1, price * self.spec.bps // 10_000)
            close = max(least, price + sum(dice.randint(-reach, reach) for _ in range(4)) // 2)
            price = close
            jump = self.spec.at("outlier", index)
            if jump is not None:
                pulled = close * jump // 100
                close += pulled
            high = max(open_, close) + dice.randint(0, reach)
            low = max(1, min(open_, close) - dice.randint(0, reach))
            bars.append(self._raw(open_ns, open_, high, low, close, dice.randint(1_000, 100_000)))
        return bars

    def _raw(self, open_ns: int, open_: int, high: int, low: int, close: int, volume: int) -> RawBar:
        text = self._instrument.price_text
        return RawBar(open_ns, text(open_), text(high), text(low), text(close), str(volume))

    def _script(self) -> list[Delivery]:
        """Bars with their accidents. late and out_of_order move a bar behind a later one."""
        spec, made = self.spec, []
        for index, bar in enumerate(self.bars):
            place = index + (spec.at("late", index) or 0) + (spec.at("out_of_order", index) or 0)
            made.append((place, place != index, index, bar))
        absent = {at + n for at, count in spec.accidents.get("gap", {}).items() for n in range(count)}
        asked = {at + n for at, count in spec.accidents.get("backfill", {}).items() for n in range(count)}
        deliveries: list[Delivery] = []
        now_ns = 0
        for place, _, index, bar in sorted(made, key=lambda item: item[:3]):
            if index in asked:
                self._on_request[bar.open_ns or 0] = bar
            if index in absent or index in asked:
                continue
            last = self.bars[min(place, len(self.bars) - 1)]
            due_ns = (last.open_ns or 0) + self._timeframe_ns
            now_ns = max(now_ns, due_ns + self._downtime_ns(index))
            deliveries += self._told(index, bar, now_ns)
        return deliveries

    def _downtime_ns(self, index: int) -> int:
        """How long after its end a bar of a silent stretch arrives: with the bar that ends the silence."""
        for at, count in self.spec.accidents.get("downtime", {}).items():
            if at <= index < at + count:
                end = self.bars[min(at + count, len(self.bars) - 1)].open_ns or 0
                return end - (self.bars[index].open_ns or 0)
        return 0

    def _told(self, index: int, bar: RawBar, now_ns: int) -> list[Delivery]:
        spec = self.spec
        skew = spec.at("skew", index)
        received_ns = now_ns + (skew or 0) * SECOND_NS
        failures, is_fatal = spec.at("error", index) or 0, spec.at("fatal", index) is not None
        made: list[Delivery] = []
        if spec.at("forming", index) is not None:
            early = now_ns - self._timeframe_ns // 2
            made.append(Delivery(bar, early, early))
        if spec.at("bad", index) is not None:
            broken = RawBar(bar.open_ns, bar.open, bar.low, bar.high, bar.close, bar.volume)
            made.append(Delivery(broken, received_ns, now_ns))
        made.append(Delivery(bar, received_ns, now_ns, failures, is_fatal))
        if spec.at("duplicate", index) is not None:
            made.append(Delivery(bar, received_ns, now_ns))
        if spec.at("revision", index) is not None:
            other = RawBar(bar.open_ns, bar.open, bar.high, bar.low, bar.open, bar.volume)
            made.append(Delivery(other, received_ns, now_ns))
        return made
