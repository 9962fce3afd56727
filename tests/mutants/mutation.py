"""What a registry's entry is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "high"]


@dataclass(frozen=True, slots=True)
class Item:
    """A requirement: its number, how much it matters, and what it asks for in a few words."""

    number: str  # R14
    severity: Severity
    asks: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A check taken out, and the tests that must fail then."""

    items: tuple[str, ...]
    broken: str  # what the product does now, in one sentence
    file: str  # seen from authproxy/
    old: str  # occurs once in the file
    new: str
    tests: tuple[str, ...]  # node ids under tests/: radius/test_packet.py::test_length

    @property
    def name(self) -> str:
        return f"{'+'.join(self.items)}: {self.broken}"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Why an item has no mutation: what shows it instead, or that it isn't built."""

    item: str
    why: str
