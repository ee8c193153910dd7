"""Every command of the daemon, each argument spoiled in turn: refused by name, never a failure inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation

from inalpha.cli.client import gate, send, unlock
from inalpha.daemon.commands import COMMANDS
from inalpha.model.errors import EXIT_REFUSED, EXIT_USAGE, InalphaError
from inalpha.model.home import Home

HASH = "0" * 64
REASON = {"reason": "why", "salt": HASH, "reason_commit": HASH}
FEED = {
    "calendar": "24x7", "currency": "USD", "data_sha256": HASH, "kind": "replay", "lot_e8": 10**8,
    "path": "/nowhere", "speed": "max", "symbol": "GOOG", "tick_e8": 10**6, "timeframe": "1d", "v": 1,
}  # fmt: skip
MANDATE = {
    "account": HASH, "allocation": "1", "approval": "machine", "candidate_sha256": HASH, "expires": 1,
    "feed": {"config_sha256": HASH, "kind": "replay", "name": "x"}, "fill": "next_open",
    "limits_sha256": HASH, "params": {}, "symbol": "GOOG", "timeframe": "1d", "v": 1,
}  # fmt: skip

# Whole, as far as a form goes: each of these is refused for what it says, if at all.
WHOLE: dict[str, dict[str, Any]] = {
    "candidate.submit": {"source": "eA==", "rationale_commit": HASH, "salt": HASH, "rationale": "why"},
    **{
        f"candidate.{word}": {"candidate": "cand-000000000000", "gate": "x", **REASON}
        for word in ("promote", "reject", "revoke")
    },
    "run.start": {"mandate": MANDATE, "feed": "{}", "gate": "x"},
    "stop": {"run": "run-1"},
    "plan.approve": {"plan": "plan-1", "gate": "x", "plan_sha256": HASH},
    "plan.reject": {"plan": "plan-1", "gate": "x", "plan_sha256": HASH, **REASON},
    "plan.create": {
        "body": {"run": "run-1", "rationale_commit": HASH, "expires": 1, "reduce_only": False},
        "rationale": "why",
        "salt": HASH,
        "rationale_commit": HASH,
    },
    "halt": {"scope": "run", "state": "HALTED", "run": "run-9", "reason": "why"},
    "halt.resume": {"scope": "all", "gate": "x", "reducing": True, **REASON},
    "alert.ack": {"alert": 1},
    "key.enrol": {"data": {"principal": "op:bob", "role": "operator", "sponsor": None, "vkey": "x"}, "gate": "x"},
    "key.revoke": {"data": {"principal": "op:bob", "valid_through_seq": 0, "vkey": "x"}, "gate": "x"},
    "limits.set": {"data": {"account": HASH, "direction": "loosen", "rules_sha256": HASH}, "gate": "x"},
    "policy.opt_out": {"data": {"rule": "x", "run": "run-1", "expires": 1}, "gate": "x", "reason": "why"},
    "witness.cosign": {"note": "x"},
    "account.open": {
        "data": {"account": HASH, "cash": "1", "currency": "USD", "owner": "op:alice"},
        "gate": "x",
        "limits": {"account": HASH, "direction": "loosen", "rules_sha256": HASH},
        "limits_gate": "x",
    },
    "account.deposit": {"data": {"account": HASH, "amount": "1"}, "gate": "x"},
    "blob.erase": {"data": {"commit": HASH, "reason": "why"}, "gate": "x"},
}  # fmt: skip
ODD: tuple[Any, ...] = (
    None,
    7,
    "",
    "\ud800".encode("utf-8", "replace").decode(),
    "zz",
    [],
    {},
    {"x": []},
    -1,
)


def spoiled(args: dict[str, Any]) -> list[dict[str, Any]]:
    """Each argument, and each member of an argument, missing and of every odd form."""
    found: list[dict[str, Any]] = [args, {}]
    for name, value in args.items():
        found.append({key: other for key, other in args.items() if key != name})
        found += [{**args, name: odd} for odd in ODD]
        if isinstance(value, dict):
            for member in value:
                found += [{**args, name: {**value, member: odd}} for odd in ODD]
    return found


def test_every_spoiled_command_is_refused_by_name(tmp_path: Path) -> None:
    assert COMMANDS.keys() <= WHOLE.keys()
    home = Installation(tmp_path / "home")
    home.init()
    home.start()
    try:
        at = Home.at(home.home)
        who = unlock(at, "alice", None)
        wrong = []
        for command in COMMANDS:
            for odd in spoiled(WHOLE[command]):
                try:
                    send(at, command, odd, who)
                except InalphaError as error:
                    if error.exit_code not in (EXIT_USAGE, EXIT_REFUSED):
                        wrong.append((command, odd, error.code, error.message))
                else:
                    if command != "halt":
                        wrong.append((command, odd, "taken", ""))
        assert not wrong, "\n".join(map(str, wrong))
        # A form that only the line's own check refuses: exit 4 and a line on record, like any other refusal.
        data = {"account": home.json("account")["account"], "amount": "01"}
        signed = {"data": data, "gate": gate(at, who, "account.deposit", data)}
        with pytest.raises(InalphaError) as raised:
            send(at, "account.deposit", signed, who)
        assert (raised.value.code, raised.value.exit_code) == ("LINE_FORM", EXIT_REFUSED)
        told = [json.loads(line)["data"]["code"] for line in
                home("audit", "log", "--kind", "refusal", "--json").splitlines()]  # fmt: skip
        assert "LINE_FORM" in told
    finally:
        home.stop()
