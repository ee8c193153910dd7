"""The closed list of lines: which members each kind has, of which types, and who has to sign for it.

The tables are those of event_schemas.json; here is what its words mean.
"""

from __future__ import annotations

import re
from typing import Any

from inalpha.verifier.canonical import MAX_INTEGER
from inalpha.verifier.embedded import SPECIFICATION

KINDS: dict[str, dict[str, Any]] = SPECIFICATION["kinds"]
GATE_SUBJECTS: dict[str, list[str]] = SPECIFICATION["gate_subjects"]
PROPOSAL_SUBJECTS: dict[str, list[str]] = SPECIFICATION["proposal_subjects"]
OBJECTS = SPECIFICATION["objects"]
# Objects inside of lines go by the member that holds them.
FORMS: dict[str, dict[str, str]] = {
    **{kind: entry["data"] for kind, entry in KINDS.items()},
    "mandate": OBJECTS["mandate"], "body": OBJECTS["plan body"], "feed": OBJECTS["mandate.feed"],
}  # fmt: skip
TWO_PERSON = ("candidate.promote", "run.start")
GATE_ROLES = {"no": None, "owner": "owner", "operator": "operator"}
SYSTEM = ("system:live_runner", "system:risk", "system:daemon")

COUNT = "[1-9][0-9]{0,14}"
NUMBER = f"(0|{COUNT})"
ID_FORMS = {
    "candidate": "cand-[0-9a-f]{12}",
    "intent": f"run-{COUNT}:{NUMBER}:{NUMBER}",
    "run": f"run-{COUNT}",
    "plan": f"plan-{COUNT}",
    "order": f"order-{COUNT}",
    "fill": f"fill-{COUNT}",
    "proposal": f"prop-{COUNT}",
}
BASE64_FORM = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
TEXT_FORMS = {
    "sha256": "[0-9a-f]{64}",
    "commit": "[0-9a-f]{64}",
    "account": "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "text": "[!-~]([ -~]{0,62}[!-~])?",
    "key name": "[!-~]{1,200}",
    "b64": BASE64_FORM,
    "vkey": r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}",
    "principal": "(op|agent):[a-z0-9][a-z0-9-]{0,35}",
    "claimant": "(op|agent|os):[a-z0-9][a-z0-9-]{0,35}",
    "dec": r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?",
}
PATTERNS = {name: re.compile(form) for name, form in (ID_FORMS | TEXT_FORMS).items()}


def fits(member: str, kind: str, value: Any) -> bool:
    """Whether a member's value has the type that the table gives it."""
    if kind.endswith("?"):
        return value is None or fits(member, kind[:-1], value)
    if kind in ("int", "us"):
        return type(value) is int and 0 <= value <= MAX_INTEGER
    if kind == "bool":
        return type(value) is bool
    if kind == "obj":
        return fits_params(value) if member == "params" else fits_form(member, value)
    if kind == "list":
        return fits_positions(value)
    if type(value) is not str:
        return False
    if kind == "note":
        return True
    if "|" in kind:
        return value in kind.split("|")
    if kind == "principal" and value in SYSTEM:
        return True
    if kind == "dec" and (value == "-0" or sum(map(str.isdigit, value)) > 38):
        return False
    if kind == "id":
        kind = member
    elif kind == "text" and member in ("origin", "witness"):
        kind = "key name"
    return PATTERNS[kind].fullmatch(value) is not None


def fits_form(name: str, value: Any) -> bool:
    form = FORMS.get(name)
    if form is None or type(value) is not dict or not value.keys() <= form.keys():
        return False
    return all(
        fits(member, kind.removesuffix("??"), value[member]) if member in value else kind.endswith("??")
        for member, kind in form.items()
    )


def fits_params(value: Any) -> bool:
    if type(value) is not dict:
        return False
    for item in value.values():
        if type(item) is str and len(item) > 256:
            return False
        if type(item) not in (int, str, bool):
            return False
    return True


def fits_positions(value: Any) -> bool:
    if type(value) is not list:
        return False
    for item in value:
        if type(item) is not list or len(item) != 2 or type(item[0]) is not str:
            return False
        if not fits("", "dec", item[1]) or item[1] == "0":
            return False
    symbols = [item[0] for item in value]
    return symbols == sorted(set(symbols))


def role_for(kind: str, actor: str, data: dict[str, Any]) -> str | None:
    """owner, operator, or None where a line of this kind needs no gate."""
    rule = KINDS[kind]["gate"]
    if rule == "when direction is loosen":
        return "operator" if data["direction"] == "loosen" else None
    if rule == "when actor is op:*":
        return "operator" if actor.startswith("op:") else None
    return GATE_ROLES[rule]
