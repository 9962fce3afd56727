"""Values, frozen at run time and not: the same to whoever doesn't try to change them."""

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError, dataclass, fields, replace
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
