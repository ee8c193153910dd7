"""Amounts and owners as the fold computes them, for code that prepares lines."""

from inalpha.audit.fold.base import account_of, e8, handle_of, notional, plus, position, reduces, sign_of

__all__ = ["account_of", "e8", "handle_of", "notional", "plus", "position", "reduces", "sign_of"]
