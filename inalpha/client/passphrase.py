"""Is a new passphrase worth its Argon2id? Judged by how many guesses it takes, never by its length."""

from __future__ import annotations

from inalpha.model.errors import Refused

# Whoever copied a key file guesses at home. Argon2id with 256 MiB holds a machine to some hundred guesses a second:
# ten thousand million of them are years. It is what zxcvbn calls 4 of 4.
LEAST_GUESSES = 10**10
# zxcvbn's work grows with the length; what the first letters are worth is enough.
JUDGED = 72


def check_passphrase(text: str, *names: str) -> None:
    """Raise Refused("PASSPHRASE") with what is weak about it. names: words that a guesser tries first."""
    from zxcvbn import zxcvbn  # its word lists cost 50 ms: only who makes a key pays

    if not text:
        raise Refused("PASSPHRASE", "the passphrase is empty.", "Four uncommon words make a good one.")
    told = zxcvbn(text[:JUDGED], user_inputs=["inalpha", *names])
    if told["guesses"] >= LEAST_GUESSES:
        return
    why = str(told["feedback"]["warning"]).rstrip(".")
    advice = " ".join(told["feedback"]["suggestions"])
    raise Refused(
        "PASSPHRASE",
        f"the passphrase falls to {int(told['guesses']):,} guesses, {LEAST_GUESSES:,} are demanded"
        + (f": {why[0].lower()}{why[1:]}." if why else "."),
        advice or "Add another word or two. Uncommon words are better.",
    )
