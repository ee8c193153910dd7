"""The operator console: a Textual client of the ledger and the bus that holds no trading state."""
