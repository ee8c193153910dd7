"""One valid message, then every way to spoil it."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from nacl.signing import SigningKey

from inalpha.bus import command, envelope
from inalpha.bus.acl import allowed, covers
from inalpha.bus.command import Key, make_command, slot_key, verify
from inalpha.bus.envelope import EnvelopeError
from inalpha.model.errors import Refused

KEY = SigningKey(b"k" * 32)
OTHER = SigningKey(b"o" * 32)
NOW = 1_800_000_000_000_000


def plain(**changes: object) -> bytes:
    body = json.loads(envelope.encode("notice", {"seq": 5}, epoch=3, now_us=NOW, ttl_s=5))
    return json.dumps({**body, **changes}).encode()


def open_plain(
    raw: bytes, *, topic: str = "notice", is_retained: bool = False, now_us: int = NOW
) -> envelope.Envelope:
    return envelope.decode(raw, topic=topic, is_retained=is_retained, now_us=now_us)


def test_plain_envelope_is_opened() -> None:
    assert msgspec.json.decode(open_plain(plain()).body) == {"seq": 5}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (plain(v=2), "VERSION"),
        (plain(extra=1), "FORM"),
        (plain(id=None), "FORM"),
        (plain(epoch="3"), "FORM"),
        (plain(ts=1.5), "FORM"),
        (b"", "FORM"),
        (b"[]", "FORM"),
        (b"\xff", "FORM"),
        (b"[" * 90_000, "FORM"),
        (plain()[:-1], "FORM"),
        (b" " * 98_305, "SIZE"),
    ],
)
def test_damaged_plain_envelope_is_dropped(raw: bytes, code: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        open_plain(raw)
    assert caught.value.code == code


def test_plain_envelope_ends_at_its_time() -> None:
    assert open_plain(plain(), now_us=NOW + 4_999_999)
    with pytest.raises(EnvelopeError, match="EXPIRED"):
        open_plain(plain(), now_us=NOW + 5_000_000)


def test_retained_flag_is_accepted_on_the_two_state_topics_only() -> None:
    assert open_plain(plain(), topic="daemon/state", is_retained=True)
    assert open_plain(plain(), topic="hosts/host-local/state", is_retained=True)
    for topic in ("notice", "daemon/beat", "hosts/host-local/beat", "hosts/a/runs/b/state", "cmd/cli-01"):
        with pytest.raises(EnvelopeError, match="RETAINED"):
            open_plain(plain(), topic=topic, is_retained=True)


def keys(kid: str) -> Key | None:
    return {
        "op": Key(bytes(KEY.verify_key), "op:alice", {"promote", "halt"}.__contains__),
        "cli-01": slot_key("cli-01", bytes(OTHER.verify_key)),
    }.get(kid)


def made(
    cmd: str = "promote", *, key: SigningKey = KEY, kid: str = "op", sender: str = "cli-01", **changes: object
) -> bytes:
    _, raw = make_command(
        key, kid, sender=sender, instance="abc", epoch=3, cmd=cmd, args={"a": 1}, now_us=NOW, life_s=30
    )
    if not changes:
        return raw
    payload = json.loads(base64.b64decode(json.loads(raw)["payload"]))
    text = json.dumps({k: v for k, v in {**payload, **changes}.items() if v is not ...}).encode()
    return envelope.seal(key, kid, text)


def check(
    raw: bytes, *, identity: str = "cli-01", now_us: int = NOW + 1, is_retained: bool = False
) -> command.Command:
    return verify(
        raw,
        identity=identity,
        keys=keys,
        instance="abc",
        epoch=3,
        now_us=now_us,
        is_retained=is_retained,
    )


def test_valid_command_is_accepted() -> None:
    found = check(made())
    assert (found.sender, found.principal, found.cmd, found.args) == (
        "cli-01",
        "op:alice",
        "promote",
        {"a": 1},
    )
    assert len(found.nonce) == 32


def changed(field: str, value: object) -> bytes:
    return json.dumps({**json.loads(made()), field: value}).encode()


def flipped_signature() -> bytes:
    body = json.loads(made())
    signature = bytearray(base64.b64decode(body["sig"]))
    signature[0] ^= 1
    return changed("sig", base64.b64encode(bytes(signature)).decode())


def spaced_payload() -> bytes:
    body = json.loads(made())
    return changed("payload", base64.b64encode(base64.b64decode(body["payload"]) + b" ").decode())


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"x" * 98_305, "SIZE"),
        (b"{}", "FORM"),
        (changed("extra", 1), "FORM"),
        (changed("payload", "***"), "FORM"),
        (changed("sig", ""), "SIGNATURE"),
        (changed("v", 2), "VERSION"),
        (changed("kid", "op:mallory"), "KEY"),
        (changed("kid", "cli-01"), "SIGNATURE"),
        (flipped_signature(), "SIGNATURE"),
        (spaced_payload(), "SIGNATURE"),
        (made(key=OTHER), "SIGNATURE"),
        (made(sender="cli-02"), "SENDER"),
        (made("approve"), "ROLE"),
        (made("promote", key=OTHER, kid="cli-01"), "ROLE"),
        (made(aud="another"), "AUDIENCE"),
        (made(epoch=2), "EPOCH"),
        (made(epoch=4), "EPOCH"),
        (made(exp=NOW), "TIME"),
        (made(exp=NOW + 30_000_001), "TIME"),
        (made(iat=NOW + 40_000_000, exp=NOW + 41_000_000), "TIME"),
        (made(nonce="00"), "NONCE"),
        (made(nonce="G" * 32), "NONCE"),
        (made(id=""), "NONCE"),
        (made(id="x" * 65), "NONCE"),
        (made(nonce=...), "FORM"),
        (made(approved_by="op:alice"), "FORM"),
    ],
)
def test_damaged_command_is_refused_by_name(raw: bytes, code: str) -> None:
    with pytest.raises(Refused) as caught:
        check(raw)
    assert caught.value.code == code


def test_command_ends_after_thirty_seconds() -> None:
    assert check(made(), now_us=NOW + 29_999_999)
    with pytest.raises(Refused, match="TIME"):
        check(made(), now_us=NOW + 30_000_000)


def test_retained_command_is_refused() -> None:
    with pytest.raises(Refused, match="RETAINED"):
        check(made(), is_retained=True)


@pytest.mark.parametrize("identity", ["host-local", "daemon", "runner-1", "console", "cli-"])
def test_classes_out_of_place_send_no_commands(identity: str) -> None:
    with pytest.raises(Refused, match="SENDER"):
        check(made(sender=identity), identity=identity)


def test_slot_key_stops_things_on_its_own_topic_only() -> None:
    for cmd in ("halt", "stop", "cancel"):
        assert check(made(cmd, key=OTHER, kid="cli-01")).principal == "slot:cli-01"
    with pytest.raises(Refused, match="SENDER"):
        check(made("halt", key=OTHER, kid="cli-01", sender="cli-02"), identity="cli-02")


@pytest.mark.parametrize(
    ("grant", "request_", "expected"),
    [
        ("a/#", "a/b/c", True),
        ("a/#", "a/#", True),
        ("a/+", "a/#", False),
        ("a/+", "a/+", True),
        ("a/b", "a/+", False),
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/c/d", False),
        ("a/b", "a", False),
        ("#", "#", True),
    ],
)
def test_grant_covers_a_request_whole_or_not_at_all(grant: str, request_: str, expected: bool) -> None:
    assert covers(grant, request_) is expected


@pytest.mark.parametrize(
    ("user", "access", "topic", "expected"),
    [
        ("daemon", "write", "inalpha/hosts/host-a/runs/r/down/step", True),
        ("host-a", "write", "inalpha/hosts/host-a/runs/r/up/reply", True),
        ("host-a", "write", "inalpha/hosts/host-b/runs/r/up/reply", False),
        ("host-a", "write", "inalpha/hosts/host-a/runs/r/down/step", False),
        ("host-a", "read", "inalpha/hosts/+/runs/+/down/#", False),
        ("host-a", "write", "inalpha/daemon/state", False),
        ("console-01", "write", "inalpha/cmd/console-01", True),
        ("console-01", "write", "inalpha/cmd/console-02", False),
        ("console-01", "read", "inalpha/reply/#", False),
        ("console-01", "read", "inalpha/daemon/state", True),
        ("console-01", "read", "#", False),
        ("cli-01", "write", "other/cmd/cli-01", False),
    ],
)
def test_acl(user: str, access: str, topic: str, expected: bool) -> None:
    assert allowed("inalpha", user, access, topic) is expected
