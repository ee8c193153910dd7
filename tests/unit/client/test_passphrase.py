"""A passphrase is judged by the guesses that it takes: length alone makes none strong."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.installation import inalpha, secret_file

from inalpha.client.passphrase import check_passphrase
from inalpha.model.errors import Refused


@pytest.mark.parametrize(
    "weak",
    ["", "password", "password1234", "aaaaaaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabcabc", "qwertyuiop[]",
     "alice-paper-desk", "inalpha-alice", "2024-01-01", "Summer2024!", "letmein letmein", "right horse"],
)  # fmt: skip
def test_what_is_guessed_soon_is_refused(weak: str) -> None:
    with pytest.raises(Refused) as caught:
        check_passphrase(weak, "alice", "paper-desk")
    assert caught.value.code == "PASSPHRASE" and caught.value.fix
    # It may be the right one with a typing error, so no message repeats it.
    assert weak in ("", "password") or weak not in str(caught.value)


@pytest.mark.parametrize(
    "strong", ["correct horse battery", "xK9#mQ2vL8pR", "größe lampe fenster", "9" * 40 + "xK#q vW!7 pz" * 9]
)
def test_what_takes_years_is_taken(strong: str) -> None:
    check_passphrase(strong, "alice", "home")


def test_the_message_says_what_is_weak_and_how_to_mend_it() -> None:
    with pytest.raises(Refused) as caught:
        check_passphrase("password")
    assert "3 guesses" in caught.value.message and "common password" in caught.value.message
    assert caught.value.fix.startswith("Add another word or two")


def test_init_takes_no_weak_passphrase(tmp_path: Path) -> None:
    secret = secret_file(tmp_path / "secret", "alicealice2024\n")
    found = inalpha(tmp_path / "home", "init", "--operator", "alice", "--passphrase-file", str(secret))
    assert found.returncode == 4 and "error: PASSPHRASE" in found.stderr
    assert not (tmp_path / "home").exists()
