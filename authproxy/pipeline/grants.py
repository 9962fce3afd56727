"""What an Accept carries for whom: by user and group, the same on every way that leads to an Accept.

What the attributes are is the listener's matter; here they are opaque.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from authproxy.pipeline.record import Facts


@dataclass(frozen=True, slots=True)
class Rule:
    """For the members of `group`, for `user` (a canonical name), or with neither for whom no other rule fits."""

    attributes: tuple[object, ...]
    group: str = ""
    user: str = ""

    @property
    def is_default(self) -> bool:
        return not self.group and not self.user


@dataclass(frozen=True)
class Grants:
    """`every`: of all rules that fit, rather than of the first."""

    rules: tuple[Rule, ...] = ()
    every: bool = False

    @cached_property
    def groups(self) -> frozenset[str]:
        """Those that rules are about."""
        return frozenset(rule.group for rule in self.rules if rule.group)

    def unknown(self, facts: Facts) -> bool:
        """Nobody has said yet whether the user is in all of these groups."""
        return not self.groups <= facts.groups | facts.outside

    def of(self, facts: Facts) -> tuple[object, ...]:
        fitting = list(self._fitting(facts)) or [rule for rule in self.rules if rule.is_default]
        chosen = fitting if self.every else fitting[:1]
        return tuple(attribute for rule in chosen for attribute in rule.attributes)

    def _fitting(self, facts: Facts) -> Iterator[Rule]:
        for rule in self.rules:
            if (rule.user and rule.user == facts.username) or (rule.group and rule.group in facts.groups):
                yield rule


class Groups(Protocol):
    """Where memberships are looked up that didn't come with the password's verdict."""

    async def groups_of(
        self, username: str, dn: str, deadline: float
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Of the groups that rules are about: those that this user is in, and the others.

        `username` is a confirmed name; `dn` is '' when nobody knows it any more. Raises PrimaryUnavailable.
        """
