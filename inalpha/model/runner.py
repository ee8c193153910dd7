"""How a runner ends: the stable codes, what each makes of the run, and the errors that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from inalpha.model.errors import InalphaError


class RunBecomes(StrEnum):
    """FAILED is final: the same bytes on the same bars fail again. REBUILT: replayed in a new runner."""

    FAILED = "failed"
    REFUSED = "refused"
    REBUILT = "rebuilt"


END_CODES: dict[str, RunBecomes] = {
    "deadline": RunBecomes.FAILED,
    "between": RunBecomes.FAILED,
    "memory": RunBecomes.FAILED,
    "sigsys": RunBecomes.FAILED,
    "protocol": RunBecomes.FAILED,
    "output": RunBecomes.FAILED,
    "exception": RunBecomes.FAILED,
    "exit": RunBecomes.FAILED,
    "signal": RunBecomes.FAILED,
    "load": RunBecomes.REFUSED,
    "isolation": RunBecomes.REFUSED,
    "killed": RunBecomes.REBUILT,
    "host_lost": RunBecomes.REBUILT,
}

# What an author does about an end that his own file brought.
END_FIXES: dict[str, str] = {
    "deadline": "Do less on a bar: declare indicators in on_start, and ask history() for few bars.",
    "between": "Leave no thread, timer or finaliser at work when a callback returns.",
    "memory": "Keep less: only the bars and values that the rule reads.",
    "sigsys": "Use no files, network, processes or threads.",
    "output": "Write with self.log(text) instead of print, and less.",
    "exit": "Return from on_bar instead of leaving the process.",
    "load": "Mend that line; inalpha lint FILE explains more.",
}

# Codes that no honest strategy reaches by mistake: the operator is told at once.
SECURITY_ALERTS = frozenset({"sigsys", "protocol"})


class RunnerEnded(InalphaError):
    """A runner is gone. code: a key of END_CODES; the message is what the operator reads."""

    def __init__(
        self, code: str, message: str, fix: str = "", *, detail: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(code, message, fix or END_FIXES.get(code, ""), detail=detail)
        self.becomes = END_CODES[code]
        self.is_security_alert = code in SECURITY_ALERTS


class HostLost(RunnerEnded):
    """The runner host stopped beating; its runs are rebuilt elsewhere or later."""

    def __init__(self, host: str, age_s: float) -> None:
        super().__init__("host_lost", f"no beat from {host} for {age_s:.1f} s")
        self.host = host
        self.age_s = age_s
