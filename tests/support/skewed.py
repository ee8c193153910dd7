"""The daemon with its wall clock moved by the microseconds that a file names: `python -m support.skewed HOME FILE`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from inalpha.daemon.main import run_daemon
from inalpha.ledger import writer
from inalpha.ledger.clock import Clock, Reading, system_clock
from inalpha.model.home import Home


def skewed(file: Path) -> Clock:
    real = system_clock()

    def read() -> Reading:
        found = real()
        return replace(found, wall_us=found.wall_us + int(file.read_text() or "0"))

    return read


if __name__ == "__main__":
    writer.system_clock = lambda: skewed(Path(sys.argv[2]))
    sys.exit(run_daemon(Home.at(sys.argv[1])))
