"""A daemon or host with one control taken away, as a program of its own and for a scratch home alone.

No setting, variable or message of an installation leads here: the controls are replaced inside this process, which
only the red team starts, and which refuses any home that the red team did not make.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from inalpha.model.errors import ConfigError
from inalpha.model.home import Home

MARK = "redteam.scratch"
HOST_CONTROLS = ("seccomp", "limits", "environment", "layers")
BUS_CONTROLS = ("acl", "signature", "nonce")
CONTROLS = (*HOST_CONTROLS, *BUS_CONTROLS)
LEAKED = "INALPHA_TOKEN"
_KERNEL_LAYERS = frozenset({"seccomp", "landlock", "limits", "no_new_privs", "dumpable"})


def demand_scratch(root: Path) -> None:
    """Raises ConfigError for any home but the red team's own."""
    if not (root / MARK).is_file():
        raise ConfigError("NOT_SCRATCH", f"{root} was not made by the red team.", "inalpha redteam")


def _replace(where: Any, name: str, what: object) -> None:
    """In this process alone."""
    if not hasattr(where, name):
        raise AttributeError(f"{where} has no {name}: a control would stay while it seems to be gone")
    setattr(where, name, what)


def weaken_host(control: str, secret: str) -> None:
    """Take a control from the runner host in this process."""
    from runners import forkserver, probe

    taken = {"layers": _KERNEL_LAYERS, "environment": frozenset[str]()}.get(control, frozenset({control}))
    for level in probe.LEVELS:
        probe.LAYERS_OF[level] = probe.LAYERS_OF[level] - taken
        probe.NEEDS[level] = frozenset()  # else the probes would find the gap and no run would start
    if control == "environment":
        forkserver._ENVIRONMENT[LEAKED] = secret
    if control == "layers":
        start = forkserver.Zygote.__init__

        def shared(zygote: Any, **options: Any) -> None:
            start(zygote, **{**options, "is_shared": True})

        _replace(forkserver.Zygote, "__init__", shared)


def weaken_bus(control: str) -> None:
    """Take a control from the daemon in this process."""
    if control == "acl":
        _take_acl()
    elif control == "signature":
        from inalpha.bus import envelope

        class Credulous:
            def __init__(self, public: bytes) -> None:
                pass

            def verify(self, payload: bytes, signature: bytes) -> None:
                pass

        _replace(envelope, "VerifyKey", Credulous)
    elif control == "nonce":
        _take_nonce()


def _take_acl() -> None:
    from inalpha.bus import start
    from inalpha.bus.selftest import _ACTS, Act, SelfTest
    from inalpha.daemon import main

    _replace(start, "mosquitto_acl", lambda root: "pattern readwrite #\n")
    sound = SelfTest(tuple(Act(name, True, "not played") for name, _ in _ACTS))

    async def credulous(*_: Any, **__: Any) -> SelfTest:
        return sound  # the self-test finds the gap and refuses to start: it is taken away as well

    _replace(main, "run_self_test", credulous)


def _take_nonce() -> None:
    from inalpha.daemon import desk
    from inalpha.daemon.call import Call

    fresh = iter(range(1 << 62))

    def renamed(identifier: str, *rest: Any) -> Call:
        return Call(f"{identifier}-{next(fresh)}", *rest)

    _replace(desk, "Call", renamed)


def main() -> int:
    """`daemon ROOT CONTROL`, or `host ROOT CONTROL` followed by the host's own arguments."""
    role, root, control = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    demand_scratch(root)
    if role == "host":
        from runners import host

        weaken_host(control, (root / MARK).read_text(encoding="ascii").strip())
        host.main(sys.argv[4:])
        return 0
    from inalpha.daemon.hosting import HostChild
    from inalpha.daemon.main import run_daemon

    if control in HOST_CONTROLS:
        HostChild.program = ("inalpha.redteam.weakened", "host", str(root), control)
    else:
        weaken_bus(control)
    return run_daemon(Home(root))


if __name__ == "__main__":
    sys.exit(main())
