"""Values, whose fields don't change: as `dataclass(frozen=True)`, for less.

mypy sees to it that nothing changes them, and so do the tests. The daemon doesn't: what Python freezes sets each field
by a call, for 1,300 instructions instead of 50, and a login has a hundred fields. Nor does each class have code of its
own there to be shown, compared and hashed: to make that takes a third of a millisecond a class, and a start makes 250.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as light_dataclass
else:
    from dataclasses import dataclass, fields

    frozen_at_run_time = False  # the tests set it, before they import anything else

    def light_dataclass(*, frozen: bool, slots: bool, eq: bool = True, order: bool = False):
        if frozen_at_run_time or order:
            return dataclass(frozen=frozen, slots=slots, eq=eq, order=order)

        def made(cls):
            own = set(cls.__dict__)
            cls.__doc__ = cls.__doc__ or cls.__name__  # else its signature is made, for nobody
            cls = dataclass(slots=slots, repr=False, eq=False)(cls)
            cls._shown = tuple(field.name for field in fields(cls) if field.repr)
            if "__repr__" not in own:
                cls.__repr__ = _repr
            if eq:
                cls._compared = tuple(field.name for field in fields(cls) if field.compare)
                if "__eq__" not in own:
                    cls.__eq__ = _eq
                if "__hash__" not in own:
                    cls.__hash__ = _hash
            return cls

        return made

    def _repr(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{type(self).__qualname__}({shown})"

    def _eq(self, other: object):
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self is other or all(getattr(self, name) == getattr(other, name) for name in self._compared)

    def _hash(self) -> int:
        return hash(tuple([getattr(self, name) for name in self._compared]))


__all__ = ["light_dataclass"]
