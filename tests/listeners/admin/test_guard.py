"""DNS rebinding and tokens: every check meets a forgery."""

from __future__ import annotations

import base64

import pytest

from authproxy.listeners.admin.guard import Asked, Guard
from authproxy.secret import Secret

TOKEN = Secret(b"correct horse battery staple")


def basic(user: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def status(guard: Guard, **changes: bytes | None) -> int:
    asked = {"method": b"GET", "path": b"/", "host": b"127.0.0.1:8912", "authorization": None} | changes
    refusal = guard.refuses(Asked(**asked))  # type: ignore[arg-type]
    return 200 if refusal is None else refusal.status.value


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"127.0.0.1:8912", 200),
        (b"127.0.0.1", 200),
        (b"localhost:1", 200),
        (b"LOCALHOST", 200),
        (b"[::1]:8912", 200),
        (b"[::1]", 200),
        (b"proxy1.corp.example:8912", 200),
        (b"Proxy1.Corp.Example", 200),
        (b"evil.example", 421),
        (b"evil.example:8912", 421),
        (b"localhost.evil.example", 421),
        (b"127.0.0.1.evil.example", 421),
        (b"proxy1.corp.example.evil.example", 421),
        (b"evil.example#127.0.0.1", 421),
        (b"[::1].evil.example", 200),  # no browser says so, and no name resolves to it
        (b"", 421),
        (b":8912", 421),
        (b"\xff\xfe", 421),
        (None, 421),
    ],
)
def test_host(host: bytes | None, expected: int) -> None:
    assert status(Guard(frozenset({"proxy1.corp.example"})), host=host) == expected


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"get", b""])
def test_it_only_reads(method: bytes) -> None:
    assert status(Guard(), method=method) == 405
    assert status(Guard(), method=b"HEAD") == 200


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (b"Bearer correct horse battery staple", 200),
        (b"bearer correct horse battery staple", 200),
        (basic("anybody", "correct horse battery staple"), 200),
        (None, 401),
        (b"", 401),
        (b"Bearer", 401),
        (b"Bearer ", 401),
        (b"Bearer correct horse battery stapl", 401),
        (b"Bearer correct horse battery staple2", 401),
        (b"Token correct horse battery staple", 401),
        (basic("correct horse battery staple", ""), 401),
        (b"Basic !!!", 401),
        (b"Basic " + base64.b64encode(b"correct horse battery staple"), 401),
    ],
)
def test_token(shown: bytes | None, expected: int) -> None:
    guard = Guard(token=TOKEN)
    assert status(guard, authorization=shown) == expected
    assert status(guard, authorization=shown, path=b"/metrics") == expected
    assert status(guard, authorization=shown, path=b"/livez") == 200
    assert status(guard, authorization=shown, path=b"//livez") == expected


def test_an_empty_token_opens_nothing() -> None:
    guard = Guard(token=Secret(b""))
    assert status(guard, authorization=b"Bearer ") == 401
    assert status(guard, authorization=basic("", "")) == 401
