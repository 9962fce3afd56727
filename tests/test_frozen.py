"""Values: equal by what they hold, usable as keys, and refused by mypy as something to change."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from mypy import api

from authproxy.frozen import frozen

CHANGES = """
from authproxy.frozen import frozen

@frozen
class Point:
    x: int
    y: int = 0

point = Point(1)
point.x = 2
"""


@frozen
class Login:
    name: str
    password: str = field(default="", repr=False)


def test_equal_values_are_the_same_key() -> None:
    assert Login("alice") == Login("alice") != Login("bob")
    assert len({Login("alice"), Login("alice"), Login("bob")}) == 2


def test_nothing_else_can_be_kept_in_it() -> None:
    assert not hasattr(Login("alice"), "__dict__")


def test_what_is_not_shown_stays_so() -> None:
    assert repr(Login("alice", "secret")) == "Login(name='alice')"


def test_mypy_refuses_a_change(tmp_path: Path) -> None:
    changes = tmp_path / "changes.py"
    changes.write_text(CHANGES)
    found, _, _ = api.run(["--strict", "--cache-dir", str(tmp_path / "cache"), str(changes)])
    assert 'Property "x" defined in "Point" is read-only' in found, found
    assert "Found 1 error" in found, found
