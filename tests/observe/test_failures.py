"""S1, S10: a bug is told with its place, never with what the variables held."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from authproxy.observe.failures import describe, message_of
from authproxy.pipeline.username import MalformedUsername

CANARY = "c4n4ry-7f3a"


def raised(password: str) -> BaseException:
    try:
        try:
            int(password)
        except ValueError:
            {}[password]
    except KeyError as error:
        return error
    raise AssertionError


def test_place_and_chain_without_values() -> None:
    told = describe(raised(CANARY))
    assert told["error"] == "KeyError < ValueError"
    assert "tests/observe/test_failures.py:" in told["traceback"]
    assert " raised" in told["traceback"]
    assert CANARY not in str(told)


@pytest.mark.parametrize(
    "work",
    [
        lambda: int(CANARY),
        lambda: {}[CANARY],
        lambda: ipaddress.ip_address(CANARY),
        lambda: CANARY.encode().decode("ascii").encode("utf-8")[:1].decode("utf-16"),
        lambda: f"{CANARY}\xff".encode("latin-1").decode("utf-8"),
        lambda: f"it's {CANARY}".index(f'"{CANARY}"'),
        lambda: [].remove(CANARY),
    ],
)
def test_other_peoples_texts_lose_their_values(work: object) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each its own
        work()  # type: ignore[operator]
    assert CANARY not in message_of(caught.value)


def test_what_helps_stays() -> None:
    with pytest.raises(AttributeError) as caught:
        None.decode()  # type: ignore[attr-defined]
    assert message_of(caught.value) == "'NoneType' object has no attribute 'decode'"
    with pytest.raises(OSError, match="No such") as missing:
        Path("/nowhere/at all").read_bytes()
    assert message_of(missing.value) == "No such file or directory: /nowhere/at all"
    assert message_of(MalformedUsername("user name has 'U+0007'")) == "user name has 'U+0007'"


def test_a_loop_of_causes_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert describe(first)["error"].count("ValueError") == 4
