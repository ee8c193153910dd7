"""Makers that several test modules share."""
