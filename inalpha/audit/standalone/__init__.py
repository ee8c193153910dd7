"""The verifier that auditors run without this package; exports carry a copy of it."""
