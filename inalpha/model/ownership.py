"""Whose account: the one function that turns an identity into an account id."""

from __future__ import annotations

import re
import uuid

NAMESPACE = uuid.UUID("dcc156b6-bb4f-59e1-899c-6bcff83dfef1")

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def owner_account_id(identity: str) -> str:
    """A hyphenated UUID in lower case, anything else hashed as given, without Unicode normalisation."""
    if _UUID.fullmatch(identity):
        return identity.lower()
    return str(uuid.uuid5(NAMESPACE, identity))
