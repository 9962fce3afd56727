"""What is wrong with a configuration, and where. The administrator has to act. Never a secret, always a place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

# A line of output is a line: whatever a file holds, it can't forge another one (S2).
_LONGEST = 1000


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A mistake or a warning. `line` counts from 1; 0: the file as a whole. `option` '': the section."""

    file: str
    line: int
    section: str
    option: str
    what: str

    def __str__(self) -> str:
        """`FILE:LINE: section.option: what is wrong`."""
        return self.labelled("")

    def labelled(self, label: str) -> str:
        """`FILE:LINE: label: section.option: what is wrong`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return printable(": ".join(filter(None, (place, label, self.path, self.what))))

    @property
    def path(self) -> str:
        return ".".join(filter(None, (self.section, self.option)))


class InvalidConfig(Exception):
    """Every problem at once, in the order of the file; the administrator has to act."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(slots=True)
class Report:
    """Collects the problems and warnings of one file."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def problem(self, line: int, section: str, option: str, what: str) -> None:
        self.problems.append(Problem(self.file, line, section, option, what))

    def warning(self, line: int, section: str, option: str, what: str) -> None:
        self.warnings.append(Problem(self.file, line, section, option, what))


def suggestion(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)`; '' if no known word is similar."""
    import difflib  # noqa: PLC0415 - only a file with a mistake in it needs it

    near = difflib.get_close_matches(word.lower()[:64], list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def printable(text: str) -> str:
    """Without control characters, and limited in length."""
    clean = "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in text)
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}…"
