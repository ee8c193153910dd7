"""What `--feed` says, as a value that a mandate can sign.

The mandate holds the kind, a label and the SHA-256 of the canonical text; the text itself is a blob.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from inalpha.market.sources.sim import parse_sim
from inalpha.market.speed import parse_speed
from inalpha.model.errors import EXIT_USAGE, InalphaError
from inalpha.model.instrument import Instrument

KINDS = ("file", "replay", "sim")


def _usage(message: str) -> InalphaError:
    fix = "Use file:PATH, replay:PATH@SPEED (bars per second, or max) or sim:SEED?key=value&…."
    return InalphaError("FEED_SPEC", message, fix, exit_code=EXIT_USAGE)


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """One feed of one market. speed: bars per second, None for max or where it has no meaning.

    path: of the file; for a simulation its seed and script, which are its content.
    data_sha256: of the file's bytes for a replay (its content is fixed), "" for a growing file.
    """

    kind: str
    path: str
    symbol: str
    timeframe: str
    instrument: Instrument
    speed: Decimal | None = None
    data_sha256: str = ""

    @property
    def name(self) -> str:
        """Label for people: the file's name, ASCII, at most 64 characters."""
        name = self.path if self.kind == "sim" else Path(self.path).name
        text = name.encode("ascii", "replace").decode().replace("?", "_").replace(" ", "_")
        return text[:64] or "file"

    @property
    def is_finite(self) -> bool:
        return self.kind in ("replay", "sim")

    def canonical(self) -> str:
        """The signed text."""
        instrument = self.instrument
        body = {
            "calendar": instrument.calendar,
            "currency": instrument.currency,
            "data_sha256": self.data_sha256,
            "kind": self.kind,
            "lot_e8": instrument.lot_e8,
            "path": self.path,
            "speed": "max" if self.speed is None else format(self.speed, "f"),
            "symbol": self.symbol,
            "tick_e8": instrument.tick_e8,
            "timeframe": self.timeframe,
            "v": 1,
        }
        if instrument.min_notional_e8:  # left out otherwise, so that feeds without it keep their digest
            body["min_notional_e8"] = instrument.min_notional_e8
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    @classmethod
    def from_canonical(cls, text: str) -> FeedSpec:
        """Back from the blob. Raises ValueError, KeyError."""
        body = json.loads(text)
        instrument = Instrument(
            body["symbol"], body["tick_e8"], body["lot_e8"], body["currency"], body["calendar"],
            body.get("min_notional_e8", 0),
        )  # fmt: skip
        speed = None if body["speed"] == "max" else Decimal(body["speed"])
        return cls(
            body["kind"],
            body["path"],
            body["symbol"],
            body["timeframe"],
            instrument,
            speed,
            body["data_sha256"],
        )


def split_feed(text: str) -> tuple[str, str, Decimal | None]:
    """Kind, absolute path (a simulation: its script) and speed of a `--feed` text. Raises InalphaError (usage)."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in KINDS:
        raise _usage(f"the feed {text!r} is none of {', '.join(KINDS)}.")
    if kind == "sim":
        return kind, rest, parse_sim(rest).speed
    if kind == "file":
        return kind, _absolute(rest), None
    path, at, speed = rest.rpartition("@")
    if not at:
        path, speed = rest, "max"
    try:
        return kind, _absolute(path), parse_speed(speed)
    except ValueError as error:
        raise _usage(f"{error}.") from error


def _absolute(path: str) -> str:
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError as error:  # "~" where neither HOME nor the password file knows one
        raise _usage(f"{path}: {error}") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
