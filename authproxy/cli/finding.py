"""A finding of probe; one line each."""

from __future__ import annotations

from enum import StrEnum

from authproxy.values import light_dataclass


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"  # it works, and an administrator may want to act
    FAILED = "failed"


@light_dataclass(frozen=True, slots=True)
class Finding:
    """`what` was tried on `name`, and its outcome. `seconds`: how long the answer took, None if nothing was asked."""

    level: Level
    what: str
    name: str
    detail: str
    seconds: float | None = None
