"""Who may pass an open door: requirements F2 to F11."""

from __future__ import annotations

from tests.mutants.mutation import Elsewhere, Item, Mutation

ITEMS: tuple[Item, ...] = ()

MUTATIONS: tuple[Mutation, ...] = ()

ELSEWHERE: tuple[Elsewhere, ...] = ()
