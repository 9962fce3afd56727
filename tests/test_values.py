"""Values, frozen at run time and not: the same to whoever doesn't try to change them."""

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from authproxy import values
from authproxy.pipeline.decision import Accept, Reason


def made(decorate: Any) -> Any:
    class Point:
        x: int
        y: int = 2

    return decorate(Point)


def test_in_the_tests_nothing_changes_a_value() -> None:
    accept = Accept(Reason.EXEMPT)
    with pytest.raises(FrozenInstanceError):
        accept.reason = Reason.FRAUD  # type: ignore[misc]


@pytest.mark.parametrize("eq", [True, False])
def test_as_a_frozen_dataclass(monkeypatch: pytest.MonkeyPatch, eq: bool) -> None:
    monkeypatch.setattr(values, "frozen_at_run_time", False)
    for kind in (
        made(values.light_dataclass(frozen=True, slots=True, eq=eq)),
        made(dataclass(frozen=True, slots=True, eq=eq)),
    ):
        point = kind(1)
        assert repr(point).endswith("Point(x=1, y=2)")
        assert (point == kind(1)) is eq
        assert (hash(point) == hash(kind(1))) is eq
        assert (kind(1) in {point}) is eq
        assert (replace(point, y=3).x, copy.copy(point).y) == (1, 2)
        assert [each.name for each in fields(point)] == ["x", "y"]
        assert kind.__match_args__ == ("x", "y")
        assert not hasattr(point, "__dict__")
        with pytest.raises(TypeError):
            kind(1, z=3)


def test_what_a_class_says_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret isn't shown, what isn't compared doesn't count, and its own methods stay its own."""
    monkeypatch.setattr(values, "frozen_at_run_time", False)
    for decorate in (
        values.light_dataclass(frozen=True, slots=True),
        dataclass(frozen=True, slots=True),
    ):

        class Base:
            name: str
            password: bytes = field(default=b"", repr=False)
            at: float = field(default=0.0, compare=False)

        base: Any = decorate(Base)

        class Child(base):
            more: int = 0

            def __str__(self) -> str:
                return "child"

        child: Any = decorate(Child)

        class Own:
            x: int

            def __repr__(self) -> str:
                return "own"

            def __eq__(self, other: object) -> bool:
                return True

            def __hash__(self) -> int:
                return 7

        own: Any = decorate(Own)
        assert repr(base("a", b"opensesame", 1.0)).endswith("Base(name='a', at=1.0)")
        assert base("a", b"x", 1.0) == base("a", b"x", 2.0)
        assert base("a", b"x") != base("a", b"y")
        assert hash(base("a", b"x", 1.0)) == hash(base("a", b"x", 2.0))
        assert base("a") != child("a")
        assert repr(child("a", more=2)).endswith("Child(name='a', at=0.0, more=2)")
        assert child("a", more=1) != child("a", more=2)
        assert str(child("a")) == "child"
        assert (repr(own(1)), own(1) == own(2), hash(own(1))) == ("own", True, 7)
        assert base("a").__eq__(1) is NotImplemented
