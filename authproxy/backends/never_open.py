"""Gates that depend on the user: users and groups that never pass without a factor, and users who passed one lately
(F7).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from authproxy.backends.seen_users import SeenUsers
from authproxy.pipeline.ports import CloudFailure, PrimaryUnavailable, Refused, Verified
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import folded

Confirm = Callable[[str, float], Awaitable[Verified | Refused]]


class NeverUsers:
    """`names`: canonical. A domain makes no difference: `corp\\alice` and `alice@corp` are alice."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = frozenset[str]().union(*map(_called, names))

    async def __call__(self, request: AuthRequest, verified: Verified, _: CloudFailure | None) -> str:
        called = _called(verified.username) | _called(request.username.canonical)
        return "never_user" if called & self._names else ""


class NeverGroups:
    """`confirm(dn, deadline)` asks the directory again, and names those of the groups that the entry is in."""

    def __init__(self, confirm: Confirm) -> None:
        self._confirm = confirm

    async def __call__(self, request: AuthRequest, verified: Verified, _: CloudFailure | None) -> str:
        try:
            entry = await self._confirm(verified.dn, request.deadline)
        except PrimaryUnavailable:
            return "groups_unknown"
        if isinstance(entry, Refused):
            return "groups_unknown"
        return "never_group" if entry.groups else ""


class SeenWithin:
    """Only users who passed both factors in this section in the last `days` days."""

    def __init__(self, seen: SeenUsers, section: str, days: int) -> None:
        self._seen = seen
        self._section = section
        self._days = days

    async def __call__(self, _: AuthRequest, verified: Verified, __: CloudFailure | None) -> str:
        return "" if self._seen.within(self._section, verified.username, self._days) else "not_seen"


def _called(name: str) -> frozenset[str]:
    """A RADIUS server of NTLM's kind takes `ádmin` for admin; one with realms takes `corp/admin` and `admin%corp`."""
    name = folded(name)
    account = re.split(r"[\\/]", name)[-1]
    return frozenset({name, account, re.split("[@%]", account)[0]})
