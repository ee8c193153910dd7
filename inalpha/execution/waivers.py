"""Waivers: the owner's signed, expiring leave for one run to do without one protection.

A rule is `isolation.LEVEL.HOST`, for a host that measures no more than LEVEL, or the name of a risk control that the
rules in force switch off. The line is `policy.opt_out`. The last line of a rule and run decides: the owner ends a
waiver by signing one that is over already.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from inalpha.model.errors import Refused

MAX_LIFE_US = 30 * 86_400 * 1_000_000
# Below sealed. What each lacks: the layers of runners/probe.py that its lockdown leaves out.
MISSING_AT = {"fenced": "the seccomp filter", "process": "the seccomp filter and Landlock"}

_ISOLATION = re.compile(rf"isolation\.({'|'.join(MISSING_AT)})\.[a-z0-9-]{{1,40}}\Z")


@dataclass(frozen=True, slots=True)
class Waiver:
    """seq: its line. expires: microseconds since 1970."""

    rule: str
    run: str
    expires: int
    seq: int

    @property
    def over_text(self) -> str:
        return f"its waiver {self.rule} (line {self.seq}) is over"

    def as_dict(self) -> dict[str, Any]:
        return {"rule": self.rule, "seq": self.seq, "expires": self.expires}


def isolation_rule(level: str, host: str) -> str:
    """The rule that lets a run start on a host measured at this level."""
    return f"isolation.{level}.{host}"


def in_force(conn: sqlite3.Connection, run: str, now_us: int) -> dict[str, Waiver]:
    """By rule, what the last line about this run says, where that still holds."""
    query = "SELECT rule, run, expires, max(seq) FROM opt_out WHERE run = ? GROUP BY rule"
    return {row[0]: Waiver(*row) for row in conn.execute(query, (run,)) if row[2] > now_us}


def check_opt_out(
    data: Mapping[str, Any],
    held: Mapping[str, Waiver],
    *,
    controls: Iterable[str],
    next_run: str,
    live: Iterable[str],
    now_us: int,
) -> None:
    """Raise Refused for a waiver that could bind nothing, or the end of none.

    held: what is in force for the run. next_run: the id that the next start will get.
    """
    rule, run, expires = str(data.get("rule")), data.get("run"), data.get("expires")
    if isinstance(expires, int) and expires <= now_us:
        if rule not in held:
            raise Refused("NO_WAIVER", f"{run} has no waiver {rule!r} to end.", "inalpha policy explain")
        return
    known = sorted(controls)
    if rule not in known and not _ISOLATION.match(rule):
        raise Refused(
            "OPT_OUT_RULE",
            f"{rule!r} is no rule that can be waived.",
            f"isolation.{'|'.join(MISSING_AT)}.HOST, or a control: {', '.join(known)}.",
        )
    if not isinstance(expires, int) or not now_us < expires <= now_us + MAX_LIFE_US:
        raise Refused("OPT_OUT_EXPIRY", "a waiver ends within 30 days.", "--expires 7d")
    if run != next_run and run not in set(live):
        raise Refused(
            "OPT_OUT_RUN", f"{run} is neither live nor the next run.", f"The next start will be {next_run}."
        )


def demand(conn: sqlite3.Connection, run: str, needed: Mapping[str, str], now_us: int) -> list[Waiver]:
    """The waivers that a start relies on. needed: rule to why. Raises Refused("WAIVER_NEEDED") with the verb."""
    held = in_force(conn, run, now_us)
    for rule, why in needed.items():
        if rule not in held:
            raise Refused(
                "WAIVER_NEEDED",
                f"{run}: {why}.",
                f"The owner may sign: inalpha policy opt-out {rule} --run {run} --expires 7d --reason TEXT",
                detail={"rule": rule, "run": run},
            )
    return [held[rule] for rule in needed]


def needed_for(disabled: Iterable[str], host: str, level: str | None) -> dict[str, str]:
    """Rule to why, for the controls that are off and the host's measured level. Raises Refused("ISOLATION")."""
    needed = {name: f"controls.{name} is switched off" for name in disabled}
    if level == "sealed":
        return needed
    if level not in MISSING_AT:
        raise Refused(
            "ISOLATION",
            f"{host} holds strategies at no level at all.",
            "See: inalpha doctor. No waiver helps.",
        )
    why = f"{host} is measured {level}, sealed is demanded; missing: {MISSING_AT[level]}"
    return {**needed, isolation_rule(level, host): why}
