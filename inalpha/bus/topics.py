"""Topic names and identities. User name = client id; a wildcard in a name would rewrite the ACL."""

from __future__ import annotations

import re

ROOT = "inalpha"
DAEMON = "daemon"
LOCAL_HOST = "host-local"
_IDENTITY = re.compile(r"[a-z0-9-]{1,40}\Z")
_RUN = re.compile(r"[a-z0-9-]{1,64}\Z")

# Retained, and the only topics where a retained flag is accepted.
DAEMON_STATE = "daemon/state"
DAEMON_BEAT = "daemon/beat"
PRESENCE = "daemon/presence"
NOTICE = "notice"


def check_identity(name: str) -> str:
    """name, when it may be a user name. Raises ValueError."""
    if not _IDENTITY.match(name):
        raise ValueError(f"bus identity {name!r}: [a-z0-9-]{{1,40}} allowed")
    return name


def check_run(run: str) -> str:
    """run, when it may be a topic level. Raises ValueError."""
    if not _RUN.match(run):
        raise ValueError(f"run id {run!r}: [a-z0-9-]{{1,64}} allowed")
    return run


def identity_class(name: str) -> str:
    """daemon, host, console, agent or cli; "" for anything else."""
    if name == DAEMON:
        return DAEMON
    kind, _, rest = name.partition("-")
    return kind if kind in ("host", "console", "agent", "cli") and rest else ""


def command(identity: str) -> str:
    return f"cmd/{identity}"


def reply(identity: str, correlation: str) -> str:
    return f"reply/{identity}/{correlation}"


def host_state(host: str) -> str:
    return f"hosts/{host}/state"


def host_beat(host: str) -> str:
    return f"hosts/{host}/beat"


def down(host: str, run: str, kind: str) -> str:
    return f"hosts/{host}/runs/{run}/down/{kind}"


def up(host: str, run: str, kind: str) -> str:
    return f"hosts/{host}/runs/{run}/up/{kind}"


def may_be_retained(topic: str) -> bool:
    """Whether a retained message there is genuine: daemon/state and hosts/<host>/state."""
    levels = topic.split("/")
    return topic == DAEMON_STATE or (len(levels) == 3 and levels[0] == "hosts" and levels[2] == "state")
