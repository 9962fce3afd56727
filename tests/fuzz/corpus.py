"""Regression seeds: hexadecimal octets in files of their own, `#` before what they are and what is due."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Seed:
    name: str
    octets: bytes
    due: str  # what the target's `one` has to say of it


def seeds(target: str) -> list[Seed]:
    """Raises ValueError when a file is not one."""
    return [_read(path) for path in sorted((FOLDER / target).glob("*.hex"))]


def _read(path: Path) -> Seed:
    due, digits = "", []
    for line in path.read_text(encoding="utf-8").splitlines():
        text, _, comment = line.partition("#")
        digits.append(text)
        if comment.strip().startswith("due:"):
            due = comment.partition(":")[2].strip()
    if not due:
        raise ValueError(f"{path}: says nothing of what is due")
    return Seed(path.stem, bytes.fromhex("".join(digits)), due)
