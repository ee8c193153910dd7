"""A ledger of a million lines: its size, how fast it is written, verified, exported, and in how much memory.

Run: python benchmarks/audit_million.py [LINES] [--keep DIRECTORY]. The lines are real ones, through the real
writer: mostly bars, and every hundredth bar an order that the next bar fills. Verifiers run as processes of
their own, so that their peak memory is their own; a tenth of the lines tells what each line adds.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.ledger_story import START_US, Story, TestClock

from inalpha.execution import lines
from inalpha.ledger.txn import Txn
from inalpha.verifier.build import build

BURST = 100
ORDER_EVERY = 100
MIB = 1 << 20

VERIFY = """
import sys
from pathlib import Path
from inalpha.audit.verify import verify
report = verify(Path(sys.argv[1]), sys.argv[2])
assert report.passed, (report.first_bad, report.reason)
"""
TREE = """
import sqlite3, sys
from inalpha.audit.merkle import append, fold
stack = []
conn = sqlite3.connect(f"file:{sys.argv[1]}/ledger.db?mode=ro", uri=True)
for (leaf,) in conn.execute("SELECT leaf FROM ev ORDER BY seq"):
    append(stack, leaf)
print(fold(stack).hex())
"""
EXPORT = """
import sys
from pathlib import Path
from inalpha.audit.export import export_ledger
from inalpha.ledger.readers import open_reader
home = Path(sys.argv[1])
export_ledger(home, open_reader(home), Path(sys.argv[2]))
"""
OPEN = """
import sys
from pathlib import Path
from support.ledger_story import Story, TestClock, START_US
clock = TestClock(wall_us=int(sys.argv[2]), mono_us=int(sys.argv[2]) - START_US)
Story(Path(sys.argv[1]), clock).open().close()
"""


def write(home: Path, count: int) -> tuple[Story, float]:
    """The ledger and the seconds that its lines took."""
    story = Story(home, TestClock()).create().prepare()
    sha256 = story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0])
    run = story.start(story.mandate(sha256, expires_us=START_US * 2))
    bar, waiting = 0, ("", "")

    def burst(txn: Txn) -> None:
        nonlocal bar, waiting
        for _ in range(BURST):
            opened = START_US - 10**15 + bar * 60 * 10**6
            intents = int(bar % ORDER_EVERY == 0)
            digest = "b" * 64
            lines.record_step(txn, run, bar, opened, opened + 60 * 10**6, intents, digest, f"{bar:064x}")
            if intents:
                side = "buy" if bar % (2 * ORDER_EVERY) == 0 else "sell"
                waiting = story.order(txn, run, bar, side=side)
            elif waiting[0]:
                lines.record_fill(txn, *waiting, "0.5", "100", "0.01")
                waiting = ("", "")
            bar += 1

    start = time.perf_counter()
    while story.ledger.size < count:
        story.clock.advance(60_000_000)
        story.do(burst)
    return story, time.perf_counter() - start


def measured(title: str, source: str | None, *words: str) -> tuple[float, float]:
    """(seconds, peak MiB) of one process, printed. source None: words are a command of its own."""
    command = [sys.executable, *(["-c", source] if source else []), *words]
    root = Path(__file__).parents[1]
    start = time.perf_counter()
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": f"{root}:{root / 'tests'}"}
    )
    _, status, usage = os.wait4(child.pid, 0)
    spent = time.perf_counter() - start
    if status:
        raise SystemExit(f"{title}: failed with status {status}")
    peak = usage.ru_maxrss / 1024
    print(
        f"{title}: {spent:.1f} s ({usage.ru_utime + usage.ru_stime:.1f} s of processor), {peak:.0f} MiB at most"
    )
    return spent, peak


def measure(root: Path, count: int) -> dict[str, float]:
    """Write, verify, export, verify the export; returns the peaks in MiB."""
    root.mkdir(parents=True, exist_ok=True)
    home, export, script = root / "home", root / "export.zip", root / "verify.py"
    story, spent = write(home, count)
    print(f"{story.ledger.size} lines in {spent:.1f} s: {story.ledger.size / spent:.0f} durable lines/s")
    genesis, wall = story.genesis, story.clock.wall_us + 10**6
    story.close()
    for name in ("ledger.db", "blobs.db"):
        print(f"{name}: {(home / name).stat().st_size / MIB:.1f} MiB")
    peaks = {}
    peaks["tree only"] = measured("tree only", TREE, str(home))[1]
    peaks["verify"] = measured("verify in full, without re-execution", VERIFY, str(home), genesis)[1]
    peaks["export"] = measured("export", EXPORT, str(home), str(export))[1]
    print(f"export: {export.stat().st_size / MIB:.1f} MiB")
    script.write_bytes(build())
    peaks["verify.py"] = measured("verify.py", None, str(script), str(export), "--genesis", genesis)[1]
    peaks["open"] = measured("open, all folded again", OPEN, str(home), str(wall))[1]
    peaks["open again"] = measured("opened again, from there on", OPEN, str(home), str(wall + 10**6))[1]
    return peaks


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("lines", nargs="?", type=int, default=1_000_000)
    options.add_argument("--keep", type=Path, help="an empty directory that keeps the ledger and the export")
    given = options.parse_args()
    print(f"load {os.getloadavg()}, cores {os.cpu_count()}, page {resource.getpagesize()}")
    with tempfile.TemporaryDirectory() as directory:
        small = measure(Path(directory) / "small", given.lines // 10)
    print("---")
    with tempfile.TemporaryDirectory() as directory:
        large = measure(given.keep or Path(directory) / "large", given.lines)
    added = given.lines - given.lines // 10
    for name, peak in large.items():
        per_million = (peak - small[name]) / added * 1e6
        print(f"{name}: {per_million:.0f} MiB more per million lines")
    print(f"load {os.getloadavg()}")


if __name__ == "__main__":
    main()
