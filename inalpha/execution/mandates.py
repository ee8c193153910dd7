"""Mandates: the limits of one run, signed in full by a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inalpha.audit.canonical import digest
from inalpha.audit.schema import SchemaError, check_object
from inalpha.model.errors import InalphaError
from inalpha.model.ownership import owner_account_id

MANDATE_HEADER = "inalpha.audit/mandate/v1"

__all__ = ["MANDATE_HEADER", "mandate", "mandate_digest", "owner_account_id"]


def mandate(
    *,
    account: str,
    candidate_sha256: str,
    symbol: str,
    timeframe: str,
    feed_kind: str,
    feed_name: str,
    feed_sha256: str,
    allocation: str,
    limits_sha256: str,
    approval: str,
    expires_us: int,
    fill: str = "next_open",
    params: Mapping[str, int | str | bool] | None = None,
) -> dict[str, Any]:
    """The object that the operator signs. Raises InalphaError("MANDATE") for a member of another form."""
    built = {
        "account": account,
        "allocation": allocation,
        "approval": approval,
        "candidate_sha256": candidate_sha256,
        "expires": expires_us,
        "feed": {"config_sha256": feed_sha256, "kind": feed_kind, "name": feed_name},
        "fill": fill,
        "limits_sha256": limits_sha256,
        "params": dict(params or {}),
        "symbol": symbol,
        "timeframe": timeframe,
        "v": 1,
    }
    try:
        check_object("mandate", built)
    except SchemaError as error:
        raise InalphaError("MANDATE", f"{error}.", "Correct it and sign again.", exit_code=2) from error
    return built


def mandate_digest(signed: Mapping[str, Any]) -> str:
    return digest(MANDATE_HEADER, signed)
