"""Orders a million times on one bar."""

# held by: step protocol


def attack(strategy, targets):
    for _ in range(1_000_000):
        strategy.buy("1")
