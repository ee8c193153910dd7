"""Commands with replies: signed by the client, verified here, answered with a signed reply.

An envelope alone approves nothing: gate notes inside `args` are verified by themselves. The nonce's
uniqueness is the ledger's, in the same transaction as the effect.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from nacl.signing import SigningKey

from inalpha.bus import envelope, topics
from inalpha.bus.client import BusClient, Message
from inalpha.bus.envelope import EnvelopeError, wall_us
from inalpha.model.errors import InalphaError, Refused, TryAgain

MAX_LIFE_US = 30_000_000
RESEND_S = 1.0
DAEMON_KID = topics.DAEMON

# What a slot's own key may sign, so that a locked console can stop a run.
SLOT_COMMANDS = frozenset({"halt", "stop", "cancel"})


class CommandPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    """The signed bytes. iat, exp: microseconds. nonce: 128 bits in hex."""

    aud: str
    epoch: int
    sender: str
    cmd: str
    args: dict[str, Any]
    id: str
    nonce: str
    iat: int
    exp: int


class ReplyPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """id: the command's. data: what the verb returns; refusals carry code, message and fix."""

    aud: str
    epoch: int
    to: str
    id: str
    ts: int
    ok: bool
    code: str
    message: str
    fix: str
    exit_code: int
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """An enrolled key: its public bytes, whom it speaks for, and the commands that its role allows."""

    public: bytes
    principal: str
    allows: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Command:
    """A verified command. sender: the bus identity; principal: the key's owner."""

    sender: str
    principal: str
    kid: str
    cmd: str
    args: Mapping[str, Any]
    id: str
    nonce: str


_payload = msgspec.json.Decoder(CommandPayload)
_reply = msgspec.json.Decoder(ReplyPayload)
_HEX = frozenset("0123456789abcdef")


def make_command(
    key: SigningKey,
    kid: str,
    *,
    sender: str,
    instance: str,
    epoch: int,
    cmd: str,
    args: Mapping[str, Any],
    now_us: int,
    life_s: float = 30.0,
) -> tuple[str, bytes]:
    """A signed command: its id, and the bytes to send as often as needed."""
    identifier = envelope.new_id()
    payload = CommandPayload(
        instance,
        epoch,
        sender,
        cmd,
        dict(args),
        identifier,
        envelope.new_id(),
        now_us,
        now_us + int(life_s * 1_000_000),
    )
    return identifier, envelope.seal(key, kid, msgspec.json.encode(payload))


def verify(
    raw: bytes,
    *,
    identity: str,
    keys: Callable[[str], Key | None],
    instance: str,
    epoch: int,
    now_us: int,
    is_retained: bool = False,
) -> Command:
    """The command, or Refused with one of SIZE FORM VERSION RETAINED KEY SIGNATURE SENDER ROLE AUDIENCE
    EPOCH TIME NONCE. identity: from the topic, which the broker's ACL proves."""
    try:
        opened = envelope.unseal(
            raw,
            lambda kid: found.public if (found := keys(kid)) else None,
            topic=topics.command(identity),
            is_retained=is_retained,
        )
        payload = _payload.decode(opened.payload)
    except EnvelopeError as error:
        raise Refused(error.code, str(error)) from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused("FORM", str(error)) from None
    key = keys(opened.kid)
    if key is None:
        raise Refused("KEY", f"{opened.kid!r} is not enrolled")
    if topics.identity_class(identity) not in ("console", "cli", "agent"):
        raise Refused("SENDER", f"{identity} sends no commands")
    if payload.sender != identity:
        raise Refused("SENDER", f"from {payload.sender!r} on the topic of {identity!r}")
    if opened.kid in _slot_like and opened.kid != identity:
        raise Refused("SENDER", f"the slot key of {opened.kid!r} on the topic of {identity!r}")
    if not key.allows(payload.cmd):
        raise Refused("ROLE", f"{key.principal} may not {payload.cmd}")
    if payload.aud != instance:
        raise Refused("AUDIENCE", f"for {payload.aud!r}, this is {instance!r}")
    if payload.epoch != epoch:
        raise Refused("EPOCH", f"of epoch {payload.epoch}, this is {epoch}", "Attach again.")
    if (
        not 0 < payload.exp - payload.iat <= MAX_LIFE_US
        or not payload.iat - MAX_LIFE_US <= now_us < payload.exp
    ):
        raise Refused("TIME", f"valid {payload.iat} to {payload.exp}, now {now_us}", "Check the clocks.")
    if len(payload.nonce) != 32 or not _HEX.issuperset(payload.nonce) or not 0 < len(payload.id) <= 64:
        raise Refused("NONCE", "a nonce has 32 hexadecimal digits, an id 1 to 64 characters")
    return Command(identity, key.principal, opened.kid, payload.cmd, payload.args, payload.id, payload.nonce)


class _SlotNames:
    def __contains__(self, kid: object) -> bool:
        return isinstance(kid, str) and topics.identity_class(kid) in ("console", "cli")


_slot_like = _SlotNames()


def slot_key(identity: str, public: bytes) -> Key:
    """The key of a console or CLI slot: it may only stop things."""
    return Key(public, f"slot:{identity}", SLOT_COMMANDS.__contains__)


class CommandServer:
    """Daemon side: verifies what arrives on cmd/+ and answers on the sender's own topic.

    handler: does the work and returns the reply's data; an InalphaError becomes a refusal. It also
    returns the stored reply for an id that it has seen.
    """

    def __init__(
        self,
        client: BusClient,
        key: SigningKey,
        *,
        instance: str,
        epoch: int,
        keys: Callable[[str], Key | None],
        handler: Callable[[Command], Awaitable[Mapping[str, Any]]],
        now_us: Callable[[], int] = wall_us,
    ) -> None:
        self._client, self._key, self._instance, self._epoch = client, key, instance, epoch
        self._keys, self._handler, self._now_us = keys, handler, now_us
        self._tasks: set[asyncio.Task[None]] = set()
        self.refused: dict[str, int] = {}

    async def start(self) -> None:
        """Listen from now on, over reconnects."""
        await self._client.subscribe("cmd/+", self._arrived)

    def _arrived(self, message: Message) -> None:
        task = asyncio.ensure_future(self._serve(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: Message) -> None:
        identity = message.topic.split("/")[1]
        identifier = ""
        try:
            command = verify(
                message.payload,
                identity=identity,
                keys=self._keys,
                instance=self._instance,
                epoch=self._epoch,
                now_us=self._now_us(),
                is_retained=message.is_retained,
            )
            identifier = command.id
            data = await self._handler(command)
            reply = self._reply(identity, identifier, True, data=data)
        except InalphaError as error:
            if not identifier:
                self.refused[error.code] = self.refused.get(error.code, 0) + 1
                identifier = _claimed_id(message.payload)
            reply = self._reply(identity, identifier, False, error=error, data=error.detail)
        if identifier:
            self._client.post(topics.reply(identity, identifier), reply)

    def _reply(
        self,
        to: str,
        identifier: str,
        is_ok: bool,
        *,
        data: Mapping[str, Any],
        error: InalphaError | None = None,
    ) -> bytes:
        payload = ReplyPayload(
            self._instance,
            self._epoch,
            to,
            identifier,
            self._now_us(),
            is_ok,
            error.code if error else "",
            error.message if error else "",
            error.fix if error else "",
            error.exit_code if error else 0,
            dict(data),
        )
        return envelope.seal(self._key, DAEMON_KID, msgspec.json.encode(payload))


def _claimed_id(raw: bytes) -> str:
    # Only to tell a refused sender why, on its own topic; nothing else believes it.
    try:
        sealed = msgspec.json.decode(raw[: envelope.MAX_MESSAGE], type=envelope.Sealed)
        identifier = _payload.decode(base64.b64decode(sealed.payload)).id
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    is_topic_level = 0 < len(identifier) <= 64 and identifier.replace("-", "").isalnum()
    return identifier if is_topic_level else ""


class CommandClient:
    """Console, CLI and agent side. kid: the operator's key id, or the identity for its slot key.

    The daemon's epoch is learnt from daemon/state; a new one needs no new client.
    """

    def __init__(
        self,
        client: BusClient,
        key: SigningKey,
        kid: str,
        *,
        instance: str,
        daemon_key: bytes,
        now_us: Callable[[], int] = wall_us,
    ) -> None:
        self._client, self._key, self._kid = client, key, kid
        self._instance, self._daemon_key, self._now_us = instance, daemon_key, now_us
        self._waiting: dict[str, asyncio.Future[ReplyPayload]] = {}
        self._has_epoch = asyncio.Event()
        self.epoch = 0

    async def start(self, timeout_s: float = 5.0) -> None:
        """Subscribe and learn the epoch. Raises TryAgain("NO_STATE")."""
        await self._client.subscribe(f"reply/{self._client.identity}/#", self._replied)
        await self._client.subscribe(topics.DAEMON_STATE, self._state)
        try:
            async with asyncio.timeout(timeout_s):
                await self._has_epoch.wait()
        except TimeoutError:
            raise TryAgain("NO_STATE", f"the daemon showed no state within {timeout_s:g} s") from None

    def _state(self, message: Message) -> None:
        try:
            state = envelope.decode(
                message.payload, topic=message.topic, is_retained=message.is_retained, now_us=self._now_us()
            )
        except EnvelopeError:
            return
        if state.epoch >= self.epoch:  # an old daemon that returns is not heard
            self.epoch = state.epoch
            self._has_epoch.set()

    def _replied(self, message: Message) -> None:
        try:
            opened = envelope.unseal(
                message.payload,
                lambda kid: self._daemon_key if kid == DAEMON_KID else None,
                topic=message.topic,
                is_retained=message.is_retained,
            )
            reply = _reply.decode(opened.payload)
        except (EnvelopeError, msgspec.MsgspecError, ValueError, RecursionError):
            return
        if reply.aud != self._instance or reply.to != self._client.identity:
            return
        waiting = self._waiting.get(reply.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    async def request(
        self,
        cmd: str,
        args: Mapping[str, Any],
        timeout_s: float = 10.0,
        *,
        signer: tuple[SigningKey, str] | None = None,
    ) -> dict[str, Any]:
        """Send, resend under the same id, return the reply's data. Raises what the daemon refused with,
        or TryAgain("NO_REPLY"): then the ledger, not a guess, tells what happened.

        signer: another key and its id for this command, where one client sends for a slot and a person.
        """
        key, kid = signer or (self._key, self._kid)
        make = partial(
            make_command, key, kid, sender=self._client.identity, instance=self._instance,
            epoch=self.epoch, cmd=cmd, args=args, now_us=self._now_us(),
        )  # fmt: skip
        # A key in ssh-agent may ask its owner first; the loop goes on meanwhile.
        identifier, raw = make() if isinstance(key, SigningKey) else await asyncio.to_thread(make)
        waiting: asyncio.Future[ReplyPayload] = asyncio.get_running_loop().create_future()
        self._waiting[identifier] = waiting
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self._client.post(topics.command(self._client.identity), raw)
                    done, _ = await asyncio.wait([waiting], timeout=RESEND_S)
                    if done:
                        break
        except TimeoutError:
            raise TryAgain("NO_REPLY", f"no reply to {cmd} within {timeout_s:g} s") from None
        finally:
            del self._waiting[identifier]
        reply = waiting.result()
        if not reply.ok:
            raise InalphaError(
                reply.code, reply.message, reply.fix, exit_code=reply.exit_code, detail=reply.data
            )
        return reply.data
