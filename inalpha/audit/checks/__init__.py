"""The parts of the verifier; inalpha.audit.verify leads them over the lines."""
