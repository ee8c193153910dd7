"""The fallback broker: amqtt in its own process, with the holes of its stock form closed.

Private methods are overridden, so exactly one version is accepted. Run as
`python -m inalpha.bus.broker RUN_DIR ROOT`; tokens are read from RUN_DIR/slots.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import os
import socket
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import amqtt.broker as stock
from amqtt.adapters import ReaderAdapter, StreamReaderAdapter, StreamWriterAdapter, WriterAdapter
from amqtt.contexts import Action
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.session import Session

from inalpha.bus.acl import allowed
from inalpha.model.memory import close_memory

AMQTT_VERSION = "0.12.1"
MAX_PACKET = 131_072
MAX_CONNECTIONS = 128
CONNECT_S = 5.0
MAX_KEEPALIVE_S = 60
# Everybody is back within a second after a restart; a flood takes a third of the loop at most.
ACCEPT_BURST, ACCEPTS_PER_S = 128, 100

_tokens: dict[str, bytes] = {}
_root = ""


class Reader(StreamReaderAdapter):  # type: ignore[misc]
    """Refuses packets above the limit before anything of their body is buffered."""

    async def read(self, n: int = -1) -> bytes:
        if n > MAX_PACKET:
            raise ConnectionAbortedError(f"packet part of {n} bytes: at most {MAX_PACKET}")
        data: bytes = await super().read(n)
        return data


class Writer(StreamWriterAdapter):  # type: ignore[misc]
    """A Unix peer has no address; the stock broker drops such connections."""

    def get_peer_info(self) -> tuple[str, int] | None:
        return ("unix", 0)

    @property
    def backlog(self) -> int:
        return int(self._writer.transport.get_write_buffer_size())


class Handler(stock.BrokerProtocolHandler):  # type: ignore[misc]
    """Authenticates inside CONNECT: the stock broker touches the session before the password."""

    @classmethod
    async def init_from_connect(
        cls, reader: ReaderAdapter, writer: WriterAdapter, plugins_manager: Any, loop: Any = None
    ) -> tuple[Handler, Session]:
        try:
            handler, session = await asyncio.wait_for(
                super().init_from_connect(reader, writer, plugins_manager, loop), CONNECT_S
            )
        except (TimeoutError, OSError, IndexError, ValueError, UnicodeError) as error:
            await writer.close()
            raise AMQTTError(f"no valid CONNECT: {error}") from None
        except (AMQTTError, MQTTError, NoDataError):
            await writer.close()
            raise
        if not _may_connect(session):
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            await writer.close()
            raise AMQTTError("refused")
        session.clean_session = True  # nothing is queued for a name that another could take up
        session.keep_alive = min(session.keep_alive or MAX_KEEPALIVE_S, MAX_KEEPALIVE_S) * 3 // 2
        return handler, session

    def handle_read_timeout(self) -> None:
        """A silent peer past its keep-alive is gone."""
        if self._disconnect_waiter is not None and not self._disconnect_waiter.done():
            self._disconnect_waiter.set_result(None)


def _may_connect(session: Session) -> bool:
    user = session.username or ""
    known = _tokens.get(user, b"\0" * 32)
    given = hashlib.sha256((session.password or "").encode()).digest()
    is_known = hmac.compare_digest(known, given) and user in _tokens
    will = not session.will_flag or allowed(_root, user, "write", session.will_topic or "")
    return is_known and session.client_id == user and will


class Hardened(stock.Broker):  # type: ignore[misc]
    """amqtt's broker with our ACL in place of its plugins."""

    connections = 0

    async def _authenticate(self, session: Session, _: Any) -> bool:
        return True  # done at CONNECT

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        # Delivery is filtered too: a filter wider than its grant receives nothing.
        access = "write" if action == Action.PUBLISH else "read"
        return allowed(_root, session.username or "", access, topic)

    async def _delete_session(self, client_id: str) -> None:
        # The stock broker forgets the older connection but leaves it open and able to publish.
        _, handler = self._sessions.get(client_id, (None, None))
        await super()._delete_session(client_id)
        if handler is not None:
            await handler.handle_connection_closed()
            await handler.stop()

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        # The stock broker replays everybody's subscriptions to each new connection.
        own = self._subscriptions.get(subscription[0], ())
        if any(s is session for s, _ in own):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        self.connections += 1
        try:
            await self.external_connected(Reader(reader), Writer(writer), "default")
        except (OSError, AMQTTError, MQTTError, NoDataError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections -= 1
            writer.close()


async def run(run_dir: Path, root: str, parent: int, tcp_port: int | None = None) -> None:
    """Listen until the parent is gone."""
    global _root
    _root = root
    for path in sorted((run_dir / "slots").glob("*.token")):
        _tokens[path.stem] = hashlib.sha256(path.read_bytes()).digest()
    stock.BrokerProtocolHandler = Handler
    broker = Hardened(
        {
            "listeners": {"default": {"type": "external", "bind": "unix:0"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": False}},
        }
    )
    await broker.start()
    path = run_dir / "bus.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.setblocking(False)
        listener.bind(str(path))
        os.chmod(path, 0o600)
        listener.listen(MAX_CONNECTIONS)
        accepting = asyncio.create_task(accept(broker, listener))
        while os.getppid() == parent and not accepting.done():
            await asyncio.sleep(0.2)


async def accept(broker: Hardened, listener: socket.socket) -> None:
    """Peers one at a time and so many a second: asyncio's own server takes a hundred in one turn of its loop,
    and a flood of them then holds up every message (0.1 to 0.26 s measured)."""
    loop = asyncio.get_running_loop()
    serving: set[asyncio.Task[None]] = set()
    allowance, at_s = float(ACCEPT_BURST), loop.time()
    while True:
        now_s = loop.time()
        allowance = min(float(ACCEPT_BURST), allowance + (now_s - at_s) * ACCEPTS_PER_S)
        at_s = now_s
        if allowance < 1:
            await asyncio.sleep((1 - allowance) / ACCEPTS_PER_S)
            continue
        try:
            peer, _ = await loop.sock_accept(listener)
        except OSError:  # out of descriptors, or the peer is gone already
            await asyncio.sleep(0.05)
            continue
        allowance -= 1
        task = asyncio.create_task(_served(broker, peer))
        serving.add(task)
        task.add_done_callback(serving.discard)


async def _served(broker: Hardened, peer: socket.socket) -> None:
    if broker.connections >= MAX_CONNECTIONS:
        peer.close()
        return
    reader, writer = await asyncio.open_unix_connection(sock=peer, limit=2 * MAX_PACKET)
    await broker.serve(reader, writer)


def main() -> None:
    """RUN_DIR ROOT."""
    close_memory()
    installed = metadata.version("amqtt")
    if installed != AMQTT_VERSION:
        sys.exit(f"amqtt {installed} is installed, exactly {AMQTT_VERSION} is supported")
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(Path(sys.argv[1]), sys.argv[2], os.getppid()))


if __name__ == "__main__":
    main()
