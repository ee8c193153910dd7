"""Has pandas read a file that anybody may read."""

# held by: seccomp

import pandas as pd


def attack(strategy, targets):
    strategy.log(str(list(pd.read_csv(targets["secret"], header=None)[0])))
