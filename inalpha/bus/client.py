"""BusClient: aiomqtt behind one loop that reconnects, subscribes again and says so.

QoS 1 is acknowledged on arrival, not after handling, and a denial cannot be seen in MQTT 3.1.1: what
matters is answered by the application and resent by id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiomqtt

from inalpha.bus.topics import ROOT, check_identity
from inalpha.model.errors import ConfigError, TryAgain

_log = logging.getLogger(__name__)
_BACKOFF_FIRST_S, _BACKOFF_LAST_S = 0.05, 2.0
MAX_QUEUED = 1000
_KEEPALIVE_S, _KEEPALIVE_REMOTE_S = 30, 10  # a dead link is only noticed by it
_REFUSED_CODE = 0x80


@dataclass(frozen=True, slots=True)
class Message:
    """topic: below the root."""

    topic: str
    payload: bytes
    is_retained: bool


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes when the connection breaks."""

    topic: str
    payload: bytes
    retain: bool = True


Handler = Callable[[Message], None]


class BusClient:
    """One identity on the bus. address: path of a Unix socket, or mqtts://host:port.

    token: the token, or a function that reads the present one at each connect. on_connect runs after
    the subscriptions of each connection; on_overflow when incoming messages were lost ("read the ledger
    again"). Handlers are called in order in the event loop and must not block.
    """

    def __init__(
        self,
        address: str,
        identity: str,
        token: str | Callable[[], str],
        root: str = ROOT,
        *,
        on_connect: Callable[[], Awaitable[None]] | None = None,
        on_disconnect: Callable[[], None] | None = None,
        on_overflow: Callable[[], None] | None = None,
        will: Callable[[], Will] | None = None,
        ca_file: str | None = None,
    ) -> None:
        self.address = address
        self.identity = check_identity(identity)
        self.root = root
        self.connects = 0
        self.last_error = ""
        self._token = token
        self._on_connect, self._on_disconnect, self._on_overflow = on_connect, on_disconnect, on_overflow
        self._will = will
        self.ca_file = ca_file
        self._handlers: dict[str, Handler] = {}
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._aside: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> BusClient:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def start(self, timeout_s: float | None = 10.0) -> None:
        """Begin connecting; waits for the first connection. Raises TryAgain("BUS_DOWN") on timeout."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        if timeout_s is not None:
            await self.connected(timeout_s)

    async def connected(self, timeout_s: float = 10.0) -> None:
        """Wait until connected and subscribed. Raises TryAgain("BUS_DOWN")."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
        except TimeoutError:
            raise TryAgain(
                "BUS_DOWN", f"no broker at {self.address} within {timeout_s:g} s. {self.last_error}".rstrip()
            ) from None

    @property
    def is_connected(self) -> bool:
        return self._connected.is_set()

    async def close(self) -> None:
        """Disconnect in order (no will) and stop."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        for task in list(self._aside):
            task.cancel()

    async def subscribe(self, filter: str, handler: Handler) -> None:
        """Hand messages of the filter to handler, over reconnects too. Raises ConfigError when refused."""
        self._handlers[filter] = handler
        if self._client is not None and self._connected.is_set():
            await self._subscribe(self._client, [filter])

    def handler_of(self, filter: str) -> Handler | None:
        """Who gets this filter's messages now."""
        return self._handlers.get(filter)

    async def unsubscribe(self, filter: str) -> None:
        """Forget a subscription."""
        self._handlers.pop(filter, None)
        if self._client is not None and self._connected.is_set():
            await self._client.unsubscribe(f"{self.root}/{filter}")

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Send, and at QoS 1 await the broker's acknowledgement. Raises TryAgain("BUS_DOWN")."""
        client = self._client
        if client is None:
            raise TryAgain("BUS_DOWN", f"not connected to {self.address}")
        try:
            await client.publish(f"{self.root}/{topic}", payload, qos=qos, retain=retain)
        except aiomqtt.MqttError as error:
            raise TryAgain("BUS_DOWN", str(error)) from None

    def post(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Send without waiting; a lost message is the receiver's business to ask for again."""

        async def send() -> None:
            with contextlib.suppress(TryAgain):
                await self.publish(topic, payload, qos=qos, retain=retain)

        self._spawn(send())

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def _run(self) -> None:
        backoff = _BACKOFF_FIRST_S
        while True:
            try:
                async with self._make() as client:
                    await self._subscribe(client, list(self._handlers))
                    self._client = client
                    self.connects += 1
                    self._connected.set()
                    backoff = _BACKOFF_FIRST_S
                    if self._on_connect is not None:
                        self._spawn(self._on_connect())
                    async for message in client.messages:
                        self._dispatch(message)
            except (aiomqtt.MqttError, OSError) as error:
                self.last_error = f"{error}."
                _log.debug("bus connection of %s ended: %s", self.identity, error)
            finally:
                was_connected = self._connected.is_set()
                self._client = None
                self._connected.clear()
                if was_connected and self._on_disconnect is not None:
                    self._on_disconnect()
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _BACKOFF_LAST_S)

    def _make(self) -> aiomqtt.Client:
        token = self._token if isinstance(self._token, str) else self._token()
        will = self._will() if self._will is not None else None
        options: dict[str, Any] = {
            "username": self.identity,
            "password": token,
            "identifier": self.identity,
            "protocol": aiomqtt.ProtocolVersion.V311,
            "clean_session": True,
            "keepalive": _KEEPALIVE_REMOTE_S if "://" in self.address else _KEEPALIVE_S,
            "timeout": 5.0,
            "max_queued_incoming_messages": MAX_QUEUED,
            "queue_type": _queue_type(self._on_overflow),
            "will": will and aiomqtt.Will(f"{self.root}/{will.topic}", will.payload, 1, will.retain),
            **_transport(self.address, self.ca_file),
        }
        return aiomqtt.Client(**options)

    async def _subscribe(self, client: aiomqtt.Client, filters: list[str]) -> None:
        for filter in filters:
            granted = await client.subscribe(f"{self.root}/{filter}", qos=1)
            if any((c if isinstance(c, int) else c.value) >= _REFUSED_CODE for c in granted):
                raise ConfigError("BUS_DENIED", f"{self.identity} may not subscribe to {filter}")

    def _dispatch(self, raw: aiomqtt.Message) -> None:
        topic = str(raw.topic)[len(self.root) + 1 :]
        payload = raw.payload if isinstance(raw.payload, bytes) else b""
        message = Message(topic, payload, bool(raw.retain))
        for filter, handler in list(self._handlers.items()):
            if aiomqtt.Topic(topic).matches(filter):
                try:
                    handler(message)
                except Exception:
                    _log.exception("handler of %s failed on %s", filter, topic)


def _transport(address: str, ca_file: str | None) -> dict[str, Any]:
    if "://" not in address:
        return {"hostname": address, "transport": "unix"}
    parts = urlsplit(address)
    if parts.scheme != "mqtts" or not parts.hostname:
        raise ConfigError("BUS_URL", f"{address}: only mqtts://host[:port] is accepted")
    return {
        "hostname": parts.hostname,
        "port": parts.port or 8883,
        "tls_context": tls_context(ca_file),
        # Without it each exchange waits for a delayed acknowledgement: 44-88 ms.
        "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    }


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """TLS 1.2 or later, certificate and name verified. Raises OSError.

    ca_file: a path or PEM text; the only CA that is trusted then.
    """
    if ca_file is not None and ca_file.startswith("-----BEGIN"):
        context = ssl.create_default_context(cadata=ca_file)
    else:
        context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _queue_type(on_overflow: Callable[[], None] | None) -> type[asyncio.Queue[aiomqtt.Message]]:
    class Bounded(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            try:
                super().put_nowait(item)
            except asyncio.QueueFull:
                if on_overflow is not None:
                    on_overflow()

    return Bounded
