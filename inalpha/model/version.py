"""The product's version, stamped on journals, ledgers and reports."""

VERSION = "0.1.0"
