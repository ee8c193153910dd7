"""The verifier over a home or a reader: this program's door to it.

inalpha.verifier judges and imports nothing of the writer; what needs the writer comes to it from here: its tables
folded again (C11) and, from the caller, its strategies executed again (I20).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from inalpha.audit.refold import differs
from inalpha.audit.report import Failure, Report
from inalpha.model.readonly import is_closed, read_only_uri
from inalpha.verifier.checkpoints import Policy
from inalpha.verifier.home import Asked, Beside, HomeJudge, read_beside

Progress = Callable[[int, int], None]
Execute = Callable[[sqlite3.Connection], tuple[int | None, str]]


def verify(
    target: Path | str | sqlite3.Connection,
    genesis: str | None = None,
    from_seq: int = 0,
    progress: Progress | None = None,
    *,
    kept: bytes | None = None,
    policy: Policy | None = None,
    require_anchor: bool = False,
    head: bool = True,
    execute: Execute | None = None,
) -> Report:
    """Check a home, or the ledger of a reader alone (then C10 and C11's head are not asked).

    genesis: the hash that the auditor kept. kept: a checkpoint note that he kept. policy: whose cosignatures count
    for him; without a quorum of theirs C7 fails. require_anchor: lines that nothing outside of this machine covers
    are a failure. head: false for a copy that has no head file of its own. from_seq: signatures of earlier lines
    are taken as verified before; chain, tree, gates and books always run from line 0.
    """
    asked = Asked(genesis, from_seq, progress, kept, policy, require_anchor, differs, execute)
    if isinstance(target, sqlite3.Connection):
        judge = HomeJudge(target, Beside(), asked, is_home=False)
        judge.run()
        _conclude(judge)
        return _report(judge)
    home = Path(target)
    beside = read_beside(home, head=head)
    path = home / "ledger.db"
    if not path.exists():
        missing = Report()
        for failure in (*beside.failures, ("C11", 0, "there is no ledger.db")):
            missing.fail(*failure)
        return missing
    reader = sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None, timeout=5.0)
    with closing(reader):
        judge = HomeJudge(reader, beside, asked, is_home=True)
        try:
            reader.execute("PRAGMA query_only = ON")
            judge.run()
            _blobs(home, judge)
            _conclude(judge)
        except sqlite3.DatabaseError as error:
            if is_closed(error):
                raise
            judge.fail("C3", judge.tree.size, f"the file cannot be read: {error}")
        return _report(judge)


def _blobs(home: Path, judge: HomeJudge) -> None:
    path = home / "blobs.db"
    try:
        with closing(sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None)) as blobs:
            judge.check_blobs(blobs)
    except sqlite3.Error as error:
        if is_closed(error) and path.exists():
            raise
        judge.fail("C10", 0, f"blobs.db cannot be read: {error}")


def _conclude(judge: HomeJudge) -> None:
    if judge.asked.progress is not None:
        judge.asked.progress(judge.tree.size, judge.tree.size)
    judge.conclude()


def _report(judge: HomeJudge) -> Report:
    size = judge.tree.size
    return Report(
        size=size,
        root=judge.tree.root(size).hex(),
        genesis=judge.genesis,
        failures={check: Failure(seq, reason) for check, (seq, reason) in judge.failures.items()},
        notes=judge.notes,
        unanchored_since=judge.covered if judge.covered < size else None,
        unanchored_ts=judge.unanchored_ts,
    )
