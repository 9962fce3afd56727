"""Values, whose fields don't change: as `dataclass(frozen=True)`, for those that every login makes.

mypy sees to it, and the tests do. The daemon doesn't: what Python freezes sets each field by a call, for 1,300
instructions instead of 50, and a login has a hundred fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as light_dataclass
else:
    from dataclasses import dataclass

    frozen_at_run_time = False  # the tests set it, before they import anything else

    def light_dataclass(*, frozen: bool, slots: bool, eq: bool = True):
        if frozen_at_run_time:
            return dataclass(frozen=frozen, slots=slots, eq=eq)
        return dataclass(slots=slots, eq=eq, unsafe_hash=frozen and eq)


__all__ = ["light_dataclass"]
