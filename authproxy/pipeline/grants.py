"""Which attributes an Accept carries, by user and group; the same for everything that leads to an Accept.

The listener gives the attributes their meaning; here they are opaque.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from authproxy.pipeline.record import Facts
from authproxy.pipeline.username import account
from authproxy.values import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Rule:
    """For members of `group`, or for `user` (a canonical name), or (with neither) for users whom no other matches."""

    attributes: tuple[object, ...]
    group: str = ""
    user: str = ""

    @property
    def is_default(self) -> bool:
        return not self.group and not self.user


@dataclass(frozen=True)
class Grants:
    """`every`: use all rules that match, instead of the first one."""

    rules: tuple[Rule, ...] = ()
    every: bool = False

    @cached_property
    def groups(self) -> frozenset[str]:
        """The groups that rules name."""
        return frozenset(rule.group for rule in self.rules if rule.group)

    def unknown(self, facts: Facts) -> bool:
        """Whether it isn't known yet, for one of these groups, if the user is in it."""
        return not self.groups <= facts.groups | facts.outside

    def may_mean(self, username: str) -> bool:
        """Whether a rule is about a user whose name this could be another form of."""
        others = (rule.user for rule in self.rules if rule.user and rule.user != username)
        return any(account(other) == account(username) for other in others)

    def of(self, facts: Facts) -> tuple[object, ...]:
        fitting = list(self._fitting(facts)) or [rule for rule in self.rules if rule.is_default]
        chosen = fitting if self.every else fitting[:1]
        return tuple(attribute for rule in chosen for attribute in rule.attributes)

    def _fitting(self, facts: Facts) -> Iterator[Rule]:
        for rule in self.rules:
            if (rule.user and rule.user == facts.username) or (rule.group and rule.group in facts.groups):
                yield rule


class Groups(Protocol):
    """Looks up memberships that the primary didn't report with the password."""

    async def groups_of(
        self, username: str, dn: str, deadline: float
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Of the groups that rules name: those that the user is in, and those that the user isn't in.

        `username` is a confirmed name; `dn` is '' if it isn't known any more. Raises PrimaryUnavailable.
        """
