"""The demonstration: two strategies, real daily bars, the ordinary path."""
