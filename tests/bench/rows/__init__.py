"""One module per question; each returns figures (targets: docs/performance.md)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.measure import Meter
from tests.bench.rig import Rig


@dataclass(frozen=True, slots=True)
class Plan:
    """How thorough to be. The short form looks for wrong answers and gross regressions."""

    rig: Rig
    meter: Meter
    rounds: int
    short: bool

    def choose(self, full: int, short: int) -> int:
        return short if self.short else full
