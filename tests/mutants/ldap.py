"""LDAP: requirements L1 to L32."""

from __future__ import annotations

from tests.mutants.mutation import Elsewhere, Item, Mutation

ITEMS: tuple[Item, ...] = ()

MUTATIONS: tuple[Mutation, ...] = ()

ELSEWHERE: tuple[Elsewhere, ...] = ()
