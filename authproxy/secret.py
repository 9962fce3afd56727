"""Octets that do not print. Nothing else in the project holds a password, a passcode or a key."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Octets whose only way out is `reveal()`.

    It has no useful `repr`, can't be pickled, and compares in constant time (S1, S6).
    """

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    @classmethod
    def of(cls, text: str) -> Secret:
        """The UTF-8 octets of text."""
        return cls(text.encode("utf-8"))

    def reveal(self) -> bytes:
        return self._octets

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "Secret(…)"

    def __bool__(self) -> bool:
        return bool(self._octets)

    def __len__(self) -> int:
        return len(self._octets)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._octets, other._octets)

    def __hash__(self) -> int:
        raise TypeError("a Secret is not a key: use a keyed digest of it")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")
