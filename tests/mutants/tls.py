"""TLS and outbound HTTP: requirements T1 to T10."""

from __future__ import annotations

from tests.mutants.mutation import Elsewhere, Item, Mutation

ITEMS: tuple[Item, ...] = ()

MUTATIONS: tuple[Mutation, ...] = ()

ELSEWHERE: tuple[Elsewhere, ...] = ()
