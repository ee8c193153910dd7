"""Takes four times its budget."""

# held by: limits


def attack(strategy, targets):
    block = bytearray(256 << 20)
    strategy.log(f"ESCAPED: {len(block)} bytes")
