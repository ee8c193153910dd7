"""Bars from a CSV file: read whole for research, or followed as it grows for paper trading.

Columns time, open, high, low, close, volume by name, others ignored. time is the bar's open time: ISO-8601
(naive counts as UTC) or epoch seconds or milliseconds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inalpha.market.rawbar import RawBar
from inalpha.model.errors import InalphaError

__all__ = ["COLUMNS", "DataError", "FileSource", "RawBar", "read_csv", "time_ns"]

COLUMNS = ("time", "open", "high", "low", "close", "volume")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 10**11  # as seconds that would be the year 5138
_EPOCH_DIGITS = 15
_FURTHEST_NS = 9 * 10**18  # the year 2255; beyond it 64 bits end


class DataError(InalphaError):
    """A defect in a data file: the line (1-based, the header is line 1), the field and its value."""

    def __init__(self, code: str, message: str, *, line: int, field: str, value: str, fix: str = "") -> None:
        where = f"line {line}, {field} {value!r}: " if line else ""
        super().__init__(code, where + message, fix, detail={"line": line, "field": field, "value": value})
        self.line = line
        self.field = field
        self.value = value


def time_ns(text: str) -> int | None:
    """Nanoseconds of a time text, None when it is none or lies outside the years 1685 to 2255."""
    text = text.strip()
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit():
        if len(digits) > _EPOCH_DIGITS:
            return None
        number = int(text)
        found = number * (1_000_000 if abs(number) >= _MILLISECONDS_FROM else 1_000_000_000)
    else:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            return None
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
        found = (when - _EPOCH) // timedelta(microseconds=1) * 1000
    return found if abs(found) <= _FURTHEST_NS else None


def _header(names: Sequence[str]) -> dict[str, int]:
    """Where each column stands. Raises DataError MISSING_COLUMN."""
    found = {name.strip().lower(): index for index, name in reversed(list(enumerate(names)))}
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise DataError(
            "MISSING_COLUMN",
            f"the header lacks {', '.join(missing)}.",
            line=1,
            field="header",
            value=",".join(names)[:100],
            fix=f"The first line must name {','.join(COLUMNS)}.",
        )
    return {name: found[name] for name in COLUMNS}


def _raw(cells: Sequence[str], columns: dict[str, int], line: int) -> RawBar:
    """One line as a raw bar. Raises DataError for a cut line or an unreadable time."""
    if len(cells) <= max(columns.values()):
        text = ",".join(cells)[:100]
        raise DataError("MISSING_VALUE", f"{len(cells)} values only.", line=line, field="line", value=text)
    values = {name: cells[index].strip() for name, index in columns.items()}
    for name, value in values.items():
        if value == "":
            raise DataError("NOT_FINITE", "the value is missing.", line=line, field=name, value="")
    open_ns = time_ns(values["time"])
    if open_ns is None:
        raise DataError(
            "BAD_TIME",
            "this is no time.",
            line=line,
            field="time",
            value=values["time"],
            fix="Write 2024-01-31, 2024-01-31T09:30:00Z or seconds since 1970.",
        )
    _, open_, high, low, close, volume = (values[name] for name in COLUMNS)
    return RawBar(open_ns, open_, high, low, close, volume, line)


def read_csv(path: Path) -> list[RawBar]:
    """Every line of the file. Raises DataError at the first that cannot be read as values."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError("NO_FILE", f"{path} does not exist.", line=0, field="", value=str(path)) from None
    except OSError as error:
        raise DataError("UNREADABLE", f"{path}: {error}.", line=0, field="", value=str(path)) from error
    rows = _rows(_decoded(data, path))
    _, header = next(rows, (1, None))
    if header is None:
        raise DataError("EMPTY_FILE", f"{path} is empty.", line=0, field="", value=str(path))
    columns = _header(header)
    return [_raw(cells, columns, line) for line, cells in rows if cells]


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = data[max(0, error.start - 20) : error.start + 20].decode("ascii", "backslashreplace")
        raise DataError(
            "UNREADABLE", f"{path} is not in UTF-8.", line=line, field="line", value=text
        ) from error


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Cells of each row and the line on which it begins: an open quote runs on over many lines."""
    reader = csv.reader(io.StringIO(text, newline=None))
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            value = text.split("\n")[line - 1][:100]
            raise DataError("BAD_LINE", f"{error}.", line=line, field="line", value=value) from error


class FileSource:
    """Follows one growing file. A last line without its newline is held: it may be half written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._line = 0
        self._columns: dict[str, int] | None = None

    def poll(self) -> list[RawBar]:
        """Bars written since the last call. Raises DataError for an unreadable or a shortened file."""
        try:
            if self._columns is not None and self.path.stat().st_size == self._offset:
                return []  # most polls: not worth opening it
            with self.path.open("rb") as file:
                file.seek(0, 2)
                if file.tell() < self._offset:
                    raise DataError(
                        "FILE_SHRANK",
                        f"{self.path} is shorter than what was read.",
                        line=0,
                        field="",
                        value=str(self.path),
                        fix="Append to the file; never rewrite it.",
                    )
                file.seek(self._offset)
                data = file.read()
        except OSError as error:
            raise DataError(
                "UNREADABLE", f"{self.path}: {error}.", line=0, field="", value=str(self.path)
            ) from error
        complete, newline, _ = data.rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        return self._bars(complete.decode("utf-8-sig", errors="replace").split("\n") if newline else [])

    def _bars(self, lines: list[str]) -> list[RawBar]:
        """Each line by itself: an open quote must not swallow the lines behind it."""
        bars = []
        for line in lines:
            self._line += 1
            try:
                cells = next(csv.reader([line]), [])
            except csv.Error:
                cells = [""]
            if self._columns is None:
                self._columns = _header(cells)
            elif cells:
                bars.append(self._readable(cells, self._columns))
        return bars

    def _readable(self, cells: Sequence[str], columns: dict[str, int]) -> RawBar:
        """A damaged line of a live file is one bad bar, which the gate drops by name; it ends no run."""
        try:
            return _raw(cells, columns, self._line)
        except DataError:
            found = [cells[columns[name]].strip() if columns[name] < len(cells) else "" for name in COLUMNS]
            when, open_, high, low, close, volume = found
            return RawBar(time_ns(when), open_, high, low, close, volume, self._line)
