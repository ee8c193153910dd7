"""`python -m inalpha.daemon --home DIR`: what the background start executes."""

from __future__ import annotations

import argparse
import sys

from inalpha.daemon.main import run_daemon
from inalpha.model.home import Home
from inalpha.model.memory import close_memory


def main() -> int:
    close_memory()
    parser = argparse.ArgumentParser(prog="inalpha.daemon")
    parser.add_argument("--home", required=True)
    return run_daemon(Home.at(parser.parse_args().home))


if __name__ == "__main__":
    sys.exit(main())
