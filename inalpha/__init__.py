"""Inalpha: model-written strategies on a paper account, with a record that a stranger can verify."""

__version__ = "0.1.0"
