"""Secrets and the host: requirements S1 to S12."""

from __future__ import annotations

from tests.mutants.mutation import Elsewhere, Item, Mutation

ITEMS: tuple[Item, ...] = ()

MUTATIONS: tuple[Mutation, ...] = ()

ELSEWHERE: tuple[Elsewhere, ...] = ()
