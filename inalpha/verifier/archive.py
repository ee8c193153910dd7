"""The file of an export: a ZIP of exactly one form, and the tiles inside."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from inalpha.verifier.checks import Malformed
from inalpha.verifier.tree import WIDTH

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q4sIQI")
DATE_1980 = 33
MODE = 0o100644 << 16


class Archive:
    """A ZIP of exactly one form: stored members in the order of their names, no extras, no gaps.

    Only so no byte of the file is without meaning; zipfile would overlook some.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.members: dict[str, tuple[int, int, int]] = {}
        file.seek(0)
        central, at, last = b"", 0, ""
        while (head := file.read(LOCAL.size))[:4] == b"PK\x03\x04" and len(head) == LOCAL.size:
            crc, size, length = (
                struct.unpack_from("<I", head, 14)[0],
                *struct.unpack_from("<IIH", head, 18)[1:],
            )
            raw = file.read(length)
            if head != LOCAL.pack(b"PK\x03\x04", 20, 0, 0, 0, DATE_1980, crc, size, size, length, 0):
                raise Malformed(f"member {len(self.members)} has another header")
            name = raw.decode("ascii", "replace")
            if len(raw) != length or not name > last:
                raise Malformed("the names are not in order")
            central += CENTRAL.pack(b"PK\x01\x02", 0x0314, 20, 0, 0, 0, DATE_1980, crc, size, size, length, 0, 0, 0, 0,
                                    MODE, at) + raw  # fmt: skip
            self.members[name] = (at + LOCAL.size + length, size, crc)
            at = file.seek(size, 1)
            last = name
        file.seek(at)
        if file.read() != central + zip_end(len(self.members), len(central), at):
            raise Malformed("the directory of the file differs from its members")

    def read(self, name: str) -> bytes:
        if name not in self.members:
            raise Malformed(f"{name} is missing")
        at, size, crc = self.members[name]
        self.file.seek(at)
        data = self.file.read(size)
        if len(data) != size or zlib.crc32(data) != crc:
            raise Malformed(f"{name} is cut or damaged")
        return data


def zip_end(count: int, size: int, at: int) -> bytes:
    """The end of a ZIP's directory; beyond 65,534 members in its 64-bit form first."""
    long = b""
    if count >= 0xFFFF:
        long = END64.pack(
            b"PK\x06\x06", 44, 0x0314, 45, 0, 0, count, count, size, at, b"PK\x06\x07", 0, at + size, 1
        )
    short = min(count, 0xFFFF)
    return long + END.pack(b"PK\x05\x06", 0, 0, short, short, size, at, 0)


def tile_path(number: int) -> str:
    """The number of a tile in groups of three digits, all but the last one marked with x."""
    text = f"{number % 1000:03d}"
    while number >= 1000:
        number //= 1000
        text = f"x{number % 1000:03d}/{text}"
    return text


def tile_names(folder: str, count: int) -> list[str]:
    """The names of the tiles that hold count things; the last may be partial."""
    names = [f"tile/{folder}/{tile_path(number)}" for number in range(count // WIDTH)]
    if count % WIDTH:
        names.append(f"tile/{folder}/{tile_path(count // WIDTH)}.p/{count % WIDTH}")
    return names


def entries_of(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + length]
        if len(entry) != length:
            raise Malformed("a bundle of lines is cut")
        found.append(entry)
        at += 2 + length
    return found
