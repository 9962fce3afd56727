"""What is wrong with a configuration, and where. The administrator has to act: never a secret, always a place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A mistake or a warning. `line` counts from 1; 0: the file as a whole. `option` may be empty: the section."""

    file: str
    line: int
    section: str
    option: str
    what: str

    def __str__(self) -> str:
        """`FILE:LINE: section.option: what is wrong`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(filter(None, (place, self.path, self.what)))

    @property
    def path(self) -> str:
        return ".".join(filter(None, (self.section, self.option)))


class InvalidConfig(Exception):
    """The administrator: every problem at once, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def suggestion(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
