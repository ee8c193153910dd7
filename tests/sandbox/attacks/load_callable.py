"""Has an on_bar that is no plain function."""

# ends: load
# escapes without: -

import functools

from inalpha import Strategy


class Attack(Strategy):
    on_bar = functools.partial(print)
