"""All mutations, from one module a family."""

from __future__ import annotations

from tests.mutants import availability, fail_open, ldap, nodes, radius, secrets_and_host, tls
from tests.mutants.mutation import Elsewhere, Item, Mutation

_FAMILIES = (radius, ldap, tls, secrets_and_host, availability, fail_open, nodes)

ITEMS: tuple[Item, ...] = tuple(item for family in _FAMILIES for item in family.ITEMS)
MUTATIONS: tuple[Mutation, ...] = tuple(mutation for family in _FAMILIES for mutation in family.MUTATIONS)
ELSEWHERE: tuple[Elsewhere, ...] = tuple(entry for family in _FAMILIES for entry in family.ELSEWHERE)

# A few that run in a second or two each, from several families: --short.
SHORT = frozenset({"R2", "R16", "R25", "F8"})
