"""The projections' fold, where callers of the ledger look for it; the code is shared with the verifier."""

from inalpha.audit.fold.apply import apply, differing_table
from inalpha.audit.fold.base import TABLES, Violation, create_projections

__all__ = ["TABLES", "Violation", "apply", "create_projections", "differing_table"]
