"""The names of the checks, and the two ways in which something does not hold."""

from __future__ import annotations

OK, USAGE, BROKEN = 0, 2, 6

CHECKS = {
    "C1": "form and canonical bytes of every line and of the file",
    "C2": "signature by the log key current at that line",
    "C3": "sequence, chain, origin and epochs",
    "C4": "genesis hash",
    "C5": "tree root at every checkpoint, tiles",
    "C6": "consistency with the kept checkpoint",
    "C7": "witness cosignatures",
    "C8": "gates",
    "C9": "proposals",
    "C10": "blobs and commitments",
    "I1": "fills follow from executed plans",
    "I2": "one execution and one token per plan",
    "I3": "plan and mandate digests",
    "I4": "who approved",
    "I5": "one owner for account, candidate and run",
    "I6": "risk results before approval",
    "I7": "only promoted candidates run",
    "I8": "plans within their mandate",
    "I9": "halts bind",
    "I10": "one step per closed bar",
    "I11": "one decision per intent",
    "I12": "no fill in its decision's bar",
    "I13": "cash, positions, fees and the claims of report.json",
    "I14": "live runs per account and symbol",
    "I15": "legal transitions, each once",
    "I16": "recovery after an unclosed epoch",
    "I17": "ids and nonces",
    "I18": "clocks",
    "I19": "loosening is signed",
    "I22": "isolation below sealed is waived",
}


class Broken(Exception):
    """A check that does not hold. check: its name in CHECKS."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(reason)
        self.check = check
        self.reason = reason


def require(holds: object, check: str, reason: str) -> None:
    if not holds:
        raise Broken(check, reason)


class Malformed(Exception):
    """Bytes that are not of the format."""
