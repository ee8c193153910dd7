"""Who may publish and read what: one table, written out for mosquitto and enforced for amqtt."""

from __future__ import annotations

from dataclasses import dataclass

from inalpha.bus.topics import DAEMON


@dataclass(frozen=True, slots=True)
class Grant:
    """%u in the filter stands for the user's own name."""

    access: str  # read, write, readwrite
    filter: str


DAEMON_GRANTS = (Grant("readwrite", "#"),)
EVERYBODY = (
    Grant("read", "daemon/#"),
    Grant("read", "notice"),
    Grant("write", "cmd/%u"),
    Grant("read", "reply/%u/#"),
    Grant("write", "hosts/%u/state"),
    Grant("write", "hosts/%u/beat"),
    Grant("write", "hosts/%u/runs/+/up/#"),
    Grant("read", "hosts/%u/runs/+/down/#"),
)


def mosquitto_acl(root: str) -> str:
    """The acl_file of a mosquitto child."""
    lines = [f"user {DAEMON}", *(f"topic {g.access} {root}/{g.filter}" for g in DAEMON_GRANTS), ""]
    lines += [f"pattern {g.access} {root}/{g.filter}" for g in EVERYBODY]
    return "\n".join(lines) + "\n"


def allowed(root: str, user: str, access: str, topic: str) -> bool:
    """Whether user may "read" or "write" the topic; a topic filter is covered whole or refused."""
    grants = DAEMON_GRANTS if user == DAEMON else EVERYBODY
    return any(
        access in grant.access and covers(f"{root}/{grant.filter.replace('%u', user)}", topic)
        for grant in grants
    )


def covers(grant: str, request: str) -> bool:
    """Whether every topic of `request` (a topic or filter) lies in `grant`.

    `x/+` does not cover `x/#`: a wildcard in the request is never matched by less than itself.
    """
    given, asked = grant.split("/"), request.split("/")
    for position, level in enumerate(given):
        if level == "#":
            return True
        if position >= len(asked) or asked[position] == "#":
            return False
        if level != "+" and level != asked[position]:
            return False
    return len(given) == len(asked)
