"""One small file per control: `check(order, view, settings, stage)` answers a Refusal or None.

A control reads a frozen view and writes nothing. REGISTRY lists them in the order in which they answer.
"""
