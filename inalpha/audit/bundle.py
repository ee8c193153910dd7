"""The form of an export: a ZIP whose bytes follow from its members alone, and tlog-tiles names inside.

Stored members in the order of their names, all dated 1980-01-01, no extra fields: the same content has the
same bytes on every machine, and no byte of the file is without meaning.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from inalpha.audit.keys import sync_directory
from inalpha.model.errors import InalphaError

TILE = 256
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q4sIQI")
_FIRST_OF_1980 = 33
_REGULAR_FILE = 0o100644 << 16
_MADE_BY_UNIX = 0x0314


def write_zip(target: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write members, given in the order of their names."""
    write_whole(target, zip_pieces(members))


def write_whole(target: Path, pieces: Iterable[bytes]) -> None:
    """Write beside target, then rename: never a partial file under that name, nor a forgotten one beside it."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with temporary.open("xb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)


def zip_pieces(members: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The file's bytes, piece by piece. Raises InalphaError("EXPORT_SIZE") at 4 GiB."""
    directory, at, count, last = bytearray(), 0, 0, ""
    for name, data in members:
        if name <= last:
            raise ValueError(f"{name} comes after {last}")
        raw, crc = name.encode("ascii"), zlib.crc32(data)
        if at + len(data) + len(directory) > 0xFFFF0000:
            raise InalphaError("EXPORT_SIZE", "the export would pass 4 GiB.", "Export an earlier checkpoint.")
        sizes = (crc, len(data), len(data), len(raw))
        yield _LOCAL.pack(b"PK\x03\x04", 20, 0, 0, 0, _FIRST_OF_1980, *sizes, 0) + raw
        yield data
        directory += _CENTRAL.pack(
            b"PK\x01\x02", _MADE_BY_UNIX, 20, 0, 0, 0, _FIRST_OF_1980, *sizes, 0, 0, 0, 0, _REGULAR_FILE, at
        )
        directory += raw
        at += _LOCAL.size + len(raw) + len(data)
        count, last = count + 1, name
    yield bytes(directory)
    size = len(directory)
    if count >= 0xFFFF:
        head = (b"PK\x06\x06", 44, _MADE_BY_UNIX, 45, 0, 0, count, count, size, at)
        yield _END64.pack(*head, b"PK\x06\x07", 0, at + size, 1)
    short = min(count, 0xFFFF)
    yield _END.pack(b"PK\x05\x06", 0, 0, short, short, size, at, 0)


def tile_path(number: int) -> str:
    """C2SP tlog-tiles: groups of three digits, all but the last marked by x; 1234067 is x001/x234/067."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def tile_names(folder: str, count: int) -> list[str]:
    """The tiles that hold count hashes or entries; a partial one names its width."""
    full, rest = divmod(count, TILE)
    names = [f"tile/{folder}/{tile_path(number)}" for number in range(full)]
    return [*names, f"tile/{folder}/{tile_path(full)}.p/{rest}"] if rest else names
