"""The command line of verify.py."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import struct
from pathlib import Path

from inalpha.verifier.archive import Archive
from inalpha.verifier.bundle import check_bundle
from inalpha.verifier.checkpoints import Policy
from inalpha.verifier.checks import BROKEN, OK, Broken, Malformed
from inalpha.verifier.embedded import own_source
from inalpha.verifier.export import Verifier
from inalpha.verifier.report import iso, plain, say, show


def own_digest() -> str:
    """What --version prints: which verify.py this is."""
    return hashlib.sha256(own_source()).hexdigest()


def hex_hash(text: str) -> str:
    if re.fullmatch("[0-9a-fA-F]{64}", text) is None:
        raise argparse.ArgumentTypeError("64 hexadecimal digits")
    return text.lower()


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify.py",
        description="Checks an exported Inalpha ledger, or the proof of one fill, without Inalpha.",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument(
        "--genesis", metavar="HEX", type=hex_hash, required=True, help="the hash kept from init"
    )
    parser.add_argument("--policy", metavar="FILE", type=Path, help="whose cosignatures count for you")
    parser.add_argument("--since", metavar="CHECKPOINT", type=Path, help="a checkpoint that you kept")
    parser.add_argument("--require-anchor", action="store_true", help="an uncovered tail is a failure")
    parser.add_argument("--prove", action="store_true", help="FILE is the proof of one fill")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--version", action="version", version=own_digest())
    return parser


def prove(data: bytes, genesis: str, *, as_json: bool) -> int:
    try:
        found = check_bundle(data, genesis)
    except (Broken, Malformed) as error:
        check = error.check + ": " if isinstance(error, Broken) else ""
        if as_json:
            say(json.dumps({"proved": False, "reason": f"{check}{error}"}))
        else:
            say(f"REFUSED: {check}{error}", err=True)
        return BROKEN
    if as_json:
        say(json.dumps({"proved": True, **found}))
    else:
        what = f"{found['side']} {found['quantity']} {found['symbol']} at {found['price']}"
        say(
            f"{found['fill']}: {what}, {iso(found['ts'])}, {found['plan']} approved by {found['approved_by']}"
        )
        say(f"{found['lines']} lines of a log of {found['size']}; nothing is proven about other lines")
    return OK


def main(words: list[str] | None = None) -> int:
    parser = arguments()
    asked = parser.parse_args(words)
    try:
        kept = asked.since.read_bytes() if asked.since else None
        policy = Policy(asked.policy.read_text("utf-8")) if asked.policy else None
        if asked.prove:
            return prove(asked.file.read_bytes(), asked.genesis, as_json=asked.json)
        file = asked.file.open("rb")
    except (OSError, ValueError, Malformed) as error:
        parser.error(plain(error))
    with file:
        try:
            verifier = Verifier(Archive(file), asked.genesis, policy, kept)
            verifier.run()
            result = verifier.result(require_anchor=asked.require_anchor)
        except (Malformed, struct.error) as error:
            reason = f"C1 at line 0: {error}"
            result = {"size": 0, "root": "", "genesis": asked.genesis, "checks": [], "first_bad": 0, "reason": reason,
                      "anchor": "nothing", "anchored": 0, "unanchored_since": 0, "unanchored_time": None}  # fmt: skip
    if asked.json:
        say(json.dumps(result))
    else:
        show(result)
    return OK if result["first_bad"] is None else BROKEN
