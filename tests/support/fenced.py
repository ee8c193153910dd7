"""A daemon whose runner host measures `fenced`, as on a kernel without seccomp: for tests of waivers alone."""

from __future__ import annotations

import sys
from pathlib import Path

from inalpha.model.home import Home


def main() -> int:
    if sys.argv[1] == "host":
        from runners import host, probe

        probe.LAYERS_OF["sealed"] -= {"seccomp"}  # the probes see what is not refused, and the level sinks
        host.main(sys.argv[2:])
        return 0
    from inalpha.daemon.hosting import HostChild
    from inalpha.daemon.main import run_daemon

    HostChild.program = ("support.fenced", "host")
    return run_daemon(Home(Path(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
