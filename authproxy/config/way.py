"""A way to an Accept without both factors, and the kinds of such ways (F10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from enum import StrEnum
from typing import Any

from authproxy.values import light_dataclass


class Kind(StrEnum):
    RULE = "rule"  # always, for those it names
    OUTAGE = "outage"  # while the cloud is out of reach
    ORDER = "order"  # while the administrator has said so
    CLOUD = "cloud"  # the cloud's word, which can't be seen from here
    ONE_FACTOR = "one_factor"  # the second factor alone: nobody checks a password here
    FORGERY = "forgery"  # by somebody who stands in between
    UNBOUND = "unbound"  # no Accept, but something without any factor


@light_dataclass(frozen=True, slots=True)
class Way:
    """`option` "": the section itself. `reason`: the audit's word when somebody uses it; "" if there is none."""

    section: str
    kind: Kind
    option: str
    who: str
    reason: str = ""
    only_if: tuple[str, ...] = field(default=())


Found = Iterator[Way]
How = Callable[[str, Any], Found]
