"""The fold: how the lines make the tables. The writer and the verifier share it."""
