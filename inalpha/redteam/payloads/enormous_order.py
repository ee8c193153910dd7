"""Orders more than the account can hold."""

# held by: risk engine


def attack(strategy, targets):
    strategy.buy("99999999")
