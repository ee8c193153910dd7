"""A bare MQTT 3.1.1 peer that may misbehave: what the self-test needs and no client library offers."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from urllib.parse import urlsplit

from inalpha.bus.client import tls_context

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13
REFUSED = 0x80


@dataclass(frozen=True, slots=True)
class Packet:
    """kind: the high four bits. For PUBLISH, topic and payload are set."""

    kind: int
    body: bytes
    topic: str = ""
    payload: bytes = b""


class RawPeer:
    """One connection. Every wait has a deadline and raises TimeoutError; a closed peer raises EOFError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self._reader, self._writer, self._timeout_s = reader, writer, timeout_s
        self.published: list[Packet] = []

    @classmethod
    async def open(cls, address: str, timeout_s: float = 2.0, *, ca_file: str | None = None) -> RawPeer:
        """Connect the transport only. address as in BusClient."""
        if "://" not in address:
            reader, writer = await asyncio.open_unix_connection(address)
        else:
            parts = urlsplit(address)
            context = tls_context(ca_file) if parts.scheme == "mqtts" else None
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 8883, ssl=context)
        return cls(reader, writer, timeout_s)

    @property
    def tls_version(self) -> str:
        """ "" on a transport without TLS."""
        found = self._writer.get_extra_info("ssl_object")
        return str(found.version()) if found is not None else ""

    async def connect(
        self,
        user: str,
        token: str,
        client_id: str,
        *,
        will: tuple[str, bytes] | None = None,
        is_clean: bool = True,
    ) -> int:
        """The CONNACK's code, 255 when the broker just closed."""
        flags = 0xC0 | (0x02 if is_clean else 0)
        payload = _text(client_id)
        if will is not None:
            flags |= 0x04 | 0x08 | 0x20  # a will, QoS 1, retained
            payload += _text(will[0]) + struct.pack("!H", len(will[1])) + will[1]
        payload += _text(user) + _text(token)
        self._send(0x10, _text("MQTT") + bytes([4, flags]) + struct.pack("!H", 30) + payload)
        try:
            packet = await self._until(CONNACK)
        except (EOFError, ConnectionError):
            return 255
        return packet.body[1]

    async def subscribe(self, filter: str) -> bool:
        """Whether the broker says that it granted the filter."""
        self._send(0x82, struct.pack("!H", 1) + _text(filter) + b"\x01")
        return (await self._until(SUBACK)).body[2] < REFUSED

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """QoS 0."""
        self._send(0x30 | (1 if retain else 0), _text(topic) + payload)

    async def ping(self) -> None:
        """Await PINGRESP: whatever the broker had sent before it is in `published`."""
        self._send(0xC0, b"")
        await self._until(PINGRESP)

    async def wait_for(self, payload: bytes) -> None:
        """Await a message with this payload."""
        while not any(packet.payload == payload for packet in self.published):
            await self._until(PUBLISH)

    def cut(self) -> None:
        """Break the connection without DISCONNECT, so that a will is due."""
        self._writer.transport.abort()

    def send_raw(self, data: bytes) -> None:
        """Bytes of any kind."""
        self._writer.write(data)

    async def closed(self) -> None:
        """Wait until the broker has closed the connection."""
        async with asyncio.timeout(self._timeout_s):
            with contextlib.suppress(ConnectionError):
                while await self._reader.read(4096):
                    pass

    def _send(self, first: int, body: bytes) -> None:
        self._writer.write(bytes([first]) + _length(len(body)) + body)

    async def _until(self, kind: int) -> Packet:
        async with asyncio.timeout(self._timeout_s):
            while True:
                packet = await self._read()
                if packet.kind == PUBLISH:
                    self.published.append(packet)
                if packet.kind == kind:
                    return packet

    async def _read(self) -> Packet:
        try:
            first = (await self._reader.readexactly(1))[0]
            length = shift = 0
            while True:
                byte = (await self._reader.readexactly(1))[0]
                length |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    break
            body = await self._reader.readexactly(length)
        except asyncio.IncompleteReadError:
            raise EOFError("the broker closed the connection") from None
        if first >> 4 != PUBLISH:
            return Packet(first >> 4, body)
        end = 2 + struct.unpack("!H", body[:2])[0]
        start = end
        if first & 0x06:
            start = end + 2
            self._send(0x40, body[end:start])
        return Packet(PUBLISH, body, body[2:end].decode(), body[start:])


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def _length(value: int) -> bytes:
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)
