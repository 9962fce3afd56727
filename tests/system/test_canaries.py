"""Oracle B3 itself: it finds a planted secret however it is written, and doesn't cry without one."""

from __future__ import annotations

import base64
import json
import secrets
from urllib.parse import quote

import pytest

from tests.system.bench.canaries import WINDOW, Canaries

SECRET = "tH3Qz7rXk1mB9vC4pLw8sN2y"
LETTERS = "Grüße aus Köln, Fräulein".encode()
BINARY = bytes(range(0x80, 0xA0))

WRITINGS = {
    "raw": lambda octets: octets,
    "hex": lambda octets: octets.hex().encode(),
    "upper hex": lambda octets: octets.hex().upper().encode(),
    "hex dump": lambda octets: octets.hex(" ").encode(),
    "colons": lambda octets: octets.hex(":").encode(),
    "base64": base64.b64encode,
    "base64 behind one": lambda octets: base64.b64encode(b"x" + octets + b"y"),
    "base64 behind two": lambda octets: base64.b64encode(b"xy" + octets),
    "base64 for URLs": lambda octets: base64.urlsafe_b64encode(b"xy" + octets),
    "basic credentials": lambda octets: base64.b64encode(b"DIXXXXXXXXXXXXXXXXXX:" + octets),
    "URL": lambda octets: quote(octets, safe="").encode(),
    "percent": lambda octets: "".join(f"%{octet:02X}" for octet in octets).encode(),
    "utf-16le": lambda octets: b"".join(bytes((octet, 0)) for octet in octets),
    "repr": lambda octets: repr(octets).encode(),
    "latin-1 as JSON": lambda octets: json.dumps(octets.decode("latin-1")).encode(),
    "latin-1 as UTF-8": lambda octets: octets.decode("latin-1").encode(),
    "reversed": lambda octets: octets[::-1],
    "reversed and escaped": lambda octets: repr(octets[::-1]).encode(),
    "reversed hex": lambda octets: octets[::-1].hex().encode(),
}


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    made = Canaries()
    for name, octets in (("letters", SECRET), ("umlauts", LETTERS), ("octets", BINARY)):
        made.keep(name, octets)
    return made


def log_with(octets: bytes) -> bytes:
    noise = b'{"timestamp": "2026-01-01T00:00:00.000000Z", "login": "0123456789abcdef", "field": "'
    return noise * 20 + octets + b'"}\n' + noise * 20


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("secret", [SECRET.encode(), LETTERS, BINARY], ids=["letters", "umlauts", "octets"])
def test_finds_a_planted_secret(canaries: Canaries, secret: bytes, writing: str) -> None:
    """B3"""
    assert canaries.find("log", log_with(WRITINGS[writing](secret)))


@pytest.mark.parametrize("at", range(len(SECRET) - WINDOW + 1))
def test_finds_any_eight_characters(canaries: Canaries, at: int) -> None:
    """B3: a length or a mask that shows a part shows too much."""
    part = SECRET[at : at + WINDOW].encode()
    assert [leak.secret for leak in canaries.find("log", log_with(b"***" + part + b"***"))] == ["letters"]
    assert canaries.find("log", log_with(base64.b64encode(part)))


def test_finds_text_escaped_by_json(canaries: Canaries) -> None:
    assert canaries.find("log", json.dumps({"password": LETTERS.decode()}).encode())


def test_says_which_and_where(canaries: Canaries) -> None:
    (leak,) = canaries.find("authproxy.log", log_with(SECRET.encode()))
    assert (leak.secret, leak.form, leak.where) == ("letters", "raw", "authproxy.log")
    assert SECRET.encode() in leak.around


def test_is_quiet_about_a_log_without_secrets(canaries: Canaries) -> None:
    noise = base64.b64encode(secrets.token_bytes(200_000)) + secrets.token_hex(100_000).encode()
    assert canaries.find("log", noise) == []
    assert canaries.find("log", log_with(SECRET[: WINDOW - 1].encode())) == []


def test_a_passcode_counts_as_a_whole() -> None:
    """Eight digits are in any log by chance; all ten are no chance."""
    canaries = Canaries()
    passcode = canaries.passcode("passcode")
    assert canaries.find("log", log_with(passcode.encode()))
    assert canaries.find("log", log_with(base64.b64encode(passcode.encode())))
    assert canaries.find("log", log_with(passcode[:9].encode())) == []
