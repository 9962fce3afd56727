"""R14: noise is told from passwords, R24: passwords of any octets are not taken for noise."""

from __future__ import annotations

import os

import pytest

from authproxy.listeners.radius.secret_check import looks_like_noise
from authproxy.secret import Secret


def noise(octets: bytes, *, proven: bool = False) -> bool:
    """As the listener sees it: padded to 16, the trailing NULs taken off again."""
    padded = len(octets) + -len(octets) % 16
    return looks_like_noise(Secret(octets.rstrip(b"\0")), padded or 16, proven=proven)


def test_what_a_wrong_secret_makes() -> None:
    """1 in 65,536 of these may look like a short password; of 2,000 none should, and one is forgiven."""
    assert sum(not noise(os.urandom(16)) for _ in range(2000)) <= 1
    assert sum(not noise(os.urandom(32)) for _ in range(2000)) <= 1


@pytest.mark.parametrize(
    "password",
    [
        b"x",
        b"correct horse",
        b"0123456789abcdef",
        "pässwörd".encode(),
        "pässwörd".encode("latin-1"),
        b"\xff" * 5,
        b" leading and trailing ",
        b"tab\tinside",
        b"a" * 128,
        ("ü" * 64).encode(),
    ],
)
def test_passwords_are_not_noise(password: bytes) -> None:
    assert not noise(password)


def test_long_latin_1_from_a_client_that_knows_the_secret() -> None:
    password = ("pässwörd" * 2).encode("latin-1")
    assert noise(password)
    assert not noise(password, proven=True)
    assert noise(os.urandom(15) + b"\x01", proven=True)


def test_a_secret_that_was_right_once() -> None:
    """Changed on the NAS since: little of the noise may go on to the directory."""
    assert sum(not noise(os.urandom(16), proven=True) for _ in range(5000)) < 150
